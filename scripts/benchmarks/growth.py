"""``python -m benchmarks.growth``: what a row costs as tables grow.

Each way loads tables of several sizes, then the same number of new rows into each.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.main import run_alone
from rich.console import Console
from rich.table import Table

from benchmarks.data import FIRST, WINDOW, count_rows, write_workloads
from benchmarks.measurement import measure_rounds, running_postgres
from benchmarks.report import take_medians
from benchmarks.ways import WAYS

CHECKOUT = Path(__file__).parents[2]
COMPARED = ("floor", "copy", "loader-10k", "loader-page")
TITLES = {
    FIRST: "first load of all rows",
    WINDOW: "{window:,} new rows into that table",
}

Costs = dict[str, dict[str, dict[int, tuple[float, int]]]]
"""By workload, way and size: microseconds per row, and the process's peak memory in bytes."""


def growth(
    sizes: Annotated[list[int], typer.Argument(min=10_000, help="Rows of the tables.")],
    window: Annotated[int | None, typer.Option(min=1000, help="New rows for each table.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; medians are reported.")] = 1,
) -> None:
    """Measure COPY and the loader at each size, compared with the smallest.

    The default window is a tenth of the smallest table.
    """
    sizes = sorted(set(sizes))
    window = window or sizes[0] // 10
    if window > sizes[0]:
        raise UserError(
            f"the window has {window:,} rows: expected at most the smallest table's {sizes[0]:,}"
        )
    costs: Costs = {FIRST: {}, WINDOW: {}}
    progress = Console(stderr=True)
    for rows in sizes:
        with (
            TemporaryDirectory(prefix="forecast-sync-lake-") as folder,
            running_postgres() as server,
        ):
            progress.print(f"writing the lake: {rows:,} rows")
            workloads = write_workloads(Path(folder), rows, (FIRST, WINDOW), rows // window)
            counts = {name: count_rows(files) for name, files in workloads.items()}
            results = measure_rounds(server, COMPARED, workloads, rounds)
        for name, medians in take_medians(results, counts).items():
            for workload, figures in medians.items():
                cost = figures["seconds"] / figures["rows"] * 1e6
                costs[workload].setdefault(name, {})[rows] = (cost, figures["peak_memory_bytes"])
    target = CHECKOUT / "build" / "growth.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"window": window, "costs": costs}, indent=2) + "\n")
    for workload, ways in costs.items():
        _print(Console(width=120), TITLES[workload].format(window=window), sizes, ways)


def _print(
    console: Console, title: str, sizes: list[int], ways: dict[str, dict[int, tuple[float, int]]]
) -> None:
    """Microseconds per row, and their growth from the smallest to the largest size."""
    table = Table("microseconds per row", title=title, title_justify="left", box=None)
    for rows in sizes:
        table.add_column(f"{rows:,} rows", justify="right")
    for heading in ("growth", "beyond COPY", "memory MB"):
        table.add_column(heading, justify="right")
    smallest, largest = sizes[0], sizes[-1]
    floor = ways["floor"][largest][0] / ways["floor"][smallest][0]
    for name, by_size in ways.items():
        growth = by_size[largest][0] / by_size[smallest][0]
        table.add_row(
            WAYS[name].label,
            *(f"{by_size[rows][0]:.2f}" for rows in sizes),
            f"{growth:.2f}",
            f"{growth / floor:.2f}",
            f"{by_size[smallest][1] / 1e6:.0f} to {by_size[largest][1] / 1e6:.0f}",
        )
    console.print(table, "")


if __name__ == "__main__":
    run_alone(growth)
