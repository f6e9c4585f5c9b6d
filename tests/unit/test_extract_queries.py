"""Claims about submitting and polling queries."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from forecast_sync.adapters.athena import Athena, Cost
from forecast_sync.adapters.s3 import Listed, Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.query import PollRequest, QueryRequest, StartedQuery
from forecast_sync.contracts.run import Window
from forecast_sync.errors import (
    BadFilesSuspected,
    ConfigurationInvalid,
    FullRunNeeded,
    InputsOutdated,
    QueryFailed,
    QueryRetryable,
    SourceChanged,
    SourceUnstable,
    Superseded,
)
from forecast_sync.extract.queries import PART_BYTES, poll_query, start_query, wait_after
from forecast_sync.survey.lists import version_of
from forecast_sync.tables import load_table

from tests.builders import STARTED_AT, make_run, make_started, make_survey, make_window

SETTINGS = Settings(
    environment="dev",
    athena_db_name="d",
    athena_output_location="s3://r/athena/",
    data_location="s3://l/f/",
)


class FakeAthena(Athena):
    """Remembers what was submitted, and ends queries as configured."""

    def __init__(self, outcome: bool | Exception = True) -> None:
        self.outcome = outcome
        self.submitted: list[tuple[str, str]] = []

    def start(self, sql: str, token: str) -> str:
        self.submitted.append((sql, token))
        return "q-1"

    def poll(self, _query_execution_id: str) -> Cost | None:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return Cost(1_000_000, 1200) if self.outcome else None


def submit(athena: FakeAthena, **changes: Any) -> StartedQuery:
    values = {"run": make_run(), "window": make_window(), "query": "extract", **changes}
    return start_query(athena, load_table(), SETTINGS, QueryRequest(**values))


def test_the_same_request_has_the_same_token_and_any_other_another_one_and_prefix() -> None:
    athena = FakeAthena()
    changes: list[dict[str, Any]] = [
        {},
        {"renewal": 1},
        {"attempt": 1},
        {"redrive_count": 1},
        {"run": make_run("run-2")},
    ]
    for change in [*changes, {}]:
        submit(athena, **change)
    assert athena.submitted[0] == athena.submitted[-1]
    assert len({token for _, token in athena.submitted}) == len(changes)
    assert len({sql for sql, _ in athena.submitted}) == len(changes)
    assert all(32 <= len(token) <= 128 for _, token in athena.submitted)


def test_another_text_never_goes_under_a_token_or_to_a_prefix_that_was_used() -> None:
    """A retried survey finds a larger window, and so more parts: Athena would refuse the token."""
    athena = FakeAthena()
    for size in (100, 50 * PART_BYTES, 100):
        submit(athena, window=make_window(make_survey(window_bytes=size)))
    (first, token), (other, other_token), again = athena.submitted
    assert again == (first, token)
    assert other != first
    assert other_token != token
    assert _prefix(other) != _prefix(first)


def _prefix(text: str) -> str:
    (prefix,) = set(re.findall(r"s3://r/athena/run-1/[^/]+/", text))
    return str(prefix)


@pytest.mark.parametrize("survey", [None, make_survey(done=False)])
def test_a_run_whose_release_surveyed_no_lake_can_not_go_on(survey: Any) -> None:
    athena = FakeAthena()
    with pytest.raises(Superseded, match="surveyed no lake; start a new incremental run"):
        submit(athena, window=Window(high=STARTED_AT, survey=survey))
    assert athena.submitted == []


class ListedLake(Storage):
    """One listed object, and what the lake has of it now."""

    def __init__(self, present: Listed | None) -> None:
        self.present = present

    def read(self, _bucket: str, key: str) -> bytes:
        return json.dumps(version_of(LISTED)).encode() if "/versions/window/" in key else b""

    def find_listed(self, _bucket: str, _key: str) -> Listed | None:
        return self.present


LISTED = Listed("f/a.parquet", 7, STARTED_AT, "etag")
ONE = make_window(make_survey(window_objects=1, window_files=1, other_files=1))


@pytest.mark.parametrize("present", [None, LISTED._replace(etag="another")])
def test_a_query_that_failed_because_an_object_is_gone_has_the_window_decided_again(
    present: Listed | None,
) -> None:
    """Athena says so in words only."""
    failure = QueryFailed("Manifest file contains non-existent path", ended_by="content")
    with pytest.raises(SourceChanged):
        poll_over(ListedLake(present), failure)
    with pytest.raises(SourceUnstable):
        poll_over(ListedLake(present), failure, renewal=2)


def poll_over(lake: ListedLake, failure: Exception, **changes: Any) -> None:
    """Poll a failed query of a run that lists one object."""
    request = PollRequest(started=make_started(**changes), redrive_count=0, window=ONE)
    poll_query(FakeAthena(failure), lake, SETTINGS, request, lambda: 60_000, _never_sleep)


@pytest.mark.parametrize(
    ("failure", "attempt"),
    [
        (QueryFailed("HIVE_BAD_DATA", ended_by="content"), 0),
        (QueryFailed("GENERIC_INTERNAL_ERROR", ended_by="engine"), 0),
        (QueryRetryable("REMOTE_HOST_GONE"), 2),
    ],
)
def test_a_query_that_failed_for_good_may_have_read_a_bad_file(
    failure: Exception, attempt: int
) -> None:
    with pytest.raises(BadFilesSuspected, match=str(failure)):
        poll_over(ListedLake(LISTED), failure, attempt=attempt)


@pytest.mark.parametrize("ended_by", ["cancellation", None])
@pytest.mark.parametrize("present", [None, LISTED])
def test_a_cancelled_query_or_a_refused_request_says_nothing_about_a_file(
    ended_by: Any, present: Listed | None
) -> None:
    """Nor does the run read the lake again, whatever has become of it."""
    with pytest.raises(QueryFailed, match="stopped"):
        poll_over(ListedLake(present), QueryFailed("stopped", ended_by=ended_by))


def poll(outcome: bool | Exception, *, attempt: int = 0, made_at: int = 0, now: int = 0) -> bool:
    started = make_started(attempt=attempt, redrive_count=made_at)
    request = PollRequest(started=started, redrive_count=now)
    lake = ListedLake(None)
    answer = poll_query(FakeAthena(outcome), lake, SETTINGS, request, lambda: 60_000, _never_sleep)
    return answer.done


def _never_sleep(_seconds: float) -> None:
    raise AssertionError


def test_a_query_is_done_or_not() -> None:
    assert poll(True)
    assert not poll(False)


def test_a_retryable_failure_is_resubmitted_three_times_per_redrive() -> None:
    for attempt, now in [(0, 0), (1, 0), (3, 1), (4, 1)]:
        with pytest.raises(QueryRetryable):
            poll(QueryRetryable("try again"), attempt=attempt, made_at=now, now=now)
    for attempt, now in [(2, 0), (5, 1)]:
        with pytest.raises(QueryFailed, match="submitted"):
            poll(QueryRetryable("try again"), attempt=attempt, made_at=now, now=now)


@pytest.mark.parametrize("failure", [QueryRetryable("x"), QueryFailed("x")])
def test_a_redriven_poll_of_a_dead_query_asks_for_a_new_one(failure: Exception) -> None:
    with pytest.raises(InputsOutdated):
        poll(failure, made_at=0, now=1)


def test_a_failure_is_permanent() -> None:
    with pytest.raises(QueryFailed, match="no such table"):
        poll(QueryFailed("no such table"))


def test_waits_grow_from_one_second_to_sixty() -> None:
    waits = [wait_after(polls) for polls in range(100)]
    assert waits[:7] == [1, 1, 1, 2, 3, 4, 5]
    assert waits == sorted(waits)
    assert waits[-1] == 60


@pytest.mark.parametrize(
    ("polls", "remaining", "slept"),
    [
        (None, 900_000, []),
        (0, 900_000, []),
        (13, 900_000, []),
        (14, 900_000, [60] * 14),
        (15, 60_000, []),
    ],
)
def test_a_call_asks_again_only_once_the_waits_are_long_and_while_it_has_time(
    polls: int | None, remaining: int, slept: list[int]
) -> None:
    """An execution that doesn't count its polls gives the function only 60 s."""
    pauses: list[float] = []
    request = PollRequest(started=make_started(), polls=polls, redrive_count=0)
    left = lambda: int(remaining - 1000 * sum(pauses))  # noqa: E731
    never = FakeAthena(outcome=False)
    polled = poll_query(never, ListedLake(None), SETTINGS, request, left, pauses.append)
    assert pauses == slept
    assert polled.polls == (polls or 0) + 1 + len(slept)
    assert not polled.done


