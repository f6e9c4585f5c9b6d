"""``forecast-sync sync``: a folder of Parquet files into any Postgres, by the same workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forecast_sync_cli.commands.common import BatchSizeOption, JsonOption, err, report_run
from forecast_sync_cli.local_sync import sync_folder
from forecast_sync_cli.progress import Progress


def sync(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder with Parquet files, at any depth.")
    ],
    database_url: Annotated[
        str, typer.Option("--database-url", envvar="DATABASE_URL", help="Postgres 17 or newer.")
    ],
    batch_size: BatchSizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sync a folder of Parquet files into Postgres, on this machine.

    The whole workflow runs in a temporary local cloud; nothing is left running. Exits with 1
    if the run fails.
    """
    terminal = err()
    with Progress(terminal) as progress:
        last = sync_folder(
            folder,
            database_url,
            batch_size=batch_size,
            on_start=lambda files: terminal.line(f"starting the local cloud for {files} files ..."),
            on_progress=progress,
        )
    report_run(last, as_json=as_json)
    if last.status != "SUCCEEDED":
        raise typer.Exit(1)
