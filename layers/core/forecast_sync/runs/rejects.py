"""Rejected rows, read from a branch's database: page by page, by reason, and one row whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from psycopg import sql
from pydantic import Field

from forecast_sync.adapters.postgres import Connection
from forecast_sync.config import Settings
from forecast_sync.contracts.base import Model
from forecast_sync.errors import ForecastSyncError
from forecast_sync.runs.model import Reject, RejectReason, RejectRow, Rejects
from forecast_sync.runs.queries import fetch_rows
from forecast_sync.tables import Table
from forecast_sync.target.expressions import NUL, reject_value
from forecast_sync.text.size_limits import ROW_BYTES, VALUE_CHARACTERS, answer_bytes, fitting

MAX_REASONS = 100
MAX_READ_BYTES = 128 * 1024 * 1024
"""Of rejected rows that one page may cost, which takes some seconds."""

MAX_DATED_BYTES = 64 * 1024
"""Of a row whose business date is read."""

PART_CHARACTERS = 2 * 1024 * 1024
PART_BYTES = 5_000_000
"""Of a row's part in an answer, where a character takes up to 14 bytes."""


class RejectNotFound(ForecastSyncError):
    """There is no reject with this content hash."""


class RejectQuery(Model):
    """Which rejects to list; ``after`` is the content hash of the previous page's last one."""

    run_id: str | None = None
    reason: str | None = None
    all: bool = False
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


def list_rejects(
    connection: Connection,
    tables: Sequence[Table],
    query: RejectQuery,
    one_of_several: Settings | None = None,
) -> Rejects:
    """A page of rejects, newest first, and the totals of all that match, by table and reason.

    ``tables`` are those that the rejects may be of; ``one_of_several`` are the settings of one of
    several tables, None for the rejects of all.
    A row of more than ``ROW_BYTES`` is shortened value by value; ``read_reject`` has it whole. A
    page has fewer rejects than ``limit`` when they are large.
    """
    parameters = query.model_dump()
    parameters |= {
        "table": one_of_several and one_of_several.table_file,
        "lake": one_of_several and one_of_several.data_location,
    }
    parameters |= {"row_bytes": ROW_BYTES, "characters": VALUE_CHARACTERS, "groups": MAX_REASONS}
    parameters["by_table"] = len(tables) > 1
    parameters["weight"] = MAX_READ_BYTES
    rows = fetch_rows(connection, "runs/list_rejects.sql", parameters, nul=sql.Literal(NUL))
    page_rows = max((row.pop("page_rows") for row in rows), default=0)
    page = fitting(rows)
    is_last = len(page) == page_rows < query.limit
    day = sql.SQL("coalesce({})").format(sql.SQL(", ").join(map(_date_of_reject, tables)))
    reasons = fetch_rows(connection, "runs/group_rejects.sql", parameters, day=day)
    return Rejects(
        rejects=[Reject.model_validate(row) for row in page],
        next=None if is_last else page[-1]["content_hash"],
        reasons=[RejectReason.model_validate(row) for row in reasons],
    )


def read_reject(connection: Connection, content_hash: str, offset: int) -> RejectRow:
    """A reject's row as it is kept, from character ``offset`` on; all parts together are the row.

    Raises ``RejectNotFound``.
    """
    parameters = {"content_hash": content_hash, "offset": offset, "characters": PART_CHARACTERS}
    for row in fetch_rows(connection, "runs/read_reject.sql", parameters):
        part = row["part"]
        while answer_bytes(part) > PART_BYTES:
            part = part[: len(part) // 2]
        end = offset + len(part)
        return RejectRow(
            content_hash=content_hash,
            row_bytes=row["row_bytes"],
            part=part,
            next=end if end < row["characters"] else None,
        )
    raise RejectNotFound(f"There is no reject {content_hash}; GET /rejects lists them.")


def _date_of_reject(table: Table) -> sql.Composable:
    """The business date of a row as text; NULL for a row so large that reading it takes long."""
    return sql.SQL("CASE WHEN pg_column_size(row_json) <= {} THEN {} END").format(
        sql.Literal(MAX_DATED_BYTES), reject_value(table.source.date)
    )
