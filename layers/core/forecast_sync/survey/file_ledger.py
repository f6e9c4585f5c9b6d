"""The file ledger: a row for each object of the lake, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

from psycopg.types.json import Jsonb

from forecast_sync.adapters.postgres import Connection, Cursor, statement, transaction
from forecast_sync.adapters.s3 import Listed
from forecast_sync.config import Settings
from forecast_sync.contracts.survey import DateRange
from forecast_sync.survey.judge import READER
from forecast_sync.survey.lists import ListedFile

State = Literal["pending", "loaded", "quarantined", "archived", "gone"]

SLICE = 5_000
"""How many rows are read at once, so that memory doesn't grow with the lake."""


class KnownFile(NamedTuple):
    """A row of the file ledger, as a survey compares it with the lake.

    ``withdrawn_from`` and ``withdrawn_to`` are the business dates of its earlier versions that
    were in a run's window and that no run has processed since. ``was_read`` is whether this
    version was in a run's window.
    """

    key: str
    etag: str
    modified: datetime
    storage_class: str | None
    size: int
    row_count: int | None
    first_date: date | None
    last_date: date | None
    reader: int | None
    definition: str | None
    state: State
    reason: str | None
    withdrawn_from: date | None
    withdrawn_to: date | None
    survey_id: str | None
    run_id: str | None
    generation: int | None

    @property
    def was_read(self) -> bool:
        """Whether rows of this version may be in the target."""
        was_readable = self.state == "archived" and self.row_count is not None
        return self.state == "loaded" or self.survey_id is not None or was_readable

    def is_version(self, item: Listed) -> bool:
        """Whether a listed object is this version."""
        return (self.etag, self.modified, self.size) == (item.etag, item.modified, item.size)

    def withdrawing(self) -> dict[str, Any]:
        """The withdrawn dates once this version is no longer in the lake, or can't be read."""
        if not self.was_read or self.first_date is None or self.last_date is None:
            return {}
        return {
            "withdrawn_from": min(self.first_date, self.withdrawn_from or self.first_date),
            "withdrawn_to": max(self.last_date, self.withdrawn_to or self.last_date),
        }


class Totals(NamedTuple):
    """How many objects there are of each kind that decides about a run."""

    readable: int
    quarantined: int
    lost: int
    """Quarantined, though rows of them may be in the target, and nobody has accepted that."""


class Slice(NamedTuple):
    """Listed objects and at most ``SLICE`` rows: all up to the key ``end``, or all that follow."""

    end: str | None
    items: list[Listed]
    known: list[KnownFile]


