"""What a run has done and is doing, read from the events of its execution.

Events are ordered newest first everywhere in this module. Pydantic is imported late: GitHub's
scripts, which install nothing, use what needs none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

    from forecast_sync.adapters.stepfunctions import Workflow
    from forecast_sync.contracts.survey import RunFiles
    from forecast_sync.runs.model import PageCounts, Visit

    Events = Sequence[HistoryEventTypeDef]


SURVEYING = "Survey lake"


def visited_states(events: Events) -> list[Visit]:
    """Every state that the events name, in the order in which they were first entered."""
    from forecast_sync.runs.model import Visit

    visits: dict[str, Visit] = {}
    inside: dict[str, int] = {}
    for event in reversed(events):
        time = event["timestamp"]
        if event["type"] == "ExecutionRedriven":
            # It continues in the states that were left open, whether or not it enters them again.
            inside.clear()
        elif entered := event.get("stateEnteredEventDetails"):
            name = entered["name"]
            earlier = visits.get(name)
            visits[name] = Visit(
                name=name,
                visits=earlier.visits + 1 if earlier else 1,
                entered_at=earlier.entered_at if earlier else time,
                left_at=None,
            )
            inside[name] = inside.get(name, 0) + 1
        elif (left := event.get("stateExitedEventDetails")) and left["name"] in visits:
            name = left["name"]
            inside[name] = inside.get(name, 0) - 1
            if inside[name] <= 0:
                visits[name] = visits[name].model_copy(update={"left_at": time})
    return list(visits.values())


def find_plan(events: Events) -> dict[str, Any] | None:
    """The newest plan that Plan pages answered: the number of pages and the lake's profile."""
    return _find_answer(events, "Plan pages", "planned", "plan")


def find_run(events: Events) -> dict[str, Any] | None:
    """The run as Resolve branch answered it: its branch, type and table."""
    for event in events:
        left = event.get("stateExitedEventDetails", {})
        if left.get("name") == "Resolve branch":
            run: dict[str, Any] | None = json.loads(left.get("output", "{}")).get("run")
            return run
    return None


def find_window(events: Events) -> dict[str, Any] | None:
    """The newest window that Read watermark answered: its definition, and why it is full."""
    return _find_answer(events, "Read watermark", "watermark", "window")


def find_survey(events: Events) -> dict[str, Any] | None:
    """What the newest survey of the lake has found so far; None where nothing surveys it."""
    window = _find_answer(events, "Survey lake", "watermark", "window") or {}
    survey: dict[str, Any] | None = window.get("survey")
    return survey


def find_files(events: Events, output: Mapping[str, Any]) -> RunFiles | None:
    """The files that a run is about: as its output says, or else as its survey has found them.

    None before the lake is surveyed, and for a run of an older version.
    """
    from forecast_sync.contracts.survey import RunFiles, Survey

    if isinstance(output.get("files"), dict):
        return RunFiles.model_validate(output["files"])
    survey = find_survey(events)
    if not survey or not survey.get("done"):
        return None
    return Survey.model_validate(survey).files


def find_queries(events: Events) -> list[str]:
    """The ids of the queries that the run is waiting for: those of its newest visit."""
    ids: list[str] = []
    for event in events:
        if event.get("stateEnteredEventDetails", {}).get("name") == "Run queries":
            break
        left = event.get("stateExitedEventDetails", {})
        if left.get("name") == "Start Athena query":
            started = json.loads(left.get("output", "{}")).get("started", {}).get("query", {})
            ids.append(started["query_execution_id"])
    return ids


def _find_answer(events: Events, state: str, path: str, name: str) -> dict[str, Any] | None:
    """What a state has last added to the run's state, at ``path`` under ``name``."""
    for event in events:
        left = event.get("stateExitedEventDetails", {})
        if left.get("name") == state:
            answer: dict[str, Any] | None = (
                json.loads(left.get("output", "{}")).get(path, {}).get(name)
            )
            return answer
    return None


def count_pages(workflow: Workflow, execution_arn: str, events: Events) -> PageCounts | None:
    """A run's pages by status; None before they are planned."""
    from forecast_sync.runs.model import PageCounts

    plan = find_plan(events)
    if plan is None:
        return None
    counts = workflow.count_pages(execution_arn)
    profile = plan["profile"]
    return PageCounts(
        planned=plan["pages"],
        done=counts.get("succeeded", 0),
        running=counts.get("running", 0),
        failed=sum(counts.get(name, 0) for name in ("failed", "timedOut", "aborted")),
        rows_expected=profile["good"] + profile["rejected"],
    )
