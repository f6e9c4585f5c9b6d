"""What became of a run: never what Step Functions alone would call it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from forecast_sync.adapters.stepfunctions import Execution
from forecast_sync.runs import history
from forecast_sync.runs.control import why_not_redrivable
from forecast_sync.runs.outcome import coalesced_into, find_wait, first_line, outcome_of

COALESCED = json.dumps(
    {"run": {"run_id": "b"}, "watermark": {"window": {"outcome": "coalesced", "holder": "a"}}}
)
HELD = "Run a works on this database and would leave out what this full run is for."
AT = "2026-11-27T10:00:00+00:00"


@pytest.mark.parametrize(
    ("status", "output", "failure", "outcome"),
    [
        ("RUNNING", "", None, "running"),
        ("PENDING_REDRIVE", "", None, "running"),
        ("SUCCEEDED", '{"status": "succeeded"}', None, "succeeded"),
        ("SUCCEEDED", '{"status": "dry_run"}', None, "dry_run"),
        ("SUCCEEDED", COALESCED, None, "coalesced"),
        ("SUCCEEDED", "not JSON", None, "succeeded"),
        ("SUCCEEDED", '{"watermark": [1]}', None, "succeeded"),
        ("FAILED", "", "BatchRefused: no", "failed"),
        ("FAILED", "", "Superseded: a later run has written", "superseded"),
        ("ABORTED", "", "StoppedByHand: forecast-sync stop", "stopped"),
        ("TIMED_OUT", "", "The execution is TIMED_OUT.", "timed_out"),
    ],
)
def test_an_outcome_is_what_became_of_the_run(
    status: str, output: str, failure: str | None, outcome: str
) -> None:
    assert outcome_of(status, output, failure) == outcome


def test_a_coalesced_run_names_the_one_that_runs_again_for_it() -> None:
    assert coalesced_into(COALESCED) == "a"
    assert coalesced_into('{"status": "succeeded"}') is None


def failed(error: str, message: str = HELD) -> dict[str, Any]:
    return {
        "taskFailedEventDetails": {"error": error, "cause": json.dumps({"errorMessage": message})}
    }


ENTERED = {"stateEnteredEventDetails": {"name": "Read watermark"}}
LEFT = {"stateExitedEventDetails": {"name": "Read watermark"}}
SCHEDULED: dict[str, Any] = {"type": "TaskScheduled"}


@pytest.mark.parametrize(
    ("oldest_first", "wait"),
    [
        ([ENTERED, failed("LeaseHeld")], HELD),
        ([ENTERED, failed("LeaseHeld"), SCHEDULED], HELD),
        ([ENTERED, failed("LeaseHeld"), SCHEDULED, LEFT], None),
        ([ENTERED, failed("LeaseHeld"), failed("DatabaseUnavailable")], None),
        ([ENTERED, SCHEDULED], None),
        ([], None),
    ],
)
def test_a_run_that_waits_says_for_which(oldest_first: list[Any], wait: str | None) -> None:
    assert find_wait(list(reversed(oldest_first))) == wait


def test_of_an_error_the_first_line_is_listed() -> None:
    assert first_line("BatchRefused: no\nDETAIL: 1\n") == "BatchRefused: no"


def make(status: str, **changes: Any) -> Execution:
    return Execution(status, 0, AT, "{}", "", "", **changes)


@pytest.mark.parametrize(
    ("execution", "failure", "later", "words"),
    [
        (make("FAILED", redrivable=True), "BatchRefused", None, ""),
        (make("ABORTED", redrivable=True), "", None, ""),
        (make("FAILED", redrivable=True), "Superseded", None, "a later run has taken its place"),
        (make("FAILED", redrivable=True), "BatchRefused", "b", "b has written or succeeded since"),
        (make("FAILED", redrivable=True), "InvalidInput", None, "after InvalidInput, only a new"),
        (make("RUNNING"), "", None, "it is still running."),
        (make("SUCCEEDED"), "", None, "it has succeeded."),
        (make("FAILED", why_not_redrivable="too old"), "BatchRefused", None, "too old."),
    ],
)
def test_a_redrive_is_offered_only_where_it_can_work(
    execution: Execution, failure: str, later: str | None, words: str
) -> None:
    reason = why_not_redrivable(execution, failure, later)
    assert reason.startswith(words) if words else not reason


def event(kind: str, minute: int, **details: Any) -> Any:
    return {"type": kind, "timestamp": datetime(2026, 11, 27, 10, minute, tzinfo=UTC), **details}


@pytest.mark.parametrize("is_entered_again", [True, False])
def test_a_state_that_a_redrive_finishes_is_left(is_entered_again: bool) -> None:
    """Whether Step Functions notes that a redriven state is entered again, or only scheduled."""
    entered = event("TaskStateEntered", 1, stateEnteredEventDetails={"name": "Verify load"})
    again = [event("TaskStateEntered", 4, stateEnteredEventDetails={"name": "Verify load"})]
    events = [
        entered,
        event("ExecutionRedriven", 3),
        *(again if is_entered_again else []),
        event("TaskStateExited", 5, stateExitedEventDetails={"name": "Verify load"}),
    ]
    [visit] = history.visited_states(list(reversed(events)))
    assert (visit.entered_at.minute, visit.left_at and visit.left_at.minute) == (1, 5)
