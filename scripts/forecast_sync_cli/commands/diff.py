"""``forecast-sync diff``: the lake against Postgres, by counts and checksums."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from forecast_sync.diagnostics.checksums import Dates
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli import diff as diffing
from forecast_sync_cli.client import deployment
from forecast_sync_cli.commands.common import (
    DateOption,
    EnvironmentOption,
    GitRefOption,
    JsonOption,
    LimitOption,
    ProjectOption,
    err,
    out,
    plain_table,
    print_json,
)
from forecast_sync_cli.terminal import Styled, Terminal


def diff(
    git_ref: GitRefOption = None,
    date_from: DateOption = None,
    date_to: DateOption = None,
    now: Annotated[
        bool, typer.Option("--now", help="The lake as it is now, not as the last run saw it.")
    ] = False,
    limit: LimitOption = 20,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Compare the lake with Postgres, business date by business date.

    Counts and checksums first, then the keys of the dates that differ. The lake is looked at as
    of the branch's watermark, so that what isn't synced yet is no difference. Exit code 1 when
    something differs.
    """
    found = deployment.find(environment, project)
    as_of = None if now else diffing.watermark(found, git_ref)
    sides = diffing.Sides(found, git_ref, as_of or datetime.now(UTC))
    dates = Dates(date_from and date_from.date(), date_to and date_to.date())
    if not as_json:
        err().line(f"comparing the lake as of {sides.as_of:%Y-%m-%d %H:%M:%S} UTC ...")
    result = diffing.compare(sides, dates, limit)
    if as_json:
        print_json(result.to_dict())
    else:
        _tell(out(), result)
    if result.days:
        raise typer.Exit(1)


def _tell(terminal: Terminal, result: diffing.Diff) -> None:
    terminal.line(
        f"{result.days_compared:,} business dates: {result.lake_rows:,} rows in the lake,"
        f" {result.postgres_rows:,} in Postgres"
    )
    if not result.days:
        terminal.line(Styled("equal", "green"), ", in every count and checksum")
        return
    days = plain_table("date that differs", "lake", "Postgres")
    for day in result.days:
        days.add_row(day.day, f"{day.lake_rows:,}", f"{day.postgres_rows:,}")
    terminal.table(days)
    keys = plain_table("key", "what differs")
    for item in result.keys:
        words = "  ".join(f"{name}={value}" for name, value in item.key.items())
        keys.add_row(words, item.difference)
    terminal.table(keys)
    if not result.complete:
        terminal.line(Styled("there are more: --limit", "dim"))
    if any(item.difference == "only in Postgres" for item in result.keys):
        terminal.line("A row only in Postgres has left the lake, or came from elsewhere: no run")
        terminal.line("deletes it.")
    if any(item.difference != "only in Postgres" for item in result.keys):
        terminal.line(
            "What differs or is missing comes with `forecast-sync start --sync-type full`"
        )
