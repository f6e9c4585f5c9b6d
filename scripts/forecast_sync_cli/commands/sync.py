"""``forecast-sync sync``: a folder of Parquet into any Postgres, through the same workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forecast_sync_cli import progress
from forecast_sync_cli.commands.common import JsonOption, err, out, print_json
from forecast_sync_cli.local_sync import sync_folder


def sync(
    folder: Annotated[Path, typer.Argument(help="Folder with Parquet files, at any depth.")],
    database_url: Annotated[
        str, typer.Option("--database-url", envvar="DATABASE_URL", help="Postgres 17 or newer.")
    ],
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Rows a batch.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a folder of Parquet files into a Postgres, with the whole workflow on this machine.

    Exit code 1 when the run fails; nothing is left running.
    """
    last = sync_folder(folder, database_url, batch_size=batch_size, terminal=err())
    if as_json:
        print_json(last.to_dict())
    else:
        progress.tell(out(), last)
    if last.status != "SUCCEEDED":
        raise typer.Exit(1)
