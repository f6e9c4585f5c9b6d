"""``python -m benchmarks``: rounds of all ways to load, and Athena's statements; a report."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from forecast_sync_cli.main import run_alone
from rich.console import Console

from benchmarks import athena, report
from benchmarks.cold_start import compare_imports
from benchmarks.data import count_rows, write_workloads
from benchmarks.measurement import measure_rounds, running_postgres
from benchmarks.ways import WAYS

CHECKOUT = Path(__file__).parents[2]
ATHENA = "athena"


def bench(
    ways: Annotated[
        list[str] | None,
        typer.Argument(help=f"Which of {', '.join(WAYS)}, {ATHENA}; a prefix is enough."),
    ] = None,
    rows: Annotated[int, typer.Option(min=10_000, help="Rows of the first load.")] = 100_000,
    rounds: Annotated[
        int, typer.Option(min=1, help="Interleaved rounds; medians are reported.")
    ] = 3,
    docs: Annotated[bool, typer.Option("--docs", help="Update docs/ with the results.")] = False,
) -> None:
    """Measure the named ways, or all, and the floor that they are compared with.

    The part athena measures the statements that Athena runs, on Trino.
    """
    console, progress = Console(width=120), Console(stderr=True)
    if not ways or any(name.startswith(tuple(ways)) for name in WAYS):
        _bench_loading(console, progress, ways or [], rows, rounds, docs)
    if not ways or ATHENA.startswith(tuple(ways)):
        _bench_athena(console, progress, docs)


def _bench_loading(
    console: Console, progress: Console, ways: list[str], rows: int, rounds: int, docs: bool
) -> None:
    chosen = [name for name in WAYS if not ways or name.startswith(("floor", *ways))]
    with TemporaryDirectory(prefix="forecast-sync-lake-") as folder, running_postgres() as server:
        progress.print(f"writing the lake: {rows:,} rows")
        workloads = write_workloads(Path(folder), rows)
        counts = {name: count_rows(files) for name, files in workloads.items()}
        results = measure_rounds(server, chosen, workloads, rounds)
    medians = report.take_medians(results, counts)
    report.print_tables(console, medians)
    console.print(
        f"importing the upsert function takes {compare_imports():.2f} times the CPU time of "
        "importing boto3, an S3 client and psycopg"
    )
    target = CHECKOUT / "build" / "bench.json"
    report.write_json(target, rows, results, medians)
    report.draw(target.with_suffix(".svg"), medians)
    console.print(f"written: {target} and its picture, {target.with_suffix('.svg').name}")
    if docs:
        report.write_markdown(CHECKOUT / "docs" / "benchmark.md", rows, rounds, medians)
        report.draw(CHECKOUT / "docs" / "images" / "benchmark.svg", medians)


def _bench_athena(console: Console, progress: Console, docs: bool) -> None:
    figures = athena.measure_statements(progress.print, tuple(athena.SHAPES))
    athena.print_table(console, figures)
    target = CHECKOUT / "build" / "bench-athena.json"
    athena.write_json(target, figures)
    console.print(f"written: {target}")
    if docs:
        athena.write_markdown(CHECKOUT / "docs" / "benchmark-athena.md", figures)


if __name__ == "__main__":
    run_alone(bench)
