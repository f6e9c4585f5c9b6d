"""Whether a failure or a success is news, judged by the runs that ended before it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from forecast_sync.adapters.stepfunctions import Execution, Workflow
from forecast_sync.contracts.result import RunResult
from forecast_sync.notify import outages

from tests.unit.test_messages import RESULT, SETTINGS

DOWN, REFUSED = "DatabaseUnavailable", "BatchRefused"


def execution(
    second: int, error: str = "", *, status: str = "FAILED", output: str = "", **asked: Any
) -> Execution:
    return Execution(
        status=status,
        redrive_count=0,
        started_at="2026-12-01T06:00:00+00:00",
        input=json.dumps(asked),
        error=error,
        cause="",
        stopped_at=f"2026-12-01T06:01:{second:02}+00:00",
        output=output,
    )


def success(second: int, status: str = "succeeded", **asked: Any) -> Execution:
    result = RESULT.model_copy(update={"status": status})
    return execution(second, status="SUCCEEDED", output=result.model_dump_json(), **asked)


COALESCED = execution(8, status="SUCCEEDED", output='{"run": {}}')


class History(Workflow):
    """Executions that have ended, in the order of their ends."""

    def __init__(self, ended: Sequence[Execution]) -> None:
        self.ended = ended

    def newest_ended(self, limit: int) -> Iterator[tuple[str, Execution]]:
        named = [(f"arn:{number}", item) for number, item in enumerate(self.ended)]
        yield from list(reversed(named))[:limit]

    def failure_of(self, execution_arn: str, execution: Execution) -> str:
        return f"{execution.error}: of {execution_arn}"


@pytest.mark.parametrize(
    ("before", "is_known"),
    [
        ([], False),
        ([success(1)], False),
        ([execution(1, DOWN)], True),
        ([execution(1, "NeonUnavailable")], True),
        ([execution(1, REFUSED)], False),
        ([execution(1, DOWN), success(2)], False),
        ([success(1), execution(2, DOWN)], True),
        ([execution(1, DOWN), COALESCED], True),
        ([execution(1, DOWN), success(2, "dry_run", dry_run=True)], True),
        ([success(1), execution(2, DOWN, dry_run=True)], False),
        ([execution(1, DOWN), execution(2, "Superseded")], True),
        ([execution(1, DOWN, git_ref="feature/x")], True),
        ([execution(1, DOWN, git_ref="preview/pr-7")], False),
        ([execution(1, DOWN, git_ref="nope")], False),
    ],
)
def test_the_run_before_says_whether_a_failure_is_known(
    before: list[Execution], is_known: bool
) -> None:
    failed = execution(30, DOWN)
    history = History([*before, failed])
    own = f"arn:{len(before)}"
    assert outages.is_known(history, SETTINGS, own, failed, f"{DOWN}: no answer") is is_known


def test_of_two_runs_that_end_at_once_one_is_published() -> None:
    both = [execution(5, DOWN), execution(5, DOWN)]
    published = [
        not outages.is_known(History(both), SETTINGS, f"arn:{number}", item, f"{DOWN}: no")
        for number, item in enumerate(both)
    ]
    assert published == [True, False]


def test_a_refused_input_is_published_once_while_it_repeats() -> None:
    first, second = (execution(second, "BranchNotMapped", git_ref="nope") for second in (1, 2))
    other = execution(3, "BranchNotMapped", git_ref="never")
    history = History([first, second, other])
    message = "BranchNotMapped: no"
    assert not outages.is_known(history, SETTINGS, "arn:0", first, message)
    assert outages.is_known(history, SETTINGS, "arn:1", second, message)
    assert not outages.is_known(history, SETTINGS, "arn:2", other, message)


@pytest.mark.parametrize(
    ("before", "ends"),
    [
        ([], False),
        ([execution(1, DOWN)], True),
        ([execution(1, "NeonRefused"), COALESCED], True),
        ([execution(1, REFUSED)], False),
        ([execution(1, DOWN), success(2)], False),
        ([execution(1, DOWN, git_ref="preview/pr-7")], False),
    ],
)
def test_a_success_ends_an_outage_and_nothing_else(before: list[Execution], ends: bool) -> None:
    assert outages.ends_with(History(before), SETTINGS, RESULT) is ends


def test_what_an_older_version_said_of_a_run_still_counts() -> None:
    """Until then a result had an ``error_message``, always null."""
    older = json.dumps({**json.loads(RESULT.model_dump_json()), "error_message": None})
    ended = execution(1, status="SUCCEEDED", output=older)
    failed = execution(2, DOWN)
    assert not outages.is_known(History([ended, failed]), SETTINGS, "arn:1", failed, f"{DOWN}: no")
    assert RunResult.model_validate_json(older) == RESULT
