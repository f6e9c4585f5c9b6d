"""Claims about verifying a load: what differs is found, and the message names the page."""

from __future__ import annotations

from typing import Any, cast

import pytest
from forecast_sync.adapters.postgres import Connection
from forecast_sync.adapters.s3 import Storage
from forecast_sync.contracts.counts import Profile
from forecast_sync.contracts.page import Plan
from forecast_sync.contracts.query import Queries
from forecast_sync.contracts.result import VerifyRequest
from forecast_sync.errors import InputsOutdated, VerificationFailed
from forecast_sync.load.loader import load_page
from forecast_sync.tables import load_table
from forecast_sync.verify.locate_mismatch import locate_mismatch
from forecast_sync.verify.reconcile import verify_load

from tests.builders import (
    DEFINITION,
    Files,
    make_row,
    make_run,
    make_started,
    make_upsert,
    make_window,
    to_line,
)
from tests.integration.loads import LONG, SETTINGS, begin

RUN = make_run()
WINDOW = make_window()


class Bucket(Files):
    """The result files and the pages file; the lake is empty."""

    pages = b"[]"

    def read(self, _bucket: str, _key: str) -> bytes:
        return self.pages

    def list(self, _bucket: str, _prefix: str) -> list[Any]:
        return []


@pytest.fixture
def bucket(connection: Connection) -> Bucket:
    """Three pages that have been loaded: rows 0 to 2, 3 to 5, and one reject."""
    begin(connection, RUN)
    files = Bucket()
    files.add("a.gz", [to_line(make_row(number)) for number in range(3)])
    files.add("b.gz", [to_line(make_row(number)) for number in range(3, 6)])
    files.add("c.gz", [b's3://lake/f.parquet\tno key\t{"a": 1}\n'])
    requests = [
        make_upsert(RUN, ["a.gz"], number=0),
        make_upsert(RUN, ["b.gz"], number=1),
        make_upsert(RUN, ["c.gz"], number=2, kind="reject"),
    ]
    for request in requests:
        load_page(connection, files.stream, load_table(), request, lambda: LONG, None)
    files.pages = b"[" + b",".join(item.page.model_dump_json().encode() for item in requests) + b"]"
    return files


def plan(checksum: int = 0, **counts: int) -> Plan:
    profile = {"window_rows": 7, "rejected": 1, "candidates": 6, "good": 6, "checksum": checksum}
    return Plan(
        pages=3,
        concurrency=1,
        pages_bucket="results",
        pages_key="pages.json",
        profile=Profile.model_validate({**profile, **counts}),
        definition=DEFINITION,
    )


def locate(connection: Connection, bucket: Bucket) -> str:
    return locate_mismatch(connection, cast(Storage, bucket), plan(), with_checksum=True)


def verify(connection: Connection, bucket: Bucket, expected: Plan, redrive_count: int = 0) -> Any:
    storage = cast(Storage, bucket)
    request = VerifyRequest(
        run=RUN,
        window=WINDOW,
        queries=Queries(
            extract=make_started(),
            profile=make_started(query="profile"),
        ),
        plan=expected,
        renewal=0,
        redrive_count=redrive_count,
    )
    return verify_load(connection, storage, load_table(), SETTINGS, request)


def loaded_checksum(connection: Connection) -> int:
    row = connection.execute("SELECT sum(checksum) FROM forecast_sync_batch").fetchone()
    assert row is not None
    return int(row[0])


def test_what_arrived_whole_is_verified(connection: Connection, bucket: Bucket) -> None:
    counts = verify(connection, bucket, plan(loaded_checksum(connection)))
    assert (counts.good, counts.rejected, counts.inserted) == (6, 1, 6)
    assert locate(connection, bucket) == (
        "Every page equals its files, so the two queries have read different rows."
    )


def test_a_difference_is_said_with_both_sides(connection: Connection, bucket: Bucket) -> None:
    expected = plan(loaded_checksum(connection), good=7, rejected=2)
    with pytest.raises(
        VerificationFailed,
        match=r"good rows: 7 in the lake, 6 in the ledger; rejected rows: 2 in the lake, 1 in .*\. "
        r"Every page equals its files.* Redrive to query",
    ):
        verify(connection, bucket, expected)


def test_a_redriven_difference_has_the_run_query_again(
    connection: Connection, bucket: Bucket
) -> None:
    with pytest.raises(InputsOutdated, match="good rows: 7 in the lake, 6 in the ledger"):
        verify(connection, bucket, plan(loaded_checksum(connection), good=7), redrive_count=1)


def test_the_first_page_with_other_content_is_named(connection: Connection, bucket: Bucket) -> None:
    bucket.add("b.gz", [to_line(make_row(number, state="TX")) for number in range(3, 6)])
    message = locate(connection, bucket)
    assert message.startswith("The first mismatch is in page 1: 3 rows with checksum ")
    assert " in its files, 3 rows with checksum " in message


def test_the_first_page_with_another_number_of_rows_is_named(
    connection: Connection, bucket: Bucket
) -> None:
    bucket.add("c.gz", [])
    assert locate(connection, bucket) == (
        "The first mismatch is in page 2: 0 rows with checksum 0 in its files, "
        "1 rows with checksum 0 in the ledger."
    )


@pytest.mark.parametrize("made_of", [None, "another"])
def test_inputs_of_another_table_file_or_of_an_older_release_are_made_again(
    connection: Connection, bucket: Bucket, made_of: str | None
) -> None:
    expected = plan(loaded_checksum(connection)).model_copy(update={"definition": made_of})
    with pytest.raises(InputsOutdated, match=f"definition {made_of or 'unknown'}"):
        verify(connection, bucket, expected)
