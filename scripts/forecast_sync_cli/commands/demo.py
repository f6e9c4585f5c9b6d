"""``forecast-sync demo`` and ``example``: the whole job on this machine, and a first file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Self

import typer

from forecast_sync_cli.commands.common import out
from forecast_sync_cli.demo import events
from forecast_sync_cli.progress import COLORS, Progress, Steps, show_outcome
from forecast_sync_cli.terminal import Styled, Table, Terminal


def example(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", dir_okay=False, help="The Parquet file to create.")
    ],
) -> None:
    """Write a small Parquet file for a first upload.

    It holds forecasts of two days, dated now, in the columns of the table file `forecast`. An
    existing file is never overwritten.
    """
    from forecast_sync_cli.demo.data import write_example

    rows = write_example(file)
    out().line(f"{rows:,} rows of two days in {file}")


def demo() -> None:
    """Show the whole job: upload, sync, change, failure, redrive.

    Runs on this machine and takes about a minute.
    """
    from forecast_sync_cli.demo.story import perform

    with _Narrator(out()) as narrator:
        perform(narrator)


class _Narrator:
    """Shows the demo's events on a terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._progress = ExitStack()
        self._show_progress: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.close()

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.Progress):
            if self._show_progress is None:
                self._show_progress = self._progress.enter_context(Progress(self._terminal))
            self._show_progress(event.snapshot)
            return
        self._progress.close()
        self._show_progress = None
        match event:
            case events.Scene(title):
                self._terminal.line()
                self._terminal.line(Styled(title, "bold"))
                # Until there is something to show, it says what it is doing, and for how long.
                step = self._progress.enter_context(Steps(self._terminal, announces=False))
                step(title.partition(":")[0])
            case events.Note(text):
                self._terminal.line(text)
            case events.Outcome(snapshot):
                show_outcome(self._terminal, snapshot)
            case events.Rows(columns, rows):
                table = Table(*columns, indent=2)
                for row in rows:
                    table.add_row(*row)
                self._terminal.table(table)
            case events.Pages(pages):
                table = Table("page", "status", "runs", indent=2)
                for page in pages:
                    status = Styled(page.status, COLORS.get(page.status, "red"))
                    table.add_row(str(page.number), status, str(page.runs))
                self._terminal.table(table)
