"""Sources: which objects a run may read, and a refusal, by name, of those Athena would misread.

Athena reads a column that a file lacks as NULL, which would silently empty a nullable column of
the target; and for a file that isn't Parquet its message comes late and from the middle of a
query. The footers of the window's objects tell it before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from forecast_sync.adapters.s3 import Listed, split_location
from forecast_sync.contracts import Window
from forecast_sync.errors import SourceInvalid
from forecast_sync.parquet_schema import ParquetColumn, footer_size, read_columns
from forecast_sync.settings import Settings
from forecast_sync.tables import SourceType, Table

TAIL_BYTES = 64 * 1024
READERS = 16
NAMED_IN_MESSAGE = 3
FINGERPRINT_DIGITS = 32

FITTING: dict[SourceType, dict[str, set[str]]] = {
    "int": {"INT32": {"", "INTEGER"}, "INT64": {"", "INTEGER"}},
    "bigint": {"INT32": {"", "INTEGER"}, "INT64": {"", "INTEGER"}},
    "boolean": {"BOOLEAN": {""}},
    "date": {"INT32": {"DATE"}},
    "string": {"BYTE_ARRAY": {"", "STRING", "ENUM"}},
    "double": {"DOUBLE": {""}, "FLOAT": {""}},
    "timestamp": {"INT96": {""}, "INT64": {"TIMESTAMP"}},
}
"""For each of Glue's types, the physical and logical Parquet types that Athena reads as it."""


class Listing(Protocol):
    """What surveying needs of S3."""

    def list(self, bucket: str, prefix: str) -> Iterable[Listed]:
        """The objects under a prefix, in the order of their keys."""
        ...


class Lake(Listing, Protocol):
    """What checking needs of S3."""

    def read_tail(self, bucket: str, key: str, size: int) -> bytes:
        """The last bytes of an object."""
        ...


class Survey(NamedTuple):
    """The lake at one moment: the keys of the window's objects, their bytes, and a fingerprint.

    The fingerprint is of every object up to the window's end, because a query may read them all.
    """

    keys: list[str]
    fingerprint: str
    size: int


def survey(lake: Listing, settings: Settings, window: Window) -> Survey:
    """List the lake; equal fingerprints mean that two queries could read the same objects."""
    bucket, prefix = split_location(settings.data_location)
    keys, digest, size = [], hashlib.sha256(), 0
    for item in lake.list(bucket, prefix):
        if item.modified > window.high or _is_hidden(item.key, prefix):
            continue
        digest.update(
            f"{item.key}\n{item.size}\n{item.modified.timestamp()}\n{item.etag}\n".encode()
        )
        if window.low is None or item.modified >= window.low:
            keys.append(item.key)
            size += item.size
    return Survey(keys, digest.hexdigest()[:FINGERPRINT_DIGITS], size)


def check_sources(lake: Lake, settings: Settings, table: Table, keys: Sequence[str]) -> None:
    """Check the objects; raises ``SourceInvalid`` that names the first faulty ones and why."""
    bucket, _ = split_location(settings.data_location)
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


def _is_hidden(key: str, prefix: str) -> bool:
    """What Athena doesn't read: names that begin with _ or ., and folders' placeholders."""
    parts = key[len(prefix) :].split("/")
    return key.endswith("/") or any(part.startswith(("_", ".")) for part in parts)


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
