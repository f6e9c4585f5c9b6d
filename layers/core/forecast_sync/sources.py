"""Sources: refuses, by name, objects that Athena would misread.

Athena reads a column that a file lacks as NULL, which would silently empty a nullable column of
the target; and for a file that isn't Parquet its message comes late and from the middle of a
query. The footers of the window's objects tell it before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from forecast_sync.adapters.s3 import Listed, split_location
from forecast_sync.contracts import Window
from forecast_sync.errors import SourceInvalid
from forecast_sync.parquet_schema import ParquetColumn, footer_size, read_columns
from forecast_sync.settings import Settings
from forecast_sync.tables import SourceType, Table

TAIL_BYTES = 64 * 1024
READERS = 16
NAMED_IN_MESSAGE = 3

FITTING: dict[SourceType, dict[str, set[str]]] = {
    "int": {"INT32": {"", "INTEGER"}, "INT64": {"", "INTEGER"}},
    "date": {"INT32": {"DATE"}},
    "string": {"BYTE_ARRAY": {"", "STRING", "ENUM"}},
    "double": {"DOUBLE": {""}, "FLOAT": {""}},
    "timestamp": {"INT96": {""}, "INT64": {"TIMESTAMP"}},
}
"""For each of Glue's types, the physical and logical Parquet types that Athena reads as it."""


class Lake(Protocol):
    """What checking needs of S3."""

    def list(self, bucket: str, prefix: str) -> Iterable[Listed]:
        """The objects under a prefix."""
        ...

    def read_tail(self, bucket: str, key: str, size: int) -> bytes:
        """The last bytes of an object."""
        ...


def check_sources(lake: Lake, settings: Settings, table: Table, window: Window) -> int:
    """Check every object of the window and return how many there are.

    Raises ``SourceInvalid`` naming the first of them, and what is wrong with each.
    """
    bucket, prefix = split_location(settings.data_location)
    keys = [item.key for item in lake.list(bucket, prefix) if _is_looked_at(item, prefix, window)]
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda key: _find_fault(lake, bucket, key, table), keys)
        faults = [
            f"s3://{bucket}/{key} {fault}" for key, fault in zip(keys, found, strict=True) if fault
        ]
    if faults:
        more = len(faults) - NAMED_IN_MESSAGE
        rest = f"; and {more} more" if more > 0 else ""
        raise SourceInvalid(
            f"{'; '.join(faults[:NAMED_IN_MESSAGE])}{rest}. "
            "Repair or remove the file, then redrive or start a new run."
        )
    return len(keys)


def _is_looked_at(item: Listed, prefix: str, window: Window) -> bool:
    hidden = any(part.startswith(("_", ".")) for part in item.key[len(prefix) :].split("/"))
    after_low = window.low is None or item.modified >= window.low
    return after_low and item.modified <= window.high and not hidden and not item.key.endswith("/")


def _find_fault(lake: Lake, bucket: str, key: str, table: Table) -> str:
    try:
        tail = lake.read_tail(bucket, key, TAIL_BYTES)
        size = footer_size(tail)
        if size > len(tail):
            tail = lake.read_tail(bucket, key, size)
        columns = read_columns(tail)
    except ValueError as error:
        return f"isn't a Parquet file: {error}"
    return "; ".join(_misfits(columns, table))


def _misfits(columns: dict[str, ParquetColumn], table: Table) -> Iterator[str]:
    for name, expected in table.source.columns.items():
        column = columns.get(name)
        if column is None:
            yield f"lacks the column {name} ({expected})"
        elif column.logical not in FITTING[expected].get(column.physical, set()):
            found = " ".join(filter(None, column))
            yield f"has the column {name} as {found}, expected {expected}"
