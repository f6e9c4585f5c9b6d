"""Runs that wait for the lease because they can't coalesce: whichever has waited longest is next.

Without this queue, reruns that follow each other would take the lease between two attempts of a
waiting run, which are minutes apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from forecast_sync.adapters.postgres import Cursor, statement
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run
from forecast_sync.lease import lease

QUIET_MINUTES = 10
"""A run that hasn't tried for so long no longer waits: its attempts are at most 5 minutes apart."""


class Waiting(NamedTuple):
    """A run that waits for the lease; ``rerun_requested`` by runs that have coalesced into it."""

    run_id: str
    execution_arn: str
    neon_branch_id: str | None
    source: str
    table_name: str
    rerun_requested: bool
    is_quiet: bool


def wait(cursor: Cursor, settings: Settings, run: Run) -> None:
    """Queue the run, or note that it still waits."""
    cursor.execute(
        statement("lease/wait.sql"),
        {
            "run_id": run.run_id,
            "execution_arn": run.execution_arn,
            "neon_branch_id": run.neon_branch_id,
            "source": settings.data_location,
            "table_name": settings.table_file,
        },
    )


def find_next(
    cursor: Cursor, settings: Settings, run: Run, is_alive: Callable[[str], bool]
) -> tuple[Waiting | None, bool]:
    """The run that has to get the lease before this one, if any, and whether a rerun is inherited.

    Runs that no longer wait, and those that were copied from another Neon branch, are passed over.
    Those of the same lake and table leave the queue, and this run has to start the rerun that was
    requested of them. Raises what ``is_alive(execution_arn)`` raises.
    """
    inherits_rerun = False
    values = {"minutes": QUIET_MINUTES, "scope": run.scope}
    rows = cursor.execute(statement("lease/find_waiting.sql"), values)
    for waiting in [Waiting(*row) for row in rows.fetchall()]:
        if waiting.run_id == run.run_id:
            break
        is_copied = lease.is_copied(waiting.neon_branch_id, run)
        if not is_copied and not waiting.is_quiet and is_alive(waiting.execution_arn):
            return waiting, inherits_rerun
        if is_copied or lease.is_same_lake(settings, waiting.source, waiting.table_name):
            requested = leave(cursor, waiting.run_id)
            inherits_rerun = inherits_rerun or (requested and not is_copied)
    return None, inherits_rerun


def leave(cursor: Cursor, run_id: str) -> bool:
    """Take a run out of the queue; whether a rerun was requested of it."""
    row = cursor.execute(statement("lease/leave_queue.sql"), {"run_id": run_id}).fetchone()
    return row is not None and bool(row[0])


def request_rerun(cursor: Cursor, run_id: str) -> None:
    """Have a run that waits start a rerun when it ends."""
    cursor.execute(statement("lease/request_rerun_of_waiting.sql"), {"run_id": run_id})
