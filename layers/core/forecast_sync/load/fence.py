"""The fence: how each transaction that writes a run's rows begins, and what it then knows."""

from __future__ import annotations

from psycopg import sql

from forecast_sync.adapters.postgres import Connection, Cursor, fetch_last, statement
from forecast_sync.contracts.redrive import refuse_other_definitions
from forecast_sync.contracts.run import Run
from forecast_sync.lease import lease


def compose_opening(
    connection: Connection,
    run: Run,
    query_execution_id: str,
    page: int,
    redrive_count: int | None,
) -> bytes:
    """The statements that open each batch of a page, sent in one round trip with literal values."""
    return statement(
        "load/open_batch.sql",
        lease=lease.lock_of(run.scope),
        query_execution_id=sql.Literal(query_execution_id),
        page=sql.Literal(page),
        run_id=sql.Literal(run.run_id),
        redrive_count=sql.Literal(redrive_count),
    ).as_bytes(connection)


def find_committed(cursor: Cursor, run: Run, definition: str | None) -> int | None:
    """How many lines of the page are committed; None when the run no longer has its lease.

    The opened transaction holds the lease's shared lock until it ends, so the answer stays true.
    Raises ``Superseded`` when the run was overtaken, and ``InputsOutdated`` when it has switched
    to another definition than that of the page since this call began.
    """
    status, is_current, committed, recorded = fetch_last(cursor)
    lease.refuse_overtaken(status, run)
    if recorded is not None:
        refuse_other_definitions(recorded, definition)
    return int(committed) if status == "running" and is_current else None
