"""Starts a sync and follows it to its end; the run's outcome is the exit code.

Reads ``ENVIRONMENT``, ``PROJECT_NAME`` (or it is the default), ``GIT_REF`` and, as they were typed
in, ``SYNC_TYPE``, ``DATE_FROM``, ``DATE_TO`` and ``DRY_RUN``. ``TRIGGER``, ``GITHUB_RUN_ID`` and
``GITHUB_RUN_ATTEMPT`` name the execution, so that a step which runs twice starts one run. What
ended is written to ``RESULT_FILE``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from aws import AwsRefused, aws, fail, machine_arn, say
from forecast_sync.errors import MAP_FAILED, message_of
from forecast_sync.stack_names import execution_arn_of

TRIGGER = os.environ.get("TRIGGER", "github")
POLL_SECONDS = float(os.environ.get("POLL_SECONDS", "10"))
WAIT_SECONDS = float(os.environ.get("WAIT_SECONDS", "20000"))
ENDED = {"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}


def main() -> int:
    """Start, follow, and keep the result."""
    try:
        arn = _start(machine_arn(os.environ["ENVIRONMENT"]))
        execution = _follow(arn)
    except AwsRefused as error:
        return fail(str(error))
    failed = execution["status"] in ENDED - {"SUCCEEDED"}
    if failed:
        execution["failure"] = _explain(execution)
    Path(os.environ["RESULT_FILE"]).write_text(json.dumps(execution, default=str))
    if failed:
        return fail(f"The run is {execution['status']}. {execution['failure']}")
    if execution["status"] not in ENDED:
        return fail(f"The run still works after {WAIT_SECONDS:.0f} s; see {arn}.")
    return 0


def execution_input() -> dict[str, Any]:
    """Only what was asked for; the workflow refuses what doesn't fit."""
    asked = {
        "git_ref": os.environ["GIT_REF"],
        "sync_type": os.environ.get("SYNC_TYPE", ""),
        "date_from": os.environ.get("DATE_FROM", ""),
        "date_to": os.environ.get("DATE_TO", ""),
    }
    given: dict[str, Any] = {name: value for name, value in asked.items() if value}
    if os.environ.get("DRY_RUN") == "true":
        given["dry_run"] = True
    return {**given, "trigger": TRIGGER}


def _start(machine: str) -> str:
    name = f"{TRIGGER}-{os.environ['GITHUB_RUN_ID']}-{os.environ['GITHUB_RUN_ATTEMPT']}"
    text = json.dumps(execution_input(), sort_keys=True)
    arn = execution_arn_of(machine, name)
    command = ["stepfunctions", "start-execution", "--state-machine-arn", machine]
    try:
        aws(*command, "--name", name, "--input", text)
        say(f"Started {name} with {text}")
    except AwsRefused as error:
        if "ExecutionAlreadyExists" not in str(error):
            raise
        say(f"{name} was started before")
    return arn


def _follow(arn: str) -> dict[str, Any]:
    deadline, shown = time.monotonic() + WAIT_SECONDS, ""
    while True:
        execution = aws("stepfunctions", "describe-execution", "--execution-arn", arn)
        if (state := _state(arn)) != shown:
            say(state)
            shown = state
        if execution["status"] in ENDED or time.monotonic() > deadline:
            say(execution["status"])
            return execution
        time.sleep(POLL_SECONDS)


def _explain(execution: dict[str, Any]) -> str:
    """Why an execution ended badly, in one line; a failed Map tells its first failed child."""
    failed = execution
    if execution.get("error") == MAP_FAILED:
        failed = _failed_child(execution["executionArn"]) or execution
    told = f"{failed.get('error', '')}: {message_of(failed.get('cause', ''))}"
    return " ".join(told.strip(": ").split())


def _failed_child(arn: str) -> dict[str, Any] | None:
    """The first failed page; None for a role that may see nothing but its own execution."""
    asked = ["--status-filter", "FAILED", "--max-items", "1"]
    try:
        for map_run in aws("stepfunctions", "list-map-runs", "--execution-arn", arn)["mapRuns"]:
            found = aws(
                "stepfunctions", "list-executions", "--map-run-arn", map_run["mapRunArn"], *asked
            )
            for child in found["executions"]:
                child_arn = child["executionArn"]
                return aws("stepfunctions", "describe-execution", "--execution-arn", child_arn)
    except AwsRefused as error:
        say(f"Which page failed can't be asked: {error}")
    return None


def _state(arn: str) -> str:
    """The state that was entered last."""
    options = ["--execution-arn", arn, "--reverse-order", "--max-items", "20"]
    for event in aws("stepfunctions", "get-execution-history", *options)["events"]:
        if "stateEnteredEventDetails" in event:
            return str(event["stateEnteredEventDetails"]["name"])
    return "Starting"


if __name__ == "__main__":
    sys.exit(main())
