"""Lists the lake's objects, and refuses by name those that Athena would misread or can't read.

Athena reads a column that a file lacks as NULL, which would silently empty a nullable column of
the target, and an unsigned integer as a signed one. What it can't read at all fails a query halfway
through, mostly without naming the file. The footers of the window's objects tell beforehand.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import NamedTuple

from forecast_sync.adapters.s3 import Listed, Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.query import Queries
from forecast_sync.contracts.redrive import has_renewals_left
from forecast_sync.contracts.run import Window
from forecast_sync.errors import SourceChanged, SourceInvalid, SourceUnstable
from forecast_sync.survey.parquet_footer import footer_size, read_footer
from forecast_sync.survey.readable import find_misfits
from forecast_sync.tables import Table

TAIL_BYTES = 64 * 1024
READERS = 16
NAMED_IN_MESSAGE = 3
LISTINGS = 3
FINGERPRINT_DIGITS = 32


class Survey(NamedTuple):
    """The lake at one moment: the number and total bytes of the window's objects, a fingerprint.

    The fingerprint covers every object up to the window's end, because a query may read them all;
    ``newest`` is when the last of these was modified.
    """

    objects: int
    fingerprint: str
    size: int
    newest: datetime | None


def survey(lake: Storage, settings: Settings, window: Window) -> Survey:
    """List the lake; with equal fingerprints, two queries could read the same objects only.

    Objects are handled one at a time, so memory doesn't grow with the lake.
    """
    return _survey(lake, settings, window)


def fix_sources(
    lake: Storage,
    settings: Settings,
    window: Window,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> Window:
    """End the window now, and keep the fingerprint of all objects that the lake has up to then.

    An object that was compacted between the window's end and its listing would be missed: it is
    gone, and its rows are in one that is too new. So the lake is listed before the end as well, and
    again from the beginning when an object of the first listing is gone or overwritten in the
    second. S3's times are whole seconds, so an object of the present second may not be the last
    one: the lake is then listed once more after it.

    Raises ``SourceUnstable`` when objects go or are overwritten in each of ``LISTINGS`` attempts.
    """
    for _ in range(LISTINGS):
        settled = now().replace(microsecond=0) - timedelta(milliseconds=1)
        earlier, later = _Inventory(settled), _Inventory(settled)
        for item in _list_visible(lake, settings):
            earlier.add(item)
        window = window.model_copy(update={"high": max(window.high, _in_milliseconds(now()))})
        surveyed = _survey(lake, settings, window, also=later.add)
        second = window.high.replace(microsecond=0)
        if surveyed.newest == second:
            rest = (second + timedelta(seconds=1) - now()).total_seconds()
            sleep(min(1.0, max(0.0, rest)))
            later = _Inventory(settled)
            surveyed = _survey(lake, settings, window, also=later.add)
        if later.has_all_of(earlier):
            return window.model_copy(update={"sources": surveyed.fingerprint})
    raise SourceUnstable(
        f"Objects of the lake went or were overwritten while it was listed, in each of {LISTINGS} "
        "attempts. Nothing was loaded from it. Redrive when whatever replaces or deletes objects "
        "has finished."
    )


def refuse_changed_lake(
    lake: Storage, settings: Settings, window: Window, queries: Queries, redrive_count: int
) -> None:
    """Raise when what the queries could read isn't what the lake has, up to the window's end.

    Equal sums don't show it: both queries may have read a lake from which an object was gone.
    Raises as ``source_changed`` says.
    """
    if lake_changed(lake, settings, window, queries):
        raise source_changed(queries.extract.renewal, redrive_count)


def source_changed(renewal: int, redrive_count: int) -> SourceChanged | SourceUnstable:
    """The error of a lake that has changed: ``SourceChanged`` while renewals are left."""
    message = (
        "Objects of the lake came, went or were overwritten between the decision about the window "
        "and the end of the queries"
    )
    if has_renewals_left(renewal, redrive_count):
        return SourceChanged(f"{message}; the window is decided again.")
    return SourceUnstable(
        f"{message}, in each of {renewal + 1} attempts. Nothing was loaded from them. Redrive when "
        "whatever replaces or deletes objects has finished."
    )


def lake_changed(lake: Storage, settings: Settings, window: Window, queries: Queries) -> bool:
    """Whether objects that a query may read came, went or were overwritten since the decision."""
    now = survey(lake, settings, window).fingerprint
    known = {window.sources or now, queries.extract.sources, queries.profile.sources, now}
    return len(known) > 1


def _in_milliseconds(time_: datetime) -> datetime:
    """Athena compares times in milliseconds."""
    return time_.replace(microsecond=time_.microsecond // 1000 * 1000)


def check_sources(lake: Storage, settings: Settings, table: Table, window: Window) -> Survey:
    """List the lake and check the window's objects on the way, ``READERS`` at a time.

    An object that is deleted after it was listed belongs to the run no more: the lake is listed
    again, up to ``LISTINGS`` times. What is deleted later changes the fingerprint, and the run
    notices that when it compares the lake with it. Raises ``SourceInvalid`` that names the first
    faulty objects, in the order of keys, and why.
    """
    for _ in range(LISTINGS):
        surveyed, faults = _check_listed(lake, settings, table, window)
        if not faults.gone:
            break
    faults.refuse_any()
    return surveyed


def _check_listed(
    lake: Storage, settings: Settings, table: Table, window: Window
) -> tuple[Survey, _Faults]:
    bucket, _ = split_location(settings.data_location)
    faults = _Faults(bucket)
    large = Lock()
    with ThreadPoolExecutor(READERS) as pool:
        pending: deque[tuple[str, Future[str | None]]] = deque()

        def check(key: str) -> None:
            if len(pending) >= 2 * READERS:
                faults.note(*pending.popleft())
            pending.append((key, pool.submit(_find_fault, lake, bucket, key, table, large)))

        surveyed = _survey(lake, settings, window, visit=check)
        while pending:
            faults.note(*pending.popleft())
    return surveyed, faults


class _Fingerprint:
    """Of the objects that were last modified until a moment, in the order of their keys."""

    def __init__(self, until: datetime) -> None:
        self.until = until
        self._digest = hashlib.sha256()

    def add(self, item: Listed) -> None:
        """Count an object in, if it isn't too new."""
        if item.modified <= self.until:
            modified = item.modified.timestamp()
            self._digest.update(f"{item.key}\n{item.size}\n{modified}\n{item.etag}\n".encode())

    @property
    def digits(self) -> str:
        """The fingerprint of the objects so far."""
        return self._digest.hexdigest()[:FINGERPRINT_DIGITS]


