"""``forecast-sync rejects``: the rows that the target couldn't hold, and how to get them in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from forecast_sync.stack_names import DEFAULT_PROJECT
from forecast_sync.tables import load_table

from forecast_sync_cli import progress
from forecast_sync_cli.client import deployment, executions, rejects, run_status
from forecast_sync_cli.client.athena import read_settings
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.commands.common import (
    EnvironmentOption,
    JsonOption,
    LimitOption,
    ProjectOption,
    WaitOption,
    err,
    out,
    print_json,
)
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.terminal import Styled, Table

app = typer.Typer(help="Rows that the table can't hold: list, group, export and replay them.")

RefOption = Annotated[
    str | None, typer.Option("--git-ref", help="Git branch; default: the environment's own.")
]
RunOption = Annotated[str | None, typer.Option("--run", help="Only those that this run met.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only those of this reason.")]
AllOption = Annotated[bool, typer.Option("--all", help="Resolved ones too.")]


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    git_ref: RefOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Rows that the table can't hold: list, group, export and replay them.

    Without a command it shows them by reason.
    """
    if context.invoked_subcommand is None:
        reasons(git_ref=git_ref, environment=environment, project=project, as_json=as_json)


@app.command("list")
def list_(
    git_ref: RefOption = None,
    run: RunOption = None,
    reason: ReasonOption = None,
    everything: AllOption = False,
    limit: LimitOption = 20,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Show rejects, the newest first: file, reason and row; a large row is shortened."""
    found = deployment.find(environment, project)
    asked = {"git_ref": git_ref, "run_id": run, "reason": reason, "all": everything}
    listed = list(rejects.read(found, limit, **asked))
    if as_json:
        print_json(listed)
        return
    terminal = out()
    for reject in listed:
        state = f"  resolved by {reject['resolved_run_id']}" if reject["resolved_run_id"] else ""
        terminal.line(Styled(reject["reason"], "bold"), f"  {reject['source_file']}{state}")
        values = "  ".join(f"{name}={value}" for name, value in reject["row_json"].items())
        terminal.line(f"  {values}")
        if reject.get("shortened"):
            size = f"{reject['row_bytes']:,} bytes"
            terminal.line(f"  shortened, it has {size}: `rejects export` writes it whole")
    if not listed:
        terminal.line("no rejects")


@app.command()
def reasons(
    git_ref: RefOption = None,
    run: RunOption = None,
    everything: AllOption = False,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Count rejects by reason, the most frequent first."""
    found = deployment.find(environment, project)
    groups = rejects.ask(found, git_ref=git_ref, run_id=run, all=everything, limit=1)["reasons"]
    if as_json:
        print_json(groups)
        return
    if not groups:
        out().line("no rejects")
        return
    table = Table("rows", "files", "reason", "for example", right={"rows", "files"})
    for group in groups:
        words = (group["reason"], group["example_file"])
        table.add_row(f"{group['rows']:,}", f"{group['files']:,}", *words)
    out().table(table)


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="A file that ends with .jsonl or .csv.")],
    git_ref: RefOption = None,
    run: RunOption = None,
    reason: ReasonOption = None,
    everything: AllOption = False,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Write rejects to a file, each with its whole row.

    JSON Lines keep a row exactly. In CSV an apostrophe stands before what a spreadsheet would take
    for a formula (`=`, `+`, `-`, `@`, a tab or a line break at the beginning of what isn't a
    number), and before an apostrophe: take one away to have the value.
    """
    found = deployment.find(environment, project)
    asked = {"git_ref": git_ref, "run_id": run, "reason": reason, "all": everything}
    table = load_table(read_settings(found).table_file)
    listed = rejects.whole(found, rejects.read(found, None, **asked), git_ref)
    count = rejects.export(listed, table, path)
    if as_json:
        print_json({"path": str(path), "rows": count})
    else:
        out().line(f"{count:,} rows written to {path}")


@app.command()
def replay(
    git_ref: RefOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Read the lake again after a fix: what the table can hold now goes in, the rest stays.

    It is a full run over the business dates of the rejects. Exit code 1 when it fails.
    """
    found = deployment.find(environment, project)
    before = rejects.ask(found, git_ref=git_ref, limit=1)["reasons"]
    if not before:
        raise UserError("there is no reject to replay: `forecast-sync rejects list --all`")
    payload = rejects.replay_input(before) | ({"git_ref": git_ref} if git_ref else {})
    arn = executions.start(found, executions.new_name("replay"), payload)
    if not wait:
        _tell_run(run_status.describe(found, arn), as_json=as_json)
        return
    last = progress.show(err(), run_status.follow(found, arn))
    if last.status != "SUCCEEDED":
        _tell_run(last, as_json=as_json)
        raise typer.Exit(1)
    _tell_replay(found, git_ref, last, sum(group["rows"] for group in before), as_json=as_json)


def _tell_run(snapshot: run_status.Snapshot, *, as_json: bool) -> None:
    if as_json:
        print_json(snapshot.to_dict())
    else:
        progress.tell(out(), snapshot)


def _tell_replay(
    found: Deployment,
    git_ref: str | None,
    last: run_status.Snapshot,
    before: int,
    *,
    as_json: bool,
) -> None:
    groups: list[dict[str, Any]] = rejects.ask(found, git_ref=git_ref, limit=1)["reasons"]
    after = sum(group["rows"] for group in groups)
    if as_json:
        print_json({**last.to_dict(), "rejects_before": before, "rejects_after": after})
        return
    progress.tell(out(), last)
    out().line(f"rejects: {before:,} before, {after:,} now")
