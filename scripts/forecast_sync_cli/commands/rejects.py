"""``forecast-sync rejects``: the rows that the target can't hold, and how to load them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli.client import deployment, executions, rejects, run_status
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.commands.common import (
    DeployedTableOption,
    EachTableOption,
    EnvironmentOption,
    GitRefOption,
    JsonOption,
    LimitOption,
    ProjectOption,
    WaitOption,
    err,
    out,
    print_json,
    report_run,
    wait_for_run,
)
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.progress import Steps
from forecast_sync_cli.terminal import Styled, Table

app = typer.Typer()

RunOption = Annotated[str | None, typer.Option("--run", help="Only rejects found by this run.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", help="Only rejects with this reason.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Include resolved rejects.")]


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    git_ref: GitRefOption = None,
    table_name: EachTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Rows that the table can't hold: list, export, replay.

    Without a command it counts them by reason.
    """
    if context.invoked_subcommand is None:
        reasons(
            git_ref=git_ref,
            table_name=table_name,
            environment=environment,
            project=project,
            as_json=as_json,
        )


@app.command("list")
def list_(
    git_ref: GitRefOption = None,
    run: RunOption = None,
    reason: ReasonOption = None,
    everything: AllOption = False,
    limit: LimitOption = 20,
    table_name: EachTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """List rejects, newest first.

    Shows the reason, file and row of each; large rows are shortened.
    """
    deployed = deployment.find(environment, project, table_name)
    query = {"git_ref": git_ref, "run_id": run, "reason": reason, "all": everything}
    newest = list(rejects.read(deployed, limit, **query))
    if as_json:
        print_json(newest)
        return
    terminal, is_of_several = out(), len(deployed.each_table()) > 1
    for reject in newest:
        state = f"  resolved by {reject['resolved_run_id']}" if reject["resolved_run_id"] else ""
        of = f"{reject.get('table')}: " if is_of_several else ""
        terminal.line(of, Styled(reject["reason"], "bold"), f"  {reject['source_file']}{state}")
        values = "  ".join(f"{name}={value}" for name, value in reject["row_json"].items())
        terminal.line(f"  {values}")
        if reject.get("shortened"):
            size = f"{reject['row_bytes']:,} bytes"
            terminal.line(
                f"  shortened from {size}: `forecast-sync rejects export` writes the whole row"
            )
    if not newest:
        terminal.line("no rejects")


@app.command()
def reasons(
    git_ref: GitRefOption = None,
    run: RunOption = None,
    everything: AllOption = False,
    table_name: EachTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Count rejects by reason, most frequent first."""
    deployed = deployment.find(environment, project, table_name)
    groups = rejects.count_by_reason(deployed, git_ref=git_ref, run_id=run, all=everything)
    if as_json:
        print_json(groups)
        return
    if not groups:
        out().line("no rejects")
        return
    of = ["table"] if len(deployed.each_table()) > 1 else []
    table = Table(*of, "rows", "files", "reason", "for example in", right={"rows", "files"})
    for group in groups:
        counts = f"{group['rows']:,}", f"{group['files']:,}"
        table.add_row(
            *(group[name] for name in of), *counts, group["reason"], group["example_file"]
        )
    out().table(table)


@app.command()
def export(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write; it ends in .jsonl or .csv.")
    ],
    git_ref: GitRefOption = None,
    run: RunOption = None,
    reason: ReasonOption = None,
    everything: AllOption = False,
    table_name: DeployedTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Write rejects to a file, each with its whole row.

    JSON Lines keep every value exactly. In CSV, values that a spreadsheet would run as a formula
    get a leading apostrophe: those that start with `=`, `+`, `-`, `@`, a tab or a line break and
    aren't numbers. So do values that start with an apostrophe; to restore a value, remove one.
    """
    deployed = deployment.find(environment, project, table_name).one_table()
    query = {"git_ref": git_ref, "run_id": run, "reason": reason, "all": everything}
    table = deployed.table
    with Steps(err()) as step:
        whole_rejects = rejects.whole(deployed, rejects.read(deployed, None, **query), git_ref)
        count = rejects.export(_counted(whole_rejects, step), table, path)
    if as_json:
        print_json({"path": str(path), "rows": count})
    else:
        out().line(f"{count:,} rows written to {path}")


def _counted(
    read: Iterator[dict[str, Any]], step: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """The same rejects; after each page of them, ``step`` says how many there were."""
    step("reading rejects")
    for count, reject in enumerate(read, start=1):
        yield reject
        if count % rejects.PAGE_ROWS == 0:
            step(f"reading rejects: {count:,} rows")


@app.command()
def replay(
    git_ref: GitRefOption = None,
    table_name: DeployedTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Load rejects after a fix, by a full run over their dates.

    Rows that now fit the table are loaded; the others stay rejects. Exits with 1 if the run
    fails.
    """
    deployed = deployment.find(environment, project, table_name).one_table()
    before = rejects.ask(deployed, git_ref=git_ref, limit=1)["reasons"]
    if not before:
        raise UserError(
            "there are no open rejects to replay; to see resolved ones:"
            f" `forecast-sync rejects list{deployed.table_option} --all`"
        )
    payload = rejects.replay_input(before) | ({"git_ref": git_ref} if git_ref else {})
    arn = executions.start(deployed, executions.new_name("replay"), payload)
    if not wait:
        report_run(deployed, run_status.describe(deployed, arn), as_json=as_json)
        return
    last = wait_for_run(deployed, arn)
    if last.status != "SUCCEEDED":
        report_run(deployed, last, as_json=as_json)
        raise typer.Exit(1)
    _report_replay(deployed, git_ref, last, sum(group["rows"] for group in before), as_json=as_json)


def _report_replay(
    deployed: Deployment,
    git_ref: str | None,
    last: run_status.Snapshot,
    before: int,
    *,
    as_json: bool,
) -> None:
    groups: list[dict[str, Any]] = rejects.ask(deployed, git_ref=git_ref, limit=1)["reasons"]
    after = sum(group["rows"] for group in groups)
    if as_json:
        print_json({**last.to_dict(), "rejects_before": before, "rejects_after": after})
        return
    report_run(deployed, last, as_json=False)
    out().line(f"rejects: {before:,} before, {after:,} now")
