"""Lists the lake again immediately before rows are deleted, to see where it has changed.

A key that was in no object may be in one now. Rows that are missing, of the business dates of such
an object, are left to the next run, which takes it in. A tombstone doesn't wait: a lake that never
rests would keep its row forever, and a newer row brings the key back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import NamedTuple

from forecast_sync.adapters.postgres import Connection
from forecast_sync.adapters.s3 import Listed, Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.survey import DateRange
from forecast_sync.survey.compare import compare
from forecast_sync.survey.file_ledger import FileLedger, KnownFile, Slice
from forecast_sync.survey.judge import READERS, Judged, judge_all
from forecast_sync.survey.listing import is_hidden
from forecast_sync.tables import Table, definition_of

LISTED = 1_000
READABLE = ("pending", "loaded")


class Relisting(NamedTuple):
    """How many objects of the lake can be read, and the business dates of those that changed."""

    readable: int
    changed: list[DateRange]


def list_again(
    connection: Connection, storage: Storage, table: Table, settings: Settings
) -> Relisting:
    """List the lake, read the footers of objects that are new since the survey, and save nothing.

    Memory doesn't grow with the lake; raises ``StorageUnavailable`` like any listing.
    """
    bucket, prefix = split_location(settings.data_location)
    definition, readable, changed = definition_of(table), 0, set[DateRange]()
    with ThreadPoolExecutor(READERS) as pool:

        def judge(unknown: Sequence[Listed]) -> Mapping[str, Judged | None]:
            return judge_all(storage, bucket, unknown, table, pool, prefix)

        for _, items, known in _beside_ledger(connection, storage, settings):
            wanted = [item for item in items if not is_hidden(item.key, prefix)]
            compared = compare(wanted, known, judge, definition, None)
            before = {file.key: file for file in known}
            after = {**before, **{file.key: file for file in compared.changes}}
            listed = {item.key for item in wanted}
            readable += sum(after[key].state in READABLE for key in listed & after.keys())
            for file in compared.changes:
                changed.update(_dates_of(file))
                if file.key in before:
                    changed.update(_dates_of(before[file.key]))
    return Relisting(readable, sorted(changed, key=lambda item: (item.first, item.last)))


def _dates_of(file: KnownFile) -> Iterator[DateRange]:
    """The business dates that an object may have; all of one that doesn't tell."""
    if file.first_date is not None and file.last_date is not None:
        yield DateRange(first=file.first_date, last=file.last_date)
    elif file.state not in READABLE or file.row_count is None:
        yield DateRange(first=date.min, last=date.max)


def _beside_ledger(connection: Connection, storage: Storage, settings: Settings) -> Iterator[Slice]:
    """Listed objects and the ledger's rows, in ranges of keys that are complete on both sides."""
    ledger, after = FileLedger(connection, settings), ""
    items: list[Listed] = []
    bucket, prefix = split_location(settings.data_location)
    for item in storage.list(bucket, prefix):
        items.append(item)
        if len(items) == LISTED:
            yield from ledger.beside(items, after, item.key)
            items, after = [], item.key
    yield from ledger.beside(items, after, None)
