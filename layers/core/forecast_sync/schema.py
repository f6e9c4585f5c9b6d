"""The schema: made when it isn't there, refused when the target isn't what the table file says."""

from __future__ import annotations

from forecast_sync.adapters.postgres import Connection, transaction
from forecast_sync.errors import SchemaMismatch
from forecast_sync.sql import read_statement
from forecast_sync.tables import Table

SCHEMA_LOCK = 0x6673_0001

NEEDED = {
    "forecast_sync_status": {"run_id", "rerun_requested", "finished_at", "source"},
    "forecast_sync_batch": {"query_execution_id", "page", "first_row", "checksum"},
    "forecast_sync_rejects": {"content_hash", "last_run_id", "resolved_run_id", "row_json"},
    "forecast_sync_announced": {"neon_branch", "topic", "state"},
}


def ensure_schema(connection: Connection, table: Table) -> None:
    """Create what is missing; raises ``SchemaMismatch`` for a target that lacks a column."""
    if not _is_complete(connection, table):
        with transaction(connection) as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            cursor.execute(read_statement("create_schema.sql").encode())
    found = _columns(connection, [table.target.table])
    expected = {*table.names, table.target.written_at}
    missing = sorted(expected - found.get(table.target.table, set()))
    if missing:
        raise SchemaMismatch(
            f"{table.target.table} lacks {', '.join(missing)}; add the columns or correct the "
            "table file."
        )


def _is_complete(connection: Connection, table: Table) -> bool:
    found = _columns(connection, [table.target.table, *NEEDED])
    return table.target.table in found and all(
        columns <= found.get(name, set()) for name, columns in NEEDED.items()
    )


def _columns(connection: Connection, tables: list[str]) -> dict[str, set[str]]:
    with transaction(connection) as cursor:
        cursor.execute(read_statement("list_columns.sql").encode(), [tables])
        found: dict[str, set[str]] = {}
        for table, column in cursor:
            found.setdefault(table, set()).add(column)
    return found
