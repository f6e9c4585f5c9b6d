"""Delete rows: finds what should leave the target, decides whether it may, and deletes it.

Each step and each batch is one transaction behind the fence, and the run's row says how far they
have come: a retried call, and a redriven one, repeats nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from psycopg import sql

from forecast_sync.adapters.postgres import Connection, Cursor, copy_in, statement, transaction
from forecast_sync.adapters.s3 import Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.counts import Sums
from forecast_sync.contracts.deletions import (
    DeletionProgress,
    Deletions,
    DeletionsRequest,
    DeletionStep,
)
from forecast_sync.contracts.page import Page
from forecast_sync.contracts.redrive import raise_if_stale, refuse_other_definitions
from forecast_sync.contracts.run import Run, Window
from forecast_sync.contracts.survey import DateRange
from forecast_sync.delete import progress
from forecast_sync.delete.guard import Allowance, allow, find_reason
from forecast_sync.delete.relist import Relisting, list_again
from forecast_sync.errors import (
    BatchConflict,
    BatchRefused,
    ResultInvalid,
    VerificationFailed,
)
from forecast_sync.lease import lease
from forecast_sync.load.fence import compose_opening, find_committed
from forecast_sync.load.page_reader import PageReader, sum_hashes
from forecast_sync.survey.proof import require_survey
from forecast_sync.tables import Column, Table, definition_of
from forecast_sync.target.continuity import count_rows
from forecast_sync.target.differences import find_addable
from forecast_sync.target.expressions import Parts, compose_parts, copy_field, type_sql
from forecast_sync.target.schema import refuse_differences
from forecast_sync.text.sentences import end_sentence

RESERVE_MILLISECONDS = 60_000
RESERVE_BATCHES = 3

EXAMPLES = 20
"""This many rows are listed even if they are too many, so that people see some."""

PAGE = -1
"""The number under which the ledger has batches of deletions, which are in no page."""


def delete_rows(
    connection: Connection,
    storage: Storage,
    table: Table,
    settings: Settings,
    request: DeletionsRequest,
    remaining_milliseconds: Callable[[], int],
) -> DeletionProgress:
    """Continue a run's deletions until they are done or the time ends.

    A dry run finds what would be deleted, and deletes nothing. It raises what ``lease.join`` does,

    - ``BatchRefused`` when the target refuses a deletion, with the constraint's name;
    - ``BatchConflict`` when a trigger keeps a row;
    - ``ResultInvalid`` for results that can't be read, or aren't what the profile counted, and
      ``InputsOutdated`` instead when they predate the present redrive.
    """
    definition = definition_of(table)
    refuse_other_definitions(definition, request.window.definition, request.plan.definition)
    lease_count = lease.join(connection, request.run, request.redrive_count)
    deleting = _Deleting(connection, storage, table, settings, request, lease_count)
    try:
        return DeletionProgress(done=deleting.go_on(remaining_milliseconds))
    except ResultInvalid as error:
        made_at = request.queries.extract.redrive_count
        raise_if_stale(error, made_at=made_at, redrive_count=request.redrive_count)
        raise


def covered_dates(run: Run, window: Window) -> list[DateRange]:
    """The business dates of which the run has read every row of the lake, and looks at every key.

    For an incremental run, these are the dates in which objects were removed or replaced, or
    deletions wait; a range that closes a gap between two of them wasn't necessarily read.
    """
    bounds = DateRange(first=run.date_from or date.min, last=run.date_to or date.max)
    survey = require_survey(run, window)
    if window.low is None:
        return [bounds]
    reads = [bounds] if survey.reads is None else list(survey.reads)
    return [
        DateRange(first=first, last=last)
        for touched in survey.touched
        for read in reads
        if (first := max(touched.first, read.first, bounds.first))
        <= (last := min(touched.last, read.last, bounds.last))
    ]


class _Deleting:
    """The deletions of one call."""

    def __init__(
        self,
        connection: Connection,
        storage: Storage,
        table: Table,
        settings: Settings,
        request: DeletionsRequest,
        lease_count: int | None,
    ) -> None:
        self._connection = connection
        self._storage = storage
        self._table = table
        self._settings = settings
        self._request = request
        self._run = request.run
        self._query = request.queries.extract.query_execution_id
        self._survey = require_survey(request.run, request.window)
        self._steps = self._read_steps()
        self._opening = compose_opening(connection, request.run, self._query, PAGE, lease_count)
        is_dry = request.run.dry_run
        target = refuse_differences(connection, table, may_lack=is_dry)
        self._parts = _compose(table, find_addable(target, table) if is_dry else ())
        self._of = {
            "table_name": settings.table_file,
            "lake": settings.data_location,
            "query_execution_id": self._query,
        }

    def go_on(self, remaining_milliseconds: Callable[[], int]) -> bool:
        """Find, decide and delete; False when the time has ended before that was done."""
        is_first = True
        while (deletions := self._read()).steps < len(self._steps) and not deletions.decided:
            # One step is always done: a call that got nowhere would be repeated forever.
            if not is_first and remaining_milliseconds() < RESERVE_MILLISECONDS:
                return False
            is_first = False
            self._find(deletions.steps)
        if deletions.done:
            return True
        if not is_first and remaining_milliseconds() < RESERVE_MILLISECONDS:
            return False
        if deletions.found == 0:
            self._finish_without(deletions)
            return True
        relisting = list_again(self._connection, self._storage, self._table, self._settings)
        decided = self._decide(relisting)
        if decided.done:
            return True
        return self._delete_all(relisting, remaining_milliseconds)

    def _finish_without(self, deletions: Deletions) -> None:
        self._refuse_other_lines(deletions)
        with self._transaction() as (cursor, _):
            self._save(cursor, self._progress(cursor), decided=True, done=True)

    def _decide(self, relisting: Relisting) -> Deletions:
        """Decide once whether the deletions may go; and note, each time, which dates wait."""
        self._refuse_other_lines(self._read())
        with self._transaction() as (cursor, _):
            deletions = self._progress(cursor)
            if not deletions.decided:
                reason = find_reason(
                    cursor, self._table, self._settings, self._run, deletions, relisting
                )
                if reason:
                    self._count_waiting(cursor, [], is_all=True)
                    return self._save(
                        cursor,
                        deletions,
                        decided=True,
                        deferred=deletions.found,
                        reason=reason,
                        done=True,
                    )
            postponed = self._count_waiting(cursor, relisting.changed)
            return self._save(
                cursor,
                deletions,
                decided=True,
                planned=deletions.found - postponed,
                postponed=postponed,
                done=self._run.dry_run,
            )

    def _delete_all(self, relisting: Relisting, remaining_milliseconds: Callable[[], int]) -> bool:
        slowest = 0
        while True:
            before = remaining_milliseconds()
            if slowest and before < RESERVE_MILLISECONDS + RESERVE_BATCHES * slowest:
                return False
            if self._delete_batch(relisting):
                return True
            slowest = max(slowest, before - remaining_milliseconds(), 1)

    def _delete_batch(self, relisting: Relisting) -> bool:
        """Delete the next batch; True when there is none left."""
        try:
            with self._transaction() as (cursor, committed):
                deletions = self._progress(cursor)
                if committed >= deletions.listed:
                    self._refuse_other_count(cursor, deletions)
                    self._save(cursor, deletions, done=True)
                    return True
                last = min(committed + self._run.batch_size, deletions.listed)
                deleted = self._delete_picked(cursor, relisting, committed, last)
                left = deletions.left + last - committed - deleted
                self._save(cursor, deletions, left=left)
                self._record(cursor, committed + 1, last, deleted)
                return False
        except BatchRefused as error:
            raise BatchRefused(
                f"{end_sentence(str(error))} Nothing of this batch was deleted from "
                f"{self._table.target.table}: let the constraint allow it (ON DELETE CASCADE), or "
                "remove what refers to the rows, then redrive."
            ) from None

    def _delete_picked(self, cursor: Cursor, relisting: Relisting, after: int, last: int) -> int:
        """How many rows of a part of the list were deleted; raises unless they all are gone."""
        parts = {
            **self._parts,
            "query_execution_id": sql.Literal(self._query),
            "after": sql.Literal(after),
            "last": sql.Literal(last),
            "changed": sql.Literal(_multirange(relisting.changed)),
        }
        decided_at = {"decided_at": progress.read_decided_at(cursor, self._run.run_id)}
        cursor.execute(statement("delete/pick_rows.sql", **parts))
        lock = statement("delete/lock_rows.sql", **parts)
        wanted = _count(cursor.execute(lock, decided_at))
        cursor.execute(statement("delete/delete_rows.sql", **parts), decided_at)
        deleted = cursor.rowcount
        remaining = _count(cursor.execute(lock, decided_at))
        if deleted != wanted or remaining:
            raise BatchConflict(
                f"Of {wanted:,} rows to delete {deleted:,} were deleted, and {remaining:,} are "
                f"still in {self._table.target.table}: a trigger got in the way."
            )
        return deleted

    def _refuse_other_count(self, cursor: Cursor, deletions: Deletions) -> None:
        """Raise ``VerificationFailed`` unless the ledger's deletions are the planned ones."""
        row = cursor.execute(statement("verify/sum_ledger.sql"), self._of).fetchone()
        deleted, planned = int(row[-1]) if row else 0, deletions.listed - deletions.left
        if deleted != planned:
            raise VerificationFailed(
                f"The ledger has {deleted:,} deletions, and {planned:,} were planned: "
                f"{deletions.listed:,} rows to delete, of which {deletions.left:,} were left. "
                "Start a full run."
            )

    def _record(self, cursor: Cursor, first: int, last: int, deleted: int) -> None:
        counts = dict.fromkeys(("inserted", "updated", "unchanged", "rejected", "checksum"), 0)
        cursor.execute(
            statement("load/record_batch.sql"),
            {
                **counts,
                "deleted": deleted,
                "query_execution_id": self._query,
                "page": PAGE,
                "first_row": first,
                "last_row": last,
                "run_id": self._run.run_id,
                "definition": self._request.plan.definition,
            },
        )

    def _find(self, number: int) -> None:
        """Compare a step's files with the target, and list the rows that should leave."""
        allowance = self._allow() if number == 0 else None
        with self._transaction() as (cursor, _):
            deletions = self._progress(cursor, allowance)
            if deletions.steps != number or deletions.decided:
                return
            step = self._steps[number]
            cursor.execute(statement("load/create_stage.sql", **self._parts))
            good, _ = self._stage(cursor, step.bucket, step.rows, "load/copy_stage.sql")
            keys, checksum = self._stage(cursor, step.bucket, step.keys, "delete/copy_keys.sql")
            self._stage(cursor, step.bucket, step.tombstones, "delete/copy_keys.sql")
            cursor.execute(statement("delete/analyze_stage.sql"))
            found, listed = self._list_found(cursor, step, number, deletions)
            is_missing = step.kind == "missing"
            self._save(
                cursor,
                deletions,
                steps=number + 1,
                found=deletions.found + found,
                listed=deletions.listed + listed,
                missing=deletions.missing + (found if is_missing else 0),
                good=deletions.good + good,
                keys=deletions.keys + keys,
                checksum=deletions.checksum + checksum,
            )

    def _list_found(
        self, cursor: Cursor, step: DeletionStep, number: int, deletions: Deletions
    ) -> tuple[int, int]:
        values = {
            **self._of,
            "survey_id": self._survey.survey_id,
            "run_id": self._run.run_id,
            "step": number,
            "kind": step.kind,
            "listed": deletions.listed,
            "room": max(0, max(deletions.allowed, EXAMPLES) - deletions.listed),
        }
        if step.kind == "tombstone":
            cursor.execute(statement("delete/find_tombstones.sql", **self._parts), values)
        else:
            scope = covered_dates(self._run, self._request.window)
            values |= {
                "scope": _multirange(scope),
                "first": min((item.first for item in scope), default=date.max),
                "last": max((item.last for item in scope), default=date.min),
                "decided_at": progress.read_decided_at(cursor, self._run.run_id),
                "parts": step.parts and list(step.parts),
                "part_count": step.part_count,
            }
            cursor.execute(statement("delete/find_missing.sql", **self._parts), values)
        found, listed = cursor.fetchone() or (0, 0)
        return int(found), int(listed)

    def _stage(
        self, cursor: Cursor, bucket: str, files: Sequence[str], copy: str
    ) -> tuple[int, int]:
        """Copy the lines of result files into the stage: how many, and the sum of keys' hashes."""
        page = Page(
            query_execution_id=self._query,
            number=PAGE,
            kind="row",
            bucket=bucket,
            keys=tuple(files),
        )
        reader = PageReader(self._storage.stream, page)
        sums = _Sums(is_counted=copy != "load/copy_stage.sql")
        command = statement(copy, **self._parts).as_bytes(cursor)
        copied = copy_in(cursor, command, sums.over(reader.blocks()))
        if copied != reader.position:
            raise ResultInvalid(f"COPY took {copied} rows of {reader.position} lines.")
        return copied, sums.checksum

    def _refuse_other_lines(self, deletions: Deletions) -> None:
        """Raise ``ResultInvalid`` unless the files had what the profile counted."""
        profile = self._request.plan.profile
        has_missing = any(step.kind == "missing" for step in self._steps)
        good, kept = (profile.good, profile.kept) if has_missing else (0, 0)
        expected = Sums(profile.tombstones + kept, profile.key_checksum)
        found = Sums(deletions.keys, deletions.checksum)
        if profile.kept != kept:
            # The sum is over all keys, and those that are kept weren't needed.
            expected, found = expected._replace(checksum=0), found._replace(checksum=0)
        if deletions.decided or (deletions.good, found) == (good, expected):
            return
        raise ResultInvalid(
            f"The results of query {self._query} have {deletions.good:,} rows, and of keys {found};"
            f" the profile has {good:,} rows, and of keys {expected}. Nothing was deleted; redrive "
            "to query again."
        )

    def _read_steps(self) -> list[DeletionStep]:
        plan = self._request.plan
        if plan.deletions_key is None:
            return []
        content = self._storage.read(plan.pages_bucket, plan.deletions_key)
        return [DeletionStep.model_validate(step) for step in json.loads(content)]

    def _allow(self) -> Allowance:
        with transaction(self._connection) as cursor:
            values = {**self._of, "run_id": self._run.run_id}
            recorded = _count(cursor.execute(statement("delete/count_recorded.sql"), values))
            return allow(self._table, self._run, count_rows(cursor, self._table), recorded)

    def _count_waiting(
        self, cursor: Cursor, changed: Sequence[DateRange], *, is_all: bool = False
    ) -> int:
        values = {
            **self._of,
            "dry_run": self._run.dry_run,
            "all": is_all,
            "missing_steps": [
                number for number, step in enumerate(self._steps) if step.kind == "missing"
            ],
            "changed": _multirange(changed),
        }
        return _count(cursor.execute(statement("delete/count_waiting.sql"), values))

    @contextmanager
    def _transaction(self) -> Iterator[tuple[Cursor, int]]:
        """A transaction behind the fence, and how many rows of the list have been processed."""
        with transaction(self._connection, self._opening) as cursor:
            committed = find_committed(cursor, self._run, self._request.plan.definition)
            if committed is None:
                raise lease.lost(self._run, "it deleted rows")
            yield cursor, committed

    def _read(self) -> Deletions:
        with transaction(self._connection) as cursor:
            return self._progress(cursor)

    def _progress(self, cursor: Cursor, allowance: Allowance | None = None) -> Deletions:
        """How far the deletions of this query have come, or where they begin."""
        return progress.read_deletions(cursor, self._run.run_id, self._query) or Deletions(
            query_execution_id=self._query,
            survey_id=self._survey.survey_id,
            **(allowance._asdict() if allowance else {}),
        )

    def _save(self, cursor: Cursor, deletions: Deletions, **changes: object) -> Deletions:
        changed = deletions.model_copy(update=changes)
        progress.save_deletions(cursor, self._run.run_id, changed)
        return changed


