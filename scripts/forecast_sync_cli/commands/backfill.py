"""``forecast-sync backfill``: fills business dates, window by window."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer
from forecast_sync.runs.model import OUTCOMES
from forecast_sync.stack_names import DEFAULT_PROJECT
from forecast_sync.text.sentences import end_sentence

from forecast_sync_cli.backfill import Backfill, Filled, fill
from forecast_sync_cli.client import deployment, run_status
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.commands.common import (
    DeployedTableOption,
    EnvironmentOption,
    FirstDateOption,
    GitRefOption,
    JsonOption,
    LastDateOption,
    ProjectOption,
    check_dates,
    err,
    out,
    plain_table,
    print_json,
    wait_for_run,
)
from forecast_sync_cli.errors import UserError

LABEL = re.compile(r"[A-Za-z0-9_-]{1,40}")


def backfill(
    date_from: FirstDateOption,
    date_to: LastDateOption,
    days_per_run: Annotated[
        int, typer.Option("--days-per-run", min=1, help="Business dates per run.")
    ] = 31,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Label of the runs. A new label runs everything again."),
    ] = None,
    git_ref: GitRefOption = None,
    table_name: DeployedTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Fill business dates from the whole lake, window by window.

    Repeat the command to resume: it skips runs that succeeded, redrives failed ones, and waits for
    a running one. Other runs may take the lease between two windows. Exits with 1 if a run fails;
    the windows after it aren't started.
    """
    options = _read_backfill(environment, git_ref, date_from, date_to, days_per_run, name)
    deployed = deployment.find(environment, project, table_name).one_table()
    options = replace(options, table=deployed.table_choice.get("table"))
    terminal = err()

    def follow(arn: str, redrive_count: int) -> run_status.Snapshot:
        return wait_for_run(deployed, arn, redrive_count=redrive_count)

    filled = []
    for window in fill(deployed, options, follow):
        filled.append(window)
        dates = f"{window.date_from} to {window.date_to}"
        terminal.line(f"{dates}: {window.status}, {window.begun}")
    _report_backfill(deployed, filled, as_json=as_json)


def _read_backfill(
    environment: str,
    git_ref: str | None,
    date_from: datetime,
    date_to: datetime,
    days_per_run: int,
    name: str | None,
) -> Backfill:
    check_dates(date_from, date_to)
    if name and not LABEL.fullmatch(name):
        raise UserError(f"--name {name!r}: expected at most 40 letters, digits, - and _")
    return Backfill(environment, git_ref, date_from.date(), date_to.date(), days_per_run, name)


def _report_backfill(deployed: Deployment, filled: list[Filled], *, as_json: bool) -> None:
    last = filled[-1]
    if as_json:
        windows = [window.to_dict() for window in filled]
        complete = last.status == "SUCCEEDED"
        print_json({"table": deployed.table_name, "complete": complete, "windows": windows})
    else:
        table = plain_table("dates", "run", *OUTCOMES)
        for window in filled:
            counts = window.counts or {}
            numbers = (f"{counts.get(outcome, 0):,}" for outcome in OUTCOMES)
            table.add_row(f"{window.date_from} to {window.date_to}", window.run_id, *numbers)
        out().table(table)
    if last.status != "SUCCEEDED":
        failure = end_sentence(last.error or "unknown")
        label = deployed.run_label(last.run_id, deployed.table_name)
        raise UserError(
            f"{label} ended as {last.status}: {failure} Fix the cause, then repeat the "
            "command: it resumes from there"
        )
