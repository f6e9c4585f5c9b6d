"""Reads a page: gzip text files from S3, as one stream of whole lines, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from zlib_ng import zlib_ng

from forecast_sync.contracts.page import Page
from forecast_sync.errors import ResultInvalid

INFLATED_BYTES = 1024 * 1024
LINES_AT_ONCE = 100_000
LONGEST_LINE_BYTES = 64 * 1024 * 1024
"""A loader has 256 MB of memory: a line of 24 MB takes 50 MB of it, and one of 64 MB takes 130."""

Stream = Callable[[str, str], Iterator[bytes]]


class PageReader:
    """The lines of a page; ``position`` counts the lines taken or skipped so far.

    ``stream(bucket, key)`` yields an object's bytes. Raises ``ResultInvalid`` for a file that is
    truncated or isn't gzip, and whatever ``stream`` raises.
    """

    def __init__(self, stream: Stream, page: Page) -> None:
        self.position = 0
        self._blocks = _whole_lines(stream, page)
        self._block = b""

    def has_more(self) -> bool:
        """Whether a line is left."""
        while not self._block:
            block = next(self._blocks, None)
            if block is None:
                return False
            self._block = block
        return True

    def take(self, lines: int) -> Iterator[bytes]:
        """Blocks of whole lines, ``lines`` lines in all or what is left."""
        wanted = self.position + lines
        while self.position < wanted and self.has_more():
            yield self._take_block(wanted - self.position)

    def blocks(self) -> Iterator[bytes]:
        """Blocks of whole lines, all that are left."""
        while self.has_more():
            yield from self.take(LINES_AT_ONCE)

    def skip_to(self, position: int) -> None:
        """Skip to after ``position`` lines; raises ``ResultInvalid`` when the page is shorter."""
        for _ in self.take(position - self.position):
            pass
        if self.position != position:
            raise ResultInvalid(
                f"The page has {self.position} lines, but {position} were loaded from it before."
            )

    def _take_block(self, lines: int) -> bytes:
        block, self._block = self._block, b""
        count = block.count(b"\n")
        if count > lines:
            self._block = block.split(b"\n", lines)[-1]
            block, count = block[: len(block) - len(self._block)], lines
        self.position += count
        return block


def sum_hashes(block: bytes) -> int:
    """The sum of the lines' hashes, 60 bits of md5 each, as Athena sums them in the profile."""
    hashes = (hashlib.md5(line, usedforsecurity=False).hexdigest() for line in block.splitlines())
    return sum(int(digits[:15], 16) for digits in hashes)


def _whole_lines(stream: Stream, page: Page) -> Iterator[bytes]:
    for key in page.keys:
        rest = b""
        for inflated in _inflate(stream(page.bucket, key), f"s3://{page.bucket}/{key}"):
            if len(rest) > LONGEST_LINE_BYTES:
                raise ResultInvalid(
                    f"s3://{page.bucket}/{key} has a line of more than {LONGEST_LINE_BYTES:,} "
                    "bytes: a row of the lake is too large to be carried. Filter it out in the "
                    "table file or remove it from its file, then start a new run."
                )
            block = rest + inflated
            end = block.rfind(b"\n") + 1
            rest = block[end:]
            if end:
                yield block[:end]
        if rest:
            raise ResultInvalid(f"s3://{page.bucket}/{key} doesn't end with a whole line.")


def _inflate(compressed: Iterator[bytes], location: str) -> Iterator[bytes]:
    """Gzip members, one after the other, at most ``INFLATED_BYTES`` at a time."""
    member = None
    try:
        for block in compressed:
            pending = block
            while pending:
                member = member or zlib_ng.decompressobj(wbits=31)
                inflated = member.decompress(pending, INFLATED_BYTES)
                if inflated:
                    yield inflated
                pending = member.unused_data if member.eof else member.unconsumed_tail
                if member.eof:
                    member = None
    except zlib_ng.error as error:  # type: ignore[misc]  # declared as an instance there
        raise ResultInvalid(f"{location} isn't gzip text: {error}.") from None
    if member is not None:
        raise ResultInvalid(f"{location} is truncated.")
