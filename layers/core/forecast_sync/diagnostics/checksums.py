"""Row counts and checksums of lake and Postgres by business date, and the keys behind them."""

from __future__ import annotations

from datetime import date

from psycopg import sql

from forecast_sync.adapters.postgres import Connection, has_table, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.contracts.counts import Sums
from forecast_sync.contracts.run import Window
from forecast_sync.extract.athena_sql import LINE_HASH, Dates, build_sources, quote_name
from forecast_sync.sql import read_statement
from forecast_sync.tables import Table
from forecast_sync.target.expressions import copy_field, row_hash


def build_lake_sums(table: Table, settings: Settings, dates: Dates, window: Window) -> str:
    """The Athena query for ``day``, ``row_count`` and ``checksum`` of the lake's good rows."""
    return read_statement("diagnostics/lake_sums.athena.sql").format(
        sources=build_sources(table, settings, dates, window),
        day=_field(table, table.source.date),
        line_hash=LINE_HASH,
    )


def build_lake_keys(table: Table, settings: Settings, day: date, window: Window) -> str:
    """The Athena query for key columns and ``line_hash`` of the lake's good rows of a date.

    Keys whose newest row is a tombstone are among them, with an empty ``line_hash``.
    """
    keys = (f"{_key_field(table, name)} AS {quote_name(name)}" for name in table.target.key)
    has_tombstones = table.source.deleted is not None
    return read_statement("diagnostics/lake_keys.athena.sql").format(
        sources=build_sources(table, settings, Dates(day, day), window),
        keys=", ".join(keys),
        line_hash=(
            f"CASE WHEN row__kind = 'row' THEN CAST({LINE_HASH} AS varchar) ELSE '' END"
            if has_tombstones
            else LINE_HASH
        ),
        kinds="'row', 'tombstone'" if has_tombstones else "'row'",
    )


def sum_target(connection: Connection, table: Table, dates: Dates) -> dict[str, Sums]:
    """Rows and checksum in Postgres by business date; empty before the table exists."""
    select = statement(
        "diagnostics/target_sums.sql",
        target=sql.Identifier(table.target.table),
        date=sql.Identifier("target", table.source.date),
        hash=row_hash(table),
    )
    with transaction(connection) as cursor:
        if not has_table(cursor, table.target.table):
            return {}
        cursor.execute(select, dates._asdict())
        return {day: Sums(int(rows), int(checksum)) for day, rows, checksum in cursor}


def list_target(
    connection: Connection, table: Table, day: date, limit: int, offset: int
) -> list[list[str]]:
    """Key, as COPY text, and hash of each row of a business date in Postgres, ordered by key."""
    columns = {column.name: column for column in table.column}
    select = statement(
        "diagnostics/target_keys.sql",
        target=sql.Identifier(table.target.table),
        date=sql.Identifier("target", table.source.date),
        keys=sql.SQL(", ").join(copy_field(columns[name]) for name in table.target.key),
        order=sql.SQL(", ").join(sql.Identifier("target", name) for name in table.target.key),
        hash=row_hash(table),
    )
    with transaction(connection) as cursor:
        cursor.execute(select, {"day": day, "limit": limit, "offset": offset})
        return [[*keys, str(hashed)] for *keys, hashed in cursor]


def _key_field(table: Table, name: str) -> str:
    """A column of a row's or a tombstone's key, as COPY text."""
    if table.source.deleted is None:
        return _field(table, name)
    key_field = f"split_part(key__line, chr(9), {table.target.key.index(name) + 1})"
    return f"CASE WHEN row__kind = 'row' THEN {_field(table, name)} ELSE {key_field} END"


def _field(table: Table, name: str) -> str:
    """A column of a line, as COPY text."""
    return f"split_part(line, chr(9), {table.names.index(name) + 1})"
