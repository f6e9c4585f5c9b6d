"""Logs: one JSON line for each call of a function, with the run and the table that it is about."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from aws_lambda_powertools.logging import Logger

from forecast_sync.errors import ForecastSyncError

C = TypeVar("C")
A = TypeVar("A")
Handler = Callable[[dict[str, Any], C], A]

logger = Logger(level="INFO", function=os.environ.get("AWS_LAMBDA_FUNCTION_NAME"))


def logged(handler: Handler[C, A]) -> Handler[C, A]:
    """Log how each call of ``handler`` ended; what it raises goes on to the state machine.

    Answers are pointers and counts, never rows or secrets. Of an error that isn't this package's
    only the class is told, because nobody knows what its text holds.
    """
    return _logged(handler, lambda answer: {"answer": answer})


def logged_without_answer(handler: Handler[C, A]) -> Handler[C, A]:
    """``logged`` for a function whose answers hold values of rows."""
    return _logged(handler, lambda _answer: {})


def _logged(handler: Handler[C, A], tell: Callable[[A], dict[str, Any]]) -> Handler[C, A]:
    @wraps(handler)
    def call(event: dict[str, Any], context: C) -> A:
        with about(find_run_id(event)):
            try:
                answer = handler(event, context)
            except Exception as error:
                log_failure(error)
                raise
            if isinstance(answer, dict) and "run_id" in answer:
                logger.append_keys(run_id=str(answer["run_id"]))
            logger.info("done", extra=tell(answer))
            return answer

    return call


def log_failure(error: Exception) -> None:
    """The one line of a call that raises; the alarm on function errors counts its ``error``."""
    name = type(error).__name__
    # The line says it all; the traceback of an expected error would only hide it.
    if isinstance(error, ForecastSyncError):
        logger.error("%s: %s", name, error, extra={"error": name})
    else:
        logger.error("%s, unexpected", name, extra={"error": name})


@contextmanager
def about(run_id: str | None) -> Iterator[None]:
    """Give every line that is logged meanwhile the run, None where there is none, and the table."""
    table = os.environ.get("FORECAST_TABLE_NAME") or "forecast"
    with logger.append_context_keys(run_id=run_id, table=table):
        yield


def find_run_id(event: dict[str, Any]) -> str | None:
    """The run's name in the payload of a state, a status-change event or a request to the API."""
    if isinstance(event.get("run_id"), str):
        return str(event["run_id"])
    places = (("run", "run_id"), ("execution", "run_id"), ("result", "run_id"), ("detail", "name"))
    for outer, inner in (*places, ("pathParameters", "run_id")):
        found = event.get(outer)
        if isinstance(found, dict) and inner in found:
            return str(found[inner])
    return None
