"""Reports results: on the terminal, in build/bench.json, and as a page and picture for docs/."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.data import FIRST, WINDOW, WORKLOADS
from benchmarks.measurement import Figures, Rounds
from benchmarks.ways import WAYS

FLOOR = "floor"
HEADINGS = ("seconds", "rows/s", "to floor", "WAL MB", "ids burned", "dead tuples", "memory MB",
            "client CPU s")  # fmt: skip
MEGABYTE = 1_000_000

Medians = dict[str, dict[str, Figures]]


def take_medians(rounds: Rounds, rows: dict[str, int]) -> Medians:
    """The median of each figure over the rounds, with rows per second and the ratio to the floor.

    The floor is COPY of the sorted rows: the window's rows for the window, all rows otherwise.
    """
    medians: Medians = {}
    for way, all_figures in rounds.items():
        for workload in all_figures[0]:
            figures = [one[workload] for one in all_figures]
            middle = {key: _median([one[key] for one in figures]) for key in figures[0]}
            middle["rows"] = round(rows[workload] * WAYS[way].share)
            middle["rows_a_second"] = round(middle["rows"] / middle["seconds"])
            medians.setdefault(way, {})[workload] = middle
    for way, workloads in medians.items():
        for workload, figures_of in workloads.items():
            floor = medians.get(FLOOR, {}).get(WINDOW if workload == WINDOW else FIRST)
            share = WAYS[way].share
            figures_of["to_floor"] = (
                figures_of["seconds"] / share / floor["seconds"] if floor else None
            )
    return medians


def write_json(path: Path, rows: int, rounds: Rounds, medians: Medians) -> None:
    """Write everything that was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"processors": os.cpu_count(), "python": platform.python_version()}
    content = {"rows": rows, "machine": machine, "medians": medians, "rounds": rounds}
    path.write_text(json.dumps(content, indent=2) + "\n")


def print_tables(console: Console, medians: Medians) -> None:
    """Print one table per workload."""
    for workload, title in WORKLOADS.items():
        table = Table("way", title=title, title_justify="left", title_style="bold", box=None)
        for heading in HEADINGS:
            table.add_column(heading, justify="right")
        for way, workloads in medians.items():
            if workload in workloads:
                table.add_row(WAYS[way].label, *_cells(workloads[workload]))
        console.print(table, "")
    _print_athena(console, medians)


def write_markdown(path: Path, rows: int, rounds: int, medians: Medians) -> None:
    """Write the tables in Markdown."""
    parts = [
        "# The benchmark's figures",
        "",
        f"Written by `make bench ROWS={rows} BENCH_ROUNDS={rounds} DOCS=--docs`.",
        "[performance.md](performance.md) explains what they mean.",
        "",
    ]
    for workload, title in WORKLOADS.items():
        parts += [f"## {title[0].upper()}{title[1:]}", "", f"| way | {' | '.join(HEADINGS)} |"]
        parts.append("|---" + "|--:" * len(HEADINGS) + "|")
        for way, workloads in medians.items():
            if workload in workloads:
                parts.append(f"| {WAYS[way].label} | {' | '.join(_cells(workloads[workload]))} |")
        parts.append("")
    path.write_text("\n".join(parts))


def draw(path: Path, medians: Medians) -> None:
    """Draw a bar for each way and workload, as a multiple of the floor."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "forecast-sync"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    figure.suptitle("Time as a multiple of COPY of the sorted rows (red line)", fontsize=10)
    for (workload, title), axis in zip(WORKLOADS.items(), axes.flat, strict=True):
        shown = [
            (way, workloads[workload])
            for way, workloads in medians.items()
            if workload in workloads
        ]
        shown = [(way, figures) for way, figures in shown if figures["to_floor"] is not None]
        names = [WAYS[way].label for way, _ in shown][::-1]
        values = [figures["to_floor"] for _, figures in shown][::-1]
        ours = [way.startswith(("loader", "workflow")) for way, _ in shown][::-1]
        colors = ["#1f6f8b" if mine else "#b8b8b8" for mine in ours]
        bars = axis.barh(names, values, color=colors)
        axis.bar_label(bars, fmt="%.2f", padding=2, fontsize=7)
        axis.set_xscale("log", base=2)
        axis.set_xlim(right=2 * max(values))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.axvline(1, color="#d1495b", linewidth=1)
        axis.set_title(title, fontsize=9, loc="left")
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def _median(values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _cells(figures: Figures) -> list[str]:
    return [
        f"{figures['seconds']:.2f}",
        f"{figures['rows_a_second']:,}",
        _shown(figures["to_floor"], 1, "{:.2f}"),
        _shown(figures["wal_bytes"], MEGABYTE, "{:,.1f}"),
        _shown(figures["ids_burned"], 1, "{:,.0f}"),
        _shown(figures["dead_tuples"], 1, "{:,.0f}"),
        _shown(figures["peak_memory_bytes"], MEGABYTE, "{:,.0f}"),
        _shown(figures["client_cpu_seconds"], 1, "{:.2f}"),
    ]


def _shown(value: float | None, unit: float, form: str) -> str:
    return "-" if value is None else form.format(value / unit)


def _print_athena(console: Console, medians: Medians) -> None:
    for workload, figures in medians.get("workflow", {}).items():
        console.print(
            f"whole workflow, {WORKLOADS[workload]}: {figures['athena_seconds']:.1f} s of "
            f"{figures['seconds']:.1f} s are the local Athena's queries"
        )
