"""A deployment whose rows may leave the target, and what such a lake must leave there."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
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


def _find_newest(files: Files, *, tombstones: bool) -> dict[tuple[Any, ...], _Newest]:
    newest: dict[tuple[Any, ...], _Newest] = {}
    for path, (modified, content) in files.items():
        for row in pq.read_table(io.BytesIO(content)).to_pylist():
            key = tuple(row[name] for name in KEY)
            deletes = tombstones and bool(row.get("is_deleted")) and None not in key
            values = None if deletes else _values(row)
            if values is None and not deletes:
                continue
            updated = row["updated_at"]
            line = _line((*key, *(values or (None,) * len(VALUES))))
            rank = (updated is not None, updated or MORNING, modified, path, line, not deletes)
            if key not in newest or rank > newest[key].rank:
                newest[key] = _Newest(rank, values)
    return newest
