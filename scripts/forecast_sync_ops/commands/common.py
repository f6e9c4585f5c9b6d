"""What commands share: options, consoles and JSON."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table


class SyncType(StrEnum):
    """What a run looks at."""

    INCREMENTAL = "incremental"
    FULL = "full"


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
EnvironmentOption = Annotated[
    str,
    typer.Option("--environment", "-e", envvar="ENVIRONMENT", help="dev or production."),
]
ProjectOption = Annotated[
    str,
    typer.Option("--project", envvar="PROJECT_NAME", help="ProjectName of the stack."),
]
GitRefOption = Annotated[
    str | None, typer.Option("--git-ref", help="Git branch; default: the environment's own.")
]
WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Show progress until the run has ended.")
]
DATE_FORMATS = ["%Y-%m-%d"]
DateOption = Annotated[
    datetime | None, typer.Option(formats=DATE_FORMATS, help="A business date, included.")
]
FirstDate = Annotated[
    datetime,
    typer.Option("--date-from", "--from", formats=DATE_FORMATS, help="First business date."),
]
LastDate = Annotated[
    datetime, typer.Option("--date-to", "--to", formats=DATE_FORMATS, help="Last business date.")
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many lines at most.")]
SyncTypeOption = Annotated[
    SyncType, typer.Option("--sync-type", help="incremental (what is new), or full (everything).")
]
RunArgument = Annotated[str, typer.Argument(help="Name of the run, or its execution ARN.")]

WIDE = 200
WORDS = frozenset({"run", "status", "type", "started (UTC)", "ended (UTC)", "what differs"})


def out() -> Console:
    """Where results go; what isn't a terminal gets tables as wide as they are."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def err() -> Console:
    """Where progress goes, so that stdout holds results only."""
    return Console(stderr=True, highlight=False)


def plain_table(first: str, *others: str) -> Table:
    """A table without lines; words to the left, everything else but the first column to the right.

    Where a terminal is too narrow, cells are folded: nothing is cut off.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in (first, *others):
        to_left = heading == first or heading in WORDS
        table.add_column(heading, justify="left" if to_left else "right", overflow="fold")
    return table


def day(moment: datetime | None) -> str | None:
    """The date of an option, as the execution input has it."""
    return None if moment is None else moment.date().isoformat()


def print_json(document: Any) -> None:
    """One document, readable for people too."""
    json.dump(document, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
