"""Says what a table file's types lose of the lake's values, which are rounded to fit the target."""

from __future__ import annotations

import math
from collections.abc import Iterator

from forecast_sync.tables.model import FLOAT_TYPES, Column, SourceType, Table, decimal_arguments


def find_losses(table: Table) -> list[str]:
    """A line for each way of rounding, with the columns of the target that it concerns."""
    columns: dict[str, list[str]] = {}
    for column in table.column:
        for how in _rounding(table, column):
            columns.setdefault(how, []).append(column.name)
    return [f"{', '.join(names)}: {how}" for how, names in columns.items()]


def _rounding(table: Table, column: Column) -> Iterator[str]:
    """How a column's values are rounded, unless the source's type shows that they need not be."""
    kind = None
    if column.source is None or column.source in table.source.columns:
        kind = table.source.types[column.source or column.name]
    if column.kind in ("timestamp", "timestamptz") and kind in (None, "timestamp"):
        yield "finer than a millisecond is rounded half up"
    if column.kind == "numeric" and (kind is None or _places(kind) > column.arguments[1]):
        yield f"rounded half up to {column.arguments[1]} places"
    if column.kind == "real" and kind != "float":
        yield "rounded to the nearest real, of about 7 digits"


def _places(kind: SourceType) -> float:
    """How many decimal places a source type's values may have."""
    if kind in FLOAT_TYPES:
        return math.inf
    _, scale = decimal_arguments(kind) or (0, 0)
    return scale
