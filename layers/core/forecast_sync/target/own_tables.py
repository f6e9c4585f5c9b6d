"""The product's own tables, which a release creates or extends before it uses them.

A redrive, a rerun or a question may come before the first run of a new release. So every function
extends what an earlier release has made as soon as it connects, see ``clients.connection``.
"""

from __future__ import annotations

from forecast_sync.adapters.postgres import Connection, Cursor, statement, transaction
from forecast_sync.sql import read_statement

SCHEMA_LOCK = 0x6673_0001

STATUS = "forecast_sync_status"

NEEDED = {
    STATUS: {
        "run_id",
        "rerun_requested",
        "finished_at",
        "source",
        "warnings",
        "redrive_count",
        "window_reason",
        "target",
        "table_name",
        "generation",
        "decided_at",
        "deleted",
        "deletes_deferred",
        "deletions",
    },
    # The columns of an index, which have the names of its expressions.
    "forecast_sync_status_lease_of_table": {"coalesce"},
    "forecast_sync_waiting": {"run_id", "seen_at"},
    "forecast_sync_batch": {
        "query_execution_id",
        "page",
        "first_row",
        "checksum",
        "definition",
        "deleted",
    },
    "forecast_sync_deletion": {"query_execution_id", "number", "row_key"},
    "forecast_sync_deletion_date": {"table_name", "lake", "business_date", "waits"},
    "forecast_sync_file": {"table_name", "lake", "key", "state", "withdrawn_from", "survey_id"},
    "forecast_sync_rejects": {
        "content_hash",
        "last_run_id",
        "resolved_run_id",
        "row_json",
        "table_name",
    },
    "forecast_sync_announced": {"neon_branch", "topic", "state"},
}


def has_own_tables(connection: Connection) -> bool:
    """Whether nothing has to be created or extended."""
    return _is_complete(_columns(connection))


def lock_schema(cursor: Cursor) -> None:
    """Keep others from changing any table of a database until the transaction ends."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])


def create_own_tables(cursor: Cursor) -> None:
    """Create or extend the tables; until the transaction ends, nobody else does."""
    lock_schema(cursor)
    cursor.execute(statement("target/prefer_schema.sql"))
    cursor.execute(read_statement("target/create_own_tables.sql").encode())


def extend_own_tables(connection: Connection) -> None:
    """Extend the tables that an earlier release made; do nothing where no run has made any."""
    columns = _columns(connection)
    if "run_id" in columns.get(STATUS, ()) and not _is_complete(columns):
        with transaction(connection) as cursor:
            create_own_tables(cursor)


def _is_complete(columns: dict[str, set[str]]) -> bool:
    return all(needed <= columns.get(name, set()) for name, needed in NEEDED.items())


def _columns(connection: Connection) -> dict[str, set[str]]:
    """The columns of those of the tables that exist."""
    with transaction(connection) as cursor:
        cursor.execute(read_statement("target/list_columns.sql").encode(), [[*NEEDED]])
        columns: dict[str, set[str]] = {}
        for table, column in cursor:
            columns.setdefault(table, set()).add(column)
    return columns
