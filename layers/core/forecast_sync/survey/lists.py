"""The lists of objects that a run reads, and the table in Glue that consists of these objects.

A partition of the *survey table* holds text files, each line of which is the location of an object:
Athena then reads exactly these objects, whatever their number, names and age. A third list, for
the run itself, has each object's version.

If folders have the values of columns, these columns are partition keys too, and each combination of
values in a list is a partition: so Athena knows the values without looking at a path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from forecast_sync.adapters.glue import Catalog, Partition
from forecast_sync.adapters.s3 import Listed, Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.survey.folders import NULL, partition_values
from forecast_sync.tables import Table

RUN, PART = "run", "part"
"""The survey table's partition keys: which survey, and which of its lists."""

WINDOW, OTHER = "window", "other"
"""The values of ``part``: the objects to take in, and those that overlap their business dates."""

RESULT_DAYS = 15
"""After how many days the results bucket's life cycle deletes lists, like all results."""

FILE_OBJECTS = 50_000
"""How many objects a file of a list has at most, and all parts of a list in memory: about 5 MB."""

KEYS_DIGITS = 8


class PartitionKeys(NamedTuple):
    """The names of the survey table's partition keys."""

    run: str
    part: str


Folders = dict[tuple[str, ...], str]
"""Where the parts of a list are, by the values of the folder columns that their objects have."""


def survey_table(settings: Settings, table: Table) -> str:
    """The name of the survey table in Glue.

    Glue doesn't say that a table's partition keys may change, so other keys have another table.
    """
    name, partitions = f"{settings.forecast_table_name}_survey", table.source.partitions
    if not partitions:
        return name
    digest = hashlib.sha256(json.dumps([*partitions.items()]).encode()).hexdigest()
    return f"{name}_{digest[:KEYS_DIGITS]}"


def partition_keys(table: Table) -> PartitionKeys:
    """``run`` and ``part``; a name that a column of the lake has gets a ``_`` behind it."""
    return PartitionKeys(*(_free(name, table.source.columns) for name in (RUN, PART)))


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name


def register_lists(
    catalog: Catalog,
    settings: Settings,
    table: Table,
    survey_id: str,
    window: Folders,
    other: Folders,
) -> None:
    """Make two lists the partitions of a survey; may run twice."""
    declared, name = table.source.declared, survey_table(settings, table)
    columns = {column: declared[column] for column in table.source.stored}
    keys = dict.fromkeys(partition_keys(table), "string")
    keys |= {column: declared[column] for column in table.source.partitions}
    location = f"{settings.athena_output_location}survey/"
    catalog.keep_listed_table(settings.athena_db_name, name, columns, keys, location)
    partitions = [
        Partition((survey_id, part, *values), location)
        for part, folders in ((WINDOW, window), (OTHER, other))
        for values, location in folders.items()
    ]
    catalog.add_partitions(settings.athena_db_name, name, columns, partitions)


def forget_lists(catalog: Catalog, settings: Settings, table: Table, now: datetime) -> int:
    """Delete the partitions whose lists have expired with the other results; how many."""
    before, name = now - timedelta(days=RESULT_DAYS), survey_table(settings, table)
    return catalog.delete_partitions(settings.athena_db_name, name, before)


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

    def flush(self) -> None:
        """Write what is in memory."""
        if self._lines:
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


class PathsWriter:
    """Writes a list of objects, a part for each combination of their folders' values."""

    def __init__(self, storage: Storage, settings: Settings, table: Table, location: str) -> None:
        self._storage = storage
        self._bucket, self._prefix = split_location(settings.data_location)
        self._partitions = table.source.partitions
        self._location = location
        self._writers: dict[tuple[str, ...], ListWriter] = {}
        self._unwritten = 0
        self.folders: Folders = {}

    def add(self, key: str) -> None:
        """Append an object."""
        self._writer(partition_values(key, self._prefix, self._partitions)).add(
            f"s3://{self._bucket}/{key}"
        )
        self._unwritten += 1
        if self._unwritten == FILE_OBJECTS:
            for writer in self._writers.values():
                writer.flush()
            self._unwritten = 0

    def close(self) -> None:
        """Write what is left; an empty list is one empty file."""
        if not self._writers:
            self._writer((NULL,) * len(self._partitions))
        for writer in self._writers.values():
            writer.close()

    def _writer(self, values: tuple[str, ...]) -> ListWriter:
        if values not in self._writers:
            part = f"{len(self._writers):06}/" if values else ""
            self.folders[values] = f"{self._location}{part}"
            self._writers[values] = ListWriter(self._storage, self.folders[values])
        return self._writers[values]


class ListedFile(NamedTuple):
    """A row of the file ledger as the lists need it."""

    key: str
    etag: str
    modified: datetime
    size: int
    row_count: int


def write_paths(
    storage: Storage,
    settings: Settings,
    table: Table,
    location: str,
    part: str,
    keys: Iterable[str],
) -> Folders:
    """Write the list ``part`` under ``location``, of objects given by their keys."""
    writer = PathsWriter(storage, settings, table, f"{location}{part}/")
    for key in keys:
        writer.add(key)
    writer.close()
    return writer.folders


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
    folders: Folders


def write_list(
    storage: Storage,
    settings: Settings,
    table: Table,
    location: str,
    part: str,
    items: Iterable[ListedFile],
) -> Written:
    """Write the list ``part`` under ``location``, and next to it the versions of its objects."""
    paths = PathsWriter(storage, settings, table, f"{location}{part}/")
    versions = ListWriter(storage, _versions(location, part))
    objects = size = rows = 0
    for item in items:
        paths.add(item.key)
        versions.add(json.dumps(version_of(item)))
        objects, size, rows = objects + 1, size + item.size, rows + item.row_count
    paths.close()
    versions.close()
    return Written(objects, size, rows, versions.files, paths.folders)


def read_versions(storage: Storage, location: str, part: str, files: int) -> Iterator[Version]:
    """The version of each object of a list, in the list's order."""
    bucket, folder = split_location(_versions(location, part))
    for number in range(files):
        for line in storage.read(bucket, f"{folder}{number:05}").splitlines():
            yield Version(*json.loads(line))


def _versions(location: str, part: str) -> str:
    return f"{location}versions/{part}/"
