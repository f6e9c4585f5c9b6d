"""Judges objects by their Parquet footers: whether Athena can read them, and what they have.

Athena reads a column that a file lacks as NULL, which would silently empty a nullable column of
the target, and an unsigned integer as a signed one. What it can't read at all fails a query halfway
through, mostly without naming the file. The footer tells beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from concurrent.futures import Executor
from datetime import date, timedelta
from threading import Lock
from typing import Literal, NamedTuple

from forecast_sync.adapters.s3 import Listed, ObjectArchived, Storage
from forecast_sync.contracts.survey import DateRange
from forecast_sync.errors import SourceInvalid
from forecast_sync.survey.folders import FolderValues, find_disagreements, read_folders
from forecast_sync.survey.parquet_footer import Footer, footer_size, read_footer
from forecast_sync.survey.readable import find_misfits
from forecast_sync.tables import Table

READER = 1
"""The version of the rules by which objects are judged. Raise it when a release can read what
another one has quarantined: every quarantined object is then judged again."""

READERS = 16
"""How many footers are read at once."""

TAIL_BYTES = 64 * 1024

ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes that Athena skips."""

NOT_IN_XML = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that S3's lists can't hold, unless a client asks for encoded names; Trino doesn't."""

ANY_DATE = DateRange(first=date.min, last=date.max)
"""The business dates of an object that doesn't tell them."""

EPOCH = date(1970, 1, 1)

JudgedState = Literal["pending", "quarantined", "archived"]


class Judged(NamedTuple):
    """What became of an object: ``reason`` says, as a predicate, why it can't be read.

    ``dates`` are the business dates of its rows, None when no row has one. ``is_final`` is false
    for a fault of access, which may be gone the next time.
    """

    state: JudgedState
    reason: str | None = None
    rows: int | None = None
    dates: DateRange | None = None
    is_final: bool = True


def judge_all(
    lake: Storage,
    bucket: str,
    items: Iterable[Listed],
    table: Table,
    pool: Executor,
    prefix: str = "",
) -> dict[str, Judged | None]:
    """Judge objects, by key; None for one that is gone. Large footers are read one at a time.

    ``prefix`` is the lake's, below which folders have values.
    """
    large = Lock()
    judgements = {
        item.key: pool.submit(judge, lake, bucket, item, table, large, prefix) for item in items
    }
    return {key: answer.result() for key, answer in judgements.items()}


def judge(
    lake: Storage, bucket: str, item: Listed, table: Table, large: Lock, prefix: str = ""
) -> Judged | None:
    """Judge one object; None when it is gone."""
    if item.storage_class in ARCHIVED:
        return Judged("archived", f"is archived as {item.storage_class}")
    if fault := _find_name_fault(item.key):
        return Judged("quarantined", fault)
    partitions = table.source.partitions
    try:
        footer = _read_footer(lake, bucket, item.key, large, partitions)
    except ObjectArchived:
        return Judged("archived", "is archived")
    except SourceInvalid as error:
        return Judged("quarantined", str(error), is_final=False)
    except ValueError as error:
        return Judged("quarantined", f"isn't a Parquet file: {error}")
    if footer is None:
        return None
    if not footer.has_rows:
        return Judged("pending", rows=0)
    try:
        folders = read_folders(item.key, prefix, partitions)
    except ValueError as error:
        return Judged("quarantined", str(error), footer.rows)
    misfits = [*find_misfits(footer, table.source)]
    misfits += find_disagreements(footer, folders)
    if misfits:
        return Judged("quarantined", "; ".join(misfits), footer.rows)
    return Judged("pending", None, footer.rows, find_dates(footer, table, folders))


def _find_name_fault(key: str) -> str | None:
    """Why Athena can't find an object by its name; None for nearly all."""
    if "\n" in key or "\r" in key:
        return "has a line break in its name: copy it to another one"
    if "//" in f"/{key}":
        return (
            "lies in a folder without a name, and Athena reads // as /: copy it to another folder"
        )
    if NOT_IN_XML.search(key):
        return (
            "has a control character in its name, and Athena can't list a folder with such a name: "
            "copy it to another one and delete it"
        )
    return None


def _read_footer(
    lake: Storage, bucket: str, key: str, large: Lock, bounds_of: Collection[str]
) -> Footer | None:
    tail = lake.read_tail(bucket, key, TAIL_BYTES)
    if tail == b"":
        raise ValueError("it is empty, 0 bytes")
    if tail is not None and (size := footer_size(tail)) > len(tail):
        with large:
            tail = lake.read_tail(bucket, key, size)
    return None if tail is None else read_footer(tail, bounds_of)


def find_dates(
    footer: Footer, table: Table, folders: FolderValues | None = None
) -> DateRange | None:
    """The business dates of a file's rows, as its folder or its statistics bound them.

    None without any; ``ANY_DATE`` when they don't tell, or when the table file computes the date.
    """
    name = table.source_date
    if name is None:
        return ANY_DATE
    if folders and name in folders:
        day = folders[name].value
        return DateRange(first=day, last=day) if isinstance(day, date) else None
    stored = footer.storage.get(name)
    if stored is None or not stored.is_bounded or stored.values != footer.rows:
        return ANY_DATE
    if stored.least is None or stored.most is None:
        return None
    return DateRange(first=_date(stored.least), last=_date(stored.most))


def _date(days: int) -> date:
    """A number of days since 1970 as a date; the first or last one when there is none such."""
    if days > (date.max - EPOCH).days:
        return date.max
    return EPOCH + timedelta(days=days) if days > (date.min - EPOCH).days else date.min
