"""``forecast-sync doctor``: what is wrong with a deployment, and what to do about it."""

from __future__ import annotations

import typer
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli.client import deployment
from forecast_sync_cli.commands.common import (
    EachTableOption,
    EnvironmentOption,
    GitRefOption,
    JsonOption,
    ProjectOption,
    err,
    out,
    print_json,
)
from forecast_sync_cli.doctor.registry import CHECKS
from forecast_sync_cli.doctor.runner import Context, Result, run_checks
from forecast_sync_cli.progress import Steps
from forecast_sync_cli.terminal import Styled, Terminal

MARKS = {
    "ok": ("ok", "green"),
    "advice": ("advice", "yellow"),
    "finding": ("WRONG", "red"),
    "skipped": ("skipped", "dim"),
}


def doctor(
    git_ref: GitRefOption = None,
    table_name: EachTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Check a deployment, from credentials to a row in Postgres.

    Athena's UNLOAD writes the row, and Postgres reads it into a temporary table; nothing is left
    in the database. If the stack syncs several tables, it checks once what they share, then each
    table. Exits with 1 if anything is wrong.
    """
    if table_name is not None:
        deployment.find(environment, project, table_name)
    results: list[Result] = []
    terminal = out()
    shown = terminal if terminal.is_live and not as_json else err()
    # In a pipe, each result is a line anyway.
    with Steps(shown, announces=False) as steps:

        def begins(check: str, total: int) -> None:
            steps(f"checking {check} ({len(results) + 1} of {total})")

        context = Context(environment, git_ref, project, table_name)
        for result in run_checks(context, CHECKS, begins):
            if not as_json:
                if result.table and (not results or results[-1].table != result.table):
                    terminal.line(f"table {result.table}")
                _show(terminal, result)
            results.append(result)
    findings = sum(result.status == "finding" for result in results)
    if as_json:
        print_json(
            {
                "environment": environment,
                "healthy": not findings,
                "findings": findings,
                "checks": [result.to_dict() for result in results],
            }
        )
    else:
        terminal.line(f"{findings} finding{'s' * (findings > 1)}" if findings else "all is well")
    if findings:
        raise typer.Exit(1)


def _show(terminal: Terminal, result: Result) -> None:
    mark, style = MARKS[result.status]
    padding = " " * (8 - len(mark))
    terminal.line(Styled(mark, style), f"{padding}{result.check:<15} {result.found}")
    if result.advice:
        terminal.line(f"                        -> {result.advice}")
