"""Starts a sync and follows it to its end; exits with 0 only if the run succeeds.

Reads ``ENVIRONMENT``, ``PROJECT_NAME`` (optional), ``GIT_REF``, and the dispatch's inputs
``SYNC_TYPE``, ``DATE_FROM``, ``DATE_TO`` and ``DRY_RUN``. ``TRIGGER``, ``GITHUB_RUN_ID`` and
``GITHUB_RUN_ATTEMPT`` name the execution, so a repeated step starts no second run. The outcome is
written to ``RESULT_FILE``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from aws import AwsRefused, machine_arn, stepfunctions
from forecast_sync.adapters.stepfunctions import Execution, Workflow, current_state
from forecast_sync.errors import message_of
from output import fail, say

TRIGGER = os.environ.get("TRIGGER", "github")
POLL_SECONDS = float(os.environ.get("POLL_SECONDS", "10"))
WAIT_SECONDS = float(os.environ.get("WAIT_SECONDS", "20000"))


def main() -> int:
    """Start a run, follow it, and write its outcome."""
    try:
        workflow = Workflow(stepfunctions(), machine_arn(os.environ["ENVIRONMENT"]))
        arn = _start(workflow)
        execution = _follow(workflow, arn)
    except AwsRefused as error:
        return fail(str(error))
    result = {
        "name": arn.rpartition(":")[2],
        "executionArn": arn,
        "status": execution.status,
        "output": execution.output,
    }
    failure = _explain(workflow, arn, execution) if execution.ended_badly else None
    if failure is not None:
        result["failure"] = failure
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps(result))
    if failure is not None:
        return fail(f"The run is {execution.status}. {failure}")
    if execution.is_alive:
        return fail(f"The run is still active after {WAIT_SECONDS:.0f} s; see {arn}.")
    return 0


def execution_input() -> dict[str, Any]:
    """The inputs that were given; the workflow itself refuses wrong ones."""
    inputs = {
        "git_ref": os.environ["GIT_REF"],
        "sync_type": os.environ.get("SYNC_TYPE", ""),
        "date_from": os.environ.get("DATE_FROM", ""),
        "date_to": os.environ.get("DATE_TO", ""),
        "table": os.environ.get("TABLE", ""),
    }
    given: dict[str, Any] = {name: value for name, value in inputs.items() if value}
    if os.environ.get("DRY_RUN") == "true":
        given["dry_run"] = True
    return {**given, "trigger": TRIGGER}


def _start(workflow: Workflow) -> str:
    name = f"{TRIGGER}-{os.environ['GITHUB_RUN_ID']}-{os.environ['GITHUB_RUN_ATTEMPT']}"
    payload = execution_input()
    if workflow.start(name, payload):
        say(f"Started {name} with {json.dumps(payload, sort_keys=True)}")
    else:
        say(f"{name} was started before")
    return workflow.arn_of(name)


def _follow(workflow: Workflow, arn: str) -> Execution:
    """Print each state that the run enters, until the run ends or the time is up."""
    deadline, shown = time.monotonic() + WAIT_SECONDS, ""
    while True:
        execution = workflow.describe(arn)
        if execution is None:
            raise AwsRefused(f"There is no execution {arn}.")
        state = current_state(workflow.newest_events(arn)) or "Starting"
        if state != shown:
            say(state)
            shown = state
        if not execution.is_alive or time.monotonic() > deadline:
            say(execution.status)
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
