# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Gives ministack's Step Functions RedriveExecution and the behavior that redrives rely on.

``install()`` replaces the functions named in ``REPLACED`` before the server starts. They are
private to ministack, so it requires the version that they were written against.
"""

import contextvars
import json
import threading
import time
from importlib.metadata import version
from typing import Any

from ministack.services import stepfunctions as sfn

from . import limits, map_runs
from .context import execution_context
from .scope import (
    LOCK,
    OWNERS,
    Record,
    Scope,
    add_event,
    claim,
    close_map_run,
    emit_status_event,
    not_redrivable,
    redrive_fields,
    reopen,
    settle,
)
from .walk import run_to_end

MINISTACK = "1.5.33"
CLIENT_TOKENS = 10
CLIENT_TOKEN_SECONDS = 15 * 60
Response = tuple[int, dict[str, str], bytes]

_start_execution = sfn._start_execution
_stop_execution = sfn._stop_execution
_describe_execution = sfn._describe_execution
_list_executions = sfn._list_executions
_handle_request = sfn.handle_request
_get_state = sfn.get_state
_load_persisted_state = sfn.load_persisted_state


def install() -> None:
    """Patch ``ministack.services.stepfunctions`` of this process.

    Raises RuntimeError if another version of ministack is installed.
    """
    installed = version("ministack")
    if installed != MINISTACK:
        raise RuntimeError(
            f"ministack {MINISTACK} is expected, {installed} is installed: install {MINISTACK}, or"
            f" check {__name__} against {installed}"
        )
    for name, replacement in REPLACED.items():
        setattr(sfn, name, replacement)


def redrive_execution(data: Record) -> Response:
    """RedriveExecution: continue in the state that was entered but not exited."""
    arn, token = data.get("executionArn"), data.get("clientToken")
    with LOCK:
        execution = sfn._executions.get(arn)
        if execution is None:
            return _error("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        answered = _answered(execution, token)
        if answered:
            return _answer({"redriveDate": answered})
        reason = _not_redrivable_itself(execution)
        if reason:
            return _error("ExecutionNotRedrivable", reason)
        reopen(execution)
        scope = claim(execution)
        date = execution["redriveDate"]
        tokens = [*execution.get("_redriveTokens", []), [token, date, time.time()]]
        execution["_redriveTokens"] = tokens[-CLIENT_TOKENS:]
    emit_status_event(execution)
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(_drive, scope), daemon=True).start()
    return _answer({"redriveDate": date})


def _answered(execution: Record, token: str | None) -> str | None:
    """The redrive date already given to this client token."""
    for known, date, at in execution.get("_redriveTokens", []):
        if token is not None and known == token and time.time() - at < CLIENT_TOKEN_SECONDS:
            return str(date)
    return None


def _not_redrivable_itself(execution: Record) -> str | None:
    if execution.get("mapRunArn"):
        return "Execution belongs to a Map Run and is redriven with its parent execution"
    if sfn._state_machines.get(execution["stateMachineArn"], {}).get("type") == "EXPRESS":
        return "Execution is of type EXPRESS and cannot be redriven"
    return not_redrivable(execution)


def run_execution(arn: str) -> None:
    """Run a started execution, unless it was stopped or redriven before its thread began."""
    with LOCK:
        execution = sfn._executions.get(arn)
        if execution is None or execution["status"] != "RUNNING" or arn in OWNERS:
            return
        scope = claim(execution)
    _drive(scope)


def _drive(scope: Scope) -> None:
    """Run an execution on its own thread, with the definition that it started with."""
    execution = scope.execution
    try:
        machine = sfn._state_machines[execution["stateMachineArn"]]
        definition = json.loads(execution.setdefault("_definition", machine["definition"]))
        start = {"state": definition["StartAt"], "input": execution["input"]}
        with LOCK:
            execution.setdefault("_frame", start)
        language = definition.get("QueryLanguage", "JSONPath")
        ctx = execution_context(execution, machine["name"], language)
    except (KeyError, ValueError) as error:
        settle(execution, "FAILED", owner=scope, error="States.Runtime", cause=repr(error))
        return
    timer = _timer(scope, definition.get("TimeoutSeconds"))
    run_to_end(scope, definition, ctx)
    timer.cancel()


def _timer(scope: Scope, seconds: float | None) -> threading.Timer:
    """The state machine's timeout; a redrive starts it again."""

    def time_out() -> None:
        settle(scope.execution, "TIMED_OUT", owner=scope)

    timer = threading.Timer(seconds or 0, contextvars.copy_context().run, (time_out,))
    timer.daemon = True
    if seconds is not None:
        timer.start()
    return timer


