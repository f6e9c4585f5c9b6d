"""An engine that fails in the middle of a run's query: a documented error, and a redrive heals."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.lake import make_rows, reference
from tests.waiting import eventually
from tests.workflow.deployed import Deployed


def test_a_query_whose_engine_dies_is_submitted_again(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(10)))
    deployed.athena_faults({"match": "UNLOAD", "hold": True})
    arn = deployed.start()
    eventually(lambda: deployed.entered(arn).count("Query finished") == 1, 30, "the profile's end")
    # The engine gets the beginning of the object and waits for the rest.
    lake = f"GET /{deployed.cloud.bucket}/forecast/"
    deployed.request_faults({"match": lake, "hold": True, "after_bytes": 10, "times": 50})
    deployed.athena_faults()
    eventually(lambda: _faults_left(deployed) < 50, 30, "a read by the extract")
    _find_engine(deployed).kill()
    deployed.request_faults()
    ended = deployed.wait(arn, 120)  # The engine starts again meanwhile.
    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.entered.count("Submit again") == 1
    assert deployed.table() == reference(deployed.files)


def test_an_engine_whose_disk_is_full_fails_the_run_and_a_redrive_heals(
    deployed: Deployed,
) -> None:
    deployed.upload("few", make_rows(range(10)))
    deployed.run()
    deployed.upload("more", make_rows(range(10, 20)))
    with _full_disk(_find_engine(deployed)):
        ended = deployed.run()
    assert (ended.status, ended.error) == ("FAILED", "QueryFailed")
    assert "Repair the cause and redrive" in ended.cause
    assert len(deployed.table()) == 10
    assert deployed.redrive(ended).status == "SUCCEEDED"
    assert deployed.table() == reference(deployed.files)


@pytest.mark.parametrize("signal", ["terminate", "kill"])
def test_an_engine_that_ends_between_runs_is_started_again(deployed: Deployed, signal: str) -> None:
    deployed.upload("few", make_rows(range(10)))
    engine = _find_engine(deployed)
    getattr(engine, signal)()
    psutil.wait_procs([engine], timeout=60)
    deployed.succeed()
    assert deployed.table() == reference(deployed.files)


def _faults_left(deployed: Deployed) -> int:
    text = (deployed.cloud.faults_dir / "request-faults.json").read_text()
    return sum(fault["times"] for fault in json.loads(text or "[]"))


def _find_engine(deployed: Deployed) -> psutil.Process:
    def find() -> psutil.Process | None:
        for child in psutil.Process(deployed.cloud.pid).children(recursive=True):
            if "io.trino.server.TrinoServer" in child.cmdline():
                return child
        return None

    return eventually(find, 30, "a process of Trino")


@contextmanager
def _full_disk(process: psutil.Process) -> Iterator[None]:
    """No file that the process writes to can grow."""
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