def submit_over(size: int, **changes: Any) -> FakeAthena:
    """Submit a query over a lake of this size."""
    athena = FakeAthena()
    window = changes.pop("window").model_copy(update={"survey": make_survey(window_bytes=size)})
    values = {"run": make_run(), "window": window, "query": "extract", **changes}
    settings = SETTINGS.model_copy(update={"max_scan_bytes": 2_000_000})
    start_query(athena, load_table(), settings, QueryRequest(**values))
    return athena


BECAME_FULL = Window(high=STARTED_AT, reason="The target was truncated.")


@pytest.mark.parametrize("query", ["extract", "profile"])
def test_a_run_that_becomes_full_by_itself_reads_no_more_than_it_may(query: str) -> None:
    """Neither query is submitted, and the message names bytes, dollars and the command."""
    assert submit_over(1_000_000, window=BECAME_FULL, query=query).submitted
    with pytest.raises(
        FullRunNeeded,
        match=r"truncated\. .* up to 200,000,000,000 bytes \(1\.00 dollars\), .*sync-type full",
    ):
        submit_over(100_000_000_000, window=BECAME_FULL, query=query)


@pytest.mark.parametrize(
    "changes",
    [
        {"window": Window(high=STARTED_AT)},
        {"window": BECAME_FULL, "run": make_run(date_from=STARTED_AT.date())},
    ],
    ids=["first or by hand", "with dates"],
)
def test_a_run_that_a_person_wants_may_read_everything(changes: dict[str, Any]) -> None:
    assert submit_over(100_000_000_000, **changes).submitted


def test_a_window_of_another_table_file_is_decided_again() -> None:
    athena = FakeAthena()
    with pytest.raises(InputsOutdated, match="definition another"):
        submit(athena, window=make_window(definition="another"))
    assert not athena.submitted


def test_inputs_are_not_made_again_for_ever() -> None:
    """As when half a deployment has replaced the table file of some functions only."""
    submit(FakeAthena(), renewal=20)
    with pytest.raises(ConfigurationInvalid, match="hold different table files"):
        submit(FakeAthena(), renewal=21)
    submit(FakeAthena(), renewal=21, redrive_count=1)
