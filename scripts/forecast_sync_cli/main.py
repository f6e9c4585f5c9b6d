"""The command line: its commands, and every failure as one line.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from forecast_sync.errors import ForecastSyncError
from typer.exceptions import TyperException

from forecast_sync_cli.commands import (
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
from forecast_sync_cli.commands.common import out
from forecast_sync_cli.commands.examples import epilog
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.terminal import Terminal, guard_logging

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
def example(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="The Parquet file to make.")],
) -> None:
    """Write a small Parquet file for a first upload: forecasts of two days, written just now.

    It has the columns of the table file `forecast`. A file that exists is never replaced.
    """
    from forecast_sync_cli.demo.data import write_example

    rows = write_example(file)
    out().line(f"{rows:,} rows of two days in {file}")


@app.command()
def demo() -> None:
    """Show the whole job on this machine: upload, sync, change, failure, redrive."""
    from forecast_sync_cli.demo.story import tell

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
    """Run the command line; a failure is one line on stderr, a traceback only a fault of ours."""
    guard_logging()
    sys.exit(_run())


def _run() -> int:
    """The exit code. Whatever is told of a failure is made visible on its way to the terminal."""
    errors = Terminal(stderr=True)
    try:
        return app(standalone_mode=False) or 0
    except TyperException as error:
        _tell_usage(errors, error)
        return error.exit_code
    except typer.Abort:
        errors.error("interrupted")
    except (UserError, ForecastSyncError) as error:
        errors.error(str(error))
    except ClientError as error:
        detail = error.response.get("Error", {})
        errors.error(
            f"AWS refused {error.operation_name} with {detail.get('Code')}: {detail.get('Message')}"
        )
    except BotoCoreError as error:
        errors.error(f"AWS can't be reached: {error}")
    except Exception:  # noqa: BLE001  # Python would print it raw.
        errors.crash(traceback.format_exc())
    return 1


def _tell_usage(errors: Terminal, error: TyperException) -> None:
    """What was wrong with the arguments, and where their help is."""
    message = error.format_message()
    if not message:
        return  # No arguments at all: the help has been shown.
    context = getattr(error, "ctx", None)
    if context is not None:
        errors.line(context.get_usage())
        errors.line(f"Try `{context.command_path} {context.help_option_names[0]}`")
    errors.error(message)
