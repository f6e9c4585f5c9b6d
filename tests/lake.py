"""A lake for tests: forecasts as Parquet, and what a sync of them must leave in Postgres.

The rows are the demo's. The reference reads the Parquet files with pyarrow and shares no code with
the product.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from forecast_sync_cli.demo import data

KEY = ("restaurant_id", "inventory_item_id", "business_date")
VALUES = ("dma_id", "dc_id", "state", "y_05", "y_50", "y_95")
MORNING = datetime.fromisoformat("2026-11-23T06:00:00")
LIMIT = Decimal(10) ** 8
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

SCHEMA = data.SCHEMA
Row = data.Row
Table = dict[tuple[Any, ...], tuple[Any, ...]]


def make_row(number: int, **changes: Any) -> Row:
    """A valid forecast; the number makes its key."""
    day = data.FIRST_DAY + timedelta(days=number % 10)
    return {**data.make_row(number, 7, day, number * 1.0, MORNING), **changes}


def make_rows(numbers: Iterable[int], **changes: Any) -> list[Row]:
    """Several of them."""
    return [make_row(number, **changes) for number in numbers]


def to_parquet(rows: Sequence[Row], schema: pa.Schema = SCHEMA) -> bytes:
    """A file of these rows."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), buffer)
    return buffer.getvalue()


def reference(files: Mapping[str, tuple[datetime, bytes]]) -> Table:
    """What must stand in the target: by key the newest valid row of (modified, Parquet) files."""
    newest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for path, (modified, content) in files.items():
        for key, updated, values, line in _read_valid(content):
            rank = (*updated, modified, path, line)
            if key not in newest or rank > newest[key][0]:
                newest[key] = (rank, values)
    return {key: values for key, (_, values) in newest.items()}


def newest_values(
    files: Mapping[str, tuple[datetime, bytes]],
) -> dict[tuple[Any, ...], set[tuple[Any, ...]]]:
    """By key, the values of the valid rows whose own time no other row's is later than.

    Objects that are rewritten change which of them the newest is, but not which ones it may be.
    """
    newest: dict[tuple[Any, ...], tuple[tuple[bool, datetime], set[tuple[Any, ...]]]] = {}
    for _, content in files.values():
        for key, updated, values, _line in _read_valid(content):
            if key not in newest or updated > newest[key][0]:
                newest[key] = (updated, set())
            if updated == newest[key][0]:
                newest[key][1].add(values)
    return {key: values for key, (_, values) in newest.items()}


class _Valid(NamedTuple):
    """A row that the target can hold; ``updated`` sorts rows without a time first."""

    key: tuple[Any, ...]
    updated: tuple[bool, datetime]
    values: tuple[Any, ...]
    line: bytes


@lru_cache(maxsize=100)
def _read_valid(content: bytes) -> list[_Valid]:
    """The valid rows of a Parquet file; rounds of faults read the same files many times."""
    rows = []
    for row in pq.read_table(io.BytesIO(content)).to_pylist():
        values = _values(row)
        if values is None:
            continue
        key = tuple(row[name] for name in KEY)
        updated = row["updated_at"]
        time = (updated is not None, updated or MORNING)
        rows.append(_Valid(key, time, values, _line((*key, *values))))
    return rows


def _line(values: tuple[Any, ...]) -> bytes:
    """The row as a COPY-text line, which decides between equals of one file."""
    return "\t".join(map(_field, values)).encode()


def _field(value: object) -> str:
    if value is None:
        return "\\N"
    return str(value).translate(ESCAPES)


def _values(row: Row) -> tuple[Any, ...] | None:
    """The row's values as Postgres holds them; None when it can't hold them."""
    if any(row[name] is None for name in (*KEY, "state", "y_50")):
        return None
    if len(row["state"]) > 2 or len(row["dma_id"] or "") > 50:
        return None
    if "\0" in row["state"] + (row["dma_id"] or ""):
        return None
    numbers = [_rounded(row[name]) for name in ("y_05", "y_50", "y_95")]
    if any(isinstance(number, str) for number in numbers):
        return None
    return (row["dma_id"], row["dc_id"], row["state"], *numbers)


def _rounded(number: float | None) -> Decimal | str | None:
    """Half up on the shortest decimal form, to two places; text when it doesn't fit."""
    if number is None:
        return None
    exact = Decimal(repr(number))
    if not exact.is_finite() or abs(exact) >= LIMIT:
        return "out of range"
    rounded = exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return "out of range" if abs(rounded) >= LIMIT else rounded + 0
