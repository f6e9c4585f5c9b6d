"""What commands share: options, consoles and JSON."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
EnvironmentOption = Annotated[
    str,
    typer.Option("--environment", "-e", envvar="ENVIRONMENT", help="dev or production."),
]
GitRefOption = Annotated[
    str | None, typer.Option("--git-ref", help="Git branch; default: the environment's own.")
]
WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Show progress until the run has ended.")
]
RunArgument = Annotated[str, typer.Argument(help="Name of the run, or its execution ARN.")]

WIDE = 200


def out() -> Console:
    """Where results go; what isn't a terminal gets tables as wide as they are."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def err() -> Console:
    """Where progress goes, so that stdout holds results only."""
    return Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """One document, readable for people too."""
    json.dump(document, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
