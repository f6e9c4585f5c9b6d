"""Measures what Athena's statements read and how long they take, by the lake's shape, on Trino.

Each shape is a lake in a local cloud whose engine is Trino. The code that composes a run's
statements composes these too; each runs once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb
from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.s3 import Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Window
from forecast_sync.contracts.survey import DateRange, Survey
from forecast_sync.diagnostics.checksums import build_lake_sums
from forecast_sync.extract.athena_sql import Dates, build_extract, build_profile
from forecast_sync.extract.queries import count_parts
from forecast_sync.survey.dates import merge
from forecast_sync.survey.judge import ANY_DATE, find_dates
from forecast_sync.survey.lists import OTHER, WINDOW, register_lists, write_paths
from forecast_sync.survey.parquet_footer import read_footer
from forecast_sync.tables import Table as TableFile
from forecast_sync.tables import load_table
from forecast_sync_cli.client.athena import run_query
from forecast_sync_cli.glue_tables import glue_input
from localcloud import cloud
from localcloud.athena.service import MEASURES
from localcloud.athena.trino_programs import VERSION
from rich.console import Console
from rich.table import Table

MEGABYTE = 1_000_000
HEADINGS = ("bytes read MB", "of the lake", "rows read", "peak memory MB", "seconds")
DATES = 40
END = datetime(9999, 1, 1, tzinfo=UTC)

ROWS = """
SELECT CAST(n * 7919 % {rows} % 1000 + 1 AS INTEGER) AS restaurant_id,
       CAST(n * 7919 % {rows} // 1000 + 1 AS INTEGER) AS inventory_item_id,
       DATE '2026-01-01' + CAST({day} AS INTEGER) AS business_date,
       'dma-' || hash(n, 1) % 200 AS dma_id, CAST(hash(n, 2) % 40 AS INTEGER) AS dc_id,
       CASE hash(n, 3) % 4
         WHEN 0 THEN 'OH' WHEN 1 THEN 'PA' WHEN 2 THEN 'MI' ELSE 'IN' END AS state,
       hash(n, {seed}) / 2e17 * 0.8 AS y_05, hash(n, {seed}) / 2e17 AS y_50,
       hash(n, {seed}) / 2e17 * 1.3 AS y_95,
       TIMESTAMP '2026-01-01' + to_seconds({seed} * 3600 + hash(n, 4) % 3600) AS updated_at
FROM range({rows}) AS numbers(n)
"""
"""A file's rows, in no order; files with equally many rows of a date have the same keys."""


class Shape(NamedTuple):
    """A lake: the number of its files and the rows of each; those of the window are written last.

    With ``dates`` 1, the files have one business date each, in turn; otherwise each has all dates.
    """

    title: str
    files: int
    rows: int
    window_files: int
    window_rows: int
    dates: int = 1


SHAPES = {
    "daily": Shape("40 files of a date each, 5,000 rows new", 40, 50_000, 1, 5_000),
    "small": Shape("400 files, ten a date, 5,000 rows new", 400, 5_000, 1, 5_000),
    "mixed": Shape("40 files with all dates, 5,000 rows new", 40, 50_000, 1, 5_000, dates=DATES),
    "wide": Shape("40 files of a date each, ten of them new", 40, 50_000, 10, 50_000),
}
"""The first is the yardstick: forty days, and one late file that repeats 5,000 of their rows."""

FULL = "daily"
"""The shape that is also read whole, by a full run and by ``diff``."""


class Figures(NamedTuple):
    """What a statement read, and how long it took."""

    shape: str
    statement: str
    lake_bytes: int
    scanned_bytes: int
    rows: int
    peak_memory_bytes: int
    seconds: float


def measure_statements(report: Callable[[str], None], names: tuple[str, ...]) -> list[Figures]:
    """Run every statement over each of these shapes, once."""
    with cloud.running(athena="trino") as local, TemporaryDirectory() as folder:
        report("Trino runs")
        figures = []
        for name in names:
            report(SHAPES[name].title)
            figures += list(_measure(local, name, Path(folder)))
        return figures


def _measure(local: Any, name: str, folder: Path) -> Iterator[Figures]:
    shape, table = SHAPES[name], load_table()
    glue_name = f"bench_{name}_{uuid.uuid4().hex[:6]}"
    location = f"s3://{local.bucket}/bench/{glue_name}/"
    settings = Settings(
        environment="dev",
        athena_db_name="forecast_dev",
        forecast_table_name=glue_name,
        athena_output_location=f"s3://{local.results_bucket}/athena/",
        data_location=location,
    )
    session = local.session()
    s3, glue, athena_client = (
        session.client(service, endpoint_url=local.endpoint_url)
        for service in ("s3", "glue", "athena")
    )
    files = []
    for number, content in enumerate(_files(shape, folder)):
        key = f"bench/{glue_name}/{number:04}.parquet"
        s3.put_object(Bucket=local.bucket, Key=key, Body=content)
        dates = find_dates(read_footer(content), table)
        files.append(File(key, len(content), dates or ANY_DATE, number >= shape.files))
    glue.create_table(
        DatabaseName="forecast_dev", TableInput=glue_input(table, glue_name, location)
    )
    athena = Athena(athena_client, settings.athena_workgroup, settings.athena_output_location)
    results = f"{settings.athena_output_location}bench/{glue_name}/"
    survey = _Survey(Storage(s3), Catalog(glue), settings, table)
    new = [file for file in files if file.is_new]
    late = survey.list(new, [file for file in files if not file.is_new], is_full=False)
    lake_bytes = sum(file.size for file in files)
    parts = count_parts(sum(file.size for file in new)), count_parts(lake_bytes)
    statements = {
        "profile": build_profile(table, settings, Dates(), late),
        "extract": build_extract(table, settings, Dates(), late, f"{results}late/", parts[0]),
    }
    if name == FULL:
        every = survey.list(files, [], is_full=True)
        statements |= {
            "profile of a full run": build_profile(table, settings, Dates(), every),
            "extract of a full run": build_extract(
                table, settings, Dates(), every, f"{results}every/", parts[1]
            ),
            "sums of diff": build_lake_sums(table, settings, Dates(), Window(high=END)),
        }
        day = new[0].dates.first
        dated = [file for file in files if file.dates.first <= day <= file.dates.last]
        of_day, one_date = survey.list(dated, [], is_full=True), Dates(day, day)
        statements |= {
            "profile of a plan of one date": build_profile(table, settings, one_date, of_day),
            "extract of a plan of one date": build_extract(
                table, settings, one_date, of_day, f"{results}day/", parts[0]
            ),
            "sums of diff of one date": build_lake_sums(table, settings, one_date, of_day),
        }
    for title, statement in statements.items():
        measured = _read_measures(local, run_query(athena, statement))
        yield Figures(shape=shape.title, statement=title, lake_bytes=lake_bytes, **measured)


class File(NamedTuple):
    """An object of the lake, and whether it is in the window."""

    key: str
    size: int
    dates: DateRange
    is_new: bool


class _Survey:
    """The lists that *Survey lake* would write."""

    def __init__(
        self, storage: Storage, catalog: Catalog, settings: Settings, table: TableFile
    ) -> None:
        self._storage, self._catalog = storage, catalog
        self._settings, self._table = settings, table

    def list(self, window: Sequence[File], unlisted: Sequence[File], *, is_full: bool) -> Window:
        """Write and register the lists: these new files, and the other files that overlap them."""
        survey_id = f"bench-{uuid.uuid4().hex[:12]}.0.0"
        location = f"{self._settings.athena_output_location}{survey_id}/"
        days = sorted({file.dates for file in window}, key=lambda dates: dates.first)
        reads = merge(days)
        overlapping = [
            file.key
            for file in unlisted
            if any(file.dates.first <= day.last and file.dates.last >= day.first for day in reads)
        ]
        lists = (self._storage, self._settings, self._table, location)
        listed = write_paths(*lists, WINDOW, [file.key for file in window])
        others = write_paths(*lists, OTHER, overlapping)
        register_lists(self._catalog, self._settings, self._table, survey_id, listed, others)
        survey = Survey(
            survey_id=survey_id, location=location, began_at=END, done=True, reads=tuple(reads)
        )
        return Window(low=None if is_full else END, high=END, survey=survey)


def _read_measures(local: Any, query_id: str) -> dict[str, Any]:
    """What the local Athena recorded of a query."""
    lines = (Path(local.state_dir) / MEASURES).read_text().splitlines()
    (measured,) = (found for line in lines if (found := json.loads(line))["query"] == query_id)
    return {name: value for name, value in measured.items() if name in Figures._fields}


def _files(shape: Shape, folder: Path) -> Iterator[bytes]:
    path = folder / "file.parquet"
    with duckdb.connect() as connection:
        for number in range(shape.files + shape.window_files):
            is_new = number >= shape.files
            rows = shape.window_rows if is_new else shape.rows
            day = f"n % {DATES}" if shape.dates > 1 else number % DATES
            query = ROWS.format(rows=rows, day=day, seed=number)
            connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
            yield path.read_bytes()


def print_table(console: Console, found: list[Figures]) -> None:
    """A line for each statement."""
    table = Table("lake", "statement", title="Athena's statements, on Trino", box=None)
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for figures in found:
        table.add_row(figures.shape, figures.statement, *_cells(figures))
    console.print(table, "")


def write_json(path: Path, found: list[Figures]) -> None:
    """Everything that was measured."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([figures._asdict() for figures in found], indent=2) + "\n")


def write_markdown(path: Path, found: list[Figures]) -> None:
    """The table in the form that the documents have."""
    parts = [
        "# What Athena's statements read",
        "",
        f"Written by `make bench WAYS=athena DOCS=--docs` on Trino {VERSION}.",
        "[cost.md](cost.md) explains what it means.",
        "",
        f"| lake | statement | {' | '.join(HEADINGS)} |",
        "|---|---" + "|--:" * len(HEADINGS) + "|",
        *(f"| {' | '.join((item.shape, item.statement, *_cells(item)))} |" for item in found),
    ]
    path.write_text("\n".join(parts) + "\n")


def _cells(figures: Figures) -> tuple[str, ...]:
    return (
        f"{figures.scanned_bytes / MEGABYTE:,.1f}",
        f"{figures.scanned_bytes / figures.lake_bytes:.2f}",
        f"{figures.rows:,}",
        f"{figures.peak_memory_bytes / MEGABYTE:,.0f}",
        f"{figures.seconds:.1f}",
    )
