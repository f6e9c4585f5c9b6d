"""Where ``forecast-sync`` starts: its commands, its exit codes, and every failure as one line.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Functions here import what they need
when they run: imports take a second, and Ctrl-C mustn't show a traceback in that second either.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer
    from typer.exceptions import TyperException

    from forecast_sync_cli.terminal import Terminal

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    _exit(make_app)


def run_alone(command: Callable[..., None]) -> None:
    """Run one function as a separate program, such as ``python -m benchmarks``."""

    def make() -> Typer:
        import typer

        app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        app.command()(command)
        return app

    _exit(make)


def make_app() -> Typer:
    """The application with all its commands, each with its examples at the end of its help."""
    import typer

    from forecast_sync_cli.commands import (
        backfill,
        dashboard,
        demo,
        diff,
        doctor,
        files,
        local,
        plan,
        preview,
        rejects,
        runs,
        sync,
        tables,
    )
    from forecast_sync_cli.commands.help_examples import add_examples

    app = typer.Typer(
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Sync forecasts from a data lake into Neon Postgres. Works with AWS, or with a local"
        " cloud once the variables that `local up` prints are set.",
    )
    commands: dict[str, Callable[..., None]] = {
        "start": runs.start,
        "status": runs.status,
        "history": runs.history,
        "redrive": runs.redrive,
        "stop": runs.stop,
        "logs": runs.show_logs,
        "plan": plan.plan,
        "diff": diff.show_diff,
        "doctor": doctor.doctor,
        "backfill": backfill.backfill,
        "preview": preview.preview,
        "sync": sync.sync,
        "dashboard": dashboard.dashboard,
        "example": demo.example,
        "demo": demo.demo,
    }
    for name, command in commands.items():
        app.command(name)(command)
    app.add_typer(local.app, name="local")
    app.add_typer(files.app, name="files")
    app.add_typer(rejects.app, name="rejects")
    app.add_typer(tables.app, name="tables")
    add_examples(app)
    return app


def _exit(make: Callable[[], Typer]) -> None:
    try:
        code = _run(make())
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _run(app: Typer) -> int:
    """Run a command; returns its exit code. A failure is one line on stderr, a bug a traceback."""
    import traceback

    from botocore.exceptions import BotoCoreError, ClientError
    from forecast_sync.errors import ForecastSyncError
    from localcloud.errors import LocalCloudError
    from typer import Abort
    from typer.exceptions import TyperException

    from forecast_sync_cli.client.deployment import why_unreachable
    from forecast_sync_cli.errors import Faults, UserError
    from forecast_sync_cli.terminal import Terminal, guard_logging

    guard_logging()
    errors = Terminal(stderr=True)
    try:
        return app(standalone_mode=False) or 0
    except TyperException as error:
        _report_usage(errors, error)
        return error.exit_code
    except Abort:
        errors.error("interrupted")
    except Faults as error:
        for fault in error.faults:
            errors.error(fault)
    except (UserError, ForecastSyncError, LocalCloudError) as error:
        errors.error(str(error))
    except ClientError as error:
        detail = error.response.get("Error", {})
        errors.error(
            f"AWS refused {error.operation_name} with {detail.get('Code')}: {detail.get('Message')}"
        )
    except BotoCoreError as error:
        errors.error(why_unreachable(error))
    except Exception:  # noqa: BLE001  # Python would print it raw.
        errors.crash(traceback.format_exc())
    return 1


def _report_usage(errors: Terminal, error: TyperException) -> None:
    """What is wrong with the arguments, and where to find their help."""
    message = error.format_message()
    if not message:
        return  # There were no arguments at all: the help has been shown.
    context = getattr(error, "ctx", None)
    if context is not None:
        errors.line(context.get_usage())
        errors.line(f"Try `{context.command_path} {context.help_option_names[0]}`")
    errors.error(_in_words(message))


WORDS = (
    ("Value error, ", ""),
    (r"Input should be greater than or equal to (\S+)", r"expected at least \1"),
    (r"Input should be greater than (\S+)", r"expected more than \1"),
    (r"Input should be less than or equal to (\S+)", r"expected at most \1"),
    (r"Input should be a valid integer.*", "expected a whole number"),
    (r"Input should be a valid (\w+).*", r"expected a \1"),
)
"""What the library that reads options says about a value, and what a person is told."""


def _in_words(message: str) -> str:
    for theirs, ours in WORDS:
        message = re.sub(theirs, ours, message)
    return message
