"""``forecast-sync diff``: the lake against Postgres, by counts and checksums."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from forecast_sync.extract.athena_sql import Dates
from forecast_sync.stack_names import DEFAULT_PROJECT
from forecast_sync.tables import Table

from forecast_sync_cli import diff
from forecast_sync_cli.client import deployment
from forecast_sync_cli.commands.common import (
    DateFromOption,
    DateToOption,
    DeployedTableOption,
    EnvironmentOption,
    GitRefOption,
    JsonOption,
    LimitOption,
    ProjectOption,
    check_dates,
    err,
    out,
    plain_table,
    print_json,
)
from forecast_sync_cli.progress import Steps
from forecast_sync_cli.terminal import Styled, Terminal


def show_diff(
    git_ref: GitRefOption = None,
    date_from: DateFromOption = None,
    date_to: DateToOption = None,
    now: Annotated[
        bool, typer.Option("--now", help="Compare all files of the lake as it is now.")
    ] = False,
    limit: LimitOption = 20,
    table_name: DeployedTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Compare the lake with Postgres, business date by business date.

    Compares counts and checksums first, then the keys of the dates that differ. Only loaded files
    are read, so files that haven't been synced yet, or are left out because they are bad, don't
    count as differences. Exits with 1 if anything differs.
    """
    check_dates(date_from, date_to)
    deployed = deployment.find(environment, project, table_name).one_table()
    as_of = None if now else diff.watermark(deployed, git_ref)
    sides = diff.Sides(deployed, git_ref, as_of or datetime.now(UTC), now=as_of is None)
    dates = Dates(date_from and date_from.date(), date_to and date_to.date())
    with Steps(err()) as step:
        result = diff.compare(sides, dates, limit, step)
    if as_json:
        print_json({"table": deployed.table_name, **result.to_dict()})
    else:
        if deployed.has_several_tables:
            out().line(f"table {deployed.table_name}")
        _show(out(), result, deployed.table, deployed.table_option)
    if result.days:
        raise typer.Exit(1)


def _show(terminal: Terminal, result: diff.Diff, table: Table, option: str) -> None:
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
        key = "  ".join(f"{name}={value}" for name, value in item.key.items())
        keys.add_row(key, item.difference)
    terminal.table(keys)
    if not result.complete:
        terminal.line(Styled("more keys differ: raise --limit to see them", "dim"))
    found = {item.difference for item in result.keys}
    if "only in Postgres" in found:
        terminal.line("Rows only in Postgres have left the lake or were written by something else:")
        terminal.line(
            "the next full run deletes them, unless there are too many."
            if table.is_mirror
            else "no run deletes them."
        )
    if "deleted in the lake" in found:
        terminal.line("What is deleted in the lake waits until somebody allows it:")
        terminal.line(f"`forecast-sync history{option}` says how many rows wait, `plan` why.")
    if found & {"only in the lake", "different"}:
        terminal.line(f"To sync the other keys: forecast-sync start{option} --sync-type full")
