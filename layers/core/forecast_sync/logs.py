"""Logs: one JSON line for each call of a function, with the run that it belongs to."""

from __future__ import annotations

import os
from collections.abc import Callable
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
        run_id = find_run_id(event)
        try:
            answer = handler(event, context)
        except Exception as error:
            log_failure(error, run_id)
            raise
        logger.info("done", extra={"run_id": run_id, **tell(answer)})
        return answer

    return call


def log_failure(error: Exception, run_id: str | None) -> None:
    """The one line of a call that raises; the alarm on function errors counts its ``error``."""
    name = type(error).__name__
    extra = {"run_id": run_id, "error": name}
    # The line says it all; the traceback of an expected error would only hide it.
    if isinstance(error, ForecastSyncError):
        logger.error("%s: %s", name, error, extra=extra)
    else:
        logger.error("%s, unexpected", name, extra=extra)


def find_run_id(event: dict[str, Any]) -> str | None:
    """The execution's name in the payload of a state or in a status-change event."""
    places = (("run", "run_id"), ("execution", "run_id"), ("result", "run_id"), ("detail", "name"))
    for outer, inner in (*places, ("started", "run_id")):
        found = event.get(outer)
        if isinstance(found, dict) and inner in found:
            return str(found[inner])
    return None
