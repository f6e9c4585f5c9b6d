# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""The Map Runs of Distributed Map states: each item is its own execution."""

import json
from collections import Counter
from collections.abc import Callable

from ministack.services import stepfunctions as sfn

from .context import execution_context, item_context, item_input, items, number, processor, role_arn
from .scope import (
    CURRENT,
    EVENTS,
    LOCK,
    UNSUCCESSFUL,
    ExecutionError,
    Json,
    Record,
    Scope,
    add_event,
    children,
    claim,
    close_map_run,
    reopen,
    run_all,
)

DISTRIBUTED_CONCURRENCY = 64
COUNTED = {
    None: "pending",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "TIMED_OUT": "timedOut",
    "ABORTED": "aborted",
    "PENDING_REDRIVE": "pendingRedrive",
}
TOO_MANY = (
    "States.ExceedToleratedFailureThreshold",
    "The specified tolerated failure threshold was exceeded",
)
RunToEnd = Callable[[Scope, Record, Record], None]


def view(run: Record) -> Record:
    """A Map Run as DescribeMapRun shows it, counted from its children."""
    seen = Counter(COUNTED[child["status"] if child else None] for child in children(run))
    counts = {name: seen[name] for name in COUNTED.values()}
    counts.update(total=len(run["_children"]), resultsWritten=0, failuresNotRedrivable=0)
    shown = {key: value for key, value in run.items() if not key.startswith("_")}
    return {**shown, "itemCounts": counts, "executionCounts": counts}


def run(state: Record, value: Json, ctx: Record, frame: Record, run_to_end: RunToEnd) -> list[Json]:
    """Run the unsuccessful and unstarted children of a Map Run; return all results in order.

    Raises States.ExceedToleratedFailureThreshold, which aborts the children still running.
    """
    outer = CURRENT.get()
    if outer is None:
        raise RuntimeError("A Map Run needs the scope of its execution")
    effective = sfn._apply_input_path(state, value, ctx)
    record = _reopened(frame, outer) or _opened(state, value, effective, ctx, frame, outer)
    tolerated = _tolerated(state, value, effective, ctx, len(record["_children"]))
    scope = Scope(outer.execution, outer)

    def run_child(index: int) -> None:
        child = _begin(record, index, state, scope)
        child_ctx = execution_context(child.execution, record["_name"], ctx["QueryLanguage"])
        run_to_end(child, processor(state), child_ctx)
        if _failures(record) > tolerated:
            raise ExecutionError(*TOO_MANY)

    todo = [i for i, child in enumerate(children(record)) if not _succeeded(child)]
    try:
        run_all(scope, todo, int(record["maxConcurrency"] or DISTRIBUTED_CONCURRENCY), run_child)
    except ExecutionError as error:
        _close(record, "FAILED", outer, {"error": error.error, "cause": error.cause})
        raise
    _close(record, "SUCCEEDED", outer, {})
    return [
        json.loads(child["output"]) if child and _succeeded(child) else None
        for child in children(record)
    ]


def _succeeded(child: Record | None) -> bool:
    return child is not None and child["status"] == "SUCCEEDED"


def _failures(record: Record) -> int:
    return sum(child is not None and child["status"] in UNSUCCESSFUL for child in children(record))


def _tolerated(state: Record, value: Json, effective: Json, ctx: Record, total: int) -> float:
    """How many children may fail: the lower of two thresholds, or none without a threshold."""
    count = number(state, "ToleratedFailureCount", value, effective, ctx)
    percentage = number(state, "ToleratedFailurePercentage", value, effective, ctx)
    limits = [] if count is None else [count]
    limits += [] if percentage is None else [percentage * total / 100]
    return min(limits, default=0)


