"""What a person sees of a run: its progress while it goes, its outcome in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from forecast_sync import links
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from forecast_sync_ops.snapshots import Snapshot

QUIET_SECONDS = 10.0
COLOURS = {"SUCCEEDED": "green", "RUNNING": "cyan"}
OUTCOMES = ("inserted", "updated", "unchanged", "rejected")


def show(console: Console, snapshots: Iterable[Snapshot]) -> Snapshot:
    """Show a run until it has ended; its last snapshot. A terminal sees one line that changes."""
    shown: Snapshot | None = None
    first: Snapshot | None = None
    with ExitStack() as stack:
        live = (
            stack.enter_context(Live(console=console, transient=True))
            if _is_live(console)
            else None
        )
        for snapshot in snapshots:
            if snapshot.rows_done and (
                first is None or first.redrive_count != snapshot.redrive_count
            ):
                first = snapshot
            line = _line(snapshot, first)
            if live:
                live.update(Text.from_markup(line))
            elif not snapshot.ended and (shown is None or _differs(shown, snapshot)):
                console.print(line, soft_wrap=True)
                shown = snapshot
            last = snapshot
    return last


def tell(console: Console, snapshot: Snapshot) -> None:
    """How a run ended, and what to do when it ended badly."""
    colour = COLOURS.get(snapshot.status, "red")
    redriven = f", redriven {snapshot.redrive_count} x" if snapshot.redrive_count else ""
    console.print(
        f"[{colour}]{snapshot.status}[/] {escape(snapshot.run_id)}"
        f" in {snapshot.seconds:.1f} s{redriven}",
        soft_wrap=True,
    )
    if snapshot.error:
        console.print(f"  {escape(snapshot.error)}", soft_wrap=True)
        again = (
            f"repair the cause, then: forecast-sync redrive {snapshot.run_id}"
            if links.redrive_helps(links.error_name(snapshot.error))
            else "a redrive can't help: start a new run"
        )
        console.print(f"  {again}", soft_wrap=True)
    counts = (snapshot.result or {}).get("counts")
    if counts:
        console.print(counts_table(counts))
        for message, rows in counts.get("warnings", {}).items():
            console.print(f"[yellow]warning[/] not so in {rows:,} rows: {escape(message)}")
    if (snapshot.result or {}).get("report"):
        console.print(f"  in detail: forecast-sync plan {escape(snapshot.run_id)}", soft_wrap=True)
    elif not counts and snapshot.status == "SUCCEEDED" and snapshot.state == "Coalesced":
        console.print("  coalesced: a run was going on already, and runs once more when it ends")


def counts_table(counts: dict[str, int]) -> Table:
    """A run's rows by outcome, as one row."""
    names = ("window_rows", "rejected", "candidates", "superseded", "good")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in (*names, *OUTCOMES[:3]):
        table.add_column(name.replace("_", " "), justify="right", overflow="fold")
    table.add_row(*(f"{counts[name]:,}" for name in (*names, *OUTCOMES[:3])))
    return table


def _is_live(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal


def _differs(shown: Snapshot, snapshot: Snapshot) -> bool:
    """Whether a line is worth writing: another state or page, or rows after a while."""
    if (shown.state, shown.pages_done, shown.status) != (
        snapshot.state,
        snapshot.pages_done,
        snapshot.status,
    ):
        return not {shown.state, snapshot.state} <= {"Wait for Athena", "Poll Athena query"}
    return snapshot.rows_done > shown.rows_done and snapshot.seconds - shown.seconds > QUIET_SECONDS


def _line(snapshot: Snapshot, first: Snapshot | None) -> str:
    parts = [f"{snapshot.seconds:7.1f} s", f"[bold]{escape(snapshot.state or 'starting'):<18}[/]"]
    if snapshot.pages is not None:
        parts.append(f"pages {snapshot.pages_done}/{snapshot.pages}")
        if snapshot.pages_failed:
            parts.append(f"[red]{snapshot.pages_failed} failed[/]")
        parts.append(f"rows {snapshot.rows_done:,}/{snapshot.rows_expected or 0:,}")
    rate = _rate(snapshot, first)
    if rate:
        parts.append(f"{rate:,.0f} rows/s")
        left = (snapshot.rows_expected or 0) - snapshot.rows_done
        if left > 0:
            parts.append(f"{left / rate:,.0f} s left")
    return "  ".join(parts)


def _rate(snapshot: Snapshot, first: Snapshot | None) -> float:
    """Rows a second since the first rows of this drive were seen; 0 when it can't be said."""
    if first is None or snapshot.state != "Load pages":
        return 0
    seconds = snapshot.seconds - first.seconds
    return (snapshot.rows_done - first.rows_done) / seconds if seconds > 0 else 0
