# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Who may still write to an execution, and how an execution ends.

Every thread that works on an execution has a scope. A stop, a timeout, a failed sibling or the end
of the execution ends the scope, and any later result of the thread is dropped. So a redrive never
runs beside the previous attempt's thread.

Executions and Map Runs stay in ministack's own stores, as plain JSON values, so that ministack
persists them. Additional keys that no API shows begin with an underscore.
"""

import contextvars
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from ministack.services import eventbridge
from ministack.services import stepfunctions as sfn

logger = logging.getLogger("states")

Json = Any
Record = dict[str, Json]
ExecutionError = sfn._ExecutionError

LOCK = threading.RLock()
"""Held for every change of an execution, its history, its progress or a Map Run."""

EVENTS = {
    "SUCCEEDED": "Succeeded",
    "FAILED": "Failed",
    "ABORTED": "Aborted",
    "TIMED_OUT": "TimedOut",
}
UNSUCCESSFUL = frozenset({"FAILED", "ABORTED", "TIMED_OUT"})
HISTORY_EVENTS = 24_999
REDRIVE_PERIOD_MS = 14 * 86_400 * 1000

_append_event = sfn._add_event


class Stopped(Exception):
    """The scope of this thread has ended: stop without recording anything."""


class Scope:
    """A part of an execution that can be ended as a whole, inside enclosing scopes."""

    def __init__(self, execution: Record, parent: "Scope | None" = None) -> None:
        self.execution = execution
        self.parent = parent
        self.ended = False

    def check(self) -> None:
        """Raise Stopped if this scope or an enclosing one has ended."""
        scope: Scope | None = self
        while scope is not None:
            if scope.ended:
                raise Stopped
            scope = scope.parent


CURRENT: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("scope", default=None)
OWNERS: dict[str, Scope] = {}
"""The scope of each running execution, by ARN."""


def claim(execution: Record, parent: Scope | None = None) -> Scope:
    """Make the caller the one that runs this execution."""
    scope = OWNERS[execution["executionArn"]] = Scope(execution, parent)
    return scope


def add_event(execution: Record, event_type: str, details: Record | None = None) -> Json:
    """Append to the history; raises Stopped in a thread whose scope has ended."""
    scope = CURRENT.get()
    with LOCK:
        if scope is not None and scope.execution is execution:
            scope.check()
        return _append_event(execution, event_type, details)


def settle(
    execution: Record, status: str, *, owner: Scope | None = None, **fields: str | None
) -> bool:
    """End a running execution and everything in it; False if it had already ended.

    ``owner`` is the scope that ends its own execution; without it, any caller may.
    ``fields`` are output, error and cause.
    """
    details = {key: value for key, value in fields.items() if value is not None}
    name = EVENTS[status]
    with LOCK:
        try:
            if execution["status"] != "RUNNING":
                return False
            if owner is not None:
                owner.check()
            add_event(execution, f"Execution{name}", {f"execution{name}EventDetails": details})
        except Stopped:
            return False
        execution.update(status=status, stopDate=sfn.now_iso(), **details)
        scope = OWNERS.pop(execution["executionArn"], None)
        if scope is not None:
            scope.ended = True
        for run in sfn._map_runs.values():
            if run["executionArn"] == execution["executionArn"] and run["status"] == "RUNNING":
                close_map_run(run, "ABORTED")
    emit_status_event(execution)
    return True


def close_map_run(run: Record, status: str) -> None:
    """End a Map Run; running children are aborted, pending ones stay as they are."""
    with LOCK:
        run.update(status=status, stopDate=sfn.now_iso())
        for child in children(run):
            if child is not None and child["status"] == "PENDING_REDRIVE":
                child["status"] = child.pop("_endedAs")
            elif child is not None:
                settle(child, "ABORTED")


def children(run: Record) -> list[Record | None]:
    """The child execution of each item, or None if it hasn't started."""
    return [arn and sfn._executions.get(arn) for arn in run["_children"]]


def reopen(execution: Record) -> None:
    """Set an ended execution to RUNNING again, and record the redrive in count and history."""
    with LOCK:
        count = execution.get("redriveCount", 0) + 1
        for key in ("error", "cause", "_endedAs"):
            execution.pop(key, None)
        execution.update(
            status="RUNNING",
            stopDate=None,
            output=None,
            redriveCount=count,
            redriveDate=sfn.now_iso(),
        )
        add_event(
            execution,
            "ExecutionRedriven",
            {"executionRedrivenEventDetails": {"redriveCount": count}},
        )


def not_redrivable(execution: Record) -> str | None:
    """AWS's reason why an execution can't be redriven, or None."""
    status = execution["status"]
    if status not in UNSUCCESSFUL:
        return f"Execution is {status} and cannot be redriven"
    if len(execution["events"]) >= HISTORY_EVENTS:
        return "Execution history event limit exceeded"
    if time.time() * 1000 - sfn._iso_to_epoch_ms(execution["stopDate"]) > REDRIVE_PERIOD_MS:
        return "Execution redrivable period exceeded"
    return None


def redrive_fields(execution: Record) -> Record:
    """The redrive fields of DescribeExecution and of the status event."""
    reason = not_redrivable(execution)
    return {
        "redriveCount": execution.get("redriveCount", 0),
        "redriveDate": execution.get("redriveDate"),
        "redriveStatus": "NOT_REDRIVABLE" if reason else "REDRIVABLE",
        "redriveStatusReason": reason,
    }


def emit_status_event(execution: Record) -> None:
    """Publish "Step Functions Execution Status Change"; children and sync executions emit none."""
    if execution.get("sync") or execution.get("mapRunArn"):
        return
    detail: Record = {
        key: execution.get(key)
        for key in ("executionArn", "stateMachineArn", "name", "status", "error", "cause")
    }
    detail.update(redrive_fields(execution), stateMachineVersionArn=None, stateMachineAliasArn=None)
    for key in ("startDate", "stopDate", "redriveDate"):
        detail[key] = sfn._iso_to_epoch_ms(execution.get(key))
    for key in ("input", "output"):
        text = execution.get(key)
        included = text is not None and len(text) <= sfn._STATUS_EVENT_PAYLOAD_CAP
        detail[key] = text if included else None
        detail[f"{key}Details"] = None if text is None else {"included": included}
    entry = {
        "Source": "aws.states",
        "DetailType": "Step Functions Execution Status Change",
        "Detail": json.dumps(detail),
        "Resources": [execution["executionArn"]],
    }
    try:
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        logger.exception("The status event of %s was lost", execution["executionArn"])


def run_all(scope: Scope, indexes: Iterable[int], limit: int, work: Callable[[int], None]) -> None:
    """Work on every index, at most ``limit`` at a time; the first error ends the scope."""
    waiting = deque(indexes)
    total = len(waiting)
    reports: SimpleQueue[Exception | None] = SimpleQueue()

    def run_one(index: int) -> None:
        try:
            scope.check()
            work(index)
        except Exception as error:  # noqa: BLE001  # raised again where it is awaited
            with LOCK:
                scope.ended = True
                reports.put(error)
        else:
            reports.put(None)

    def run_some() -> None:
        CURRENT.set(scope)
        with suppress(IndexError):
            while True:
                run_one(waiting.popleft())

    for _ in range(min(limit, total)):
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(run_some,), daemon=True).start()
    for _ in range(total):
        if error := reports.get():
            raise error
