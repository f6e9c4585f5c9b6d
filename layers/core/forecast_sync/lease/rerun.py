"""The rerun that a coalesced run has requested from the holder of the lease, when that ends."""

from __future__ import annotations

import hashlib

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.adapters.stepfunctions import Workflow
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run

EXECUTION_NAME_LIMIT = 80


def start_rerun(
    connection: Connection, workflow: Workflow, settings: Settings, run: Run, redrive_count: int
) -> None:
    """Start the rerun of an ended run if one was requested, and then clear the request.

    It names its table where the stack has several by now, whatever it had when the run began. A run
    ends once for each redrive, and each of its ends has a rerun of its own.
    """
    with transaction(connection) as cursor:
        row = cursor.execute(statement("lease/read_rerun.sql"), {"run_id": run.run_id}).fetchone()
    if not row or not row[0]:
        return
    request = {"git_ref": run.git_ref, "trigger": "rerun"}
    if table := settings.scope or run.scope:
        request["table"] = table
    workflow.start(rerun_name(run.run_id, redrive_count), request)
    with transaction(connection) as cursor:
        cursor.execute(statement("lease/clear_rerun.sql"), {"run_id": run.run_id})


def rerun_name(run_id: str, redrive_count: int = 0) -> str:
    """``<run>-rerun``, or ``<run>-rerun-<redrive count>`` for a redriven run.

    A name that Step Functions would find too long begins with a digest instead: reruns of reruns
    grow, and cut names could be equal.
    """
    suffix = f"-rerun-{redrive_count}" if redrive_count else "-rerun"
    name = f"{run_id}{suffix}"
    if len(name) <= EXECUTION_NAME_LIMIT:
        return name
    return hashlib.sha256(run_id.encode()).hexdigest()[:32] + suffix
