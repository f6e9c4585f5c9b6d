"""``forecast-sync sync``: a folder of Parquet files into any Postgres, by the same workflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from forecast_sync.stack_names import DEFAULT_TABLE

from forecast_sync_cli.client.run_status import Snapshot
from forecast_sync_cli.commands.common import (
    AllowDeletesOption,
    BatchSizeOption,
    JsonOption,
    TableFileOption,
    err,
    out,
    print_json,
)
from forecast_sync_cli.local_advice import AGAIN
from forecast_sync_cli.local_database import Rejected, working_alone
from forecast_sync_cli.local_sync import LocalSync, find_files
from forecast_sync_cli.progress import Progress, Steps, show_outcome
from forecast_sync_cli.table_lint import read_checked
from forecast_sync_cli.terminal import Styled

REASONS_SHOWN = 10

INCOMPLETE = 3
"""The exit code of a sync that has left out bad files or deferred deletions."""


def sync(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder with Parquet files, at any depth.")
    ],
    database_url: Annotated[
        str, typer.Option("--database-url", envvar="DATABASE_URL", help="Postgres 17 or newer.")
    ],
    table: TableFileOption = None,
    batch_size: BatchSizeOption = None,
    allow_deletes: AllowDeletesOption = None,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait while another sync works in the database."),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Sync a folder of Parquet files into Postgres, on this machine.

    The whole workflow runs in a temporary local cloud; nothing is left running. It can be repeated
    at any time: unchanged rows aren't written again. Exits with 1 if the run fails, and with 3 if
    something waits for you: files that can't be read are left out, or rows that should leave the
    table stay. The last lines say which and why.
    """
    terminal = err()
    job = LocalSync(
        folder, database_url, read_checked(table or DEFAULT_TABLE), batch_size, allow_deletes
    )
    files = find_files(folder)

    def tell(who: str) -> None:
        terminal.line(f"{who} is at work in this database: waiting until it ends (Ctrl-C leaves)")

    try:
        with working_alone(database_url, tell if wait else None):
            count = "1 file" if len(files) == 1 else f"{len(files):,} files"
            with Steps(terminal) as step, Progress(terminal) as progress:
                step(f"starting the local cloud for {count}")
                synced = job.run(_after(step, progress), step)
    except KeyboardInterrupt as interrupted:
        terminal.line(str(interrupted) or "interrupted: nothing was started")
        raise
    last = synced.snapshot
    if as_json:
        print_json(synced.to_dict())
    else:
        again = "the same command with"
        show_outcome(out(), last, next_step=f"fix the cause, then {AGAIN}", start=again)
        if last.counts and last.counts.rejected:
            _show_rejected(job.list_rejected(last.run_id))
        for file, reason in synced.left_out:
            out().line(f"left out: {file} {reason}")
    if last.status != "SUCCEEDED":
        raise typer.Exit(1)
    if synced.left_out or last.deletes_deferred:
        raise typer.Exit(INCOMPLETE)


def _after(step: Steps, progress: Progress) -> Callable[[Snapshot], None]:
    """Shows the run's progress; the steps end before its first line."""

    def show(snapshot: Snapshot) -> None:
        step.end()
        progress(snapshot)

    return show


def _show_rejected(rejected: Sequence[Rejected]) -> None:
    """The cloud that could list them is gone: name the reasons, and where the rows are kept."""
    for item in rejected[:REASONS_SHOWN]:
        out().line(
            Styled("rejected", "yellow"),
            f" {item.rows:,}: {item.reason}, first in {item.example_file}",
        )
    out().line("  rejected rows are kept in the table forecast_sync_rejects")
