"""Commands that operate a deployment's runs: start, status, history, redrive, stop, logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from forecast_sync.contracts import SyncRequest
from rich.markup import escape
from rich.table import Table

from forecast_sync_ops import deployment, executions, progress, run_logs, snapshots
from forecast_sync_ops.commands.common import (
    DateOption,
    EnvironmentOption,
    GitRefOption,
    JsonOption,
    RunArgument,
    SyncType,
    WaitOption,
    day,
    err,
    out,
    print_json,
)
from forecast_sync_ops.deployment import Deployment


def start(
    git_ref: GitRefOption = None,
    sync_type: Annotated[SyncType, typer.Option("--sync-type")] = SyncType.INCREMENTAL,
    date_from: DateOption = None,
    date_to: DateOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare, write nothing.")] = False,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Rows a batch.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run, unique.")] = None,
    environment: EnvironmentOption = "dev",
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
    found = deployment.find(environment)
    arn = executions.start(found, name or executions.new_name("cli"), payload)
    _finish(found, arn, wait=wait, as_json=as_json)


def redrive(
    run: Annotated[
        str | None, typer.Argument(help="Name or ARN; default: the last one, if bad.")
    ] = None,
    environment: EnvironmentOption = "dev",
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Redrive a failed, stopped or timed-out run: only what hasn't succeeded runs again."""
    found = deployment.find(environment)
    arn = found.execution_arn(run) if run else executions.latest_redrivable(found)
    count = executions.redrive(found, arn)
    _finish(found, arn, wait=wait, as_json=as_json, redrive_count=count)


def stop(
    run: RunArgument, environment: EnvironmentOption = "dev", as_json: JsonOption = False
) -> None:
    """Stop a run; nothing that is committed is lost, and a redrive goes on from there."""
    found = deployment.find(environment)
    arn = found.execution_arn(run)
    executions.stop(found, arn)
    _report(snapshots.describe(found, arn), as_json=as_json)


def status(
    run: Annotated[str | None, typer.Argument(help="Name or ARN of one run.")] = None,
    git_ref: GitRefOption = None,
    environment: EnvironmentOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """How fresh a branch is and what runs; or everything about one run."""
    found = deployment.find(environment)
    if run:
        _report(snapshots.describe(found, found.execution_arn(run)), as_json=as_json)
        return
    document = _freshness(found, git_ref)
    if as_json:
        print_json(document)
    else:
        _tell_freshness(document)


def history(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000)] = 20,
    environment: EnvironmentOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """The newest executions, coalesced and stillborn ones included."""
    listed = executions.history(deployment.find(environment), limit)
    if as_json:
        print_json(listed)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("run", "status", "started (UTC)", "ended (UTC)", "redrives"):
        table.add_column(heading, no_wrap=True)
    for item in listed:
        colour = progress.COLOURS.get(item["status"], "red")
        times = (item["started_at"][:19], (item["stopped_at"] or "")[:19])
        table.add_row(
            escape(item["run_id"]),
            f"[{colour}]{item['status']}[/]",
            *times,
            str(item["redrive_count"]),
        )
    out().print(table if listed else "no run yet")


def logs(
    run: RunArgument, environment: EnvironmentOption = "dev", as_json: JsonOption = False
) -> None:
    """What the functions logged during a run, in order, across functions."""
    found = deployment.find(environment)
    lines = run_logs.read(found, snapshots.describe(found, found.execution_arn(run)))
    if as_json:
        print_json(lines)
        return
    console = out()
    for line in lines:
        console.print(f"{line['timestamp']}  {escape(line['message'])}", soft_wrap=True)


def _finish(
    found: Deployment, arn: str, *, wait: bool, as_json: bool, redrive_count: int = 0
) -> None:
    if not wait:
        _report(snapshots.describe(found, arn), as_json=as_json)
        return
    console = err()
    try:
        last = progress.show(console, snapshots.follow(found, arn, redrive_count=redrive_count))
    except KeyboardInterrupt:
        name = arn.rsplit(":", 1)[-1]
        console.print(f"The run goes on: `forecast-sync status {name}`, or `stop {name}`")
        raise
    _report(last, as_json=as_json)
    if last.status != "SUCCEEDED":
        raise typer.Exit(1)


def _report(snapshot: snapshots.Snapshot, *, as_json: bool) -> None:
    if as_json:
        print_json(snapshot.to_dict())
    else:
        progress.tell(out(), snapshot)


def _freshness(found: Deployment, git_ref: str | None) -> dict[str, Any]:
    """environment, running, last_success, watermark, age_seconds and the last runs."""
    answer = found.ask_status("/syncs", {"git_ref": git_ref} if git_ref else {}) or {"syncs": []}
    runs = answer["syncs"]
    succeeded = [run for run in runs if run["status"] == "succeeded"]
    finished = succeeded[0]["finished_at"] if succeeded else None
    age = datetime.now(UTC) - datetime.fromisoformat(finished) if finished else None
    return {
        "environment": found.environment,
        "git_ref": git_ref,
        "running": next((run["run_id"] for run in runs if run["status"] == "running"), None),
        "last_success": succeeded[0]["run_id"] if succeeded else None,
        "watermark": succeeded[0]["last_sync_timestamp"] if succeeded else None,
        "age_seconds": round(age.total_seconds()) if age else None,
        "runs": runs,
    }


def _tell_freshness(document: dict[str, Any]) -> None:
    console = out()
    age = document["age_seconds"]
    if age is None:
        console.print(f"{document['environment']}: [red]no run has succeeded yet[/]")
    else:
        console.print(
            f"{document['environment']}: last success {_ago(age)} ago"
            f" ({escape(document['last_success'])}), watermark {document['watermark']} UTC",
            soft_wrap=True,
        )
    console.print(f"running now: {escape(document['running'] or 'nothing')}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("run", "status", "type", *progress.OUTCOMES):
        table.add_column(heading, justify="right" if heading in progress.OUTCOMES else "left")
    for run in document["runs"][:10]:
        counts = ("" if run[name] is None else f"{run[name]:,}" for name in progress.OUTCOMES)
        table.add_row(escape(run["run_id"]), run["status"], run["sync_type"], *counts)
    if document["runs"]:
        console.print(table)
    newest = document["runs"][0] if document["runs"] else {}
    if newest.get("status") == "failed":
        console.print(f"[red]last error[/] {escape(newest['error_message'] or '')}", soft_wrap=True)


def _ago(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
