"""Lists the lake's objects, and refuses by name those that Athena would misread or can't read.

Athena reads a column that a file lacks as NULL, which would silently empty a nullable column of
the target, and an unsigned integer as a signed one. What it can't read at all fails a query halfway
through, mostly without naming the file. The footers of the window's objects tell beforehand.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple

from forecast_sync.adapters.s3 import Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.query import Queries
from forecast_sync.contracts.run import Window
from forecast_sync.errors import SourceInvalid
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

    The fingerprint covers every object up to the window's end, because a query may read them all.
    """

    objects: int
    fingerprint: str
    size: int


def survey(lake: Storage, settings: Settings, window: Window) -> Survey:
    """List the lake; with equal fingerprints, two queries could read the same objects only.

    Objects are handled one at a time, so memory doesn't grow with the lake.
    """
    return _survey(lake, settings, window, lambda _key: None)


def lake_changed(lake: Storage, settings: Settings, window: Window, queries: Queries) -> bool:
    """Whether objects were added, removed or overwritten since the first query began."""
    now = survey(lake, settings, window).fingerprint
    return len({queries.extract.sources, queries.profile.sources, now}) > 1


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

        surveyed = _survey(lake, settings, window, check)
        while pending:
            faults.note(*pending.popleft())
    return surveyed, faults


def _survey(
    lake: Storage, settings: Settings, window: Window, visit: Callable[[str], None]
) -> Survey:
    """Calls ``visit`` with the key of each object in the window."""
    bucket, prefix = split_location(settings.data_location)
    objects, digest, size = 0, hashlib.sha256(), 0
    for item in lake.list(bucket, prefix):
        if item.modified > window.high or _is_hidden(item.key, prefix):
            continue
        digest.update(
            f"{item.key}\n{item.size}\n{item.modified.timestamp()}\n{item.etag}\n".encode()
        )
        if window.low is None or item.modified >= window.low:
            visit(item.key)
            objects += 1
            size += item.size
    return Survey(objects, digest.hexdigest()[:FINGERPRINT_DIGITS], size)


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
