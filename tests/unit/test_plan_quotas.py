"""The plan for a billion rows stays within half of AWS's quotas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from forecast_sync.adapters.s3 import Listed
from forecast_sync.config import Settings
from forecast_sync.contracts.page import Page, Plan, PlanRequest, UpsertRequest
from forecast_sync.contracts.query import Queries, StartedQuery
from forecast_sync.contracts.result import VerifyRequest
from forecast_sync.extract.athena_sql import warning_names
from forecast_sync.extract.queries import MOST_PARTS
from forecast_sync.plan.pages import MOST_KEYS, count_workers, group_into_pages, plan_pages
from forecast_sync.plan.result_files import ResultFile
from forecast_sync.tables import load_table

from tests.builders import DEFINITION, STARTED_AT, make_run, make_window

ROWS = 1_000_000_000
BYTES_A_ROW = 18
"""Of the extract's gzip text, as `make bench` measures it."""

STATE_BYTES = 256 * 1024
MAP_ITEMS = 100_000_000
CHILDREN_AT_ONCE = 10_000
SPARE = 2

QUERY = "0f9c2f6e-54a1-4a2b-9d43-6c1f4f6d7e21"
PREFIX = (
    "athena/forecast-sync-production-20261124T120000-schedule-3fa9c1/"
    "extract-0-0-0-0123456789ab/kind=row/part={}"
)


class Athena:
    """A billion rows, unloaded by ``writers`` workers into each part."""

    def __init__(self, writers: int) -> None:
        self.requests = 0
        self.files = [
            Listed(f"{PREFIX.format(part)}/{QUERY}_{writer:05}.gz", size, STARTED_AT)
            for part in range(MOST_PARTS)
            for writer in range(writers)
            if (size := ROWS * BYTES_A_ROW // MOST_PARTS // writers)
        ]
        self.written = b""

    def read_row(self, _query_execution_id: str) -> dict[str, str]:
        row = {"window_rows": ROWS, "rejected": 0, "candidates": ROWS, "good": ROWS}
        counts = {**row, **dict.fromkeys(warning_names(load_table()), 0)}
        return {**{key: str(value) for key, value in counts.items()}, "checksum": "9" * 30}

    def manifest_location(self, query_execution_id: str) -> str:
        return f"s3://results/athena/{query_execution_id}-manifest.csv"

    def find(self, _bucket: str, _key: str) -> bytes:
        self.requests += 1
        return "".join(f"s3://results/{file.key}\n" for file in self.files).encode()

    def read(self, _bucket: str, _key: str) -> bytes:
        return b""

    def write(self, _bucket: str, _key: str, content: bytes) -> None:
        self.requests += 1
        self.written = content

    def list(self, bucket: str, _prefix: str) -> Iterator[Listed]:
        if bucket == "results":
            self.requests += -(-len(self.files) // 1000)
            yield from self.files


SETTINGS = Settings(environment="production", data_location="s3://lake/forecast/")


def request(connections: int) -> PlanRequest:
    started = [
        StartedQuery(
            query=name, query_execution_id=QUERY, sources="run-1.0.0", renewal=0, attempt=0,
            redrive_count=0, definition=DEFINITION,
        )
        for name in ("extract", "profile")
    ]  # fmt: skip
    return PlanRequest(
        run=make_run("20261124T120000-schedule-3fa9c1"),
        window=make_window(connections=connections),
        queries=Queries(extract=started[0], profile=started[1]),
        redrive_count=0,
    )


def plan(writers: int) -> tuple[Athena, PlanRequest, Plan]:
    athena = Athena(writers)
    wanted = request(connections=901)
    planned = plan_pages(
        cast(Any, athena),
        cast(Any, athena),
        load_table(),
        SETTINGS,
        wanted,
    )
    return athena, wanted, planned


def size(content: str) -> int:
    return len(content.encode())


@pytest.mark.parametrize("writers", [1, 20, 100, 2000])
def test_a_billion_rows_fit_the_quotas_twice(writers: int) -> None:
    athena, wanted, planned = plan(writers)
    pages = [Page.model_validate(page) for page in json.loads(athena.written)]
    assert sum(len(page.keys) for page in pages) == len(athena.files)
    assert planned.pages * SPARE <= MAP_ITEMS
    assert planned.concurrency * SPARE <= CHILDREN_AT_ONCE
    # Each child's result is an empty object and a comma in the Map's result.
    assert planned.pages * len("{},") * SPARE <= STATE_BYTES
    items = [UpsertRequest(run=wanted.run, page=page).model_dump_json() for page in pages]
    assert max(map(size, items)) * SPARE <= STATE_BYTES
    whole = VerifyRequest(
        run=wanted.run, window=wanted.window, queries=wanted.queries, plan=planned, renewal=0,
        redrive_count=0,
    )  # fmt: skip
    assert size(whole.model_dump_json()) * SPARE <= STATE_BYTES
    # A request for each file, and those of planning.
    assert len(athena.files) + athena.requests <= 61 * 2000 + 200


def test_a_page_of_many_small_files_still_fits_into_a_state() -> None:
    tiny = [ResultFile("results", f"{PREFIX.format(1)}/{n:05}.gz", 10) for n in range(5000)]
    pages = group_into_pages(QUERY, tiny, 16 * 1024 * 1024)
    assert max(len(page.keys) for page in pages) == MOST_KEYS
    assert max(size(page.model_dump_json()) for page in pages) * SPARE <= STATE_BYTES


@pytest.mark.parametrize(
    ("limit", "connections", "workers"),
    [(100, 97, 3), (100, 112, 4), (100, 450, 18), (100, 5000, 100), (2, 450, 2), (100, 10, 1),
     (7, 0, 7)],
)  # fmt: skip
def test_workers_follow_what_the_database_allows(
    limit: int, connections: int, workers: int
) -> None:
    assert count_workers(limit, connections) == workers