class FileLedger:
    """The rows of one table and lake; each call is a transaction unless it gets a cursor."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._of = {"table_name": settings.table_file, "lake": settings.data_location}

    def cut_keys(self, after: str) -> list[str]:
        """The keys after ``after`` that cut the rows into ranges of ``SLICE`` each."""
        with transaction(self._connection) as cursor:
            values = {**self._of, "after": after, "rows": SLICE}
            cursor.execute(statement("survey/cut_keys.sql"), values)
            return [key for (key,) in cursor]

    def beside(self, items: Sequence[Listed], after: str, last: str | None) -> Iterator[Slice]:
        """Listed objects and the rows for them, up to the key ``last``, or None for the end.

        ``items`` are all objects of the lake with keys after ``after``, up to ``last``.
        """
        while True:
            with transaction(self._connection) as cursor:
                values = {**self._of, "after": after, "last": last, "limit": SLICE}
                cursor.execute(statement("survey/read_range.sql"), values)
                known = [KnownFile(*row) for row in cursor]
            is_cut = len(known) == SLICE
            end = known[-1].key if is_cut else last
            listed = [
                item for item in items if item.key > after and (end is None or item.key <= end)
            ]
            yield Slice(end, listed, known)
            if not is_cut or end is None:
                return
            after = end

    def save(self, cursor: Cursor, files: Sequence[KnownFile]) -> None:
        """Insert or replace rows."""
        rows = [{name: _plain(value) for name, value in file._asdict().items()} for file in files]
        cursor.execute(statement("survey/save_files.sql"), {**self._of, "files": Jsonb(rows)})

    def count(self) -> Totals:
        """The totals that decide about a run."""
        return Totals(*self._one("survey/count_files.sql"))

    def name_bad_files(self, *, only_lost: bool, limit: int) -> list[tuple[str, str]]:
        """Key and reason of the first quarantined objects, in the order of their keys."""
        values = {**self._of, "only_lost": only_lost, "limit": limit}
        with transaction(self._connection) as cursor:
            cursor.execute(statement("survey/name_bad_files.sql"), values)
            return [(key, reason) for key, reason in cursor]

    def window_dates(self, bounds: DateRange) -> list[DateRange]:
        """The business dates of the pending objects, and the withdrawn ones, merged."""
        return self._ranges("survey/window_dates.sql", bounds)

    def withdrawn_dates(self, bounds: DateRange) -> list[DateRange]:
        """The business dates of objects that are replaced, gone or accepted, merged."""
        return self._ranges("survey/withdrawn_dates.sql", bounds)

    def list_window(self, bounds: DateRange, *, is_full: bool) -> Iterator[ListedFile]:
        """The objects to take in, in the order of their keys: pending, or all that are readable."""
        states = ["pending", "loaded"] if is_full else ["pending"]
        return self._list(states, [bounds])

    def list_others(self, dates: Sequence[DateRange]) -> Iterator[ListedFile]:
        """The loaded objects that may have rows of these dates, in the order of their keys."""
        return self._list(["loaded"], dates)

    def mark_window(self, cursor: Cursor, survey_id: str) -> None:
        """Note in which survey's window the pending objects and the withdrawn dates are."""
        values = {**self._of, "survey_id": survey_id}
        cursor.execute(statement("survey/mark_window.sql"), values)

    def quarantine(self, cursor: Cursor, reasons: Mapping[str, str], definition: str) -> None:
        """Quarantine objects by key, each with its reason, as this release's reader judges them."""
        values = {
            **self._of,
            "keys": [*reasons],
            "reasons": [*reasons.values()],
            "reader": READER,
            "definition": definition,
        }
        cursor.execute(statement("survey/quarantine.sql"), values)

    def count_rows(self, keys: Sequence[str]) -> int:
        """How many rows objects have, as their footers say."""
        with transaction(self._connection) as cursor:
            values = {**self._of, "keys": [*keys]}
            row = cursor.execute(statement("survey/count_rows.sql"), values).fetchone()
        return int(row[0]) if row else 0

    def find_control(self, read: Iterable[str], suspects: Iterable[str]) -> str | None:
        """The key of the smallest object with rows that was just read, or else loaded, if any is.

        None of the ``suspects`` is returned.
        """
        with transaction(self._connection) as cursor:
            values = {**self._of, "read_keys": [*read], "except_keys": [*suspects]}
            row = cursor.execute(statement("survey/find_control.sql"), values).fetchone()
        return row[0] if row else None

    def _list(self, states: Sequence[str], dates: Sequence[DateRange]) -> Iterator[ListedFile]:
        values = {**self._of, "states": [*states], **_bounds(dates), "limit": SLICE}
        after = ""
        while True:
            with transaction(self._connection) as cursor:
                cursor.execute(statement("survey/list_files.sql"), {**values, "after": after})
                files = [ListedFile(*row) for row in cursor]
            yield from files
            if len(files) < SLICE:
                return
            after = files[-1].key

    def _ranges(self, name: str, bounds: DateRange) -> list[DateRange]:
        values = {**self._of, "first": bounds.first, "last": bounds.last}
        with transaction(self._connection) as cursor:
            cursor.execute(statement(name), values)
            return [DateRange(first=first, last=last) for first, last in cursor]

    def _one(self, name: str) -> tuple[Any, ...]:
        with transaction(self._connection) as cursor:
            return cursor.execute(statement(name), self._of).fetchone() or ()


def _bounds(dates: Iterable[DateRange]) -> dict[str, list[date]]:
    ranges = list(dates)
    return {"firsts": [item.first for item in ranges], "lasts": [item.last for item in ranges]}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value
