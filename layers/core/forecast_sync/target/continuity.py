"""Whether the target is still as the last runs left it, or has lost rows since.

The watermark says that everything older is in the target. That was true of one table file and one
table in Postgres; when it no longer is, an incremental run reads the whole lake by itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.types.json import Json
from pydantic import Field

from forecast_sync.adapters.postgres import Cursor, statement
from forecast_sync.contracts.base import Payload
from forecast_sync.errors import InputsOutdated
from forecast_sync.tables import Table

COUNT_MILLISECONDS = 30_000


class RecordedTarget(Payload):
    """The target as Postgres knows it, in a run's row as JSON.

    ``columns`` are the numbers of the table file's columns: one that was dropped and added again
    has another. ``altered`` are the transactions that altered them last, empty in a row of an older
    version. ``files`` are the file nodes of the table or its partitions: TRUNCATE replaces
    them, but so does a rewrite that loses nothing. ``rows`` is how many rows it had at least, when
    the run decided its window; ``inserted`` of them were the run's own, from before it decided
    again.
    """

    oid: int
    columns: dict[str, int]
    altered: dict[str, str] = Field(default_factory=dict)
    files: tuple[int, ...]
    rows: int = 0
    inserted: int = 0


class LastSync(NamedTuple):
    """The run that moved the lake's watermark last.

    ``definition`` and ``target`` are None when an older version has filled the database; ``mixed``
    is whether a run with another definition, or of another lake, has written since; ``inserted`` is
    how many rows this run and later ones have inserted. Without ``generation`` it was of a version
    that had no file ledger.
    """

    run_id: str
    definition: str | None
    mixed: bool
    target: dict[str, Any] | None
    inserted: int
    generation: int | None = None


class OwnRecord(NamedTuple):
    """A run's own row: the target when its window was decided, None if an older version did that.

    ``inserted`` is how many rows it has inserted, ``reason`` why it reads the whole lake by itself.
    """

    run_id: str
    target: RecordedTarget | None
    inserted: int
    reason: str | None


def read_last_sync(
    cursor: Cursor, source: str, definition: str, scope: str | None = None
) -> LastSync | None:
    """The run that moved the watermark of the lake ``source`` last; None before the first success.

    ``scope`` is the table, in a stack that has several.
    """
    values = {"source": source, "definition": definition, "scope": scope}
    row = cursor.execute(statement("target/read_last_sync.sql"), values).fetchone()
    if row is None:
        return None
    run_id, recorded_definition, mixed, target, inserted, generation = row
    return LastSync(run_id, recorded_definition, mixed, target, int(inserted), generation)


def read_own_record(cursor: Cursor, run_id: str) -> OwnRecord | None:
    """What a run's own row says of the target; None before it has taken the lease."""
    row = cursor.execute(statement("target/read_own_record.sql"), {"run_id": run_id}).fetchone()
    if row is None:
        return None
    target, inserted, reason = row
    return OwnRecord(
        run_id, RecordedTarget.model_validate(target) if target else None, int(inserted), reason
    )


def judge_continuity(
    cursor: Cursor,
    table: Table,
    last: LastSync | None,
    definition: str,
    own: OwnRecord | None = None,
) -> tuple[RecordedTarget, str | None]:
    """The target as it is now, and why no run can build on the watermark; None when one can.

    A database that an older version filled adopts the present definition and target; from then on a
    run that decides again, with a row of its ``own``, compares the target with that. Rows are
    counted only when they may have become fewer: counting reads the whole table.
    """
    present = _describe(cursor, table)
    if own is not None:
        present = present.model_copy(update={"inserted": own.inserted})
    if last is None:
        return _counted(cursor, table, present), None
    reason = _find_change(last, definition)
    if last.target is None:
        if own is not None and reason is None:
            reason = own.reason or _find_own_loss(cursor, table, own, present)
        return _counted(cursor, table, present), reason
    recorded = RecordedTarget.model_validate(last.target)
    expected = recorded.rows + last.inserted - recorded.inserted
    present, loss = _compare(cursor, table, recorded, expected, present, last.run_id)
    return present, reason or loss


def refuse_lost_rows(cursor: Cursor, table: Table, run_id: str) -> None:
    """Raise ``InputsOutdated`` when the target lost rows while the run was loading it.

    The ledger doesn't show it. For a run that an older version began, there is nothing to compare.
    """
    own = read_own_record(cursor, run_id)
    loss = own and _find_own_loss(cursor, table, own, _describe(cursor, table))
    if loss:
        raise InputsOutdated(f"{loss} So the window is decided again.")


