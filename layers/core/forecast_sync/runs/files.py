"""The objects of the lake and what became of them, read from a branch's file ledger."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from forecast_sync.adapters.postgres import Connection, has_table, transaction
from forecast_sync.config import Settings
from forecast_sync.contracts.base import Model
from forecast_sync.runs.model import File, Files, FileState
from forecast_sync.runs.queries import fetch_rows
from forecast_sync.text.size_limits import fitting


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
        files=[File.model_validate(row) for row in page],
        next=None if is_last else page[-1]["key"],
    )
