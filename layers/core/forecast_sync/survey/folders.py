"""Reads the values that the names of folders have, like ``day=2026-01-31/region=eu/``.

Spark, Hive, DuckDB, polars and pyarrow write such folders for the columns that they leave out of
the files. A name and its value are percent-encoded UTF-8. The text of NULL is Hive's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple
from urllib.parse import unquote

from forecast_sync.survey.parquet_footer import Footer, ParquetColumn
from forecast_sync.tables.model import INTEGER_TYPES, SourceType

NULL = "__HIVE_DEFAULT_PARTITION__"
"""A folder's name for NULL, and what a partition in Glue has in its place."""

UNHELD = ("\\N",)
"""Texts that Athena takes for NULL in a partition, too."""

INTEGER_RANGE = range(-(2**63), 2**63)
EPOCH = date(1970, 1, 1)
DATE = re.compile(r"\d{4}-\d\d-\d\d")


class FolderValue(NamedTuple):
    """A column's value in a folder's name: as a partition in Glue has it, and as Python has it."""

    text: str
    value: str | int | bool | date | None


Partitions = Mapping[str, SourceType]
"""The columns whose values folders have, with their types."""

FolderValues = dict[str, FolderValue]


def read_folders(key: str, prefix: str, partitions: Partitions) -> FolderValues:
    """The values of the table file's folder columns; ``prefix`` is the lake's.

    Raises ``ValueError`` with a predicate for an object whose folders don't say them.
    """
    if not partitions:
        return {}
    found: dict[str, str] = {}
    for folder in key[len(prefix) :].split("/")[:-1]:
        name, sign, value = folder.partition("=")
        name = _decode(name, folder).lower() if sign else ""
        if name not in partitions:
            continue
        if name in found:
            raise ValueError(f"has two folders {name}=: leave one")
        found[name] = _decode(value, folder)
    values = {}
    for name, kind in partitions.items():
        if name not in found:
            raise ValueError(f"lacks the folder {name}= ({kind}) in its path: move it into one")
        values[name] = _read(name, found[name], kind)
    return values


def partition_values(key: str, prefix: str, partitions: Partitions) -> tuple[str, ...]:
    """The values as a partition in Glue has them; of an object that was judged to have them."""
    return tuple(value.text for value in read_folders(key, prefix, partitions).values())


def find_disagreements(footer: Footer, values: FolderValues) -> list[str]:
    """Where a file has a folder's column too, and another value in it, each as a predicate.

    Athena reads the folder's value and not the file's, so the statistics have to show that they are
    the same.
    """
    return [
        f"has the column {name} too, {fault}"
        for name, value in values.items()
        if (fault := _disagreement(footer, name, value)) is not None
    ]


def _decode(text: str, folder: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"has the folder {folder!r}, which isn't UTF-8: rename it") from None


def _read(name: str, text: str, kind: SourceType) -> FolderValue:
    if text in ("", NULL):
        return FolderValue(NULL, None)
    if kind == "string":
        if text in UNHELD:
            raise ValueError(
                f"has the folder {name}={text}, which Athena takes for NULL: rename it"
            )
        return FolderValue(text, text)
    if kind in INTEGER_TYPES and re.fullmatch(r"[+-]?\d{1,40}", text, re.ASCII):
        number = int(text)
        if number in INTEGER_RANGE:
            return FolderValue(str(number), number)
    elif kind == "boolean" and text.lower() in ("true", "false"):
        return FolderValue(text.lower(), text.lower() == "true")
    elif kind == "date" and DATE.fullmatch(text):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            pass
        else:
            return FolderValue(text, day)
    example = ", like 2026-01-31" if kind == "date" else ""
    raise ValueError(f"has the folder {name}={text}, expected {kind}{example}: rename it")


def _disagreement(footer: Footer, name: str, value: FolderValue) -> str | None:
    column, storage = footer.columns.get(name), footer.storage.get(name)
    if column is None:
        return None
    bounds = storage.bounds if storage is not None and storage.values == footer.rows else None
    if column.logical == "NULL":
        bounds = {None}
    if bounds is None:
        return "and its statistics don't say whether that is its folder's value: leave it out"
    stored = None if value.value is None else _stored(value.value, column)
    others = sorted(bounds - {stored}, key=repr)
    if not others and (stored is not None or value.value is None):
        return None
    shown = _shown(others[0], column) if others else "NULL"
    return (
        f"with the value {shown}, but is in the folder {name}={value.text}: move it to its value's "
        "folder, or leave the column out"
    )


def _stored(value: Any, column: ParquetColumn) -> bytes | None:
    """A value's bytes in a column of this type; None if the column can't have it."""
    size = {"INT32": 4, "INT64": 8}.get(column.physical)
    if column.physical == "BYTE_ARRAY":
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return text.encode()
    if column.physical == "BOOLEAN" and isinstance(value, bool):
        return bytes([value])
    if size is None or isinstance(value, bool):
        return None
    if column.logical == "DATE":
        number = (value - EPOCH).days if isinstance(value, date) else None
    elif isinstance(value, date):
        number = None
    else:
        number = int(value) if re.fullmatch(r"-?\d{1,19}", str(value)) else None
    limit = 2 ** (8 * size - 1)
    if number is None or not -limit <= number < limit:
        return None
    return number.to_bytes(size, "little", signed=True)


def _shown(stored: bytes | None, column: ParquetColumn) -> str:
    """A stored value as people write it."""
    if stored is None:
        return "NULL"
    if column.physical in ("INT32", "INT64"):
        number = int.from_bytes(stored, "little", signed=True)
        if column.logical != "DATE":
            return str(number)
        try:
            return str(date.fromordinal(EPOCH.toordinal() + number))
        except (ValueError, OverflowError):
            return f"day {number}"
    if column.physical == "BOOLEAN":
        return str(stored != b"\0").lower()
    return stored.decode(errors="replace")
