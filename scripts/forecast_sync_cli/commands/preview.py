"""``forecast-sync preview``: fills a pull request's Neon branch."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from forecast_sync.resolve.git_refs import map_git_ref
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli.client import deployment, executions
from forecast_sync_cli.client.deployment import Deployment, FunctionFailed
from forecast_sync_cli.client.polling import poll
from forecast_sync_cli.commands.common import (
    EachTableOption,
    EnvironmentOption,
    JsonOption,
    ProjectOption,
    err,
    out,
    print_json,
    report_run,
    wait_for_run,
)
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.progress import Steps

PREVIEW = re.compile(r"(?:preview/pr-)?(\d+)")
BRANCH_GONE = 3
BRANCH_POLL_SECONDS = 2.0


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
    table_name: EachTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Fill a pull request's Neon branch, or report that it is gone.

    The first run of an empty branch reads the whole lake; a branch that was copied from dev
    continues from dev's watermark. If the stack syncs several tables, each gets a run, and a failed
    run doesn't stop the others. Exits with 3 if there is no such branch, with 1 if a run fails.
    """
    number = PREVIEW.fullmatch(pull_request)
    if number is None:
        raise UserError(
            f"{pull_request!r} isn't a pull request: expected a number such as 12, or preview/pr-12"
        )
    git_ref = f"preview/pr-{number[1]}"
    map_git_ref(git_ref, environment)
    tables = deployment.find(environment, project, table_name).each_table()
    with Steps(err()) as step:
        if wait_for_branch:
            step(f"waiting up to {wait_for_branch:.0f} s for Neon's branch {git_ref}")
        exists = _await_branch(tables[0], git_ref, wait_for_branch)
    if not exists:
        if as_json:
            print_json({"git_ref": git_ref, "exists": False, "run": None, "runs": []})
        else:
            out().line(f"{git_ref}: the Neon branch is gone, or was never created; nothing was run")
        raise typer.Exit(BRANCH_GONE)
    payload: dict[str, Any] = {"git_ref": git_ref, "trigger": "preview"}
    started = [
        (each, executions.start(each, executions.new_name(f"pr-{number[1]}"), payload))
        for each in tables
    ]
    runs = []
    for each, arn in started:
        runs.append(wait_for_run(each, arn))
        if not as_json:
            report_run(each, runs[-1], as_json=False)
    failed = [run for run in runs if run.status != "SUCCEEDED"]
    if as_json:
        first = (failed or runs)[0].to_dict()
        every = [run.to_dict() for run in runs]
        print_json({"git_ref": git_ref, "exists": True, "run": first, "runs": every})
    if failed:
        raise typer.Exit(1)


def _await_branch(deployed: Deployment, git_ref: str, seconds: float) -> bool:
    """Whether Neon has the branch. A deployed function asks: it has the key, operators don't."""

    def exists() -> bool:
        try:
            deployed.inspect(git_ref, {"about": "database"})
        except FunctionFailed as failed:
            if failed.error != "BranchNotFound":
                raise
            return False
        return True

    return poll(exists, seconds, BRANCH_POLL_SECONDS)
