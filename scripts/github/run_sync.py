"""Starts a sync of each table and follows it to its end; exits with 0 only if all runs succeed.

Reads ``ENVIRONMENT``, ``PROJECT_NAME`` (optional), ``GIT_REF``, and the dispatch's inputs
``SYNC_TYPE``, ``DATE_FROM``, ``DATE_TO``, ``ALLOW_DELETES`` and ``DRY_RUN``. ``TABLE`` names the
tables, separated by commas; it is empty where the stack has one. ``TRIGGER``, ``GITHUB_RUN_ID`` and
``GITHUB_RUN_ATTEMPT`` name the executions, so a repeated step starts no second run. The outcomes
are written to ``RESULT_FILE``, a line each.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from aws import AwsRefused, machine_arn, stepfunctions, tables
from forecast_sync.adapters.stepfunctions import Execution, Workflow, current_state
from forecast_sync.errors import message_of
from output import fail, say

TRIGGER = os.environ.get("TRIGGER", "github")
POLL_SECONDS = float(os.environ.get("POLL_SECONDS", "10"))
WAIT_SECONDS = float(os.environ.get("WAIT_SECONDS", "20000"))


def main() -> int:
    """Start a run of each table, follow it, and write its outcome."""
    result_file = Path(os.environ["RESULT_FILE"])
    result_file.unlink(missing_ok=True)
    deadline, exit_code = time.monotonic() + WAIT_SECONDS, 0
    try:
        workflow = Workflow(stepfunctions(), machine_arn(os.environ["ENVIRONMENT"]))
        for arn, table in _start(workflow):
            execution = _follow(workflow, arn, table, deadline)
            exit_code |= _report(workflow, arn, table, execution, result_file)
    except AwsRefused as error:
        return fail(str(error))
    return exit_code


def _report(
    workflow: Workflow, arn: str, table: str | None, execution: Execution, result_file: Path
) -> int:
    """Write a run's outcome; returns the exit code."""
    result = {
        "name": arn.rpartition(":")[2],
        "executionArn": arn,
        "status": execution.status,
        "output": execution.output,
    }
    if table:
        result["table"] = table
    failure = _explain(workflow, arn, execution) if execution.ended_badly else None
    if failure is not None:
        result["failure"] = failure
    with result_file.open("a") as results:
        results.write(json.dumps(result) + "\n")
    run = f"The run of {table}" if table else "The run"
    if failure is not None:
        return fail(f"{run} is {execution.status}. {failure}")
    if execution.is_alive:
        return fail(f"{run} is still active after {WAIT_SECONDS:.0f} s; see {arn}.")
    return 0


def execution_input(table: str | None) -> dict[str, Any]:
    """The inputs that were given; the workflow itself refuses wrong ones."""
    inputs = {
        "git_ref": os.environ["GIT_REF"],
        "sync_type": os.environ.get("SYNC_TYPE", ""),
        "date_from": os.environ.get("DATE_FROM", ""),
        "date_to": os.environ.get("DATE_TO", ""),
        "table": table,
    }
    given: dict[str, Any] = {name: value for name, value in inputs.items() if value}
    if rows := os.environ.get("ALLOW_DELETES"):
        given["allow_deletes"] = int(rows) if re.fullmatch("[0-9]{1,10}", rows) else rows
    if os.environ.get("DRY_RUN") == "true":
        given["dry_run"] = True
    return {**given, "trigger": TRIGGER}


def _start(workflow: Workflow) -> list[tuple[str, str | None]]:
    """Start a run of each table; returns their ARNs and tables."""
    begun = f"{TRIGGER}-{os.environ['GITHUB_RUN_ID']}-{os.environ['GITHUB_RUN_ATTEMPT']}"
    named = tables()
    started = []
    for number, table in enumerate(named, start=1):
        # A table's name may be too long to be a part of an execution's.
        name = begun if len(named) == 1 else f"{begun}-{number}"
        payload = execution_input(table)
        if workflow.start(name, payload):
            say(f"Started {name} with {json.dumps(payload, sort_keys=True)}")
        else:
            say(f"{name} was started before")
        started.append((workflow.arn_of(name), table))
    return started


def _follow(workflow: Workflow, arn: str, table: str | None, deadline: float) -> Execution:
    """Print each state that the run enters, until the run ends or the time is up."""
    shown, of = "", f"{table}: " if table else ""
    while True:
        execution = workflow.describe(arn)
        if execution is None:
            raise AwsRefused(f"There is no execution {arn}.")
        state = current_state(workflow.newest_events(arn)) or "Starting"
        if state != shown:
            say(f"{of}{state}")
            shown = state
        if not execution.is_alive or time.monotonic() > deadline:
            say(f"{of}{execution.status}")
            return execution
        time.sleep(POLL_SECONDS)


def _explain(workflow: Workflow, arn: str, execution: Execution) -> str:
    """Why the run failed, in one line; the preview role may not ask which page of a Map failed."""
    try:
        failure = workflow.failure_of(arn, execution)
    except AwsRefused as error:
        say(f"Can't find out which page failed: {error}")
        failure = f"{execution.error}: {message_of(execution.cause)}"
    return " ".join(failure.split())


if __name__ == "__main__":
    sys.exit(main())
