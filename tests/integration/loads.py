"""Loads pages of a run directly into a real Postgres, and reads the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forecast_sync.adapters.postgres import Connection
from forecast_sync.adapters.stepfunctions import Workflow
from forecast_sync.config import Settings
from forecast_sync.contracts.page import UpsertProgress
from forecast_sync.contracts.run import Run, Window
from forecast_sync.lease.window import open_window
from forecast_sync.load.loader import load_page
from forecast_sync.tables import Table, definition_of, load_table

from tests.builders import Files, Row, make_upsert, to_line

SETTINGS = Settings(environment="dev", data_location="s3://lake/forecast/")
COLUMNS = ", ".join(load_table().names)
LONG = 900_000


class Starts(Workflow):
    """Step Functions, which keeps the names and the inputs of what is started."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.payloads: list[Mapping[str, Any]] = []

    def start(self, name: str, payload: Mapping[str, Any]) -> bool:
        self.names.append(name)
        self.payloads.append(payload)
        return True


def begin(
    connection: Connection,
    run: Run,
    *,
    alive: bool = True,
    redrive_count: int | None = None,
    table: Table | None = None,
    settings: Settings = SETTINGS,
) -> Window:
    table = table or load_table()
    return open_window(connection, settings, table, run, lambda _arn: alive, redrive_count)


def load(
    connection: Connection,
    run: Run,
    rows: Sequence[Row],
    *,
    query: str = "q-1",
    files: Files | None = None,
    table: Table | None = None,
    **counts: Any,
) -> UpsertProgress:
    files = files or Files()
    if not files.content:
        files.add("a.gz", [to_line(row) for row in rows])
    table = table or load_table()
    definition = definition_of(table)
    request = make_upsert(run, list(files.content), query=query, definition=definition, **counts)
    return load_page(connection, files.stream, table, request, lambda: LONG, None)


def stored(connection: Connection) -> list[tuple[Any, ...]]:
    cursor = connection.execute(
        f"SELECT {COLUMNS} FROM forecast_data "
        "ORDER BY restaurant_id, inventory_item_id, business_date"
    )
    return [tuple(None if value is None else str(value) for value in row) for row in cursor]


def ledger(connection: Connection, query: str = "q-1") -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT first_row, last_row, inserted, updated, unchanged FROM forecast_sync_batch "
        "WHERE query_execution_id = %s ORDER BY first_row",
        [query],
    ).fetchall()


def as_text(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    return [tuple(None if value is None else str(value) for value in row) for row in rows]


def last_id(connection: Connection) -> int:
    row = connection.execute("SELECT last_value FROM forecast_data_id_seq").fetchone()
    assert row is not None
    return int(row[0])
