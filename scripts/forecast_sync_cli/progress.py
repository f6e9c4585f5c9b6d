"""How the terminal shows a run: its progress while it works, then its outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from forecast_sync import errors
from forecast_sync.contracts.result import RunResult
from forecast_sync.runs.model import OUTCOMES

from forecast_sync_cli.client.run_status import Snapshot
from forecast_sync_cli.terminal import Part, Styled, Table, Terminal
from forecast_sync_cli.units import show_size

QUIET_SECONDS = 10.0
QUERYING = frozenset(
    {"Run queries", "Start Athena query", "Wait for Athena", "Poll Athena query", "Query done?"}
)
"""The states that a run alternates between while its queries run."""

COLORS = {"SUCCEEDED": "green", "RUNNING": "cyan"}
OUTCOME_COLORS = {
    "succeeded": "green",
    "dry_run": "green",
    "running": "cyan",
    "coalesced": "yellow",
    "superseded": "yellow",
}
"""For the outcomes that aren't bad."""


class Progress:
    """A run's progress: call it with each snapshot, within a ``with`` block.

    A terminal shows one line that changes; a pipe gets a line whenever there is something new. With
    ``names_table``, each line names the run's table.
    """

    def __init__(self, terminal: Terminal, *, names_table: bool = False) -> None:
        self._terminal = terminal
        self._names_table = names_table
        self._stack = ExitStack()
        self._update: Callable[..., None] | None = None
        self._shown: Snapshot | None = None
        self._first: Snapshot | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def __call__(self, snapshot: Snapshot) -> None:
        """Show the run as it is now."""
        first = self._first
        if snapshot.rows_done and (first is None or first.redrive_count != snapshot.redrive_count):
            self._first = snapshot
        line = _line(snapshot, self._first, names_table=self._names_table)
        if self._terminal.is_live:
            self._update = self._update or self._stack.enter_context(self._terminal.live())
            self._update(*line)
        elif not snapshot.ended and (self._shown is None or _differs(self._shown, snapshot)):
            self._terminal.line(*line)
            self._shown = snapshot


class Steps:
    """What a long command is doing, and for how long: call it with each step, in a ``with`` block.

    A terminal shows one line that changes; a pipe gets a line for each step, unless ``announces``
    is false, and one every ``QUIET_SECONDS`` while a step continues.
    """

    def __init__(
        self,
        terminal: Terminal,
        clock: Callable[[], float] = time.monotonic,
        *,
        announces: bool = True,
    ) -> None:
        self._terminal = terminal
        self._announces = announces
        self._clock = clock
        self._began = clock()
        self._step = ""
        self._stack = ExitStack()
        self._is_shown = False
        self._over = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def __call__(self, step: str) -> None:
        """Begin a step, or say how far the current one is."""
        self._step = step
        if self._terminal.is_live:
            if not self._is_shown:
                self._stack.enter_context(self._terminal.ticking(self._line))
        else:
            if self._announces:
                self._terminal.line(*self._line())
            if not self._is_shown:
                threading.Thread(target=self._repeat, daemon=True).start()
        self._is_shown = True

    def end(self) -> None:
        """Stop showing steps, before something else shows its progress."""
        self._over.set()
        self._stack.close()

    def _line(self) -> list[Part]:
        return [f"{self._clock() - self._began:7.1f} s  {self._step} ..."]

    def _repeat(self) -> None:
        step = self._step
        while not self._over.wait(QUIET_SECONDS):
            if step == self._step:
                self._terminal.line(*self._line())
            step = self._step


def show_progress(
    terminal: Terminal, snapshots: Iterable[Snapshot], *, names_table: bool = False
) -> Snapshot:
    """Show a run until it has ended, and return its last snapshot."""
    with Progress(terminal, names_table=names_table) as show:
        for snapshot in snapshots:
            show(snapshot)
    return snapshot


def show_outcome(
    terminal: Terminal,
    snapshot: Snapshot,
    *,
    next_step: str | None = None,
    label: str | None = None,
    start: str = "forecast-sync start",
) -> None:
    """Show how a run ended and, if it failed, what to do next: a redrive, or ``next_step``.

    ``label`` is what the run is called, by default its name. ``start`` is the command that takes
    ``--allow-deletes``.
    """
    color = OUTCOME_COLORS.get(snapshot.outcome, "red")
    redriven = f", redriven {count_times(snapshot.redrive_count)}" if snapshot.redrive_count else ""
    terminal.line(
        Styled(_headline(snapshot), color),
        f" {label or snapshot.run_id} in {snapshot.seconds:.1f} s{redriven}",
    )
    if snapshot.window_reason:
        terminal.line(f"  the whole lake was read: {snapshot.window_reason}")
    if snapshot.error:
        terminal.line(f"  {snapshot.error}")
        terminal.line(f"  {next_step or _next_step(snapshot, errors.error_name(snapshot.error))}")
    counts = snapshot.counts
    if counts:
        terminal.table(counts_table(counts.model_dump()))
        show_warnings(terminal, counts.warnings)
    if snapshot.deletes_deferred and isinstance(snapshot.result, RunResult):
        reason = snapshot.result.deletes_deferred_reason
        show_deferred(terminal, snapshot.deletes_deferred, reason, start)
    if snapshot.report:
        terminal.line(f"  in detail: forecast-sync plan {snapshot.run_id}")
    elif snapshot.outcome == "coalesced":
        ahead = snapshot.coalesced_into or "another run"
        terminal.line(f"  it did nothing itself: {ahead} starts one more run when it ends")
    elif snapshot.waits:
        terminal.line(f"  it waits: {snapshot.waits}")


