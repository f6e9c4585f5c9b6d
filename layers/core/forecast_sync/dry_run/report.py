"""The report of a dry run: the changes of all its batches, added up in one document in S3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from pydantic import AwareDatetime, Field

from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.adapters.s3 import Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.base import Payload
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.page import Plan
from forecast_sync.contracts.query import Queries, StartedQuery
from forecast_sync.contracts.redrive import raise_if_stale, refuse_other_definitions
from forecast_sync.contracts.run import Run, Window
from forecast_sync.contracts.survey import RunFiles
from forecast_sync.delete.progress import read_deletions
from forecast_sync.dry_run.changes import (
    EXAMPLES,
    LARGEST,
    BatchChanges,
    Change,
    Example,
    Group,
    batch_location,
    report_location,
)
from forecast_sync.errors import ResultInvalid
from forecast_sync.tables import Table, declared_type, definition_of, is_declared
from forecast_sync.tables.losses import find_losses
from forecast_sync.target.differences import describe_target, find_added, list_differences
from forecast_sync.target.remedies import write_remedy
from forecast_sync.verify.ledger import read_counts

READERS = 16
SAMPLED_REASONS = 50
ADDED = "the next run adds it and fills every row"
TERABYTE = 10**12
SMALLEST_QUERY_BYTES = 10 * 10**6
"""Athena bills at least as much for each query."""


class ReportRequest(Payload):
    """What Report changes gets."""

    run: Run
    window: Window
    queries: Queries
    plan: Plan
    redrive_count: int = 0


class ReportLocation(Payload):
    """What Report changes answers: where the report is, as ``s3://bucket/key``."""

    report: str


class SchemaDifference(Payload):
    """A column that isn't what the table file says; ``found`` is None for a missing one.

    ``remedy`` says what changes that: the next run, or a statement.
    """

    where: str
    column: str
    expected: str
    found: str | None
    remedy: str | None = None


class ScannedQuery(Payload):
    """What Athena read for a query, and what it costs."""

    query: str
    query_execution_id: str
    scanned_bytes: int
    usd: float


class Deletion(Payload):
    """A row that should leave the target: a tombstone deletes it, or its key is missing."""

    key: tuple[str, ...]
    why: Literal["tombstone", "missing"]


class ChangeReport(Payload):
    """What a run would change in the target, and what its queries cost.

    The run itself reads as much of ``files``. ``examples`` are of the rejects of each reason,
    ``deletions`` of the rows that should leave. ``deletes_deferred`` of them would wait.
    ``losses`` say which values are rounded to fit the target.
    """

    run_id: str
    git_ref: str
    neon_branch: str
    window_low: AwareDatetime | None
    window_high: AwareDatetime
    counts: Counts
    group_by: tuple[str, ...]
    groups: tuple[Group, ...]
    watched: str | None
    key: tuple[str, ...]
    largest: tuple[Change, ...]
    reasons: dict[str, int]
    examples: dict[str, tuple[Example, ...]] = Field(default_factory=dict)
    queries: tuple[ScannedQuery, ...]
    files: RunFiles | None = None
    schema_differences: tuple[SchemaDifference, ...]
    losses: tuple[str, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    deletes_deferred: int = 0
    deletes_deferred_reason: str | None = None


def report_changes(
    connection: Connection,
    athena: Athena,
    storage: Storage,
    catalog: Catalog,
    table: Table,
    settings: Settings,
    request: ReportRequest,
) -> ReportLocation:
    """Add up what the batches have saved, write the report to S3 and return where it is.

    Raises ``ResultInvalid`` when what a batch has saved can't be read, or ``InputsOutdated`` if
    that is from before the present redrive or of another table file.
    """
    refuse_other_definitions(definition_of(table), request.plan.definition)
    run, extract = request.run, request.queries.extract
    counts, _ = read_counts(connection, extract.query_execution_id, request.plan.profile)
    try:
        changes = _sum(_read_batches(connection, storage, settings, request))
    except ResultInvalid as error:
        made_at = extract.redrive_count
        raise_if_stale(error, made_at=made_at, redrive_count=request.redrive_count)
        raise
    with transaction(connection) as cursor:
        deletions = read_deletions(cursor, run.run_id, extract.query_execution_id)
    if deletions:
        counts = counts.model_copy(update={"deleted": deletions.planned})
    report = ChangeReport(
        run_id=run.run_id,
        git_ref=run.git_ref,
        neon_branch=run.neon_branch,
        window_low=request.window.low,
        window_high=request.window.high,
        counts=counts,
        group_by=table.report.by,
        watched=table.report.watch,
        key=table.target.key,
        **dict(changes),
        queries=_price_queries(athena, settings, request.queries),
        files=request.window.survey.files if request.window.survey else None,
        schema_differences=_find_schema_differences(connection, catalog, table, settings),
        losses=tuple(find_losses(table)),
        deletions=_list_deletions(connection, table, extract.query_execution_id),
        deletes_deferred=deletions.deferred if deletions else 0,
        deletes_deferred_reason=deletions.reason if deletions else None,
    )
    location = report_location(settings, run)
    storage.write(*split_location(location), report.model_dump_json().encode())
    return ReportLocation(report=location)


def _list_deletions(
    connection: Connection, table: Table, query_execution_id: str
) -> tuple[Deletion, ...]:
    values = {"query_execution_id": query_execution_id, "limit": LARGEST}
    with transaction(connection) as cursor:
        cursor.execute(statement("delete/list_examples.sql"), values)
        return tuple(
            Deletion(key=tuple(str(row_key[name]) for name in table.target.key), why=kind)
            for kind, row_key in cursor
        )


def _read_batches(
    connection: Connection, storage: Storage, settings: Settings, request: ReportRequest
) -> list[BatchChanges]:
    """What the ledger's batches have saved; an attempt that wasn't committed isn't read."""
    query_id = request.queries.extract.query_execution_id
    with transaction(connection) as cursor:
        cursor.execute(statement("dry_run/list_batches.sql"), {"query_execution_id": query_id})
        batches = cursor.fetchall()

    def read(batch: tuple[int, int]) -> BatchChanges:
        page, first_row = batch
        location = batch_location(settings, request.run, query_id, page, first_row)
        return BatchChanges.model_validate_json(storage.read(*split_location(location)))

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, batches))


