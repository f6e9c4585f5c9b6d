"""``forecast-sync files``: the files of the lake and what became of each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from forecast_sync.runs.model import FileState
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli.client import deployment
from forecast_sync_cli.client import files as client
from forecast_sync_cli.commands.common import (
    DeployedTableOption,
    EachTableOption,
    EnvironmentOption,
    GitRefOption,
    JsonOption,
    LimitOption,
    ProjectOption,
    out,
    print_json,
)
from forecast_sync_cli.terminal import Table

app = typer.Typer()

KeysArgument = Annotated[
    list[str],
    typer.Argument(metavar="KEY...", help="Keys as `files --state quarantined` lists them."),
]

PrefixOption = Annotated[
    str | None,
    typer.Option("--prefix", help="Only this file, or files whose key begins with this."),
]
StateOption = Annotated[FileState | None, typer.Option("--state", help="Only files in this state.")]
RunOption = Annotated[str | None, typer.Option("--run", help="Only files taken in by this run.")]


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    prefix: PrefixOption = None,
    state: StateOption = None,
    run: RunOption = None,
    git_ref: GitRefOption = None,
    limit: LimitOption = 100,
    table_name: EachTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """The files of the lake, and what became of each.

    A file is pending, loaded, quarantined (it can't be read and is left out), archived or gone.
    """
    if context.invoked_subcommand is not None:
        return
    deployed = deployment.find(environment, project, table_name)
    query = {"prefix": prefix, "state": state, "run_id": run, "git_ref": git_ref}
    found = list(client.read(deployed, limit, **query))
    if as_json:
        print_json(found)
        return
    if not found:
        out().line("no files")
        return
    of = ["table"] if len(deployed.each_table()) > 1 else []
    table = Table(*of, "state", "rows", "bytes", "dates", "file", "run", right={"rows", "bytes"})
    for file in found:
        dates = " to ".join(sorted({file["first_date"] or "", file["last_date"] or ""} - {""}))
        rows = "" if file["rows"] is None else f"{file['rows']:,}"
        cells = (file["state"], rows, f"{file['size']:,}", dates, file["key"], file["run_id"] or "")
        table.add_row(*(file[name] for name in of), *cells)
    out().table(table)
    for file in found:
        if file["reason"]:
            out().line(f"{file['key']} {file['reason']}")
        if file["accepted_at"]:
            when = datetime.fromisoformat(file["accepted_at"]).astimezone(UTC)
            out().line(f"  accepted on {when:%Y-%m-%d %H:%M} UTC by {file['accepted_by']}")


@app.command()
def accept(
    keys: KeysArgument,
    git_ref: GitRefOption = None,
    table_name: DeployedTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Accept that quarantined files are left out, until there is a new version of them.

    They no longer count as missing. If rows of a file were loaded before it went bad, runs
    continue, and for the keys of these rows, older rows in the lake win.
    """
    deployed = deployment.find(environment, project, table_name).one_table()
    client.decide(deployed, "accept", keys, git_ref)
    advice = "it no longer counts as missing; redrive a run that failed because of it"
    if len(keys) > 1:
        advice = "they no longer count as missing; redrive a run that failed because of them"
    _say(keys, as_json, f"accepted {_counted(keys)}: {advice}")


@app.command()
def retry(
    keys: KeysArgument,
    git_ref: GitRefOption = None,
    table_name: DeployedTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Have the next run judge quarantined files again, although they haven't changed.

    A corrected upload doesn't need it: the next run judges it by itself.
    """
    deployed = deployment.find(environment, project, table_name).one_table()
    client.decide(deployed, "retry", keys, git_ref)
    again = f"forecast-sync start{deployed.table_option}"
    _say(keys, as_json, f"the next run judges {_counted(keys)} again: {again}")


def _say(keys: list[str], as_json: bool, line: str) -> None:
    if as_json:
        print_json({"keys": keys})
    else:
        out().line(line)


def _counted(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{len(keys)} files"
