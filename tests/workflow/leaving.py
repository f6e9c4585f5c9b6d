"""A deployment whose rows may leave the target, and what such a lake must leave there."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from forecast_sync.tables import parse_table
from forecast_sync_cli.glue_tables import glue_input

from tests.builders import FORECAST_FILE
from tests.lake import KEY, MORNING, SCHEMA, VALUES, Row, Table, _line, _values, make_row
from tests.workflow.deployed import PREFIX
from tests.workflow.project import Project

WITH_DELETED = SCHEMA.append(pa.field("is_deleted", pa.bool_()))


def table_file(
    *, tombstones: bool = False, mirror: bool = False, percent: float | None = None
) -> str:
    """The forecast's table file, with rows that may leave."""
    text = FORECAST_FILE
    if tombstones:
        text = text.replace(
            'newest = "updated_at"', 'newest = "updated_at"\ndeleted = "is_deleted"'
        )
        column = 'is_deleted = {type = "boolean", optional = true}'
        text = text.replace("[source.columns]\n", f"[source.columns]\n{column}\n")
    options = 'missing = "delete"\n' if mirror else ""
    options += "" if percent is None else f"max_delete_percent = {percent}\n"
    return text.replace('written_at = "updated_at"\n', f'written_at = "updated_at"\n{options}', 1)


Files = Mapping[str, tuple[datetime, bytes]]

BOTH = table_file(tombstones=True, mirror=True)


def declare(project: Project) -> None:
    """Let Glue know the column that says what is deleted."""
    table = parse_table(BOTH, "both.toml")
    wanted = glue_input(table, "forecast", f"s3://{project.cloud.bucket}/{PREFIX}")
    project.client("glue").update_table(DatabaseName="forecast_dev", TableInput=wanted)


def tombstone(number: int, **changes: Any) -> Row:
    """A row that deletes a key; of all others only the key has a value."""
    row = make_row(number)
    emptied = {name: None for name in row if name not in (*KEY, "updated_at")}
    return {**row, **emptied, "is_deleted": True, **changes}


def to_parquet(rows: Sequence[Row]) -> bytes:
    """A file of rows and tombstones."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=WITH_DELETED), buffer)
    return buffer.getvalue()


def keys_of(files: Files) -> set[tuple[Any, ...]]:
    """The keys of all rows, rejects and tombstones among them."""
    return {
        tuple(row[name] for name in KEY)
        for _, content in files.values()
        for row in pq.read_table(io.BytesIO(content)).to_pylist()
    }


class _Newest(NamedTuple):
    """The newest valid row of a key; a tombstone has no values."""

    rank: tuple[Any, ...]
    values: tuple[Any, ...] | None


def expected(files: Files, *, tombstones: bool = True) -> Table:
    """What one full run must leave of these files in an empty target."""
    return {
        key: newest.values
        for key, newest in _find_newest(files, tombstones=tombstones).items()
        if newest.values is not None
    }


def deleted_keys(files: Files) -> set[tuple[Any, ...]]:
    """The keys whose newest row is a tombstone."""
    newest = _find_newest(files, tombstones=True)
    return {key for key, item in newest.items() if item.values is None}


def newest_values(files: Files) -> dict[tuple[Any, ...], set[tuple[Any, ...] | None]]:
    """By key, the values of the rows whose own time no other row's is later than.

    None stands for a tombstone. Objects that are rewritten change which of them the newest is, but
    not which ones it may be.
    """
    newest: dict[tuple[Any, ...], tuple[tuple[bool, datetime], set[tuple[Any, ...] | None]]] = {}
    for _, content in files.values():
        for row in _read(content, tombstones=True):
            if row.key not in newest or row.updated > newest[row.key][0]:
                newest[row.key] = (row.updated, set())
            if row.updated == newest[row.key][0]:
                newest[row.key][1].add(row.values)
    return {key: values for key, (_, values) in newest.items()}


class _Known(NamedTuple):
    """A valid row or a tombstone; ``updated`` sorts rows without a time first."""

    key: tuple[Any, ...]
    updated: tuple[bool, datetime]
    values: tuple[Any, ...] | None
    line: bytes


@lru_cache(maxsize=100)
def _read(content: bytes, *, tombstones: bool) -> list[_Known]:
    """The rows of a file that count; a tombstone has no values, but its line has."""
    rows = []
    for row in pq.read_table(io.BytesIO(content)).to_pylist():
        key, values, updated = tuple(row[name] for name in KEY), _values(row), row["updated_at"]
        deletes = tombstones and bool(row.get("is_deleted")) and None not in key
        if values is None and not deletes:
            continue
        line = _line((*key, *(values or (None,) * len(VALUES))))
        time = (updated is not None, updated or MORNING)
        rows.append(_Known(key, time, None if deletes else values, line))
    return rows


def _find_newest(files: Files, *, tombstones: bool) -> dict[tuple[Any, ...], _Newest]:
    newest: dict[tuple[Any, ...], _Newest] = {}
    for path, (modified, content) in files.items():
        for row in _read(content, tombstones=tombstones):
            rank = (*row.updated, modified, path, row.line, row.values is not None)
            if row.key not in newest or rank > newest[row.key].rank:
                newest[row.key] = _Newest(rank, row.values)
    return newest
