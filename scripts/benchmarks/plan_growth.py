"""``python -m benchmarks.plan_growth``: what *Plan pages* takes for many result files and objects.

Listings and lists are made up, as in ``survey_growth``. The plan is made in a separate process,
with the clients that its function has, so that its memory can be measured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import typer
from botocore.session import Session
from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.s3 import Listed, Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.page import PlanRequest
from forecast_sync.contracts.query import Queries, StartedQuery
from forecast_sync.contracts.run import Run, Window
from forecast_sync.contracts.survey import Survey
from forecast_sync.extract.athena_sql import warning_names
from forecast_sync.extract.queries import MOST_PARTS
from forecast_sync.plan.pages import plan_pages
from forecast_sync.survey.lists import FILE_OBJECTS, version_of
from forecast_sync.tables import definition_of, load_table
from forecast_sync_cli.main import run_alone
from rich.console import Console
from rich.table import Table

from benchmarks.own_process import answer_order, measure

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings(environment="dev", data_location="s3://lake/forecast/")
PAGE_OBJECTS = 1000
QUERY = "0f9c2f6e-54a1-4a2b-9d43-6c1f4f6d7e21"
SURVEY = "s3://results/athena/run/survey-0-0/"
RESULT_BYTES = 256 * 1024


class MadeObjects(Storage):
    """A lake of equal objects, the lists of all of them, and the files of an extract."""

    def __init__(self, result_files: int, objects: int, page_seconds: float) -> None:
        self.result_files, self.objects = result_files, objects
        self.page_seconds = page_seconds
        self.calls = 0
        self.clients = [
            Session().create_client(name, region_name="us-east-2") for name in ("s3", "athena")
        ]
        """Unused, but in memory, as in the function."""

    def list_pages(
        self, bucket: str, _prefix: str, _after: str = "", _last: str | None = None
    ) -> Iterator[tuple[Listed, ...]]:
        """As S3 lists, ``PAGE_OBJECTS`` at a time, each after a wait."""
        make, count = (
            (_result_file, self.result_files) if bucket == "results" else (_lake_file, self.objects)
        )
        for begin in range(0, count, PAGE_OBJECTS):
            time.sleep(self.page_seconds)
            self.calls += 1
            yield tuple(map(make, range(begin, min(begin + PAGE_OBJECTS, count))))

    def find(self, _bucket: str, _key: str) -> bytes:
        """The manifest."""
        self.calls += 1
        names = (f"s3://results/{_result_file(number).key}" for number in range(self.result_files))
        return "\n".join(names).encode()

    def read(self, _bucket: str, key: str) -> bytes:
        """A file of the list of versions."""
        self.calls += 1
        begin = int(key.rpartition("/")[2]) * FILE_OBJECTS
        numbers = range(begin, min(begin + FILE_OBJECTS, self.objects))
        return "\n".join(json.dumps(version_of(_lake_file(number))) for number in numbers).encode()

    def write(self, _bucket: str, _key: str, _content: bytes) -> None:
        """Nobody reads the pages file here."""
        self.calls += 1


class MadeQuery(Athena):
    """A finished extract and profile."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def read_row(self, _query_execution_id: str) -> dict[str, str]:
        """The profile's only row."""
        counts = dict.fromkeys(("window_rows", "candidates", "good"), self.rows)
        others = dict.fromkeys(("rejected", *warning_names(load_table())), 0)
        return {name: str(value) for name, value in {**counts, **others, "checksum": 1}.items()}

    def manifest_location(self, query_execution_id: str) -> str:
        """Where the manifest is."""
        return f"s3://results/athena/{query_execution_id}-manifest.csv"


def _result_file(number: int) -> Listed:
    folder = f"athena/run/extract-0-0-0-0123456789ab/kind=row/part={number % MOST_PARTS:02}"
    return Listed(f"{folder}/{QUERY}_{number:06}.gz", RESULT_BYTES, BEGAN, "e")


def _lake_file(number: int) -> Listed:
    return Listed(f"forecast/{number:09}.parquet", RESULT_BYTES, BEGAN, "e")


def plan(result_files: int, objects: int, page_seconds: float) -> dict[str, float]:
    """Plan the pages of a full run."""
    table = load_table()
    made = MadeObjects(result_files, objects, page_seconds)
    began = time.perf_counter()
    planned = plan_pages(
        cast(Any, MadeQuery(1000)), made, table, SETTINGS, _request(objects, definition_of(table))
    )
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "calls": made.calls,
        "pages": planned.pages,
    }


def _request(objects: int, definition: str) -> PlanRequest:
    now = datetime.now(UTC)
    run = Run(
        run_id="run",
        execution_arn="run",
        started_at=now,
        trigger="manual",
        sync_type="full",
        batch_size=10_000,
        git_ref="dev",
        environment="dev",
        neon_branch="dev",
    )
    survey = Survey(
        survey_id="run.0.0",
        location=SURVEY,
        renewal=0,
        redrive_count=0,
        began_at=now,
        done=True,
        window_objects=objects,
        window_files=-(-objects // FILE_OBJECTS),
    )
    extract, profile = (
        StartedQuery(
            query=name,
            query_execution_id=QUERY,
            sources="run.0.0",
            renewal=0,
            attempt=0,
            redrive_count=0,
            definition=definition,
        )
        for name in ("extract", "profile")
    )
    return PlanRequest(
        run=run,
        window=Window(high=now, survey=survey, definition=definition),
        queries=Queries(extract=extract, profile=profile),
        redrive_count=0,
    )


def grow(
    result_files: Annotated[list[int], typer.Argument(min=1, help="Files of the extract.")],
    objects: Annotated[int, typer.Option(min=1, help="Objects that the queries read.")] = 1_000_000,
    page_milliseconds: Annotated[int, typer.Option(help="How long S3 takes for a page.")] = 100,
) -> None:
    """Plan the pages of a full run."""
    table = Table("result files", "objects", title_justify="left", box=None)
    for heading in ("seconds", "S3's pages one by one", "calls", "pages", "memory MB"):
        table.add_column(heading, justify="right")
    page_seconds = page_milliseconds / 1000
    for files in sorted(set(result_files)):
        figures = measure("benchmarks.plan_growth", files, objects, page_seconds)
        listed = -(-files // PAGE_OBJECTS) - (-objects // PAGE_OBJECTS)
        table.add_row(
            f"{files:,}",
            f"{objects:,}",
            f"{figures['seconds']:.1f}",
            f"{listed * page_seconds:.1f}",
            f"{figures['calls']:,.0f}",
            f"{figures['pages']:,.0f}",
            f"{figures['memory'] / 1e6:.0f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__" and not answer_order(plan):
    run_alone(grow)
