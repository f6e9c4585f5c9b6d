"""Loading: a page's lines into the target, batch by batch, each batch one short transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from forecast_sync import leases
from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.contracts import Page, UpsertProgress, UpsertRequest
from forecast_sync.errors import ResultInvalid
from forecast_sync.merging import Merger
from forecast_sync.pages import PageReader, Stream
from forecast_sync.redrives import renewing_inputs
from forecast_sync.staging import stage_rejects, stage_rows
from forecast_sync.tables import Table

RESERVE_MILLISECONDS = 30_000
RESERVE_BATCHES = 3

Keeper = Callable[[leases.Rows, Page, int], None]
"""Keeps what the staged batch, known by its page and first row, would change."""


class BatchCounts(NamedTuple):
    """A batch's rows by outcome, and the checksum of what then stands in the target."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    checksum: int = 0

    @property
    def rows(self) -> int:
        """All rows that were staged."""
        return self.inserted + self.updated + self.unchanged + self.rejected


def load_page(
    connection: Connection,
    stream: Stream,
    table: Table,
    request: UpsertRequest,
    remaining_milliseconds: Callable[[], int],
    keep_changes: Keeper | None,
) -> UpsertProgress:
    """Load what the ledger doesn't have of the page, until it or the time ends.

    ``stream(bucket, key)`` yields an object's bytes; ``remaining_milliseconds()`` is what is left
    of the Lambda's time; ``keep_changes`` keeps what each batch of a dry run would do. Raises
    ``Superseded``, ``LeaseHeld``, ``BatchConflict``, ``InputsOutdated`` when a redriven page's
    files can't be read, and what the adapters raise; whatever was committed before stays, and a
    second call goes on after it.
    """
    with renewing_inputs(0, request.redrive_count, ResultInvalid):
        reader = PageReader(stream, request.page)
        merger = Merger(table, checksum=request.run.sums_content)
        reader.skip_to(_read_position(connection, request.page))
        slowest = 0
        while reader.has_more():
            before = remaining_milliseconds()
            # A call that loads nothing would be repeated for ever: the first batch is always tried.
            if slowest and before < RESERVE_MILLISECONDS + RESERVE_BATCHES * slowest:
                return UpsertProgress(done=False)
            _load_batch(connection, reader, merger, request, keep_changes)
            slowest = max(slowest, before - remaining_milliseconds(), 1)
        return UpsertProgress(done=True)


def _load_batch(
    connection: Connection,
    reader: PageReader,
    merger: Merger,
    request: UpsertRequest,
    keep_changes: Keeper | None,
) -> None:
    run, page = request.run, request.page
    with transaction(connection) as cursor:
        held = leases.hold(cursor, run)
        if held:
            _lock_page(cursor, page)
            committed = _position(cursor, page)
            if committed == reader.position:
                _write_batch(cursor, reader, merger, request)
                if keep_changes:
                    keep_changes(cursor, page, committed + 1)
    if not held:
        leases.resume(connection, run)
    elif committed > reader.position:
        reader.skip_to(committed)


def _write_batch(
    cursor: leases.Rows, reader: PageReader, merger: Merger, request: UpsertRequest
) -> None:
    run, page = request.run, request.page
    first = reader.position + 1
    lines = reader.take(run.batch_size)
    if page.kind == "reject":
        counts = BatchCounts(rejected=stage_rejects(cursor, lines, run))
    else:
        counts = BatchCounts(**stage_rows(cursor, lines, merger, dry_run=run.dry_run))
    taken = reader.position - first + 1
    if counts.rows != taken:
        raise ResultInvalid(f"COPY took {counts.rows} rows of {taken} lines.")
    cursor.execute(
        statement("record_batch.sql"),
        {
            **counts._asdict(),
            "query_execution_id": page.query_execution_id,
            "page": page.number,
            "first_row": first,
            "last_row": reader.position,
            "run_id": run.run_id,
        },
    )


def _lock_page(cursor: leases.Rows, page: Page) -> None:
    """A retried page may have a ghost of itself still running: one at a time."""
    cursor.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))",
        [page.query_execution_id, page.number],
    )


def _read_position(connection: Connection, page: Page) -> int:
    with transaction(connection) as cursor:
        return _position(cursor, page)


def _position(cursor: leases.Rows, page: Page) -> int:
    parameters = {"query_execution_id": page.query_execution_id, "page": page.number}
    row: tuple[Any, ...] | None = cursor.execute(
        statement("read_position.sql"), parameters
    ).fetchone()
    return int(row[0]) if row else 0
