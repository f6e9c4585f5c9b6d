"""The command line: its commands, and every failure as one line.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from botocore.exceptions import BotoCoreError, ClientError
from forecast_sync.errors import ForecastSyncError
from rich.console import Console

from forecast_sync_ops.commands import (
    dashboard,
    diff,
    doctor,
    fill,
    local,
    plan,
    rejects,
    runs,
    sync,
    tables,
)
from forecast_sync_ops.commands.examples import epilog
from forecast_sync_ops.problems import UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Forecasts from a data lake into Neon Postgres. Reaches AWS, or a local cloud when"
    " AWS_ENDPOINT_URL says where it is and the other variables that `local up` prints are set.",
)
app.add_typer(local.app, name="local")
app.add_typer(rejects.app, name="rejects")
app.add_typer(tables.app, name="tables")
for _command in (
    runs.start,
    runs.status,
    runs.history,
    runs.redrive,
    runs.stop,
    runs.logs,
    plan.plan,
    diff.diff,
    doctor.doctor,
    fill.backfill,
    fill.preview,
    sync.sync,
    dashboard.dashboard,
):
    app.command()(_command)


@app.command()
def demo() -> None:
    """Show the whole job on this machine: upload, sync, change, failure, redrive."""
    from forecast_sync_ops.demo import tell

    tell()


def _add_examples() -> None:
    """End every command's help with its examples."""
    groups = {"": app, **{str(group.name): group.typer_instance for group in app.registered_groups}}
    for prefix, group in groups.items():
        for command in group.registered_commands if group else ():
            name = command.name or command.callback.__name__ if command.callback else ""
            command.epilog = epilog(f"{prefix} {name}".strip())


_add_examples()


def run() -> None:
    """Run the command line; a failure is one line on stderr, never a traceback."""
    try:
        app()
    except (UserError, ForecastSyncError) as error:
        _fail(str(error))
    except ClientError as error:
        detail = error.response.get("Error", {})
        _fail(
            f"AWS refused {error.operation_name} with {detail.get('Code')}: {detail.get('Message')}"
        )
    except BotoCoreError as error:
        _fail(f"AWS can't be reached: {error}")


def _fail(message: str) -> NoReturn:
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    console.print(f"error: {' '.join(message.split())}")
    sys.exit(1)
