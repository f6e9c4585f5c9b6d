"""Commands that operate a deployment's runs: start, status, history, redrive, stop, logs."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from forecast_sync.contracts.run import SyncRequest
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli import progress
from forecast_sync_cli.client import deployment, executions, freshness, run_status
from forecast_sync_cli.client import logs as run_logs
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.commands.common import (
    DateOption,
    EnvironmentOption,
    GitRefOption,
    JsonOption,
    ProjectOption,
    RunArgument,
    SyncType,
    SyncTypeOption,
    WaitOption,
    day,
    err,
    out,
    plain_table,
    print_json,
)
from forecast_sync_cli.terminal import Styled, Terminal, write_json

LEVELS = {"ERROR": "red", "WARNING": "yellow"}
STATES = {"fresh": "green", "stale": "red", "never": "red", "unreachable": "red"}


def start(
    git_ref: GitRefOption = None,
    sync_type: SyncTypeOption = SyncType.INCREMENTAL,
    date_from: DateOption = None,
    date_to: DateOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare, write nothing.")] = False,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Rows a batch.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run, unique.")] = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Start a run and show its progress until it has ended.

    Dates limit it to those business dates (a backfill). Exit code 1 when the run fails.
    """
    wanted = {
        "git_ref": git_ref,
        "sync_type": sync_type.value,
        "date_from": day(date_from),
        "date_to": day(date_to),
        "dry_run": dry_run or None,
        "batch_size": batch_size,
        "trigger": "cli",
    }
    payload = {key: value for key, value in wanted.items() if value is not None}
    SyncRequest.parse(payload)
    found = deployment.find(environment, project)
    arn = executions.start(found, name or executions.new_name("cli"), payload)
    _finish(found, arn, wait=wait, as_json=as_json)


def redrive(
    run: Annotated[
        str | None, typer.Argument(help="Name or ARN; default: the newest, if it failed.")
    ] = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Redrive a failed, stopped or timed-out run: only what hasn't succeeded runs again."""
    found = deployment.find(environment, project)
    arn = found.execution_arn(run) if run else executions.latest_redrivable(found)
    count = executions.redrive(found, arn)
    _finish(found, arn, wait=wait, as_json=as_json, redrive_count=count)


def stop(
    run: RunArgument,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Stop a run; nothing that is committed is lost, and a redrive goes on from there."""
    found = deployment.find(environment, project)
    arn = found.execution_arn(run)
    executions.stop(found, arn)
    _report(run_status.describe(found, arn), as_json=as_json)


def status(
    run: Annotated[str | None, typer.Argument(help="Name or ARN of one run.")] = None,
    git_ref: GitRefOption = None,
    goal_hours: Annotated[
        float | None,
        typer.Option(
            "--goal-hours", min=0, max=8760, help="How old the rows may be; default: as deployed."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 1 unless the branch is fresh.")
    ] = False,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Whether a branch is fresh, why, and what runs; or everything about one run.

    A branch's age is the time since its watermark: everything uploaded until then is in its table.
    Exit code 1 when its database can't be asked.
    """
    found = deployment.find(environment, project)
    if run:
        _report(run_status.describe(found, found.execution_arn(run)), as_json=as_json)
        return
    document = freshness.ask(found, git_ref, goal_hours)
    if as_json:
        print_json(document)
    else:
        _tell_freshness(document)
    if document["state"] == "unreachable" or (check and document["state"] != "fresh"):
        raise typer.Exit(1)


def history(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000)] = 20,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """The newest executions, coalesced and stillborn ones included."""
    listed = executions.history(deployment.find(environment, project), limit)
    if as_json:
        print_json(listed)
        return
    table = plain_table("run", "status", "started (UTC)", "ended (UTC)", "redrives")
    for item in listed:
        colour = progress.COLOURS.get(item["status"], "red")
        times = (item["started_at"][:19], (item["stopped_at"] or "")[:19])
        table.add_row(
            item["run_id"],
            Styled(item["status"], colour),
            *times,
            str(item["redrive_count"]),
        )
    if listed:
        out().table(table)
    else:
        out().line("no run yet")


def logs(
    run: RunArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")
    ] = False,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """What the functions logged during a run, in order, across functions."""
    found = deployment.find(environment, project)
    arn = found.execution_arn(run)
    lines = (
        run_logs.follow(found, arn)
        if follow
        else iter(run_logs.read(found, run_status.describe(found, arn)))
    )
    if as_json and not follow:
        print_json(list(lines))
        return
    terminal = out()
    for line in lines:
        if as_json:
            write_json(line, indent=None)
        else:
            _tell_line(terminal, line, found.function_name(""))


def _tell_line(terminal: Terminal, line: dict[str, Any], prefix: str) -> None:
    details = line["details"]
    function = str(details.get("function") or "").removeprefix(prefix)
    answer = f"  {json.dumps(details['answer'])}" if "answer" in details else ""
    colour = LEVELS.get(line["level"], "default")
    terminal.line(
        f"{line['timestamp'][11:23]}  {function:<18}  ",
        Styled(line["message"], colour),
        Styled(answer, "dim"),
    )


def _finish(
    found: Deployment, arn: str, *, wait: bool, as_json: bool, redrive_count: int = 0
) -> None:
    if not wait:
        _report(run_status.describe(found, arn), as_json=as_json)
        return
    terminal = err()
    try:
        last = progress.show(terminal, run_status.follow(found, arn, redrive_count=redrive_count))
    except KeyboardInterrupt:
        name = arn.rsplit(":", 1)[-1]
        terminal.line(f"The run goes on: `forecast-sync status {name}`, or `stop {name}`")
        raise
    _report(last, as_json=as_json)
    if last.status != "SUCCEEDED":
        raise typer.Exit(1)


def _report(snapshot: run_status.Snapshot, *, as_json: bool) -> None:
    if as_json:
        print_json(snapshot.to_dict())
    else:
        progress.tell(out(), snapshot)


def _tell_freshness(document: dict[str, Any]) -> None:
    terminal = out()
    colour = STATES[document["state"]]
    where = document["git_ref"] or document["environment"]
    terminal.line(f"{where}: ", Styled(document["state"], colour), f": {document['why']}")
    if document["state"] == "unreachable":
        return
    watermark = document["watermark"]
    if watermark:
        moment = watermark[:19].replace("T", " ")
        terminal.line(f"everything uploaded until {moment} UTC has arrived")
    terminal.line(f"running now: {document['running'] or 'nothing'}")
    table = plain_table("run", "status", "type", *progress.OUTCOMES)
    for run in document["runs"][:10]:
        counts = ("" if run[name] is None else f"{run[name]:,}" for name in progress.OUTCOMES)
        table.add_row(run["run_id"], run["status"], run["sync_type"], *counts)
    if document["runs"]:
        terminal.table(table)
