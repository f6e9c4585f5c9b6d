"""Every line that a function logs names the run and the table."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from forecast_sync.errors import QueryFailed
from forecast_sync.telemetry.logging import about, logged, logger


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORECAST_TABLE_NAME", "price")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


def call(event: dict[str, Any], outcome: Any) -> None:
    @logged
    def handler(_event: dict[str, Any], _context: None) -> Any:
        logger.warning("on the way")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    handler(event, None)


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
    found = [(line["run_id"], line["table"]) for line in lines()]
    assert found == [("r1", "price")] * 2


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
