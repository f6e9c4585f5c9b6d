"""``forecast-sync backfill`` and ``preview``: runs that fill business dates, or a new branch."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

import typer
from forecast_sync.runs.model import OUTCOMES
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli.backfill import Backfill, Filled, fill
from forecast_sync_cli.client import deployment, executions, run_status
from forecast_sync_cli.client.deployment import Deployment, FunctionFailed
from forecast_sync_cli.client.polling import poll
from forecast_sync_cli.commands.common import (
    EnvironmentOption,
    FirstDateOption,
    GitRefOption,
    JsonOption,
    LastDateOption,
    ProjectOption,
    err,
    out,
    plain_table,
    print_json,
    wait_for_run,
)
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.progress import show_outcome

LABEL = re.compile(r"[A-Za-z0-9_-]{1,40}")
PREVIEW = re.compile(r"(?:preview/pr-)?(\d+)")
BRANCH_GONE = 3
BRANCH_POLL_SECONDS = 2.0


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
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Fill business dates from the whole lake, window by window.

    Repeat the command to resume: runs that succeeded are skipped, failed ones are redriven, and a
    running one is waited for. Other runs may take the lease between two windows. Exits with 1 if a
    run fails; the windows after it aren't started.
    """
    deployed = deployment.find(environment, project)
    options = _read_backfill(environment, git_ref, date_from, date_to, days_per_run, name)
    terminal = err()

    def follow(arn: str, redrive_count: int) -> run_status.Snapshot:
        return wait_for_run(deployed, arn, redrive_count=redrive_count)

    filled = []
    for window in fill(deployed, options, follow):
        filled.append(window)
        dates = f"{window.date_from} to {window.date_to}"
        terminal.line(f"{dates}: {window.status}, {window.begun}")
    _report_backfill(filled, as_json=as_json)


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


def _report_backfill(filled: list[Filled], *, as_json: bool) -> None:
    last = filled[-1]
    if as_json:
        windows = [window.to_dict() for window in filled]
        print_json({"complete": last.status == "SUCCEEDED", "windows": windows})
    else:
        table = plain_table("dates", "run", *OUTCOMES)
        for window in filled:
            counts = window.counts or {}
            numbers = (f"{counts.get(outcome, 0):,}" for outcome in OUTCOMES)
            table.add_row(f"{window.date_from} to {window.date_to}", window.run_id, *numbers)
        out().table(table)
    if last.status != "SUCCEEDED":
        raise UserError(
            f"{last.run_id} ended as {last.status}: {last.error} Fix the cause, then repeat the "
            "command: it resumes from there"
        )


def preview(
    pull_request: Annotated[
        str,
        typer.Argument(
            metavar="PULL_REQUEST", help="The pull request's number, or preview/pr-NUMBER."
        ),
    ],
    wait_for_branch: Annotated[
        float,
        typer.Option("--wait-for-branch", min=0, help="Wait this many seconds for the branch."),
    ] = 0,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Fill a pull request's Neon branch, or report that it is gone.

    The first run of an empty branch reads the whole lake; a branch that was copied from dev
    continues from dev's watermark. Exits with 3 if there is no such branch, with 1 if the run
    fails.
    """
    number = PREVIEW.fullmatch(pull_request)
    if number is None:
        raise UserError(
            f"{pull_request!r} isn't a pull request: expected a number such as 12, or preview/pr-12"
        )
    git_ref = f"preview/pr-{number[1]}"
    deployed = deployment.find(environment, project)
    if not _await_branch(deployed, git_ref, wait_for_branch):
        if as_json:
            print_json({"git_ref": git_ref, "exists": False, "run": None})
        else:
            out().line(f"{git_ref}: the Neon branch is gone, or was never created; nothing was run")
        raise typer.Exit(BRANCH_GONE)
    payload: dict[str, Any] = {"git_ref": git_ref, "trigger": "preview"}
    arn = executions.start(deployed, executions.new_name(f"pr-{number[1]}"), payload)
    last = wait_for_run(deployed, arn)
    if as_json:
        print_json({"git_ref": git_ref, "exists": True, "run": last.to_dict()})
    else:
        show_outcome(out(), last)
    if last.status != "SUCCEEDED":
        raise typer.Exit(1)


def _await_branch(deployed: Deployment, git_ref: str, seconds: float) -> bool:
    """Whether Neon has the branch. A deployed function asks: it has the key, operators don't."""
    question = {"git_ref": git_ref, "question": {"about": "database"}}

    def exists() -> bool:
        try:
            deployed.invoke("inspect_database", question)
        except FunctionFailed as failed:
            if failed.error != "BranchNotFound":
                raise
            return False
        return True

    return poll(exists, seconds, BRANCH_POLL_SECONDS)
