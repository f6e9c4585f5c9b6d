"""The parts of faults: processes to kill, sessions to find while they work, a full disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from localcloud.unprivileged import hand_over

from tests.lake import make_row, reference
from tests.waiting import eventually
from tests.workflow.deployed import PREFIX, Deployed, Ended

FORGOTTEN = 33
"""Postgres logs a sequence in steps of this many numbers, and skips the rest of one in a crash."""

BEGINNING = 70_000
"""More than the first block that a loader reads, so that its COPY is open when the rest is late."""


def bulky_rows(numbers: range, **changes: Any) -> list[dict[str, Any]]:
    """Rows that gzip doesn't make small, for pages that are read in several blocks."""
    noise = random.Random(numbers.start)
    return [
        make_row(number, y_05=noise.random() * 1e7, y_50=noise.random() * 1e7, **changes)
        for number in numbers
    ]


@contextmanager
def held_results(deployed: Deployed, *, after_bytes: int = BEGINNING) -> Iterator[None]:
    """The next result file stops after its beginning, for the length of a block."""
    deployed.request_faults({"match": "kind=row", "hold": True, "after_bytes": after_bytes})
    try:
        yield
    finally:
        deployed.request_faults()


def sessions(deployed: Deployed, condition: str) -> list[int]:
    """Process ids of the database's other sessions for which a condition holds."""
    rows = deployed.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        f"AND pid <> pg_backend_pid() AND ({condition})"
    )
    return [pid for (pid,) in rows]


COPYING = "query LIKE 'COPY forecast_sync_stage%%' AND state = 'active'"
MERGING = "query LIKE ANY ('{WITH merged%%,WITH inserted%%}') AND state = 'active'"
COMMITTING = "wait_event = 'SyncRep'"


def await_session(deployed: Deployed, condition: str) -> int:
    """The process id of the first session that a condition holds for."""
    return eventually(lambda: sessions(deployed, condition), 30, condition)[0]


def crash_postgres(deployed: Deployed, backend: int) -> None:
    """SIGKILL one process of the server, which ends all sessions and recovers from its log."""
    os.kill(backend, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(backend))
    await_postgres(deployed)


def await_postgres(deployed: Deployed) -> None:
    """Until the server takes connections again."""
    eventually(lambda: _answers(deployed), 30, "Postgres' recovery")


def end_sessions(deployed: Deployed) -> None:
    """End all sessions of the database but the own one."""
    deployed.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def _answers(deployed: Deployed) -> bool:
    try:
        return deployed.query("SELECT 1") == [(1,)]
    except psycopg.OperationalError:
        return False


def workers(deployed: Deployed, function: str) -> list[psutil.Process]:
    """The running execution environments of a function of this cloud."""
    name = f"forecast-sync-dev-{function}"
    processes = []
    for process in psutil.Process(deployed.cloud.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.environ().get("AWS_LAMBDA_FUNCTION_NAME") == name:
                processes.append(process)
    return processes


def kill_workers(deployed: Deployed, function: str) -> int:
    """SIGKILL them; how many there were."""
    killed = workers(deployed, function)
    for process in killed:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return len(killed)


@contextmanager
def stopped(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Processes that do nothing for the length of a block."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@contextmanager
def locked_row(
    deployed: Deployed, restaurant: int, url: str | None = None
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """An application that holds a row for the length of a block; a crash may end it."""
    application = psycopg.connect(url or deployed.cloud.database_urls["dev"])
    application.execute(
        "SELECT FROM forecast_data WHERE restaurant_id = %s FOR UPDATE", [restaurant]
    )
    try:
        yield application
    finally:
        application.close()


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """A file system of one megabyte that Postgres may write to; yields its mount point.

    It hides what an existing folder has, for as long as it is mounted.
    """
    if os.geteuid() != 0:
        pytest.skip("a full disk is made by mounting a small one: run the tests as root")
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    hand_over(folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def compact(deployed: Deployed, path: str, name: str) -> None:
    """Rewrite the rows of an object into a later one called ``name``, and delete the first."""
    _, content = deployed.files[path]
    deployed.upload(name, content)
    deployed.delete(path.partition(PREFIX)[2].removesuffix(".parquet"))


def redrive_at_once(deployed: Deployed, arn: str) -> None:
    """Stop an execution and redrive it, while functions that it has called may still work."""
    sfn = deployed.client("stepfunctions")
    deployed.stop(arn)
    with suppress(sfn.exceptions.ExecutionNotRedrivable):
        sfn.redrive_execution(executionArn=arn)


def task_failures(deployed: Deployed, arn: str) -> str:
    """Errors and causes of all tasks of an execution and its children that have failed so far."""
    return "\n".join(
        " ".join(event["taskFailedEventDetails"].values())
        for execution in (arn, *deployed.children(arn))
        for event in deployed.history(execution)
        if "taskFailedEventDetails" in event
    )


def finished(deployed: Deployed, ended: Ended, *, ids: int | None = None) -> None:
    """The run has succeeded, the table is the reference, and nothing is left running.

    ``ids`` is the highest id that may have been used; by default one for each row.
    """
    assert ended.status == "SUCCEEDED", task_failures(deployed, ended.arn)
    settled(deployed, ids=ids)
    assert (deployed.status(ended.name) or {})["status"] == "succeeded"


def finished_at_last(deployed: Deployed, arn: str, *, ids: int | None = None) -> None:
    """As ``finished``, when the run's retries may all have been used up before its fault ended.

    Local retries are over within seconds: on a busy machine the end of a fault may come later, and
    somebody redrives the run then.
    """
    ended = deployed.wait(arn)
    if ended.status == "FAILED" and _gave_up(deployed, ended):
        ended = deployed.redrive(ended)
    finished(deployed, ended, ids=ids)


def _gave_up(deployed: Deployed, ended: Ended) -> bool:
    """Whether an error that is retried has failed a run."""
    children = map(deployed.describe, deployed.children(ended.arn))
    errors = {ended.error, *(child.get("error") for child in children)}
    return not errors.isdisjoint({"DatabaseUnavailable", "BatchConflict"})


def settled(deployed: Deployed, *, ids: int | None = None) -> None:
    """The table is the reference, no id was burned, no lease is held, no execution runs."""
    await_quiet(deployed)
    expected = reference(deployed.files)
    assert deployed.table() == expected
    ((last_id,),) = deployed.query("SELECT last_value FROM forecast_data_id_seq")
    assert last_id <= (len(expected) if ids is None else ids)
    running = "SELECT run_id FROM forecast_sync_status WHERE status = 'running'"
    assert deployed.query(running) == []
    eventually(lambda: not sessions(deployed, "state LIKE 'idle in transaction%%'"))


def await_quiet(deployed: Deployed) -> None:
    """Until no execution runs, reruns included."""
    sfn = deployed.client("stepfunctions")
    arn = deployed.cloud.state_machine_arn

    def quiet() -> bool:
        return not sfn.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]

    eventually(quiet, 60, "the end of all executions", every=0.2)
