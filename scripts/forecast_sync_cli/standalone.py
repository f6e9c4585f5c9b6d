"""Commands that stand alone: ``python -m devtools.NAME``, for those who work on this."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from forecast_sync_cli.errors import UserError
from forecast_sync_cli.terminal import Terminal


def run_alone(command: Callable[..., None]) -> None:
    """Run ``command`` with the process's arguments; what a person did wrong is one line."""
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(command)
    try:
        app()
    except UserError as error:
        Terminal(stderr=True).error(str(error))
        sys.exit(1)
