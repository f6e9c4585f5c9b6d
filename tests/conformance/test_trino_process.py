"""Trino is a part of the local cloud: nobody else reaches it, and it is gone when the cloud is.

When it fails in the middle of a run's query, the error is a documented one, and a redrive heals.
"""

from __future__ import annotations

import json
import resource
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest
from localcloud import cloud as local
from localcloud.athena.trino_server import MOST_RESTARTS, TrinoServer
from localcloud.errors import LocalCloudError

from tests.lake import make_rows, reference
from tests.localcloud.toy_cloud import TOY, processes, query
from tests.waiting import eventually
from tests.workflow.deployed import PARAMETERS, Deployed

GIB = 1024**3
SCRIPT = """
import pathlib, sys
from localcloud import cloud
with cloud.running(pathlib.Path({state_dir!r}), template=pathlib.Path({toy!r}), athena="trino"):
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def _deployed() -> Iterator[Deployed]:
    """Instead of the worker's cloud one with a Trino of its own, as ``local up`` starts it."""
    with local.running(wait_scale=0.04, parameters=PARAMETERS, athena="trino") as running:
        deployed = Deployed(running)
        deployed.postpone_schedules()
        deployed.warm_up()
        yield deployed


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    local.down(tmp_path / "state")
    assert _remaining(tmp_path / "state") == []


def _remaining(state_dir: Path) -> list[str]:
    return [*processes(state_dir), *map(str, _find_engines(state_dir))]


