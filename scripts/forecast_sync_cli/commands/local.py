"""``forecast-sync local``: the local cloud as a server."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from forecast_sync.stack_names import DEFAULT_TABLE
from localcloud import cloud
from localcloud.description import Cloud
from localcloud.protocol import EngineName
from localcloud.unprivileged import what_is_missing

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.commands.common import JsonOption, err, out, print_json
from forecast_sync_cli.glue_tables import declare_table
from forecast_sync_cli.local_database import check_database
from forecast_sync_cli.local_sync import layer_files, stack_parameters
from forecast_sync_cli.progress import Steps
from forecast_sync_cli.table_lint import TableFile, read_together
from forecast_sync_cli.terminal import write_json

app = typer.Typer(no_args_is_help=True, help="The local cloud: AWS and Neon on this machine.")

# Waits between polls are made for AWS; local queries take less than a second.
WAIT_SCALE = 0.2
PARAMETERS = {"BatchingWindowSeconds": "1"}

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
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--table",
            metavar="TABLE",
            help="The path of a table file, which ends in .toml, or the name of one in tables/; "
            "repeat it for several tables. Default: what --state-dir has kept, or forecast.",
        ),
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="Listen on this port.")] = None,
    athena: Annotated[
        EngineName,
        typer.Option(
            "--athena", help="Run Athena's statements on DuckDB (embedded) or on a real Trino."
        ),
    ] = "embedded",
    as_json: JsonOption = False,
) -> None:
    """Start the local cloud and leave it running.

    Without --state-dir it starts empty. It accepts only requests that are signed with the keys it
    prints; a --state-dir keeps the keys. --athena trino needs Maven and `make trino`.
    """
    table_files = read_together(table) if table else cloud_tables(state_dir)
    if database_url is not None:
        check_database(database_url)
    if database_url is None and (missing := what_is_missing()):
        err().line(f"note: {missing}")
    with Steps(err()) as step:
        step("starting the local cloud and deploying template.yaml into it")
        running = cloud.up(
            state_dir,
            database_url,
            port=port,
            parameters={**PARAMETERS, **stack_parameters(*table_files)},
            wait_scale=WAIT_SCALE,
            athena=athena,
            layer_files=layer_files(*table_files) if table else None,
            report=step,
        )
        session, url = running.session(), running.endpoint_url
        deployed = Deployment("dev", session, url, running.state_machine_arn)
        if not running.already_running:
            step(
                "declaring each table in Glue" if table_files[1:] else "declaring the table in Glue"
            )
            for name in deployed.tables:
                declare_table(deployed.of_table(name))
    if as_json:
        write_json(asdict(running), indent=None)
    else:
        _show(running, deployed)


@app.command()
def down(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Stop the local cloud and wait until all of its processes have ended."""
    was_running = cloud.down(state_dir)
    if as_json:
        print_json({"was_running": was_running})
    else:
        out().line("stopped" if was_running else "nothing was running")


def cloud_tables(state_dir: Path | None) -> list[TableFile]:
    """The tables that a state directory keeps, or the default one."""
    kept = cloud.kept_layer(state_dir) if state_dir else []
    return read_together([str(path) for path in kept] or [DEFAULT_TABLE])


def _describe_tables(deployed: Deployment) -> Iterator[tuple[str, str]]:
    for table in map(deployed.of_table, deployed.tables):
        yield "lake", table.settings.data_location
        yield "table", table.table_in_use.label


def _show(running: Cloud, deployed: Deployment) -> None:
    terminal = out()
    state = "is already running" if running.already_running else "is up"
    terminal.line(f"The local cloud {state} in {running.state_dir}")
    for name, value in (
        ("endpoint", running.endpoint_url),
        ("bucket", running.bucket),
        *_describe_tables(deployed),
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
