"""Watching: what a run does at this moment, read from the events of its execution."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

    Events = Sequence[HistoryEventTypeDef]


class Visited(NamedTuple):
    """A state and the run's visits to it; times are ISO 8601, ``left_at`` None while inside."""

    name: str
    visits: int
    entered_at: str
    left_at: str | None


class Pages(NamedTuple):
    """A run's pages by how they are doing, and the rows that are expected of them."""

    planned: int
    done: int
    running: int
    failed: int
    rows_expected: int


class PageCounter(Protocol):
    """What watching needs of Step Functions."""

    def count_pages(self, execution_arn: str) -> Mapping[str, int]:
        """The items of the newest Map Run by how they are doing."""
        ...


def current_state(events: Events) -> str | None:
    """The state that was entered last; ``events`` are the newest first, as everywhere here."""
    return next(
        (e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e),
        None,
    )


def visited_states(events: Events) -> list[Visited]:
    """Every state that the events name, in the order in which they were entered first."""
    found: dict[str, Visited] = {}
    inside: dict[str, int] = {}
    for event in reversed(events):
        at = event["timestamp"].isoformat()
        if entered := event.get("stateEnteredEventDetails"):
            name = entered["name"]
            known = found.get(name)
            first = known.entered_at if known else at
            found[name] = Visited(name, (known.visits if known else 0) + 1, first, None)
            inside[name] = inside.get(name, 0) + 1
        elif (left := event.get("stateExitedEventDetails")) and left["name"] in found:
            name = left["name"]
            inside[name] -= 1
            if inside[name] <= 0:
                found[name] = found[name]._replace(left_at=at)
    return list(found.values())


def find_plan(events: Events) -> dict[str, Any] | None:
    """The newest plan as Plan pages has answered it: the number of pages, the lake's profile."""
    for event in events:
        left = event.get("stateExitedEventDetails", {})
        if left.get("name") == "Plan pages":
            plan: dict[str, Any] | None = (
                json.loads(left.get("output", "{}")).get("planned", {}).get("plan")
            )
            return plan
    return None


def count_pages(workflow: PageCounter, execution_arn: str, events: Events) -> Pages | None:
    """How a run's pages are doing; None before they are planned."""
    plan = find_plan(events)
    if plan is None:
        return None
    counts = workflow.count_pages(execution_arn)
    profile = plan["profile"]
    return Pages(
        planned=plan["pages"],
        done=counts.get("succeeded", 0),
        running=counts.get("running", 0),
        failed=sum(counts.get(name, 0) for name in ("failed", "timedOut", "aborted")),
        rows_expected=profile["good"] + profile["rejected"],
    )
