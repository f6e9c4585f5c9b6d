# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Walks a state machine and keeps, in a frame, where a redrive must continue.

A frame is ``{"state", "input", "entered"}`` while its machine runs (input as JSON text) and
``{"output"}`` at its end. A Map or Parallel state keeps the frames of its iterations or
branches in ``nested``, a Distributed Map the ARN of its Map Run in ``mapRun``. A frame changes
only together with the history, under one lock, so the two never disagree.
"""

import copy
import itertools
import json

from ministack.services import stepfunctions as sfn

from . import map_runs
from .context import is_distributed, item_context, item_input, items, number, processor
from .limits import check_size
from .scope import (
    CURRENT,
    LOCK,
    ExecutionError,
    Json,
    Record,
    Scope,
    Stopped,
    add_event,
    logger,
    run_all,
    settle,
)

INLINE_CONCURRENCY = 40
Output = tuple[Json, str | None]


def run_to_end(scope: Scope, machine: Record, ctx: Record) -> None:
    """Run the execution of a scope from its frame to its end and record how it ended."""
    execution = scope.execution
    token = CURRENT.set(scope)
    try:
        output = json.dumps(walk(machine, execution["_frame"], execution, ctx))
        settle(execution, "SUCCEEDED", owner=scope, output=output)
    except Stopped:
        logger.info("%s was ended from outside", execution["executionArn"])
    except ExecutionError as error:
        settle(execution, "FAILED", owner=scope, error=error.error, cause=error.cause)
    except Exception as error:  # noqa: BLE001  # the execution records it
        logger.exception("Unexpected error in %s", execution["executionArn"])
        settle(execution, "FAILED", owner=scope, error="States.Runtime", cause=str(error))
    finally:
        CURRENT.reset(token)


def walk(machine: Record, frame: Record, execution: Record, ctx: Record) -> Json:
    """Run a machine, or a part of one, from its frame's position; return its output."""
    ctx["variables"] = copy.deepcopy(frame.get("variables", ctx["variables"]))
    while "output" not in frame:
        name = frame["state"]
        state = machine["States"].get(name)
        if state is None:
            raise ExecutionError("States.Runtime", f"State '{name}' not found")
        ctx["State"] = {"Name": name, "EnteredTime": sfn.now_iso(), "RetryCount": 0}
        _enter(state["Type"], frame, execution)
        try:
            output, following = _execute(state, json.loads(frame["input"]), execution, ctx, frame)
            check_size(name, output)
        except ExecutionError as error:
            if error.error == "States.DataLimitExceeded":
                _forget(frame)
            raise
        _leave(state["Type"], frame, execution, ctx, output, following)
    return json.loads(frame["output"])


def _enter(kind: str, frame: Record, execution: Record) -> None:
    if frame.get("entered"):
        return
    with LOCK:
        details = {"name": frame["state"], "input": frame["input"]}
        add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": details})
        frame["entered"] = True


def _leave(
    kind: str, frame: Record, execution: Record, ctx: Record, output: Json, following: str | None
) -> None:
    text = json.dumps(output)
    with LOCK:
        details = {"name": frame["state"], "output": text}
        add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": details})
        frame.clear()
        frame.update({"state": following, "input": text} if following else {"output": text})
        if ctx["variables"]:
            frame["variables"] = copy.deepcopy(ctx["variables"])


def _forget(frame: Record) -> None:
    with LOCK:
        frame.pop("nested", None)
        frame.pop("mapRun", None)


def _execute(state: Record, value: Json, execution: Record, ctx: Record, frame: Record) -> Output:
    match state["Type"]:
        case "Succeed":
            value = sfn._apply_input_path(state, value, ctx)
            return sfn._apply_output_path(state, value, ctx), None
        case "Fail":
            raise ExecutionError(*sfn._fail_state_error(state, value, ctx))
        case "Pass" | "Choice" | "Wait" as kind:
            output, following = getattr(sfn, f"_execute_{kind.lower()}")(state, value, ctx)
        case "Task":
            output, following = sfn._execute_task(state, value, execution, ctx)
        case "Map" | "Parallel":
            output, following = _execute_compound(state, value, execution, ctx, frame)
        case kind:
            raise ExecutionError("States.Runtime", f"Unknown state type: {kind}")
    return output, following


