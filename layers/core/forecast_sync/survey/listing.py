"""Lists a lake in ranges of keys, some of them at once, as the ranges before are compared.

S3 lists a page after the other, but from any key. The file ledger knows where to begin: its keys
cut the lake into ranges of known size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice, zip_longest
from typing import NamedTuple

from forecast_sync.adapters.s3 import Listed, Storage

RANGES_AHEAD = 8
"""How many ranges are listed while one is compared."""

PAGES_AHEAD = 8
"""How many pages of such a range are kept, so that memory doesn't grow with it: what it has more is
listed when its turn comes."""

Pages = Iterator[tuple[Listed, ...]]


class Range(NamedTuple):
    """The pages of the objects up to the key ``last``, or to the lake's end when it is None."""

    pages: Pages
    last: str | None


def list_ranges(
    storage: Storage, bucket: str, prefix: str, after: str, cuts: Sequence[str]
) -> Generator[Range]:
    """The objects whose keys come after ``after``, cut behind each of ``cuts``, in their order.

    Raises as ``Storage.list`` does. The first range isn't listed ahead. Close the iterator to end
    the requests for the others.
    """
    first, *others = [
        Range(storage.list_pages(bucket, prefix, begin, last), last)
        for begin, last in zip_longest([after, *cuts], cuts)
    ]
    pool, waiting = ThreadPoolExecutor(RANGES_AHEAD), iter(others)
    try:
        ahead = deque(pool.submit(_begin, item) for item in islice(waiting, RANGES_AHEAD))
        yield first
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(_begin, item) for item in islice(waiting, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(item: Range) -> Range:
    """The same range, whose first pages are already there."""
    begun = list(islice(item.pages, PAGES_AHEAD))
    return item._replace(pages=chain(begun, item.pages))


def is_hidden(key: str, prefix: str) -> bool:
    """Whether Athena skips an object: a name that begins with _ or ., or a folder's placeholder.

    So is a name with a NUL, which Postgres can't store.
    """
    parts = key[len(prefix) :].split("/")
    return key.endswith("/") or "\0" in key or any(part.startswith(("_", ".")) for part in parts)
