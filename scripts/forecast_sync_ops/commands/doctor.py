"""``forecast-sync doctor``: what is wrong with a deployment, and what to do about it."""

from __future__ import annotations

import typer
from forecast_sync.names import DEFAULT_PROJECT
from rich.console import Console
from rich.markup import escape

from forecast_sync_ops.commands.common import (
    EnvironmentOption,
    GitRefOption,
    JsonOption,
    ProjectOption,
    out,
    print_json,
)
from forecast_sync_ops.doctor.checks import CHECKS
from forecast_sync_ops.doctor.examination import Patient, Result, examine

MARKS = {
    "ok": "[green]ok[/]     ",
    "advice": "[yellow]advice[/] ",
    "finding": "[red]WRONG[/]  ",
    "skipped": "[dim]skipped[/]",
}


def doctor(
    git_ref: GitRefOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Check a deployment, from your credentials to one row in Postgres.

    The row is written by Athena's UNLOAD and read into a temporary table; nothing is left in the
    database. Exit code 0 when all is well, 1 when something is wrong.
    """
    results = []
    console = out()
    for result in examine(Patient(environment, git_ref, project), CHECKS):
        results.append(result)
        if not as_json:
            _tell(console, result)
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
        console.print(f"{findings} finding{'s' * (findings > 1)}" if findings else "all is well")
    if findings:
        raise typer.Exit(1)


def _tell(console: Console, result: Result) -> None:
    line = f"{MARKS[result.status]} {result.check:<15} {escape(result.found)}"
    console.print(line, soft_wrap=True)
    if result.advice:
        console.print(f"                        -> {escape(result.advice)}", soft_wrap=True)
