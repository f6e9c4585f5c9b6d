"""What a batch of a dry run would change in the target, and where in S3 that is saved."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from math import inf, isnan

from psycopg import sql
from pydantic import Field

from forecast_sync.adapters.postgres import Cursor, statement
from forecast_sync.adapters.s3 import Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.base import Payload
from forecast_sync.contracts.page import Page, PageKind
from forecast_sync.contracts.run import Run
from forecast_sync.tables import Table
from forecast_sync.target.differences import describe_in, find_addable
from forecast_sync.target.expressions import Parts, compose_parts, reject_value, shown
from forecast_sync.text.size_limits import VALUE_CHARACTERS, shorten

LARGEST = 20
EXAMPLES = 3
"""Of the rows that are rejected for one reason."""

EXAMPLE_BYTES = 65_536
"""A larger row is named by its file alone."""


class Group(Payload):
    """Rows by outcome that have the same values in the columns that the report groups by."""

    by: tuple[str | None, ...]
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0

    def plus(self, other: Group) -> Group:
        """The sum of both."""
        return Group(
            by=self.by,
            inserted=self.inserted + other.inserted,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            rejected=self.rejected + other.rejected,
        )


class Change(Payload):
    """A row whose value in the watched column would change."""

    key: tuple[str, ...]
    before: str | None
    after: str | None

    @property
    def size(self) -> float:
        """How large the change is; NULL counts as zero, and NaN as infinite."""
        size = abs(float(self.after or 0) - float(self.before or 0))
        return inf if isnan(size) else size


class Example(Payload):
    """A row that would be rejected; long values are shortened, and a very large row has none."""

    source_file: str
    row: dict[str, str | None] = Field(default_factory=dict)


class BatchChanges(Payload):
    """What one batch would change; ``examples`` are of the rejects of each reason."""

    groups: tuple[Group, ...] = ()
    largest: tuple[Change, ...] = ()
    reasons: dict[str, int] = Field(default_factory=dict)
    examples: dict[str, tuple[Example, ...]] = Field(default_factory=dict)


def report_location(settings: Settings, run: Run) -> str:
    """Where a dry run's report is, as ``s3://bucket/key``."""
    return f"{settings.athena_output_location}{run.run_id}/changes.json"


def batch_location(
    settings: Settings, run: Run, query_execution_id: str, page: int, first_row: int
) -> str:
    """Where the changes of a batch are, as ``s3://bucket/key``."""
    name = f"{query_execution_id}-{page}-{first_row}"
    return f"{settings.athena_output_location}{run.run_id}/changes/{name}.json"


@dataclass(frozen=True)
class ChangesWriter:
    """Saves the changes of a dry run's batches in S3, for the report."""

    storage: Storage
    settings: Settings
    table: Table
    run: Run

    def save(self, cursor: Cursor, page: Page, first_row: int) -> None:
        """Save what the staged batch would change; saving it again writes the same object."""
        changes = describe_batch(cursor, self.table, page.kind)
        location = batch_location(
            self.settings, self.run, page.query_execution_id, page.number, first_row
        )
        self.storage.write(*split_location(location), changes.model_dump_json().encode())


def describe_batch(cursor: Cursor, table: Table, kind: PageKind) -> BatchChanges:
    """What the staged batch would change, or why its rows are rejected; only reads.

    Columns that the target lacks, and that a run would add, are NULL in it.
    """
    if kind == "reject":
        return _describe_rejects(cursor, table)
    parts = compose_parts(table, absent=find_addable(describe_in(cursor, table), table))
    by = _texts("source", table.report.by)
    cursor.execute(
        statement("dry_run/group_changes.sql", **parts, by=by, listed=_followed(by, table))
    )
    groups = tuple(
        Group(by=row[:-3], inserted=row[-3], updated=row[-2], unchanged=row[-1]) for row in cursor
    )
    return BatchChanges(groups=groups, largest=_largest_changes(cursor, table, parts))


def _describe_rejects(cursor: Cursor, table: Table) -> BatchChanges:
    values = sql.SQL(", ").join(shown(reject_value(name)) for name in table.report.by)
    cursor.execute(
        statement("dry_run/group_stage_rejects.sql", by=values, listed=_followed(values, table))
    )
    rows = cursor.fetchall()
    reasons: Counter[str] = Counter()
    for reason, *_, count in rows:
        reasons[reason] += count
    groups = tuple(Group(by=row[1:-1], rejected=row[-1]) for row in rows)
    return BatchChanges(groups=groups, reasons=dict(reasons), examples=_sample_rejects(cursor))


def _sample_rejects(cursor: Cursor) -> dict[str, tuple[Example, ...]]:
    values = {"examples": EXAMPLES, "row_bytes": EXAMPLE_BYTES}
    cursor.execute(statement("dry_run/sample_stage_rejects.sql"), values)
    examples: dict[str, tuple[Example, ...]] = {}
    for reason, source_file, text in cursor:
        row = {name: _shortened(value) for name, value in json.loads(text or "{}").items()}
        example = Example(source_file=source_file, row=row)
        examples[reason] = (*examples.get(reason, ()), example)
    return examples


def _shortened(value: object) -> str | None:
    return None if value is None else shorten(str(value), VALUE_CHARACTERS)


def _largest_changes(cursor: Cursor, table: Table, parts: Parts) -> tuple[Change, ...]:
    if table.report.watch is None:
        return ()
    watched = sql.Identifier(table.report.watch)
    keys = _texts("source", table.target.key)
    cursor.execute(
        statement("dry_run/largest_changes.sql", **parts, keys=keys, watched=watched),
        {"limit": LARGEST},
    )
    return tuple(Change(key=row[:-2], before=row[-2], after=row[-1]) for row in cursor)


def _followed(by: sql.Composable, table: Table) -> sql.Composable:
    """The report's columns, followed by others; a table file need not name any."""
    return sql.SQL("{},").format(by) if table.report.by else sql.SQL("")


def _texts(relation: str, names: tuple[str, ...]) -> sql.Composable:
    return sql.SQL(", ").join(
        shown(sql.SQL("{}::text").format(sql.Identifier(relation, name))) for name in names
    )
