"""``forecast-sync local``: the local cloud as a server."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from localcloud import cloud
from localcloud.description import Cloud
from localcloud.protocol import Athena
from localcloud.unprivileged import what_is_missing

from forecast_sync_cli.commands.common import JsonOption, err, out, print_json
from forecast_sync_cli.terminal import write_json

app = typer.Typer(no_args_is_help=True, help="The local cloud: AWS and Neon on this machine.")

# Waits between polls are made for AWS; local queries take less than a second.
WAIT_SCALE = 0.2
PARAMETERS = {"BatchingWindowSeconds": "2"}

StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        file_okay=False,
        help="Directory that keeps objects, executions and rows between `down` and `up`.",
    ),
]


@app.command()
def up(
    state_dir: StateDirOption = None,
    database_url: Annotated[
        str | None,
        typer.Option("--database-url", help="Use this Postgres instead of the embedded one."),
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="Listen on this port.")] = None,
    athena: Annotated[
        Athena,
        typer.Option(
            "--athena", help="Run Athena's statements on DuckDB (embedded) or on a real Trino."
        ),
    ] = "embedded",
    as_json: JsonOption = False,
) -> None:
    """Start the local cloud and leave it running.

    Without --state-dir it starts empty. It accepts only requests that are signed with the keys it
    prints; a --state-dir keeps the same keys. --athena trino needs Maven and `make trino`.
    """
    if not as_json:
        err().line("starting the local cloud and deploying template.yaml into it ...")
    if database_url is None and (missing := what_is_missing()):
        err().line(f"note: {missing}")
    running = cloud.up(
        state_dir,
        database_url,
        port=port,
        parameters=PARAMETERS,
        wait_scale=WAIT_SCALE,
        athena=athena,
        report=err().line,
    )
    if as_json:
        write_json(asdict(running), indent=None)
    else:
        _show(running)


@app.command()
def down(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Stop the local cloud and wait until all of its processes have ended."""
    was_running = cloud.down(state_dir)
    if as_json:
        print_json({"was_running": was_running})
    else:
        out().line("stopped" if was_running else "nothing was running")


def _show(running: Cloud) -> None:
    terminal = out()
    state = "is already running" if running.already_running else "is up"
    terminal.line(f"The local cloud {state} in {running.state_dir}")
    for name, value in (
        ("endpoint", running.endpoint_url),
        ("bucket", running.bucket),
        ("state machine", running.state_machine_arn),
        ("status API", running.api_url),
        ("Neon API", running.neon_api_url),
        ("Athena's engine", running.athena),
        *((f"branch {branch}", url) for branch, url in running.database_urls.items()),
    ):
        terminal.line(f"  {name:<20} {value}")
    terminal.line("Use it from another shell:")
    pairs = (f"{name}={shlex.quote(value)}" for name, value in running.variables.items())
    terminal.line(f"  export {' '.join(pairs)}")