def show_warnings(terminal: Terminal, warnings: dict[str, int]) -> None:
    """Show which of the table file's expectations rows have broken; they are loaded anyway."""
    for message, count in warnings.items():
        rows = "1 row" if count == 1 else f"{count:,} rows"
        terminal.line(Styled("warning", "yellow"), f" expectation broken in {rows}: {message}")


def show_deferred(terminal: Terminal, count: int, reason: str | None, start: str) -> None:
    """Show how many rows should leave the target but wait, why, and what deletes them.

    ``start`` is the command that takes ``--allow-deletes``.
    """
    rows = "1 row stays" if count == 1 else f"{count:,} rows stay"
    terminal.line(Styled("deferred", "yellow"), f" {rows} that should leave: {reason or ''}")
    terminal.line(f"  if the lake is right, allow it once: {start} --allow-deletes {count}")


def _headline(snapshot: Snapshot) -> str:
    """Step Functions' word for how it ended, unless that misleads."""
    is_else = snapshot.outcome in ("coalesced", "superseded")
    return snapshot.outcome.upper() if is_else else snapshot.status


def _next_step(snapshot: Snapshot, error: str) -> str:
    run_id = snapshot.run_id
    if snapshot.outcome == "stopped":
        return f"to continue it: forecast-sync redrive {run_id}"
    if error == errors.LeaseHeld.__name__:
        return f"when that run has ended: forecast-sync redrive {run_id}"
    if errors.redrive_helps(error):
        return f"fix the cause, then: forecast-sync redrive {run_id}"
    return "a redrive can't help: start a new run"


def counts_table(counts: dict[str, int]) -> Table:
    """A run's row counts by outcome, as a table of one row."""
    names = ["window_rows", "rejected", "candidates", "superseded", "good", *OUTCOMES[:3]]
    if counts.get("deleted"):
        names.append("deleted")
    headings = [name.replace("_", " ") for name in names]
    table = Table(*headings, right=headings)
    table.add_row(*(f"{counts[name]:,}" for name in names))
    return table


def _differs(shown: Snapshot, snapshot: Snapshot) -> bool:
    """Whether to write a new line: the state or page changed, or, after a while, anything."""
    before, after = (
        (each.state, each.pages_done, each.status, each.waits) for each in (shown, snapshot)
    )
    if before != after and not {shown.state, snapshot.state} <= QUERYING:
        return True
    if snapshot.seconds - shown.seconds <= QUIET_SECONDS:
        return False
    counts_before, counts_after = (
        (each.rows_done, each.scanned_bytes, each.files_surveyed) for each in (shown, snapshot)
    )
    return counts_before != counts_after


def _line(snapshot: Snapshot, first: Snapshot | None, *, names_table: bool = False) -> list[Part]:
    state = snapshot.state or "starting"
    table = f"{snapshot.table}  " if names_table and snapshot.table else ""
    line: list[Part] = [f"{snapshot.seconds:7.1f} s  {table}", Styled(f"{state:<18}", "bold")]
    if snapshot.waits:
        return [*line, "  waits: ", snapshot.waits]
    if snapshot.files is not None and snapshot.pages is None:
        line.append(f"  files {snapshot.files:,}")
    if snapshot.files_surveyed is not None:
        line.append(f"  files surveyed {snapshot.files_surveyed:,}")
    if snapshot.scanned_bytes is not None and state in QUERYING:
        most = f" of at most {show_size(snapshot.most_bytes)}" if snapshot.most_bytes else ""
        line.append(f"  Athena has read {show_size(snapshot.scanned_bytes)}{most}")
    if snapshot.pages is not None:
        line.append(f"  pages {snapshot.pages_done}/{snapshot.pages}")
        if snapshot.pages_failed:
            line += ["  ", Styled(f"{snapshot.pages_failed} failed", "red")]
        line.append(f"  rows {snapshot.rows_done:,}/{snapshot.rows_expected or 0:,}")
    rate = _rate(snapshot, first)
    if rate:
        line.append(f"  {rate:,.0f} rows/s")
        left = (snapshot.rows_expected or 0) - snapshot.rows_done
        if left > 0:
            line.append(f"  {left / rate:,.0f} s left")
    return line


def count_times(number: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _rate(snapshot: Snapshot, first: Snapshot | None) -> float:
    """Rows per second since this attempt's first rows; 0 while that is unknown."""
    if first is None or snapshot.state != "Load pages":
        return 0
    seconds = snapshot.seconds - first.seconds
    return (snapshot.rows_done - first.rows_done) / seconds if seconds > 0 else 0