def _compose(table: Table, absent: Sequence[Column]) -> Parts:
    """The values of the statements' placeholders; ``absent`` are columns that a dry run lacks."""
    key, columns = table.target.key, {column.name: column for column in table.column}
    pairs = [item for name in key for item in (sql.Literal(name), sql.Identifier("target", name))]
    return {
        **compose_parts(table, checksum=False, absent=absent),
        "row_key": sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs)),
        "date": sql.Identifier(table.source.date),
        "first_field": copy_field(columns[key[0]]),
        "is_old": sql.SQL("target.{0} IS NULL OR target.{0} <= {1}").format(
            sql.Identifier(table.target.written_at), sql.Placeholder("decided_at")
        ),
        "keys": sql.SQL(", ").join(sql.Identifier("record", name) for name in key),
        "typed_key": sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), type_sql(columns[name])) for name in key
        ),
        "target_key": sql.SQL(", ").join(sql.Identifier("target", name) for name in key),
    }


def _multirange(ranges: Sequence[DateRange]) -> str:
    """Ranges of dates as Postgres reads them."""
    return "{" + ",".join(f"[{item.first},{item.last}]" for item in ranges) + "}"


def _count(cursor: Cursor) -> int:
    return int((cursor.fetchone() or (0,))[0])


class _Sums:
    """Sums the hashes of lines that pass, as the profile does."""

    def __init__(self, *, is_counted: bool) -> None:
        self._is_counted = is_counted
        self.checksum = 0

    def over(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            if self._is_counted:
                self.checksum += sum_hashes(block)
            yield block
