"""The objects of the lake and what became of them, and what people decide about bad ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from forecast_sync.adapters.postgres import Connection, has_table, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.contracts.base import Model
from forecast_sync.errors import ForecastSyncError
from forecast_sync.runs.model import File, Files, FileState
from forecast_sync.runs.queries import fetch_rows
from forecast_sync.text.size_limits import fitting

LISTED_BY = "GET /files?state=quarantined lists them."
"""A client says how it lists them instead."""


class FileConflict(ForecastSyncError):
    """An object's state doesn't allow the operation."""


class FileQuery(Model):
    """Which objects to list; ``after`` is the key of the previous page's last one."""

    prefix: str | None = None
    state: FileState | None = None
    run_id: str | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


def list_files(connection: Connection, settings: Settings, query: FileQuery) -> Files:
    """A page of objects, in the order of their keys; fewer than ``limit`` when they are large."""
    with transaction(connection) as cursor:
        if not has_table(cursor, "forecast_sync_file"):
            return Files(files=[], next=None)
    parameters = {
        **query.model_dump(),
        "table_name": settings.table_file,
        "lake": settings.data_location,
    }
    rows = fetch_rows(connection, "runs/list_files.sql", parameters)
    page = fitting(rows)
    is_last = len(page) == len(rows) < query.limit
    return Files(
        files=[File.model_validate({**row, "table": settings.table_file}) for row in page],
        next=None if is_last else page[-1]["key"],
    )


def accept_files(connection: Connection, settings: Settings, keys: Sequence[str], by: str) -> None:
    """Record that ``by`` accepts that quarantined objects are left out.

    They no longer count as missing, and rows that they have left in the target no longer stop a
    run: the older rows of these keys win. A new version of an object ends that. Raises
    ``FileConflict``, and accepts none, unless all are quarantined.
    """
    _decide(connection, settings, "runs/accept_files.sql", keys, by)


def retry_files(connection: Connection, settings: Settings, keys: Sequence[str], by: str) -> None:
    """Have the next run judge quarantined objects again, as ``by`` asks; errors are the same."""
    _decide(connection, settings, "runs/retry_files.sql", keys, by)


def _decide(
    connection: Connection, settings: Settings, name: str, keys: Sequence[str], by: str
) -> None:
    values = {
        "table_name": settings.table_file,
        "lake": settings.data_location,
        "keys": [*keys],
        "by": by,
    }
    with transaction(connection) as cursor:
        states: dict[str, str] = {}
        if has_table(cursor, "forecast_sync_file"):
            states = dict(cursor.execute(statement("runs/lock_files.sql"), values).fetchall())
        others = [key for key in keys if states.get(key) != "quarantined"]
        if others:
            known = states.get(others[0])
            found = f"is {known}" if known else "isn't in the file ledger"
            more = f" {len(others) - 1} more aren't quarantined either." if len(others) > 1 else ""
            raise FileConflict(
                f"{others[0]} {found}, and only quarantined files can be retried or accepted."
                f"{more} {LISTED_BY}"
            )
        cursor.execute(statement(name), values)