def start_execution(data: Record) -> Response:
    """StartExecution; the same name and input as a running execution returns that execution."""
    machine = sfn._state_machines.get(sfn._resolve_state_machine_arn(data.get("stateMachineArn")))
    if machine and data.get("name"):
        prefix = machine["stateMachineArn"].replace(":stateMachine:", ":execution:")
        existing = sfn._executions.get(f"{prefix}:{data['name']}")
        if (
            existing
            and existing["status"] == "RUNNING"
            and existing["input"] == data.get("input", "{}")
        ):
            return _answer({key: existing[key] for key in ("executionArn", "startDate")})
    response: Response = _start_execution(data)
    return response


def stop_execution(data: Record) -> Response:
    """StopExecution: nothing else starts, and results in flight are dropped."""
    execution = sfn._executions.get(data.get("executionArn"))
    reason = {"error": data.get("error"), "cause": data.get("cause")}
    if execution is not None and settle(execution, "ABORTED", **reason):
        return _answer({"stopDate": execution["stopDate"]})
    response: Response = _stop_execution(data)
    return response


def describe_execution(data: Record) -> Response:
    """DescribeExecution with AWS's redrive fields; only a success has an output."""
    response: Response = _describe_execution(data)
    execution = sfn._executions.get(data.get("executionArn"))
    if execution is None:
        return response
    body = {**json.loads(response[2]), **redrive_fields(execution)}
    if execution["status"] != "SUCCEEDED":
        del body["output"], body["outputDetails"]
    return _answer({key: value for key, value in body.items() if value is not None})


def list_executions(data: Record) -> Response:
    """ListExecutions with each execution's redrives."""
    response: Response = _list_executions(data)
    body = json.loads(response[2])
    for item in body.get("executions", []):
        execution = sfn._executions[item["executionArn"]]
        item["redriveCount"] = execution.get("redriveCount", 0)
        if "redriveDate" in execution:
            item["redriveDate"] = execution["redriveDate"]
    return _answer(body) if response[0] == 200 else response


async def handle_request(
    method: str, path: str, headers: dict[str, str], body: bytes, query_params: Record
) -> Any:
    """Dispatch RedriveExecution here and everything else to ministack."""
    if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
        return sfn._finalize_response(redrive_execution(json.loads(body)))
    return await _handle_request(method, path, headers, body, query_params)


def get_state() -> Any:
    """The state to save, read while nothing changes it."""
    with LOCK:
        return _get_state()


def load_persisted_state(data: Record) -> None:
    """Restore the saved state; executions that were running have failed and can be redriven."""
    _load_persisted_state(data)
    for execution in sfn._executions.all_values():
        if execution["status"] == "PENDING_REDRIVE":
            execution["status"] = execution.pop("_endedAs")
        if execution["status"] == "FAILED" and execution["events"][-1]["type"] != "ExecutionFailed":
            details = {key: execution[key] for key in ("error", "cause")}
            add_event(execution, "ExecutionFailed", {"executionFailedEventDetails": details})
    for run in sfn._map_runs.all_values():
        if run["status"] == "RUNNING":
            close_map_run(run, "FAILED")


def _answer(body: Record) -> Response:
    response: Response = sfn.json_response(body)
    return response


def _error(code: str, message: str) -> Response:
    response: Response = sfn.error_response_json(code, message, 400)
    return response


REPLACED = {
    "handle_request": handle_request,
    "get_state": get_state,
    "load_persisted_state": load_persisted_state,
    "_start_execution": start_execution,
    "_stop_execution": stop_execution,
    "_describe_execution": describe_execution,
    "_list_executions": list_executions,
    "_run_execution": run_execution,
    "_add_event": add_event,
    "_emit_execution_status_event": emit_status_event,
    "_map_run_view": map_runs.view,
    "_invoke_resource": limits.invoke_resource,
    "_execute_wait": limits.execute_wait,
    "_error_matches": limits.error_matches,
    "_find_matching_retrier": limits.find_matching_retrier,
    "_scaled_sleep": limits.scaled_sleep,
}
