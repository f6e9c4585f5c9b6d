"""The real state machine waits for its queries, and for Lambda itself, as long as it takes."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import pytest
from forecast_sync.adapters.athena import Athena, Cost
from forecast_sync.adapters.s3 import Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.query import PollRequest
from forecast_sync.errors import InputsOutdated, QueryFailed, QueryRetryable
from forecast_sync.extract.queries import poll_query
from ministack.services import stepfunctions as sfn

from tests.builders import make_started, make_window
from tests.contract.stack import function_of, machine, states, tasks
from tests.fake_clock import FakeCloud, LambdaFailed, count_events

HOUR = 3600.0
FUNCTION_SECONDS = 900.0


class Queries:
    """Athena by the fake clock: each query takes ``seconds``, and the first ones fail for good."""

    def __init__(self, seconds: float, *failures: Exception) -> None:
        self.seconds = seconds
        self.failures = list(failures)
        self.cloud: FakeCloud
        self.began: dict[str, float] = {}
        self.polled: dict[str, list[float]] = {}
        self.noticed: dict[str, float] = {}
        self.failed: dict[str, Exception] = {}

    def start(self, _sql: str, _token: str) -> str:
        raise AssertionError

    def submit(self, payload: dict[str, Any]) -> dict[str, Any]:
        changed = {name: payload[name] for name in ("query", "attempt", "redrive_count")}
        query_id = "-".join(map(str, changed.values())) + "'" * payload["renewal"]
        self.began.setdefault(query_id, self.cloud.clock.now)
        started = make_started(query_execution_id=query_id, **changed)
        return started.model_dump(mode="json")

    def poll(self, query_id: str) -> Cost | None:
        elapsed = self.cloud.clock.now - self.began[query_id]
        self.polled.setdefault(query_id, []).append(elapsed)
        if elapsed < self.seconds:
            return None
        if self.failures:
            self.failed[query_id] = self.failures.pop()
        if query_id in self.failed:
            raise self.failed[query_id]
        self.noticed[query_id] = elapsed
        return Cost(1, 1)

    def search(self, payload: dict[str, Any]) -> dict[str, Any]:
        """No file is the cause; and after a redrive, that is an old failure."""
        if payload["redrive_count"]:
            raise InputsOutdated("before the redrive")
        raise QueryFailed("broken")

    def call(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The real function, which has 15 minutes."""
        ends = self.cloud.clock.now + FUNCTION_SECONDS
        left = lambda: int(1000 * (ends - self.cloud.clock.now))  # noqa: E731
        polled = poll_query(
            cast(Athena, self),
            cast(Storage, None),
            Settings(environment="dev"),
            PollRequest(**payload),
            left,
            self.cloud.clock.sleep,
        )
        return polled.model_dump(mode="json")


def make_functions(queries: Queries) -> dict[str, Any]:
    """Functions that answer just what the states look at."""
    run = {"run_id": "run-1", "dry_run": False}
    plan = {
        "pages": 1,
        "concurrency": 1,
        "pages_bucket": "b",
        "pages_key": "k",
        "deletes": True,
    }
    return {
        "resolve_branch": lambda _: run,
        "survey_lake": lambda _: make_window().model_dump(mode="json"),
        "read_watermark": lambda _: {"outcome": "proceed"},
        "find_bad_files": queries.search,
        "start_athena_query": queries.submit,
        "poll_athena_query": queries.call,
        "plan_pages": lambda _: plan,
        "upsert_batches": lambda _: {"done": True},
        "verify_load": lambda _: {},
        "delete_rows": lambda _: {"done": True},
        "report_changes": lambda _: {},
        "record_status": lambda _: {"status": "succeeded"},
        "notify": lambda _: {},
    }


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(sfn, "_read_map_items", lambda *_: [{"number": 0}])

    def make(queries: Queries) -> FakeCloud:
        queries.cloud = FakeCloud(make_functions(queries), monkeypatch)
        return queries.cloud

    yield make
    sfn._executions.clear()
    sfn._map_runs.clear()


@pytest.mark.parametrize("hours", [1, 12, 23])
def test_hours_of_queries_take_few_events(build: Any, hours: int) -> None:
    queries = Queries(hours * HOUR)
    ended = build(queries).start()
    assert ended["status"] == "SUCCEEDED", ended
    assert count_events(ended) < (2000 if hours <= 12 else 4000)
    assert len(queries.noticed) == 2
    for polled in queries.polled.values():
        waits = [after - before for before, after in pairwise(polled)]
        assert max(waits) < 61
        assert hours * HOUR <= polled[-1] < hours * HOUR + 61


