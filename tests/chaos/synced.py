"""The tables that rounds of faults sync, and what a lake of given files must leave in each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from tests.builders import FORECAST_FILE, exchange
from tests.lake import KEY, VALUES, newest_values, reference
from tests.lake import Table as Rows
from tests.workflow import leaving
from tests.workflow.project import Project, exchange_values, exchanged
from tests.workflow.several import rename_target

Files = Mapping[str, tuple[datetime, bytes]]
Values = tuple[Any, ...]
Newest = Mapping[Values, set[Values | None]]
"""By key, what the target may hold; None is no row."""


@dataclass(frozen=True)
class Synced:
    """A table; ``name`` is what a stack with several tables calls it."""

    name: str | None = None
    target: str = "forecast_data"
    file: str = FORECAST_FILE
    has_tombstones: bool = False
    is_mirror: bool = False

    @property
    def exchanged(self) -> str:
        """Its table file, but two columns of the target have each other's source."""
        return exchange(self.file, "y_05", "y_95")

    @property
    def input(self) -> dict[str, str]:
        """What an execution's input says of the table."""
        return {"table": self.name} if self.name else {}

    def expected(self, files: Files) -> Rows:
        """The rows of all keys that these files have."""
        if self.has_tombstones:
            return leaving.expected(files)
        return reference(files)

    def newest(self, files: Files) -> Newest:
        """What the rows whose own time no other row's is later than make of each key."""
        if self.has_tombstones:
            return leaving.newest_values(files)
        return {key: {*values} for key, values in newest_values(files).items()}


def make_synced(
    name: str | None = None, *, tombstones: bool = False, mirror: bool = False
) -> Synced:
    """A table from which all rows may leave at once."""
    file = leaving.table_file(tombstones=tombstones, mirror=mirror, percent=100)
    target = "forecast_data"
    if name:
        target, file = f"t_{name}", rename_target(file, name, "forecast/")
    return Synced(name, target, file, tombstones, mirror)


KEPT = Synced()
TOMBSTONES = make_synced(tombstones=True)
MIRROR = make_synced(mirror=True)
ONE_FOLDER = (
    make_synced("kept"),
    make_synced("marked", tombstones=True),
    make_synced("mirrored", tombstones=True, mirror=True),
)
"""Tables of one stack, each of which reads all objects."""


@dataclass
class Scene(Project):
    """A stack whose tables are ``synced``; faults are about the ``main`` one."""

    synced: Sequence[Synced] = (KEPT,)
    main: Synced = KEPT

    @property
    def has_deletions(self) -> bool:
        """Whether rows may leave a target."""
        return any(table.has_tombstones or table.is_mirror for table in self.synced)

    def begin(self, *synced: Synced) -> None:
        """An empty lake and database, and these tables, whose files a copied project gets."""
        self.reset()
        self.synced, self.main = synced, synced[0]
        if self.main.name is None and self.table_file not in (self.main.file, self.main.exchanged):
            leaving.declare(self)
            self.deploy(self.main.file)

    def deployed_file(self, table: Synced) -> str:
        """The table file that the functions have now."""
        return table.file if table.name else self.table_file

    def rows_of(self, table: Synced) -> Rows:
        """A target's rows; none while there is no such table."""
        columns = ", ".join((*KEY, *VALUES))
        try:
            rows = self.query(f"SELECT {columns} FROM {table.target}")
        except psycopg.errors.UndefinedTable:
            return {}
        return {row[: len(KEY)]: row[len(KEY) :] for row in rows}

    def expected(self, table: Synced) -> Rows:
        """What a table must hold of all keys that the lake has."""
        rows = table.expected(self.files)
        return exchanged(rows) if self.deployed_file(table) == table.exchanged else rows


def spell(values: set[Values | None], *, plain: bool, exchanged: bool) -> set[Values | None]:
    """Values as one of two table files, or each of them, has them."""
    spelled = {*values} if plain else values & {None}
    if exchanged:
        spelled |= {None if one is None else exchange_values(one) for one in values}
    return spelled


def differing(
    scene: Scene, table: Synced, before: Rows, states: Sequence[Files], *, is_damaged: bool
) -> Iterator[tuple[Values, tuple[Any, Any]]]:
    """Keys for which a settled table isn't as it must be: what must stand there, and what does.

    ``before`` was its content when the round began, and ``states`` are the lakes since. Rows of
    keys that no file has any more stay as they are in a table that isn't a mirror; if somebody has
    damaged it, no file repairs them.
    """
    expected, actual = scene.expected(table), scene.rows_of(table)
    present = table.newest(scene.files)
    past = [table.newest(files) for files in states]
    for key in expected.keys() | actual.keys() | before.keys():
        found = actual.get(key)
        if key in expected or key in present or table.is_mirror:
            if found != expected.get(key):
                yield key, (expected.get(key), found)
            continue
        known = set[Values | None]().union(*(newest.get(key, set()) for newest in past))
        allowed = {before.get(key), *spell(known, plain=True, exchanged=True)}
        if found not in allowed and not is_damaged:
            yield key, (allowed, found)