def _find_engines(state_dir: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "io.trino.server.TrinoServer" in line and str(state_dir) in " ".join(line):
            found.append(process)
    return found


def test_up_runs_queries_on_it_and_down_leaves_nothing(state_dir: Path) -> None:
    cloud = local.up(state_dir, template=TOY, athena="trino")
    assert cloud.athena == "trino"
    assert _find_engines(state_dir)
    with pytest.raises(LocalCloudError, match="whose Athena is trino runs already"):
        local.up(state_dir, template=TOY)
    query(cloud, "SELECT max_by(x, y) AS latest FROM (VALUES (1, 2), (3, 4)) AS t (x, y)")
    for path in (state_dir / "tmp" / "trino").rglob("*"):
        assert path.is_symlink() or path.stat().st_mode & 0o077 == 0, path
    assert local.down(state_dir)
    assert _remaining(state_dir) == []


@pytest.mark.parametrize("victim", ["parent", "server"])
def test_whoever_is_killed_nothing_of_it_is_left(state_dir: Path, victim: str) -> None:
    script = SCRIPT.format(state_dir=str(state_dir), toy=str(TOY))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert _find_engines(state_dir)
        if victim == "server":
            (server,) = psutil.Process(process.pid).children()
            server.kill()
            eventually(lambda: not _find_engines(state_dir), 20)
        process.send_signal(signal.SIGKILL)
        process.wait()
    local.down(state_dir) if victim == "server" else None
    eventually(lambda: not _remaining(state_dir), 30)


def test_ctrl_c_while_it_starts_leaves_nothing(state_dir: Path) -> None:
    script = SCRIPT.format(state_dir=str(state_dir), toy=str(TOY))
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as process:
        eventually(lambda: _find_engines(state_dir), 60, "the start of Trino")
        process.send_signal(signal.SIGINT)
        assert process.wait() != 0
    eventually(lambda: not _remaining(state_dir), 30)


class Unstartable(TrinoServer):
    """Its first process answers until it is killed, and each later one ends at once."""

    processes: list[subprocess.Popen[bytes]]

    def _configure(self) -> None:
        self.processes = []
        self._log.write_text("Error: no more memory\n")

    def _spawn(self) -> subprocess.Popen[bytes]:
        seconds = "0" if self.processes else "1000"
        self.processes.append(subprocess.Popen(["/bin/sleep", seconds]))
        return self.processes[-1]

    def _answers(self) -> bool:
        return len(self.processes) == 1


def test_an_engine_that_does_not_start_again_is_given_up(tmp_path: Path) -> None:
    server = Unstartable(tmp_path, tmp_path, tmp_path, tmp_path / "trino.log", None)
    server.start()
    server.await_client()
    server.processes[0].kill()
    eventually(lambda: len(server.processes) == 1 + MOST_RESTARTS)
    with pytest.raises(LocalCloudError, match=r"Trino did not start: .*no more memory"):
        server.await_client()
    server.stop()
    assert len(server.processes) == 1 + MOST_RESTARTS


def test_it_listens_on_loopback_and_answers_only_its_cloud(deployed: Deployed) -> None:
    (engine,) = _find_engines(Path(deployed.cloud.state_dir))
    ports = [
        connection.laddr
        for connection in engine.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(ports) == 2
    assert {address.ip.removeprefix("::ffff:") for address in ports} == {"127.0.0.1"}
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for address in ports:
        for scheme in ("http", "https"):
            request = urllib.request.Request(
                f"{scheme}://127.0.0.1:{address.port}/v1/statement",
                data=b"SELECT 1",
                headers={"X-Trino-User": "athena"},
            )
            with pytest.raises((urllib.error.URLError, ConnectionError, HTTPException)):
                urllib.request.urlopen(request, context=context, timeout=20)


def test_it_takes_less_than_4_gb_and_the_whole_cloud_less_than_6(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(10)))
    deployed.succeed()
    numbers = "UNNEST(sequence(1, 2000)) AS a (x), UNNEST(sequence(1, 1000)) AS b (y)"
    digest = "md5(to_utf8(concat(CAST(x AS varchar), ' ', CAST(y AS varchar))))"
    query(deployed.cloud, f"SELECT count(DISTINCT {digest}) AS digests FROM {numbers}")
    (engine,) = _find_engines(Path(deployed.cloud.state_dir))
    server = psutil.Process(deployed.cloud.pid)
    everything = [server, *server.children(recursive=True)]
    assert engine.memory_info().rss < 4 * GIB
    # What processes share counts once: each function is a Python process, forked or of equal files.
    assert sum(process.memory_full_info().pss for process in everything) < 6 * GIB
    # Whatever is asked of it: the heap is half of it, the rest has limits of its own.
    options = engine.cmdline()
    assert {"-Xmx2560M", "-XX:MaxMetaspaceSize=384M", "-XX:MaxDirectMemorySize=384M"} <= {*options}


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
    _await_engine(deployed).kill()
    deployed.request_faults()
    ended = deployed.wait(arn, 120)  # The engine starts again meanwhile.
    assert ended.status == "SUCCEEDED", ended.cause
    # Twice if it is submitted before the cloud has noticed that the engine is gone.
    assert ended.entered.count("Submit again") in (1, 2)
    assert deployed.table() == reference(deployed.files)


def test_an_engine_whose_disk_is_full_fails_the_run_and_a_redrive_heals(
    deployed: Deployed,
) -> None:
    deployed.upload("few", make_rows(range(10)))
    deployed.run()
    deployed.upload("more", make_rows(range(10, 20)))
    with _full_disk(_await_engine(deployed)):
        ended = deployed.run()
    assert (ended.status, ended.error) == ("FAILED", "QueryFailed")
    assert "Repair the cause and redrive" in ended.cause
    assert len(deployed.table()) == 10
    assert deployed.redrive(ended).status == "SUCCEEDED"
    assert deployed.table() == reference(deployed.files)


@pytest.mark.parametrize("signal", ["terminate", "kill"])
def test_an_engine_that_ends_between_runs_is_started_again(deployed: Deployed, signal: str) -> None:
    deployed.upload("few", make_rows(range(10)))
    engine = _await_engine(deployed)
    getattr(engine, signal)()
    psutil.wait_procs([engine], timeout=60)
    deployed.succeed()
    assert deployed.table() == reference(deployed.files)


def _faults_left(deployed: Deployed) -> int:
    text = (deployed.cloud.faults_dir / "request-faults.json").read_text()
    return sum(fault["times"] for fault in json.loads(text or "[]"))


def _await_engine(deployed: Deployed) -> psutil.Process:
    (engine,) = eventually(lambda: _find_engines(Path(deployed.cloud.state_dir)), 30, "Trino")
    return engine


@contextmanager
def _full_disk(process: psutil.Process) -> Iterator[None]:
    """No file that the process writes to can grow."""
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