def test_a_poll_takes_the_nine_events_that_aws_writes(build: Any) -> None:
    """What the claim above counts, so that a state more in the loop shows."""
    short, longer = (build(Queries(seconds)).start() for seconds in (0.5, 1.5))
    assert count_events(longer) - count_events(short) == 2 * 9


@pytest.mark.parametrize(("seconds", "within"), [(0.5, 2), (2, 3), (10, 14), (60, 75), (300, 361)])
def test_a_query_is_noticed_soon(build: Any, seconds: float, within: float) -> None:
    queries = Queries(seconds)
    build(queries).start()
    assert max(queries.noticed.values()) <= within


def test_waits_begin_at_a_second_and_never_shrink(build: Any) -> None:
    queries = Queries(HOUR)
    build(queries).start()
    polled = queries.polled["extract-0-0"]
    waits = [after - before for before, after in pairwise(polled)]
    assert polled[0] < 1.5
    assert all(b >= a - 2 * 0.2 for a, b in pairwise(waits))


@pytest.mark.parametrize(
    "failure",
    [
        QueryRetryable("again"),
        QueryFailed("broken", ended_by="content"),
        QueryFailed("stopped", ended_by="cancellation"),
    ],
)
def test_a_new_query_is_polled_soon_again(build: Any, failure: Exception) -> None:
    """After a resubmission, and after a redrive of a query that failed or was cancelled."""
    queries = Queries(HOUR, failure)
    cloud = build(queries)
    ended = cloud.start()
    if ended["status"] == "FAILED":
        assert ended["error"] == "QueryFailed"
        ended = cloud.redrive(ended)
    assert ended["status"] == "SUCCEEDED", ended
    (failed,) = queries.failed
    name = failed.partition("-")[0]
    (again,) = [query_id for query_id in queries.polled.keys() - {failed} if name in query_id]
    assert queries.polled[again][0] < 1.5
    assert count_events(ended) < 2000


def test_an_execution_of_the_release_before_is_polled_by_the_new_function(build: Any) -> None:
    """It keeps its definition: 5 s between polls, no count of them, and 60 s for the function."""
    before = copy.deepcopy(machine())
    inner = before["States"]["Run queries"]["ItemProcessor"]["States"]
    wait, poll = inner["Wait for Athena"], inner["Poll Athena query"]
    del wait["SecondsPath"]
    wait["Seconds"] = 5
    poll["TimeoutSeconds"] = 60
    poll["ResultSelector"] = {"done.$": "$.Payload.done"}
    for key in ("run_id.$", "polls.$"):
        del poll["Parameters"]["Payload"][key]
    queries = Queries(HOUR / 2)
    assert build(queries).start(before)["status"] == "SUCCEEDED"


def _refusing(function: Any, cloud: FakeCloud, error: str, seconds: float) -> Any:
    """The function, which Lambda refuses to call for this long after the first attempt."""
    asked: dict[str, float] = {}

    def call(payload: dict[str, Any]) -> Any:
        began = asked.setdefault("at", cloud.clock.now)
        if cloud.clock.now - began < seconds:
            raise LambdaFailed(error)
        cloud.ridden_out = True
        return function(payload)

    return call


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        ("Lambda.TooManyRequestsException", HOUR),
        ("Lambda.ResourceConflictException", 240),
        ("Lambda.ResourceNotReadyException", 240),
        ("Lambda.EC2ThrottledException", 240),
        ("Lambda.ClientExecutionTimeoutException", 20),
        ("Lambda.ServiceException", 20),
        ("Sandbox.Timedout", 20),
    ],
)
@pytest.mark.parametrize("name", sorted({function_of(state) for _, state in tasks()}))
def test_every_function_waits_out_what_lambda_answers(
    build: Any, name: str, error: str, seconds: float
) -> None:
    is_search = name == "find_bad_files"
    cloud = build(
        Queries(2, QueryFailed("broken", ended_by="content")) if is_search else Queries(2)
    )
    if is_search:
        cloud.functions[name] = lambda _: {"quarantined": 1}
    function = cloud.functions[name]
    if name == "report_changes":
        cloud.functions["resolve_branch"] = lambda _: {"run_id": "run-1", "dry_run": True}
    cloud.functions[name] = _refusing(function, cloud, error, seconds)
    ended = cloud.start()
    assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
    assert ended["output"] == '{"status": "succeeded"}'
    assert Counter(folder for folder, _ in cloud.calls)[name] > 1
    assert cloud.ridden_out


def test_no_state_waits_by_itself_for_a_fixed_time() -> None:
    assert [state for _, state in states() if "Seconds" in state] == []
