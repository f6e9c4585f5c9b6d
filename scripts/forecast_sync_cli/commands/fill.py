"""``forecast-sync backfill`` and ``preview``: runs that fill what a plain run doesn't."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Annotated, Any

import typer
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli import progress
from forecast_sync_cli.backfill import Backfill, Filled, fill
from forecast_sync_cli.client import deployment, executions, run_status
from forecast_sync_cli.client.deployment import Deployment, FunctionFailed
from forecast_sync_cli.commands.common import (
    EnvironmentOption,
    FirstDate,
    GitRefOption,
    JsonOption,
    LastDate,
    ProjectOption,
    err,
    out,
    plain_table,
    print_json,
)
from forecast_sync_cli.errors import UserError

LABEL = re.compile(r"[A-Za-z0-9_-]{1,40}")
PREVIEW = re.compile(r"(?:preview/pr-)?(\d+)")
BRANCH_GONE = 3
LOOK_AGAIN_SECONDS = 2.0


def backfill(
    date_from: FirstDate,
    date_to: LastDate,
    days_per_run: Annotated[
        int, typer.Option("--days-per-run", min=1, help="Business dates of one run.")
    ] = 31,
    name: Annotated[
        str | None, typer.Option("--name", help="Tells a second backfill of the dates apart.")
    ] = None,
    git_ref: GitRefOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Fill business dates from the whole lake, in windows, one run after the other.

    The same command again goes on where it ended: what has succeeded isn't run again, what has
    failed is redriven, what is running is waited for. Between two runs others may take the
    lease. Exit code 1 when a run fails; the windows after it aren't begun.
    """
    found = deployment.find(environment, project)
    wanted = _read_backfill(environment, git_ref, date_from, date_to, days_per_run, name)
    terminal = err()

    def follow(arn: str, redrive_count: int) -> run_status.Snapshot:
        seen = run_status.follow(found, arn, redrive_count=redrive_count)
        return progress.show(terminal, seen)

    filled = []
    for window in fill(found, wanted, follow):
        filled.append(window)
        what = f"{window.date_from} to {window.date_to}"
        terminal.line(f"{what}: {window.status}, {window.begun}")
    _tell_backfill(filled, as_json=as_json)


def _read_backfill(
    environment: str,
    git_ref: str | None,
    date_from: datetime,
    date_to: datetime,
    days_per_run: int,
    name: str | None,
) -> Backfill:
    if date_from > date_to:
        raise UserError(f"--date-from {date_from:%Y-%m-%d} is after --date-to {date_to:%Y-%m-%d}")
    if name and not LABEL.fullmatch(name):
        raise UserError(f"--name {name!r}: expected at most 40 letters, digits, - and _")
    return Backfill(environment, git_ref, date_from.date(), date_to.date(), days_per_run, name)


def _tell_backfill(filled: list[Filled], *, as_json: bool) -> None:
    last = filled[-1]
    if as_json:
        windows = [window.to_dict() for window in filled]
        print_json({"complete": last.status == "SUCCEEDED", "windows": windows})
    else:
        table = plain_table("dates", "run", *progress.OUTCOMES)
        for window in filled:
            counts = window.counts or {}
            numbers = (f"{counts.get(outcome, 0):,}" for outcome in progress.OUTCOMES)
            table.add_row(f"{window.date_from} to {window.date_to}", window.run_id, *numbers)
        out().table(table)
    if last.status != "SUCCEEDED":
        raise UserError(
            f"{last.run_id} ended as {last.status}: {last.error} Remove the cause; the same "
            "command goes on from there"
        )


def preview(
    pull_request: Annotated[str, typer.Argument(help="Its number, or preview/pr-NUMBER.")],
    wait_for_branch: Annotated[
        float, typer.Option("--wait-for-branch", min=0, help="Seconds until it must be there.")
    ] = 0,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Fill a pull request's Neon branch, or say that it is gone.

    The first run of an empty branch reads the whole lake; a branch that was copied from dev goes
    on from dev's watermark. Exit code 3 when there is no such branch, 1 when the run fails.
    """
    number = PREVIEW.fullmatch(pull_request)
    if number is None:
        raise UserError(f"{pull_request!r} is no pull request: expected 12 or preview/pr-12")
    git_ref = f"preview/pr-{number[1]}"
    found = deployment.find(environment, project)
    if not _await_branch(found, git_ref, wait_for_branch):
        if as_json:
            print_json({"git_ref": git_ref, "exists": False, "run": None})
        else:
            out().line(f"{git_ref}: the Neon branch is gone, or was never made; nothing was run")
        raise typer.Exit(BRANCH_GONE)
    payload: dict[str, Any] = {"git_ref": git_ref, "trigger": "preview"}
    arn = executions.start(found, executions.new_name(f"pr-{number[1]}"), payload)
    last = progress.show(err(), run_status.follow(found, arn))
    if as_json:
        print_json({"git_ref": git_ref, "exists": True, "run": last.to_dict()})
    else:
        progress.tell(out(), last)
    if last.status != "SUCCEEDED":
        raise typer.Exit(1)


def _await_branch(found: Deployment, git_ref: str, seconds: float) -> bool:
    """Whether Neon has the branch, asked by a function: it holds the key, the operator doesn't."""
    deadline = time.monotonic() + seconds
    question = {"git_ref": git_ref, "question": {"about": "database"}}
    while True:
        try:
            found.invoke("inspect_database", question)
        except FunctionFailed as failed:
            if failed.error != "BranchNotFound":
                raise
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_AGAIN_SECONDS)
        else:
            return True