def _opened(
    state: Record, value: Json, effective: Json, ctx: Record, frame: Record, outer: Scope
) -> Record:
    parent = outer.execution
    array = items(state, value, effective, ctx)
    inputs = [
        json.dumps(item_input(state, value, effective, item, item_context(ctx, index, item)))
        for index, item in enumerate(array)
    ]
    _, _, _, region, account, _, machine = parent["stateMachineArn"].split(":", 6)
    name = f"{machine}/{state.get('Label') or sfn.new_uuid()}"
    prefix = f"arn:aws:states:{region}:{account}"
    record = {
        "mapRunArn": f"{prefix}:mapRun:{name}:{sfn.new_uuid()}",
        "executionArn": parent["executionArn"],
        "status": "RUNNING",
        "startDate": sfn.now_iso(),
        "maxConcurrency": int(number(state, "MaxConcurrency", value, effective, ctx) or 0),
        "toleratedFailurePercentage": state.get("ToleratedFailurePercentage", 0),
        "toleratedFailureCount": state.get("ToleratedFailureCount", 0),
        "redriveCount": 0,
        "_stateMachineArn": f"{prefix}:stateMachine:{name}",
        "_prefix": f"{prefix}:execution:{name}",
        "_name": name,
        "_inputs": inputs,
        "_children": [None] * len(inputs),
    }
    with LOCK:
        started = {"mapStateStartedEventDetails": {"length": len(inputs)}}
        add_event(parent, "MapStateStarted", started)
        details = {"mapRunStartedEventDetails": {"mapRunArn": record["mapRunArn"]}}
        add_event(parent, "MapRunStarted", details)
        sfn._map_runs[record["mapRunArn"]] = record
        frame["mapRun"] = record["mapRunArn"]
    return record


def _reopened(frame: Record, outer: Scope) -> Record | None:
    """The previous attempt's Map Run, ready to continue; None if a new one must start."""
    with LOCK:
        record: Record | None = sfn._map_runs.get(frame.get("mapRun"))
        if record is None or record["status"] == "SUCCEEDED":
            return None
        details = {"mapRunArn": record["mapRunArn"], "redriveCount": record["redriveCount"] + 1}
        add_event(outer.execution, "MapRunRedriven", {"mapRunRedrivenEventDetails": details})
        record.pop("stopDate", None)
        record.update(
            status="RUNNING", redriveCount=details["redriveCount"], redriveDate=sfn.now_iso()
        )
        for child in children(record):
            if child is not None and child["status"] in UNSUCCESSFUL:
                child["_endedAs"] = child["status"]
                child["status"] = "PENDING_REDRIVE"
        return record


def _begin(record: Record, index: int, state: Record, scope: Scope) -> Scope:
    with LOCK:
        scope.check()
        child = sfn._executions.get(record["_children"][index])
        if child is not None:
            reopen(child)
            return claim(child, scope)
        child = _child(
            record,
            record["_inputs"][index],
            processor(state)["StartAt"],
            role_arn(scope.execution),
        )
        record["_children"][index] = child["executionArn"]
        sfn._executions[child["executionArn"]] = child
        return claim(child, scope)


def _child(record: Record, text: str, start_at: str, role: str) -> Record:
    name, now = sfn.new_uuid(), sfn.now_iso()
    started = {"input": text, "roleArn": role}
    return {
        "executionArn": f"{record['_prefix']}:{name}",
        "stateMachineArn": record["_stateMachineArn"],
        "mapRunArn": record["mapRunArn"],
        "name": name,
        "status": "RUNNING",
        "startDate": now,
        "stopDate": None,
        "input": text,
        "output": None,
        "_frame": {"state": start_at, "input": text},
        "events": [
            {
                "id": 1,
                "type": "ExecutionStarted",
                "timestamp": now,
                "executionStartedEventDetails": started,
            }
        ],
    }


def _close(record: Record, status: str, outer: Scope, details: Record) -> None:
    ended = EVENTS[status]
    with LOCK:
        event = {f"mapRun{ended}EventDetails": details} if details else None
        add_event(outer.execution, f"MapRun{ended}", event)
        add_event(outer.execution, f"MapState{ended}")
        close_map_run(record, status)