def _execute_compound(
    state: Record, value: Json, execution: Record, ctx: Record, frame: Record
) -> Output:
    """Run a Map or Parallel with its Retry and Catch; a retry starts every part again."""
    attempts = itertools.count()

    def attempt() -> Output:
        if next(attempts):
            _forget(frame)
        if state["Type"] == "Parallel":
            results = _run_branches(state, value, execution, ctx, frame)
        elif is_distributed(state):
            results = map_runs.run(state, value, ctx, frame, run_to_end)
        else:
            results = _run_iterations(state, value, execution, ctx, frame)
        check_size(ctx["State"]["Name"], results)
        return _shape(state, value, results, ctx)

    output, following = sfn._with_retry_and_catch(state, value, ctx, attempt)
    return output, following


def _shape(state: Record, value: Json, results: list[Json], ctx: Record) -> Output:
    if sfn._state_query_language(state, ctx) == "JSONata":
        output = sfn._apply_jsonata_output(state, value, ctx, result=results, default=results)
        sfn._apply_state_assign(state, value, ctx, result=results)
        return output, sfn._next_or_end(state)
    selector = state.get("ResultSelector")
    result = sfn._resolve_params_obj(selector, results, ctx) if selector else results
    output = sfn._apply_result_path(state, value, result)
    return sfn._apply_output_path(state, output, ctx), sfn._next_or_end(state)


def _run_branches(
    state: Record, value: Json, execution: Record, ctx: Record, frame: Record
) -> list[Json]:
    effective = sfn._apply_parameters(state, sfn._apply_input_path(state, value, ctx), ctx)
    branches = state["Branches"]
    nested = _nested(frame, "Parallel", {}, execution)
    scope = Scope(execution, CURRENT.get())

    def run_branch(index: int) -> None:
        with LOCK:
            scope.check()
            start = {"state": branches[index]["StartAt"], "input": json.dumps(effective)}
            branch_frame = nested.setdefault(str(index), start)
        walk(branches[index], branch_frame, execution, {**ctx})

    try:
        run_all(scope, _unfinished(nested, len(branches)), len(branches), run_branch)
    except ExecutionError:
        add_event(execution, "ParallelStateFailed")
        raise
    add_event(execution, "ParallelStateSucceeded")
    return [json.loads(nested[str(index)]["output"]) for index in range(len(branches))]


def _run_iterations(
    state: Record, value: Json, execution: Record, ctx: Record, frame: Record
) -> list[Json]:
    effective = sfn._apply_input_path(state, value, ctx)
    array = items(state, value, effective, ctx)
    limit = int(number(state, "MaxConcurrency", value, effective, ctx) or INLINE_CONCURRENCY)
    started = {"mapStateStartedEventDetails": {"length": len(array)}}
    nested = _nested(frame, "Map", started, execution)
    running: set[int] = set()

    def run_iteration(index: int) -> None:
        part = item_context(ctx, index, array[index])
        with LOCK:
            _tell("Started", index, execution, ctx)
            running.add(index)
            text = json.dumps(item_input(state, value, effective, array[index], part))
            start = {"state": processor(state)["StartAt"], "input": text}
            item_frame = nested.setdefault(str(index), start)
        ended = "Failed"
        try:
            walk(processor(state), item_frame, execution, part)
            ended = "Succeeded"
        finally:
            with LOCK:
                _tell(ended, index, execution, ctx)
                running.remove(index)

    try:
        run_all(
            Scope(execution, CURRENT.get()), _unfinished(nested, len(array)), limit, run_iteration
        )
    except ExecutionError:
        for index in sorted(running):
            _tell("Aborted", index, execution, ctx)
        add_event(execution, "MapStateFailed")
        raise
    add_event(execution, "MapStateSucceeded")
    return [json.loads(nested[str(index)]["output"]) for index in range(len(array))]


def _tell(what: str, index: int, execution: Record, ctx: Record) -> None:
    details = {"name": ctx["State"]["Name"], "index": index}
    add_event(execution, f"MapIteration{what}", {f"mapIteration{what}EventDetails": details})


def _nested(frame: Record, kind: str, details: Record, execution: Record) -> Record:
    with LOCK:
        if "nested" not in frame:
            add_event(execution, f"{kind}StateStarted", details)
            frame["nested"] = {}
        nested: Record = frame["nested"]
        return nested


def _unfinished(nested: Record, count: int) -> list[int]:
    return [index for index in range(count) if "output" not in nested.get(str(index), {})]
