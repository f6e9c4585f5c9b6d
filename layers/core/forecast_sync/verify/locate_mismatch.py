"""Locates a mismatch: the first page whose files aren't what the ledger says was loaded.

Done only when profile and ledger differ, because it reads the result files a second time.
"""

from __future__ import annotations

import json
import time

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.adapters.s3 import Storage
from forecast_sync.contracts.counts import Sums
from forecast_sync.contracts.page import Page, Plan
from forecast_sync.load.page_reader import PageReader, Stream, sum_hashes

SEARCH_SECONDS = 120.0


def locate_mismatch(
    connection: Connection, storage: Storage, plan: Plan, *, with_checksum: bool
) -> str:
    """A sentence that names the first page whose files and ledger differ, or says why none does.

    ``with_checksum`` compares the pages' content too, not only their numbers of rows.
    """
    content = storage.read(plan.pages_bucket, plan.pages_key)
    pages = [Page.model_validate(page) for page in json.loads(content)]
    loaded = _sum_ledger(connection, pages)
    deadline = time.monotonic() + SEARCH_SECONDS
    for page in pages:
        if time.monotonic() > deadline:
            return (
                f"The pages before page {page.number} equal their files; there was no time to "
                "compare the others."
            )
        in_ledger = loaded.get(page.number, Sums())
        in_files = _sum_files(
            storage.stream, page, with_checksum=with_checksum and page.kind == "row"
        )
        if in_files != in_ledger:
            return (
                f"The first mismatch is in page {page.number}: {in_files} in its files, "
                f"{in_ledger} in the ledger."
            )
    return "Every page equals its files, so the two queries have read different rows."


def _sum_ledger(connection: Connection, pages: list[Page]) -> dict[int, Sums]:
    """What was loaded, by page number."""
    if not pages:
        return {}
    parameters = {"query_execution_id": pages[0].query_execution_id}
    with transaction(connection) as cursor:
        rows = cursor.execute(statement("verify/sum_pages.sql"), parameters).fetchall()
    return {page: Sums(int(count), int(checksum)) for page, count, checksum in rows}


def _sum_files(stream: Stream, page: Page, *, with_checksum: bool) -> Sums:
    reader = PageReader(stream, page)
    checksum = sum(sum_hashes(block) if with_checksum else 0 for block in reader.blocks())
    return Sums(reader.position, checksum)
