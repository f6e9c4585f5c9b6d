"""``python -m benchmarks.burst_model``: the runs that a burst of uploads starts in AWS, by model.

The queue collects events for the batching window, or until a batch is full, in two batches at once
(``MaximumConcurrency``). Each batch starts an execution. While one works, others coalesce into it,
and it starts one more when it ends. Nothing here was measured in AWS: ``PHASES`` are assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from forecast_sync_cli.main import run_alone
from rich.console import Console
from rich.table import Table

PHASES = {
    "begin": 2.0,
    "survey": 1.0,
    "query": 5.0,
    "plan and load": 2.0,
    "verify and record": 2.0,
}
"""Seconds of a warm run of a small window, in their order: rows arrive at the end of the load."""

LISTED_AFTER = PHASES["begin"]
"""A run takes in what was uploaded before its listing begins."""
ARRIVES_AFTER = sum(PHASES.values()) - PHASES["verify and record"]
RUN_SECONDS = sum(PHASES.values())

EVENT_SECONDS = 0.5
"""From an upload to its message in the queue."""
BATCH_SIZE = 1000
BATCHES_AT_ONCE = 2

WINDOWS = (0, 1, 2, 5, 10, 20)
BURSTS = ((1, 1.0), (200, 100.0), (10_000, 1000.0), (10_000, 100.0))
"""How many files, and how many of them are uploaded in a second."""


class Outcome(NamedTuple):
    """A burst's executions, how many of them work, and when rows arrive, in seconds."""

    executions: int
    working: int
    first_row: float
    last_row: float


def simulate(files: int, files_per_second: float, window: float) -> Outcome:
    """What becomes of a burst; times count from its first upload, whose rows are the first."""
    uploads = [number / files_per_second for number in range(files)]
    starts = sorted(
        start
        for first in range(BATCHES_AT_ONCE)
        for start in _collect(uploads[first::BATCHES_AT_ONCE], window)
    )
    lease = _Lease()
    for start in starts:
        lease.ask(start)
    lease.finish()
    arrivals = [_arrival(upload, lease.began) for upload in uploads]
    return Outcome(len(starts) + lease.reruns, len(lease.began), arrivals[0], max(arrivals))


def _collect(uploads: list[float], window: float) -> list[float]:
    """When the batches of one collector are handed over."""
    handed_over, waiting = [], [upload + EVENT_SECONDS for upload in uploads]
    while waiting:
        closes = waiting[0] + window
        batch = [message for message in waiting[:BATCH_SIZE] if message <= closes]
        handed_over.append(batch[-1] if len(batch) == BATCH_SIZE else closes)
        waiting = waiting[len(batch) :]
    return handed_over


@dataclass
class _Lease:
    """Lets one run work at a time; the others coalesce into it."""

    began: list[float] = field(default_factory=list)
    reruns: int = 0
    _is_asked: bool = False

    def ask(self, time: float) -> None:
        """An execution comes for the lease."""
        while self._is_asked and self._ends() <= time:
            self._start_again()
        if not self.began or self._ends() <= time:
            self.began.append(time)
        else:
            self._is_asked = True

    def finish(self) -> None:
        """No more executions come."""
        if self._is_asked:
            self._start_again()

    def _start_again(self) -> None:
        self.began.append(self._ends())
        self.reruns += 1
        self._is_asked = False

    def _ends(self) -> float:
        return self.began[-1] + RUN_SECONDS


def _arrival(upload: float, began: list[float]) -> float:
    """When an upload's rows arrive: with the first run that lists it."""
    run = next(start for start in began if start + LISTED_AFTER >= upload)
    return run + ARRIVES_AFTER


def main() -> None:
    """Print a line for each burst and batching window."""
    table = Table("files", title_justify="left", box=None)
    for heading in ("a second", "window s", "executions", "that work", "first row s", "last row s"):
        table.add_column(heading, justify="right")
    for files, files_per_second in BURSTS:
        for window in WINDOWS:
            outcome = simulate(files, files_per_second, window)
            table.add_row(
                f"{files:,}",
                f"{files_per_second:,.0f}" if files > 1 else "",
                str(window),
                f"{outcome.executions:,}",
                str(outcome.working),
                f"{outcome.first_row:.1f}",
                f"{outcome.last_row:.1f}",
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    run_alone(main)
