"""``python -m benchmarks.survey_growth``: what *Survey lake* takes as the lake grows.

The listing is made up, a page at a time and as slowly as requested, because a million real objects
would take longer to upload than to survey; the file ledger is in a real Postgres. Each survey runs
in a separate process, as in a Lambda function, so that its memory can be measured.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.postgres import Connection, connect, transaction
from forecast_sync.adapters.s3 import Listed, Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run, SurveyRequest
from forecast_sync.lease.window import open_window
from forecast_sync.record.outcome import take_in
from forecast_sync.survey.lake import survey_lake
from forecast_sync.tables import load_table
from forecast_sync.target.schema import ensure_schema
from forecast_sync_cli.demo import data
from forecast_sync_cli.main import run_alone
from rich.console import Console
from rich.table import Table

from benchmarks.measurement import running_postgres
from benchmarks.own_process import answer_order, measure

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings(
    environment="dev",
    data_location="s3://lake/forecast/",
    athena_output_location="s3://results/athena/",
)
LAMBDA_SECONDS = 900
PAGE_OBJECTS = 1000


class MadeLake(Storage):
    """Objects that all have the same content; what is written is discarded."""

    def __init__(self, objects: int, page_seconds: float) -> None:
        self.objects, self.page_seconds = objects, page_seconds
        rows = [data.make_row(1, 7, data.FIRST_DAY, 1.0, BEGAN.replace(tzinfo=None))]
        content = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=data.SCHEMA), content)
        self.content = content.getvalue()

    def list_pages(
        self, _bucket: str, _prefix: str, after: str = "", last: str | None = None
    ) -> Iterator[tuple[Listed, ...]]:
        """As S3 lists, ``PAGE_OBJECTS`` at a time, each after a wait."""
        first = _number(after) + 1 if after else 0
        end = _number(last) + 1 if last else self.objects
        for begin in range(first, end, PAGE_OBJECTS):
            time.sleep(self.page_seconds)
            yield tuple(
                Listed(f"forecast/{number:09}.parquet", len(self.content), _time(number), "e")
                for number in range(begin, min(begin + PAGE_OBJECTS, end))
            )

    def read_tail(self, _bucket: str, _key: str, size: int) -> bytes:
        """The end of the only content."""
        return self.content[-size:]

    def write(self, _bucket: str, _key: str, content: bytes) -> None:
        """Nobody reads the lists here."""


class NoCatalog(Catalog):
    """Glue without Glue."""

    def __init__(self) -> None:
        """No client."""

    def keep_listed_table(self, *_arguments: Any) -> None:
        """The table is there."""

    def add_partitions(self, *_arguments: Any) -> None:
        """The partitions are there."""


def _number(key: str) -> int:
    return int(key.rpartition("/")[2].removesuffix(".parquet"))


def _time(number: int) -> datetime:
    return BEGAN + timedelta(seconds=number)


def survey(url: str, name: str, objects: int, page_seconds: float) -> dict[str, float]:
    """Survey a lake of this many objects as a run called ``name``, which then succeeds."""
    connection, table = connect(url), load_table()
    ensure_schema(connection, table)
    run = Run(
        run_id=name,
        execution_arn=name,
        started_at=datetime.now(UTC),
        trigger="manual",
        sync_type="incremental",
        batch_size=1000,
        git_ref="dev",
        environment="dev",
        neon_branch="dev",
    )
    window = open_window(connection, SETTINGS, table, run, lambda _arn: True, 0)
    lake, began, calls = MadeLake(objects, page_seconds), time.perf_counter(), 0
    while window.survey is None or not window.survey.done:
        calls += 1
        ends = time.perf_counter() + LAMBDA_SECONDS
        window = survey_lake(
            connection,
            lake,
            NoCatalog(),
            table,
            SETTINGS,
            SurveyRequest(run=run, window=window),
            lambda ends=ends: int((ends - time.perf_counter()) * 1000),  # type: ignore[misc]
        )
    seconds = time.perf_counter() - began
    _succeed(connection, run, window)
    return {
        "seconds": seconds,
        "calls": calls,
        "window": window.survey.window_objects,
    }


def _succeed(connection: Connection, run: Run, window: Any) -> None:
    """What Record status writes about the files."""
    with transaction(connection) as cursor:
        cursor.execute(
            "UPDATE forecast_sync_status SET status = 'succeeded', generation = 1, "
            "last_sync_timestamp = now(), finished_at = now() WHERE run_id = %s",
            [run.run_id],
        )
        take_in(cursor, SETTINGS, run, window)


KNOWN = """
INSERT INTO forecast_sync_file
SELECT (jsonb_populate_record(first, jsonb_build_object(
           'key', format('forecast/%%s.parquet', lpad(number::text, 9, '0')),
           'modified', first.modified + make_interval(secs => number)))).*
FROM forecast_sync_file AS first, generate_series(1, %s) AS number
"""
"""Adds objects like the only one that the ledger has."""


def grow(
    known: Annotated[list[int], typer.Argument(min=1000, help="Objects that a lake has had.")],
    unknown: Annotated[int, typer.Option(min=1000, help="Objects of a first run.")] = 100_000,
    page_milliseconds: Annotated[int, typer.Option(help="How long S3 takes for a page.")] = 100,
) -> None:
    """Survey lakes of known objects and one new one, and a lake that was never surveyed."""
    table = Table("objects", "new", title_justify="left", box=None)
    for heading in ("seconds", "S3's pages one by one", "calls", "memory MB"):
        table.add_column(heading, justify="right")
    page_seconds = page_milliseconds / 1000
    for size, new in [*((size, 1) for size in sorted(set(known))), (unknown, unknown)]:
        with running_postgres() as server:
            if new == 1:
                measure("benchmarks.survey_growth", server.url(), "first", 1, 0)
                with psycopg.connect(server.url(), autocommit=True) as connection:
                    connection.execute(KNOWN, [size - 1])
                    connection.execute("ANALYZE forecast_sync_file")
            figures = measure(
                "benchmarks.survey_growth",
                server.url(),
                "measured",
                size + new % size,
                page_seconds,
            )
        if figures["window"] != new:
            raise AssertionError(f"{figures['window']} objects to take in, not {new}")
        table.add_row(
            f"{size:,}",
            f"{new:,}",
            f"{figures['seconds']:.1f}",
            f"{-(-size // PAGE_OBJECTS) * page_seconds:.1f}",
            f"{figures['calls']:.0f}",
            f"{figures['memory'] / 1e6:.0f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__" and not answer_order(survey):
    run_alone(grow)