class _Inventory:
    """A listing, to be held against another: a fingerprint of what is settled, and the rest.

    No object can come that was modified before the ``settled`` moment, but others may.
    """

    def __init__(self, settled: datetime) -> None:
        self._settled = _Fingerprint(settled)
        self._recent: set[Listed] = set()

    def add(self, item: Listed) -> None:
        """Take an object of the listing."""
        if item.modified <= self._settled.until:
            self._settled.add(item)
        else:
            self._recent.add(item)

    def has_all_of(self, earlier: _Inventory) -> bool:
        """Whether no object of an earlier listing is gone or overwritten."""
        return self._settled.digits == earlier._settled.digits and self._recent >= earlier._recent


def _list_visible(lake: Storage, settings: Settings) -> Iterator[Listed]:
    bucket, prefix = split_location(settings.data_location)
    return (item for item in lake.list(bucket, prefix) if not _is_hidden(item.key, prefix))


def _survey(
    lake: Storage,
    settings: Settings,
    window: Window,
    *,
    visit: Callable[[str], None] = lambda _key: None,
    also: Callable[[Listed], None] = lambda _item: None,
) -> Survey:
    """Calls ``visit`` with the key of each object in the window, and ``also`` with any object."""
    objects, size, fingerprint = 0, 0, _Fingerprint(window.high)
    newest: datetime | None = None
    for item in _list_visible(lake, settings):
        fingerprint.add(item)
        also(item)
        if item.modified > window.high:
            continue
        newest = max(newest or item.modified, item.modified)
        if window.low is None or item.modified >= window.low:
            visit(item.key)
            objects += 1
            size += item.size
    return Survey(objects, fingerprint.digits, size, newest)


class _Faults:
    """How many objects are faulty or gone, and what is wrong with the first faulty ones."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._named: list[str] = []
        self._count = 0
        self.gone = 0

    def note(self, key: str, fault: Future[str | None]) -> None:
        """Wait until an object is checked, and keep its fault."""
        reason = fault.result()
        if reason is None:
            self.gone += 1
        elif reason:
            self._count += 1
            if len(self._named) < NAMED_IN_MESSAGE:
                self._named.append(f"s3://{self._bucket}/{key} {reason}")

    def refuse_any(self) -> None:
        """Raise ``SourceInvalid`` when there is a fault."""
        if not self._count:
            return
        more = self._count - len(self._named)
        rest = f"; and {more} more" if more else ""
        raise SourceInvalid(
            f"{'; '.join(self._named)}{rest}. "
            "Repair or remove the file, then redrive or start a new run."
        )


def _is_hidden(key: str, prefix: str) -> bool:
    """Whether Athena skips an object: a name that begins with _ or ., or a folder's placeholder."""
    parts = key[len(prefix) :].split("/")
    return key.endswith("/") or any(part.startswith(("_", ".")) for part in parts)


def _find_fault(lake: Storage, bucket: str, key: str, table: Table, large: Lock) -> str | None:
    """What is wrong with an object; empty when nothing is, None when the object is gone.

    Large footers are read one at a time.
    """
    tail = lake.read_tail(bucket, key, TAIL_BYTES)
    if tail == b"":
        return "isn't a Parquet file: it is empty, 0 bytes"
    try:
        if tail is not None and (size := footer_size(tail)) > len(tail):
            with large:
                tail = lake.read_tail(bucket, key, size)
        footer = None if tail is None else read_footer(tail)
    except ValueError as error:
        return f"isn't a Parquet file: {error}"
    return None if footer is None else "; ".join(find_misfits(footer, table.source))
