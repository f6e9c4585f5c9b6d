"""Loads a page's lines into the target, batch by batch, each batch one short transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from forecast_sync.adapters.postgres import Connection, Cursor, statement, transaction
from forecast_sync.contracts.page import Page, UpsertProgress, UpsertRequest
from forecast_sync.contracts.redrive import raise_if_stale, refuse_other_definitions
from forecast_sync.errors import (
    BatchConflict,
    BatchRefused,
    ResultInvalid,
    SchemaMismatch,
)
from forecast_sync.lease import lease
from forecast_sync.load.fence import compose_opening, find_committed
from forecast_sync.load.foreign_index import refuse_foreign_index
from forecast_sync.load.merge import Merger
from forecast_sync.load.page_reader import PageReader, Stream
from forecast_sync.load.stage import stage_rejects, stage_rows
from forecast_sync.tables import Table, definition_of
from forecast_sync.target.differences import find_addable
from forecast_sync.target.schema import refuse_differences

RESERVE_MILLISECONDS = 30_000
RESERVE_BATCHES = 3

SaveChanges = Callable[[Cursor, Page, int], None]
"""Saves what the staged batch, given by its page and first row, would change in the target."""


class BatchCounts(NamedTuple):
    """A batch's rows by outcome, and the checksum of the target's rows after it."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    checksum: int = 0
    deleted: int = 0

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
    save_changes: SaveChanges | None,
) -> UpsertProgress:
    """Load the lines of a page that the ledger doesn't have yet, until the page or the time ends.

    ``stream(bucket, key)`` yields an object's bytes; ``remaining_milliseconds()`` is what is left
    of the Lambda's time; ``save_changes`` saves what each batch of a dry run would change.

    Raises ``SchemaMismatch`` when the target has changed since the run began, ``Superseded``,
    ``LeaseHeld``, ``BatchConflict``, ``BatchRefused``, ``InputsOutdated`` for a page of another
    definition and when a redriven page's rows can't be read or are still refused, and what the
    adapters raise. Batches that were committed before stay, and the next call continues after them.
    """
    refuse_other_definitions(definition_of(table), request.page.definition)
    lease_count = lease.join(connection, request.run, request.run_redrive_count, request.began_at)
    try:
        return _load(
            connection, stream, table, request, remaining_milliseconds, save_changes, lease_count
        )
    except (BatchRefused, ResultInvalid, SchemaMismatch) as error:
        # A page's files were made before any redrive since the Map began: what was repaired at the
        # source isn't in them.
        raise_if_stale(error, made_at=0, redrive_count=request.redrives_since_map(lease_count))
        raise


def _load(
    connection: Connection,
    stream: Stream,
    table: Table,
    request: UpsertRequest,
    remaining_milliseconds: Callable[[], int],
    save_changes: SaveChanges | None,
    lease_count: int | None,
) -> UpsertProgress:
    is_dry = request.run.dry_run
    target = refuse_differences(connection, table, may_lack=is_dry)
    absent = find_addable(target, table) if is_dry else ()
    reader = PageReader(stream, request.page)
    merger = Merger(table, checksum=request.run.sums_content, absent=absent)
    page = request.page
    opening = compose_opening(
        connection, request.run, page.query_execution_id, page.number, lease_count
    )
    reader.skip_to(_read_position(connection, request.page))
    slowest = 0
    while reader.has_more():
        before = remaining_milliseconds()
        # The first batch is always tried: a call that loads nothing would be repeated forever.
        if slowest and before < RESERVE_MILLISECONDS + RESERVE_BATCHES * slowest:
            return UpsertProgress(done=False)
        try:
            committed = _load_batch(connection, opening, reader, merger, request, save_changes)
        except BatchConflict as conflict:
            refuse_foreign_index(connection, table, conflict)
            raise
        if committed is None:
            # Only a call that begins may take the lease again; this one may be left over from an
            # execution that was stopped.
            raise lease.lost(request.run, "this page loaded")
        slowest = max(slowest, before - remaining_milliseconds(), 1)
    return UpsertProgress(done=True)


def _load_batch(
    connection: Connection,
    opening: bytes,
    reader: PageReader,
    merger: Merger,
    request: UpsertRequest,
    save_changes: SaveChanges | None,
) -> int | None:
    """How many lines of the page were committed before; None when the run has lost its lease.

    The batch is loaded if it begins there. If another call has committed more, the reader skips it.
    """
    with transaction(connection, opening) as cursor:
        committed = find_committed(cursor, request.run, request.page.definition)
        if committed == reader.position:
            _write_batch(cursor, reader, merger, request)
            if save_changes:
                save_changes(cursor, request.page, committed + 1)
    if committed is not None and committed > reader.position:
        reader.skip_to(committed)
    return committed


def _write_batch(
    cursor: Cursor, reader: PageReader, merger: Merger, request: UpsertRequest
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
        statement("load/record_batch.sql"),
        {
            **counts._asdict(),
            "query_execution_id": page.query_execution_id,
            "page": page.number,
            "first_row": first,
            "last_row": reader.position,
            "run_id": run.run_id,
            "definition": page.definition,
        },
    )


def _read_position(connection: Connection, page: Page) -> int:
    parameters = {"query_execution_id": page.query_execution_id, "page": page.number}
    with transaction(connection) as cursor:
        row = cursor.execute(statement("load/read_position.sql"), parameters).fetchone()
    return int(row[0]) if row else 0
