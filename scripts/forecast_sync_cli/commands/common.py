"""What commands share: options, waiting for a run, terminals and JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from forecast_sync.contracts.run import MAX_BATCH_SIZE
from forecast_sync.resolve.git_refs import DEFAULT_REFS, map_git_ref

from forecast_sync_cli.client import run_status
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.progress import show_outcome, show_progress
from forecast_sync_cli.terminal import Styled, Table, Terminal, write_json, wrong_value


class SyncType(StrEnum):
    """What a run looks at."""

    INCREMENTAL = "incremental"
    FULL = "full"


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def _read_environment(text: str) -> str:
    """An environment that a stack can serve; any other is refused."""
    if text not in DEFAULT_REFS:
        raise wrong_value(f"{text!r} isn't an environment; expected {' or '.join(DEFAULT_REFS)}.")
    return text


EnvironmentOption = Annotated[
    str,
    typer.Option(
        "--environment",
        "-e",
        envvar="ENVIRONMENT",
        parser=_read_environment,
        metavar="ENVIRONMENT",
        # Read first: which git refs there are depends on it.
        is_eager=True,
        help="dev or production.",
    ),
]
ProjectOption = Annotated[
    str,
    typer.Option("--project", envvar="PROJECT_NAME", help="The stack's parameter ProjectName."),
]


def _check_git_ref(context: typer.Context, git_ref: str | None) -> str | None:
    """Refuse a git ref that belongs to no branch of the environment, before any request."""
    if git_ref is not None:
        map_git_ref(git_ref, context.params.get("environment") or "dev")
    return git_ref


DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _read_day(text: str) -> datetime:
    """A date option's value; anything but YYYY-MM-DD is refused."""
    try:
        if DAY.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise wrong_value(f"{text!r} isn't a day; expected one like 2026-01-31.")


def _read_batch_size(text: str) -> int:
    """A number of rows; anything but what a run accepts is refused."""
    try:
        size = int(text)
    except ValueError:
        raise wrong_value(f"{text!r} isn't a number; {BATCH_SIZES}.") from None
    if not 1 <= size <= MAX_BATCH_SIZE:
        raise UserError(f"--batch-size {size}: {BATCH_SIZES}")
    return size


BATCH_SIZES = f"expected a whole number of rows from 1 to {MAX_BATCH_SIZE:,}"

GitRefOption = Annotated[
    str | None,
    typer.Option(
        "--git-ref",
        callback=_check_git_ref,
        help="Git branch. Default: the environment's own.",
    ),
]
WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Show progress until the run ends.")
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        parser=_read_batch_size,
        metavar="ROWS",
        help="Rows per batch. Default: as deployed.",
    ),
]
AllowDeletesOption = Annotated[
    int | None,
    typer.Option(
        "--allow-deletes",
        metavar="ROWS",
        min=1,
        help="Delete up to this many rows in this run, even if that exceeds max_delete_percent.",
    ),
]
TableFileOption = Annotated[
    str | None,
    typer.Option(
        "--table",
        metavar="TABLE",
        help="The path of a table file, which ends in .toml, or the name of one in tables/. "
        "Default: forecast.",
    ),
]
DeployedTableOption = Annotated[
    str | None,
    typer.Option(
        "--table",
        metavar="TABLE",
        help="A deployed table, by its name or the path of its file. Required if the stack syncs "
        "several.",
    ),
]
EachTableOption = Annotated[
    str | None,
    typer.Option(
        "--table",
        metavar="TABLE",
        help="Only this deployed table, by its name or the path of its file. Default: all.",
    ),
]
DATE = "YYYY-MM-DD"
DateFromOption = Annotated[
    datetime | None,
    typer.Option(parser=_read_day, metavar=DATE, help="First business date. Default: no limit."),
]
DateToOption = Annotated[
    datetime | None,
    typer.Option(parser=_read_day, metavar=DATE, help="Last business date. Default: no limit."),
]
FirstDateOption = Annotated[
    datetime,
    typer.Option(
        "--date-from", "--from", parser=_read_day, metavar=DATE, help="First business date."
    ),
]
LastDateOption = Annotated[
    datetime,
    typer.Option("--date-to", "--to", parser=_read_day, metavar=DATE, help="Last business date."),
]
LimitOption = Annotated[
    int, typer.Option("--limit", "-n", min=1, help="Show at most this many lines.")
]
SyncTypeOption = Annotated[
    SyncType,
    typer.Option("--sync-type", help="Read only what is new (incremental), or everything (full)."),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's name or execution ARN.")]

LEFT_ALIGNED = frozenset(
    {"run", "status", "outcome", "type", "branch", "table", "started (UTC)"}
    | {"what differs", "what it did"}
)


def out() -> Terminal:
    """Where results go."""
    return Terminal()


def err() -> Terminal:
    """Where progress goes, so that stdout holds only results."""
    return Terminal(stderr=True)


def plain_table(first: str, *others: str) -> Table:
    """A table whose first column and words are left-aligned, and whose numbers right-aligned."""
    right = {heading for heading in others if heading not in LEFT_ALIGNED and heading != first}
    return Table(first, *others, right=right)


def date_text(date: datetime | None) -> str | None:
    """A date option in the form that the execution input has."""
    return None if date is None else date.date().isoformat()


def check_dates(first: datetime | None, last: datetime | None) -> None:
    """Refuse dates in the wrong order; raises ``UserError``."""
    if first and last and first > last:
        raise UserError(
            f"--date-from {first:%Y-%m-%d} is after --date-to {last:%Y-%m-%d}: give the earlier "
            "day first"
        )


def print_json(document: Any) -> None:
    """Print one indented JSON document."""
    write_json(document)


def show_table(terminal: Terminal, table: Mapping[str, str | None]) -> None:
    """Name the table that a stack syncs, and say how the file in this checkout differs."""
    name, target, definition = table["name"], table["target"], table["definition"]
    terminal.line(f"table {name} ({target}), definition {definition}")
    if table["difference"]:
        terminal.line(Styled("note", "yellow"), f" {table['difference']}")


def wait_for_run(deployed: Deployment, arn: str, *, redrive_count: int = 0) -> run_status.Snapshot:
    """Show a run's progress until it ends; returns its last snapshot. Ctrl-C leaves it running."""
    terminal = err()
    try:
        return show_progress(
            terminal,
            run_status.follow(deployed, arn, redrive_count=redrive_count),
            names_table=deployed.has_several_tables,
        )
    except KeyboardInterrupt:
        name = arn.rsplit(":", 1)[-1]
        terminal.line(
            f"The run continues: `forecast-sync status {name}` shows it,"
            f" `forecast-sync stop {name}` stops it"
        )
        raise


def report_run(deployed: Deployment, snapshot: run_status.Snapshot, *, as_json: bool) -> None:
    """Print a run on stdout, as JSON or for people."""
    if as_json:
        print_json(snapshot.to_dict())
    else:
        label = deployed.run_label(snapshot.run_id, snapshot.table)
        start = deployed.start_command(snapshot.table)
        show_outcome(out(), snapshot, label=label, start=start)
