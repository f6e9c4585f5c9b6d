# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""What a state sees: the context object, and the items and numbers of a Map state."""

import json

from ministack.services import stepfunctions as sfn

from .scope import ExecutionError, Json, Record


def role_arn(execution: Record) -> str:
    """The role that an execution started with."""
    role: str = execution["events"][0]["executionStartedEventDetails"]["roleArn"]
    return role


def execution_context(execution: Record, machine_name: str, query_language: str) -> Record:
    """The context object (``$$``) of an execution, and the fields that ministack keeps in it."""
    about = {
        "Id": execution["executionArn"],
        "Input": json.loads(execution["input"]),
        "Name": execution["name"],
        "RoleArn": role_arn(execution),
        "StartTime": execution["startDate"],
        "RedriveCount": execution.get("redriveCount", 0),
    }
    if "redriveDate" in execution:
        about["RedriveTime"] = execution["redriveDate"]
    return {
        "QueryLanguage": query_language,
        "Execution": about,
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine_name},
        "variables": {},
    }


def processor(state: Record) -> Record:
    """The machine that a Map state runs for each item."""
    machine: Record = state.get("ItemProcessor") or state["Iterator"]
    return machine


def is_distributed(state: Record) -> bool:
    """Whether a Map state starts child executions."""
    return bool(processor(state).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED")


def items(state: Record, value: Json, effective: Json, ctx: Record) -> list[Json]:
    """What a Map state iterates over; States.Runtime when it isn't an array."""
    if "ItemReader" in state:
        array = sfn._read_map_items(state["ItemReader"], effective, ctx)
    elif "Items" in state and sfn._state_query_language(state, ctx) == "JSONata":
        array = sfn._jsonata_state_field(state, "Items", "array", value, ctx)
    else:
        array = sfn._resolve_path_or_ctx(state.get("ItemsPath", "$"), effective, ctx)
    if not isinstance(array, list):
        raise ExecutionError("States.Runtime", "The items of a Map state must be an array")
    return array


def item_context(ctx: Record, index: int, item: Json) -> Record:
    """The context object of one item."""
    return {**ctx, "Map": {"Item": {"Index": index, "Value": item}}}


def item_input(state: Record, value: Json, effective: Json, item: Json, ctx: Record) -> Json:
    """The input of one item: its ItemSelector, or the item itself."""
    selector = state.get("ItemSelector") or state.get("Parameters")
    if not selector:
        return item
    if sfn._state_query_language(state, ctx) == "JSONata":
        return sfn._apply_jsonata_template(selector, value, ctx)
    return sfn._resolve_params_obj(selector, effective, ctx)


def number(state: Record, field: str, value: Json, effective: Json, ctx: Record) -> float | None:
    """A field of a Map state that may be a number, a path to one or an expression."""
    result: Json
    if f"{field}Path" in state:
        result = sfn._resolve_path_or_ctx(state[f"{field}Path"], effective, ctx)
    elif field not in state:
        return None
    elif sfn._state_query_language(state, ctx) == "JSONata":
        result = sfn._jsonata_state_field(state, field, "number", value, ctx)
    else:
        result = state[field]
    if isinstance(result, bool) or not isinstance(result, int | float):
        raise ExecutionError("States.Runtime", f"{field} must be a number, but was {result!r}")
    return result
