"""The lists of objects that a run reads, and the table in Glue that consists of these objects.

A partition of the *survey table* holds text files, each line of which is the location of an object:
Athena then reads exactly these objects, whatever their number, names and age. A third list, for
the run itself, has each object's version.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from forecast_sync.adapters.glue import Catalog, Partition
from forecast_sync.adapters.s3 import Listed, Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.tables import Table

RUN, PART = "run", "part"
"""The survey table's partition keys: which survey, and which of its lists."""

WINDOW, OTHER = "window", "other"
"""The values of ``part``: the objects to take in, and those that overlap their business dates."""

RESULT_DAYS = 15
"""The results bucket's life cycle deletes lists, as all results, after so many days."""

FILE_OBJECTS = 50_000
"""How many objects a file of a list has: about 5 MB."""


class PartitionKeys(NamedTuple):
    """The names of the survey table's partition keys."""

    run: str
    part: str


def survey_table(settings: Settings) -> str:
    """The name of the survey table in Glue."""
    return f"{settings.forecast_table_name}_survey"


def partition_keys(table: Table) -> PartitionKeys:
    """``run`` and ``part``; a name that a column of the lake has gets a ``_`` behind it."""
    return PartitionKeys(*(_free(name, table.source.columns) for name in (RUN, PART)))


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name


def register_lists(
    catalog: Catalog, settings: Settings, table: Table, survey_id: str, location: str
) -> None:
    """Make the lists under ``location`` the partitions of a survey; may run twice."""
    columns, name = table.source.declared, survey_table(settings)
    catalog.keep_listed_table(
        settings.athena_db_name,
        name,
        columns,
        partition_keys(table),
        f"{settings.athena_output_location}survey/",
    )
    partitions = [Partition((survey_id, part), f"{location}{part}/") for part in (WINDOW, OTHER)]
    catalog.add_partitions(settings.athena_db_name, name, columns, partitions)


def forget_lists(catalog: Catalog, settings: Settings, now: datetime) -> int:
    """Delete the partitions whose lists have expired with the other results; how many."""
    before = now - timedelta(days=RESULT_DAYS)
    return catalog.delete_partitions(settings.athena_db_name, survey_table(settings), before)


class ListWriter:
    """Writes a list, a file at a time, so that memory doesn't grow with it."""

    def __init__(self, storage: Storage, location: str) -> None:
        self._storage = storage
        self._location = location
        self._lines: list[str] = []
        self.files = 0

    def add(self, line: str) -> None:
        """Append a line."""
        self._lines.append(line)
        if len(self._lines) == FILE_OBJECTS:
            self._write()

    def close(self) -> None:
        """Write what is left; an empty list is one empty file."""
        if self._lines or not self.files:
            self._write()

    def _write(self) -> None:
        bucket, folder = split_location(self._location)
        content = "".join(f"{line}\n" for line in self._lines)
        self._storage.write(bucket, f"{folder}{self.files:05}", content.encode())
        self._lines.clear()
        self.files += 1


class ListedFile(NamedTuple):
    """A row of the file ledger as the lists need it."""

    key: str
    etag: str
    modified: datetime
    size: int
    row_count: int


def write_paths(storage: Storage, location: str, part: str, paths: Iterable[str]) -> None:
    """Write the list ``part`` under ``location``, of objects given by their ``s3://`` locations."""
    writer = ListWriter(storage, f"{location}{part}/")
    for path in paths:
        writer.add(path)
    writer.close()


class Version(NamedTuple):
    """A listed object's version: ``modified`` is in ISO 8601."""

    key: str
    size: int
    modified: str
    etag: str


def version_of(item: Listed | ListedFile) -> Version:
    """The version of an object."""
    return Version(item.key, item.size, item.modified.astimezone(UTC).isoformat(), item.etag)


class Written(NamedTuple):
    """What a list has: its objects, their bytes and rows, and how many files the list takes."""

    objects: int
    size: int
    rows: int
    files: int


def write_list(
    storage: Storage, settings: Settings, location: str, part: str, items: Iterable[ListedFile]
) -> Written:
    """Write the list ``part`` under ``location``, and next to it the versions of its objects."""
    bucket, _ = split_location(settings.data_location)
    paths = ListWriter(storage, f"{location}{part}/")
    versions = ListWriter(storage, _versions(location, part))
    objects = size = rows = 0
    for item in items:
        paths.add(f"s3://{bucket}/{item.key}")
        versions.add(json.dumps(version_of(item)))
        objects, size, rows = objects + 1, size + item.size, rows + item.row_count
    paths.close()
    versions.close()
    return Written(objects, size, rows, versions.files)


def read_versions(storage: Storage, location: str, part: str, files: int) -> Iterator[Version]:
    """The version of each object of a list, in the list's order."""
    bucket, folder = split_location(_versions(location, part))
    for number in range(files):
        for line in storage.read(bucket, f"{folder}{number:05}").splitlines():
            yield Version(*json.loads(line))


def _versions(location: str, part: str) -> str:
    return f"{location}versions/{part}/"