def _find_own_loss(
    cursor: Cursor, table: Table, own: OwnRecord, present: RecordedTarget
) -> str | None:
    if own.target is None:
        return None
    expected = own.target.rows + own.inserted - own.target.inserted
    return _compare(cursor, table, own.target, expected, present, own.run_id)[1]


def _compare(
    cursor: Cursor,
    table: Table,
    recorded: RecordedTarget,
    expected: int,
    present: RecordedTarget,
    run_id: str,
) -> tuple[RecordedTarget, str | None]:
    """The present target with its rows, and what has become of the one that a run recorded."""
    loss = _find_replacement(recorded, present, run_id, table)
    if not present.oid:
        return present, loss
    if recorded.oid == present.oid and set(recorded.files) <= set(present.files):
        return present.model_copy(update={"rows": expected}), loss
    loss = loss or _find_alteration(recorded, present, run_id, table)
    rows = _count(cursor, table, expected)
    if loss is None and rows < expected:
        loss = (
            f"Since run {run_id}, {table.target.table} was truncated or filled again: it has "
            f"{rows:,} rows, and had {expected:,}."
        )
    return present.model_copy(update={"rows": rows}), loss


def _find_change(last: LastSync, definition: str) -> str | None:
    if last.definition not in (None, definition):
        return (
            f"The table file has changed since run {last.run_id}: its definition was "
            f"{last.definition}, and is {definition} now."
        )
    if last.mixed:
        return (
            f"Since run {last.run_id}, a run of another table file or another lake has written "
            "to the target."
        )
    return None


def _find_replacement(
    recorded: RecordedTarget, present: RecordedTarget, run_id: str, table: Table
) -> str | None:
    if recorded.oid != present.oid:
        return (
            f"{table.target.table} is another table than the one that run {run_id} filled: "
            f"its oid was {recorded.oid}, and is {present.oid} now."
        )
    replaced = sorted(
        name for name, number in present.columns.items() if recorded.columns.get(name) != number
    )
    if replaced:
        return (
            f"Since run {run_id}, columns of {table.target.table} were added or replaced: "
            f"{', '.join(replaced)}."
        )
    return None


def _find_alteration(
    recorded: RecordedTarget, present: RecordedTarget, run_id: str, table: Table
) -> str | None:
    """In a rewritten target, a column that has its type again may have lost digits."""
    altered = sorted(
        name
        for name, transaction in recorded.altered.items()
        if present.altered.get(name) != transaction
    )
    if not altered:
        return None
    return (
        f"Since run {run_id}, {table.target.table} was rewritten and columns of it were altered: "
        f"{', '.join(altered)}."
    )


def _describe(cursor: Cursor, table: Table) -> RecordedTarget:
    values = {"target": table.target.table, "columns": list(table.names)}
    row = cursor.execute(statement("target/identify_target.sql"), values).fetchone()
    oid, columns, altered, files = row or (0, {}, {}, [])
    return RecordedTarget(
        oid=oid or 0, columns=columns or {}, altered=altered or {}, files=tuple(files or ())
    )


def _counted(cursor: Cursor, table: Table, target: RecordedTarget) -> RecordedTarget:
    return target.model_copy(update={"rows": _count(cursor, table, 1)})


def count_rows(cursor: Cursor, table: Table) -> int:
    """The target's rows; Postgres' own estimate when counting takes long."""
    values = {"target": table.target.table}
    row = cursor.execute(statement("target/estimate_rows.sql"), values).fetchone()
    return _count(cursor, table, int(row[0]) if row else 0)


def _count(cursor: Cursor, table: Table, otherwise: int) -> int:
    """The target's rows; ``otherwise`` when counting takes longer than a table that was emptied."""
    count = statement("target/count_rows.sql", target=sql.Identifier(table.target.table))
    set_timeout = "SELECT set_config('statement_timeout', %s, true)"
    before = cursor.execute("SHOW statement_timeout").fetchone()
    try:
        with cursor.connection.transaction():
            cursor.execute(set_timeout, [str(COUNT_MILLISECONDS)])
            row = cursor.execute(count).fetchone()
    except psycopg.errors.QueryCanceled:
        return otherwise
    # The savepoint's end has kept the limit.
    cursor.execute(set_timeout, before)
    return int(row[0]) if row else 0


def to_json(target: RecordedTarget) -> Json:
    """The target for its column in the status table."""
    return Json(target.model_dump(mode="json"))
