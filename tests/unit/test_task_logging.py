"""Every line that a function logs names the run and the table."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from forecast_sync.adapters.stepfunctions import Workflow
from forecast_sync.contracts.base import Model
from forecast_sync.errors import InvalidInput, QueryFailed
from forecast_sync.runs.uploads import start_for_tables
from forecast_sync.task import RemainingMilliseconds, task, timed_task
from forecast_sync.telemetry.logging import about, logger, name_run
from pydantic import ConfigDict


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORECAST_TABLE_NAME", "price")


@pytest.fixture
def _several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLES", "sales,stock")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


class Anything(Model):
    """A request with any keys."""

    model_config = ConfigDict(extra="allow")


class Counted(Model):
    """An answer with a number."""

    rows: int


def call(event: dict[str, Any], outcome: Any, *, log_answer: bool = True) -> dict[str, Any]:
    @task(Anything, log_answer=log_answer)
    def handler(_request: Anything) -> Any:
        logger.warning("on the way")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return handler(event, LambdaContext())


@pytest.mark.parametrize(
    "event",
    [
        {"run": {"run_id": "r1"}},
        {"run_id": "r1", "started": {"query": "extract"}},
        {"execution": {"run_id": "r1"}},
        {"result": {"run_id": "r1"}},
        {"source": "aws.states", "detail": {"name": "r1"}},
    ],
)
@pytest.mark.parametrize("outcome", [{}, QueryFailed("x"), ValueError("x")])
def test_every_line_of_a_call_names_run_and_table(lines: Any, event: Any, outcome: Any) -> None:
    if isinstance(outcome, Exception):
        with pytest.raises(type(outcome)):
            call(event, outcome)
    else:
        call(event, outcome)
    keys = [(line["run_id"], line["table"]) for line in lines()]
    assert keys == [("r1", "price")] * 2


@pytest.mark.usefixtures("_several")
@pytest.mark.parametrize(
    "event",
    [
        {"run": {"run_id": "r1", "table": "stock"}},
        {"run_id": "r1", "table": "stock"},
        {"execution": {"run_id": "r1"}, "input": {"table": "stock"}},
        {"result": {"run_id": "r1", "table": "stock"}},
        {"detail": {"name": "r1", "input": '{"table": "stock"}'}},
        {"pathParameters": {"run_id": "r1"}, "queryStringParameters": {"table": "stock"}},
    ],
)
def test_of_several_tables_every_line_names_the_event_s(lines: Any, event: Any) -> None:
    call(event, {})
    assert [(line["run_id"], line["table"]) for line in lines()] == [("r1", "stock")] * 2


@pytest.mark.usefixtures("_several")
@pytest.mark.parametrize("text", ["", "[]", "{", '{"table": 7}', "{}"])
def test_an_input_that_names_no_table_is_logged_without_one(lines: Any, text: str) -> None:
    call({"detail": {"name": "r1", "input": text}}, {})
    assert [line.get("table") for line in lines()] == [None, None]


@pytest.mark.usefixtures("_several")
def test_each_run_that_an_upload_starts_has_a_line(lines: Any) -> None:
    class Started(Workflow):
        def __init__(self) -> None:
            """Nothing is asked."""

        def start(self, _name: str, _payload: Any) -> bool:
            return True

    with about(None):
        names = start_for_tables(Started(), "s3", {"sales": ["m1"], "stock": ["m2"]})
        logger.info("done")
    named = [(line.get("run_id"), line.get("table")) for line in lines()]
    assert named == [(names[0], "sales"), (names[1], "stock"), (None, None)]


@pytest.mark.usefixtures("_several")
def test_a_request_to_the_api_names_the_run_that_it_has_started(lines: Any) -> None:
    with about(None):
        name_run("api-1", "stock")
        logger.info("answered")
    logger.info("the next request")
    named = [(line.get("run_id"), line.get("table")) for line in lines()]
    assert named == [("api-1", "stock"), (None, None)]


def test_a_run_that_is_started_is_named_by_the_answer(lines: Any) -> None:
    call({"Records": []}, {"run_id": "uploads-1"})
    assert lines()[-1]["run_id"] == "uploads-1"


def test_the_next_call_of_a_container_forgets_the_run(lines: Any) -> None:
    call({"run_id": "r1"}, {})
    call({"check": "freshness"}, {})
    assert [line.get("run_id") for line in lines()] == ["r1", "r1", None, None]


def test_a_request_to_the_api_names_the_run_that_it_asks_about(lines: Any) -> None:
    with about("r1"):
        logger.warning("refused")
    assert [(line["run_id"], line["table"]) for line in lines()] == [("r1", "price")]


def test_an_answer_is_returned_and_logged_as_json(lines: Any) -> None:
    assert call({"run_id": "r1"}, Counted(rows=3)) == {"rows": 3}
    assert lines()[-1]["answer"] == {"rows": 3}


def test_an_answer_with_values_of_rows_is_returned_but_not_logged(lines: Any) -> None:
    assert call({}, {"rows": [["a canary"]]}, log_answer=False) == {"rows": [["a canary"]]}
    assert "canary" not in json.dumps(lines())


def test_an_event_that_does_not_fit_is_one_line_with_its_run(lines: Any) -> None:
    @task(Counted)
    def handler(_request: Counted) -> Any:
        raise AssertionError("it isn't called")

    with pytest.raises(InvalidInput, match="rows"):
        handler({"run": {"run_id": "r1"}}, LambdaContext())
    [line] = lines()
    assert (line["run_id"], line["error"]) == ("r1", "InvalidInput")


def test_a_timed_task_receives_the_remaining_time(lines: Any) -> None:
    class Context(LambdaContext):
        @staticmethod
        def get_remaining_time_in_millis() -> int:
            return 900

    @timed_task(Anything)
    def handler(_request: Anything, remaining_milliseconds: RemainingMilliseconds) -> Any:
        return {"left": remaining_milliseconds()}

    assert handler({}, Context()) == {"left": 900}
    assert lines()[-1]["answer"] == {"left": 900}
