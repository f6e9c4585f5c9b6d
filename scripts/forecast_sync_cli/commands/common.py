"""What commands share: options, terminals and JSON."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from forecast_sync_cli.terminal import Table, Terminal, write_json


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

WORDS = frozenset({"run", "status", "type", "started (UTC)", "ended (UTC)", "what differs"})


def out() -> Terminal:
    """Where results go."""
    return Terminal()


def err() -> Terminal:
    """Where progress goes, so that stdout holds results only."""
    return Terminal(stderr=True)


def plain_table(first: str, *others: str) -> Table:
    """A table with words to the left, everything else but the first column to the right."""
    right = {heading for heading in others if heading not in WORDS and heading != first}
    return Table(first, *others, right=right)


def day(moment: datetime | None) -> str | None:
    """The date of an option, as the execution input has it."""
    return None if moment is None else moment.date().isoformat()


def print_json(document: Any) -> None:
    """One document, readable for people too."""
    write_json(document)