def _sum(batches: Iterable[BatchChanges]) -> BatchChanges:
    groups: dict[tuple[str | None, ...], Group] = {}
    reasons: Counter[str] = Counter()
    largest: list[Change] = []
    examples: dict[str, tuple[Example, ...]] = {}
    for batch in batches:
        for group in batch.groups:
            so_far = groups.get(group.by)
            groups[group.by] = so_far.plus(group) if so_far else group
        reasons.update(batch.reasons)
        largest += batch.largest
        for reason, rows in batch.examples.items():
            examples[reason] = (*examples.get(reason, ()), *rows)[:EXAMPLES]
    return BatchChanges(
        groups=tuple(groups[by] for by in sorted(groups, key=_sortable)),
        largest=tuple(sorted(largest, key=lambda change: (-change.size, change.key))[:LARGEST]),
        reasons=dict(reasons.most_common()),
        examples={
            reason: examples[reason]
            for reason, _ in reasons.most_common(SAMPLED_REASONS)
            if reason in examples
        },
    )


def _sortable(by: tuple[str | None, ...]) -> list[tuple[bool, str]]:
    return [(value is None, value or "") for value in by]


def _price_queries(
    athena: Athena, settings: Settings, queries: Queries
) -> tuple[ScannedQuery, ...]:
    return tuple(
        _price_query(athena, settings, started) for started in (queries.extract, queries.profile)
    )


def _price_query(athena: Athena, settings: Settings, started: StartedQuery) -> ScannedQuery:
    scanned = athena.scanned_bytes(started.query_execution_id)
    billed = max(scanned, SMALLEST_QUERY_BYTES)
    return ScannedQuery(
        query=started.query,
        query_execution_id=started.query_execution_id,
        scanned_bytes=scanned,
        usd=round(billed / TERABYTE * settings.athena_usd_per_terabyte, 6),
    )


def _find_schema_differences(
    connection: Connection, catalog: Catalog, table: Table, settings: Settings
) -> tuple[SchemaDifference, ...]:
    declared = catalog.columns(settings.athena_db_name, settings.forecast_table_name)
    lake = [
        SchemaDifference(
            where="lake", column=name, expected=declared_type(expected), found=declared.get(name)
        )
        for name, expected in table.source.types.items()
        if not is_declared(expected, declared.get(name))
    ]
    described = describe_target(connection, table)
    added = {column.name for column in find_added(described, table)}
    target = [
        SchemaDifference(
            where="postgres",
            **difference,
            remedy=ADDED if difference["column"] in added else write_remedy(table, difference),
        )
        for difference in list_differences(described, table)
    ]
    return (*lake, *target)
