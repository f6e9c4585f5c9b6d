"""What a person sees of a run: its progress while it goes, its outcome in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from forecast_sync import errors

from forecast_sync_cli.client.run_status import Snapshot
from forecast_sync_cli.terminal import Part, Styled, Table, Terminal

QUIET_SECONDS = 10.0
COLOURS = {"SUCCEEDED": "green", "RUNNING": "cyan"}
OUTCOMES = ("inserted", "updated", "unchanged", "rejected")


def show(terminal: Terminal, snapshots: Iterable[Snapshot]) -> Snapshot:
    """Show a run until it has ended; its last snapshot. A terminal sees one line that changes."""
    shown: Snapshot | None = None
    first: Snapshot | None = None
    with ExitStack() as stack:
        update = stack.enter_context(terminal.live()) if terminal.is_live else None
        for snapshot in snapshots:
            if snapshot.rows_done and (
                first is None or first.redrive_count != snapshot.redrive_count
            ):
                first = snapshot
            line = _line(snapshot, first)
            if update:
                update(*line)
            elif not snapshot.ended and (shown is None or _differs(shown, snapshot)):
                terminal.line(*line)
                shown = snapshot
            last = snapshot
    return last


def tell(terminal: Terminal, snapshot: Snapshot) -> None:
    """How a run ended, and what to do when it ended badly."""
    colour = COLOURS.get(snapshot.status, "red")
    redriven = f", redriven {snapshot.redrive_count} x" if snapshot.redrive_count else ""
    terminal.line(
        Styled(snapshot.status, colour),
        f" {snapshot.run_id} in {snapshot.seconds:.1f} s{redriven}",
    )
    if snapshot.error:
        terminal.line(f"  {snapshot.error}")
        again = (
            f"repair the cause, then: forecast-sync redrive {snapshot.run_id}"
            if errors.redrive_helps(errors.error_name(snapshot.error))
            else "a redrive can't help: start a new run"
        )
        terminal.line(f"  {again}")
    counts = (snapshot.result or {}).get("counts")
    if counts:
        terminal.table(counts_table(counts))
        for message, rows in counts.get("warnings", {}).items():
            terminal.line(Styled("warning", "yellow"), f" not so in {rows:,} rows: {message}")
    if (snapshot.result or {}).get("report"):
        terminal.line(f"  in detail: forecast-sync plan {snapshot.run_id}")
    elif not counts and snapshot.status == "SUCCEEDED" and snapshot.state == "Coalesced":
        terminal.line("  coalesced: a run was going on already, and runs once more when it ends")


def counts_table(counts: dict[str, int]) -> Table:
    """A run's rows by outcome, as one row."""
    names = ("window_rows", "rejected", "candidates", "superseded", "good", *OUTCOMES[:3])
    headings = [name.replace("_", " ") for name in names]
    table = Table(*headings, right=headings)
    table.add_row(*(f"{counts[name]:,}" for name in names))
    return table


def _differs(shown: Snapshot, snapshot: Snapshot) -> bool:
    """Whether a line is worth writing: another state or page, or rows after a while."""
    if (shown.state, shown.pages_done, shown.status) != (
        snapshot.state,
        snapshot.pages_done,
        snapshot.status,
    ):
        return not {shown.state, snapshot.state} <= {"Wait for Athena", "Poll Athena query"}
    return snapshot.rows_done > shown.rows_done and snapshot.seconds - shown.seconds > QUIET_SECONDS


def _line(snapshot: Snapshot, first: Snapshot | None) -> list[Part]:
    state = snapshot.state or "starting"
    line: list[Part] = [f"{snapshot.seconds:7.1f} s  ", Styled(f"{state:<18}", "bold")]
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


def _rate(snapshot: Snapshot, first: Snapshot | None) -> float:
    """Rows a second since the first rows of this drive were seen; 0 when it can't be said."""
    if first is None or snapshot.state != "Load pages":
        return 0
    seconds = snapshot.seconds - first.seconds
    return (snapshot.rows_done - first.rows_done) / seconds if seconds > 0 else 0
