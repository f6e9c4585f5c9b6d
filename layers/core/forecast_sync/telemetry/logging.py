"""Log lines: JSON, and every one of them names the run and the table that it is about."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools.logging import Logger

from forecast_sync.errors import ForecastSyncError
from forecast_sync.text.strict_json import read_object

RUN_ID_PATHS = (
    ("run", "run_id"),
    ("execution", "run_id"),
    ("result", "run_id"),
    ("detail", "name"),
    ("pathParameters", "run_id"),
)
"""Where an event names its run: a state's payload, a status-change event, a request to the API."""

TABLE_PATHS = ("run", "input", "result", "queryStringParameters")
"""Where an event names its table. A status-change event names it in the input, which is text."""

logger = Logger(level="INFO", function=os.environ.get("AWS_LAMBDA_FUNCTION_NAME"))


def log_failure(error: Exception) -> None:
    """Log the one line of a call that raises; the alarm on function errors counts its ``error``.

    Only this package's own messages are logged: what the text of a foreign error holds is unknown.
    """
    name = type(error).__name__
    # The message says it all; the traceback of an expected error would only hide it.
    if isinstance(error, ForecastSyncError):
        logger.error("%s: %s", name, error, extra={"error": name})
    else:
        logger.error("%s, unexpected", name, extra={"error": name})


@contextmanager
def about(run_id: str | None, table: str | None = None) -> Iterator[None]:
    """Put the run and the table, None where there is none, on each line logged in this context."""
    with logger.append_context_keys(run_id=run_id, table=logged_table(table)):
        yield


@contextmanager
def about_event(event: dict[str, Any]) -> Iterator[None]:
    """``about`` the run and table that an event names; an error that is raised in it is logged."""
    with about(find_run_id(event), find_table(event)):
        try:
            yield
        except Exception as error:
            log_failure(error)
            raise


def logged_table(table: str | None) -> str | None:
    """How lines name a table: in a stack with one table, always by its name in Glue."""
    if os.environ.get("TABLES"):
        return table
    return os.environ.get("FORECAST_TABLE_NAME") or "forecast"


def name_run(run_id: str, table: str | None) -> None:
    """Put a run that the event doesn't name on the lines that follow in this context."""
    logger.append_keys(run_id=run_id, table=logged_table(table))


def find_table(event: dict[str, Any]) -> str | None:
    """The table that an event of a stack with several names: as ``find_run_id`` finds the run."""
    detail = event.get("detail")
    text = detail.get("input") if isinstance(detail, dict) else None
    ended = read_object(text) if isinstance(text, str) else {}
    for fields in (event, *(event.get(outer) for outer in TABLE_PATHS), ended):
        if isinstance(fields, dict) and isinstance(fields.get("table"), str):
            return str(fields["table"])
    return None


def find_run_id(event: dict[str, Any]) -> str | None:
    """The run that an event names: its own ``run_id``, or one at ``RUN_ID_PATHS``."""
    if isinstance(event.get("run_id"), str):
        return str(event["run_id"])
    for outer, inner in RUN_ID_PATHS:
        fields = event.get(outer)
        if isinstance(fields, dict) and inner in fields:
            return str(fields[inner])
    return None
