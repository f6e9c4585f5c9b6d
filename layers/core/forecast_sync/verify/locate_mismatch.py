"""Parting: in which page a load and the files that it was made of differ.

Asked only when profile and ledger disagree, because it reads the result files a second time.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import NamedTuple, Protocol

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.contracts.page import Page, Plan
from forecast_sync.load.page_reader import PageReader, Stream

LOOKING_SECONDS = 120.0
LINES_AT_ONCE = 100_000


class Results(Protocol):
    """What looking for it needs of S3."""

    def read(self, bucket: str, key: str) -> bytes:
        """A whole object."""
        ...

    @property
    def stream(self) -> Stream:
        """An object's bytes, block by block."""
        ...


class Sums(NamedTuple):
    """Rows, and the sum of 60 bits of md5 of their lines."""

    rows: int = 0
    checksum: int = 0

    def __str__(self) -> str:
        return f"{self.rows} rows with checksum {self.checksum}"


def find_parting(connection: Connection, results: Results, plan: Plan, *, summed: bool) -> str:
    """A sentence about the first page that differs, or that none does."""
    content = results.read(plan.pages_bucket, plan.pages_key)
    pages = [Page.model_validate(page) for page in json.loads(content)]
    loaded = _loaded_pages(connection, pages)
    deadline = time.monotonic() + LOOKING_SECONDS
    for page in pages:
        if time.monotonic() > deadline:
            return f"Pages before {page.number} equal their files; the others weren't looked at."
        arrived = loaded.get(page.number, Sums())
        sent = _sum_files(results.stream, page, summed=summed and page.kind == "row")
        if sent != arrived:
            return f"They part in page {page.number}: {sent} in its files, {arrived} in the ledger."
    return "Every page equals its files, so the two queries have read different rows."


def _loaded_pages(connection: Connection, pages: list[Page]) -> dict[int, Sums]:
    if not pages:
        return {}
    asked = {"query_execution_id": pages[0].query_execution_id}
    with transaction(connection) as cursor:
        rows = cursor.execute(statement("verify/sum_pages.sql"), asked).fetchall()
    return {page: Sums(int(count), int(checksum)) for page, count, checksum in rows}


def _sum_files(stream: Stream, page: Page, *, summed: bool) -> Sums:
    reader = PageReader(stream, page)
    checksum = 0
    while reader.has_more():
        for block in reader.take(LINES_AT_ONCE):
            if summed:
                checksum += sum(map(_hash, block.splitlines()))
    return Sums(reader.position, checksum)


def _hash(line: bytes) -> int:
    return int(hashlib.md5(line, usedforsecurity=False).hexdigest()[:15], 16)
