"""Commands that operate a deployment's runs: start, status, history, redrive, stop, logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from forecast_sync.contracts.run import SyncRequest
from forecast_sync.runs.model import OUTCOMES
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli.client import deployment, executions, freshness, logs, run_status
from forecast_sync_cli.client import history as history_client
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.client.history import HistoryItem
from forecast_sync_cli.commands.common import (
    AllowDeletesOption,
    BatchSizeOption,
    DateFromOption,
    DateToOption,
    DeployedTableOption,
    EachTableOption,
    EnvironmentOption,
    GitRefOption,
    JsonOption,
    ProjectOption,
    RunArgument,
    SyncType,
    SyncTypeOption,
    WaitOption,
    check_dates,
    date_text,
    err,
    out,
    plain_table,
    print_json,
    report_run,
    show_table,
    wait_for_run,
)
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.progress import OUTCOME_COLORS, Steps, count_times
from forecast_sync_cli.terminal import Styled, Terminal, write_json

RedrivenTableOption = Annotated[
    str | None,
    typer.Option(
        "--table",
        metavar="TABLE",
        help="Without RUN: the newest run of this table, by its name or the path of its file. "
        "Required if the newest runs of several tables have failed.",
    ),
]

LEVELS = {"ERROR": "red", "WARNING": "yellow"}
STATES = {"fresh": "green", "stale": "red", "never": "red", "unreachable": "red"}
STATE_WORDS = {"never": "never synced"}
"""For the states whose names aren't clear by themselves."""


def start(
    git_ref: GitRefOption = None,
    sync_type: SyncTypeOption = SyncType.INCREMENTAL,
    date_from: DateFromOption = None,
    date_to: DateToOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare with the target, but write no row.")
    ] = False,
    batch_size: BatchSizeOption = None,
    allow_deletes: AllowDeletesOption = None,
    name: Annotated[
        str | None, typer.Option("--name", help="A unique name for the run. Default: generated.")
    ] = None,
    table_name: DeployedTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Start a run and show its progress until it ends.

    With dates the run is a backfill: it syncs only those business dates. Exits with 1 if the run
    fails.
    """
    check_dates(date_from, date_to)
    options = {
        "git_ref": git_ref,
        "sync_type": sync_type.value,
        "date_from": date_text(date_from),
        "date_to": date_text(date_to),
        "dry_run": dry_run or None,
        "batch_size": batch_size,
        "allow_deletes": allow_deletes,
        "trigger": "cli",
    }
    payload = {key: value for key, value in options.items() if value is not None}
    SyncRequest.parse(payload)
    deployed = deployment.find(environment, project, table_name).one_table()
    arn = executions.start(deployed, name or executions.new_name("cli"), payload)
    _finish(deployed, arn, wait=wait, as_json=as_json)


def redrive(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="The run's name or ARN. Default: the newest run that isn't a dry run, if it "
            "failed.",
        ),
    ] = None,
    table_name: RedrivenTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Redrive a failed, stopped or timed-out run.

    Only what hasn't succeeded runs again. Exits with 1 if the run fails.
    """
    if run is not None and table_name is not None:
        raise UserError("pass either RUN or --table: a run belongs to one table")
    deployed = deployment.find(environment, project, table_name)
    arn = deployed.execution_arn(run) if run else executions.find_redrivable(deployed)
    count = executions.redrive(deployed, arn)
    _finish(deployed, arn, wait=wait, as_json=as_json, redrive_count=count)


def stop(
    run: RunArgument,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Stop a run.

    Committed batches stay, and a redrive continues from there.
    """
    deployed = deployment.find(environment, project)
    arn = deployed.execution_arn(run)
    executions.stop(deployed, arn)
    report_run(deployed, run_status.describe(deployed, arn), as_json=as_json)


def status(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Show this run, given by its name or ARN.")
    ] = None,
    git_ref: GitRefOption = None,
    goal_hours: Annotated[
        float | None,
        typer.Option(
            "--goal-hours", min=0, max=8760, help="How old a branch may be. Default: as deployed."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 unless the branch is fresh.")
    ] = False,
    table_name: EachTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Show how fresh a branch is and what is running, or one run.

    A branch is as old as the oldest file that is neither loaded nor accepted. If there is none, it
    is as old as the last listing of the lake. If the stack syncs several tables, each is shown, and
    the branch is as fresh as the one that is furthest behind. Exits with 1 if the database can't be
    reached.
    """
    deployed = deployment.find(environment, project, table_name)
    if run:
        snapshot = run_status.describe(deployed, deployed.execution_arn(run))
        report_run(deployed, snapshot, as_json=as_json)
        if snapshot.definition and not as_json:
            out().line(f"  definition {snapshot.definition}")
        return
    document = freshness.ask(deployed, git_ref, goal_hours)
    if as_json:
        print_json(document)
    else:
        one = None if document["tables"] else deployed.table_choice.get("table")
        _show_freshness(out(), document, one)
    if document["state"] == "unreachable" or (check and document["state"] != "fresh"):
        raise typer.Exit(1)


def history(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1000, help="List at most this many runs.")
    ] = 20,
    table_name: EachTableOption = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """List the newest runs: what each did, or why it did nothing.

    Runs that coalesced or failed to start are included.
    """
    with Steps(err(), announces=False) as step:
        step("reading runs from Step Functions")
        deployed = deployment.find(environment, project, table_name)
        runs = history_client.read_history(deployed, limit, table=deployed.selected_table)
    if as_json:
        print_json([run.model_dump() for run in runs])
        return
    if runs:
        _show_history(out(), runs)
    else:
        out().line("no runs yet")


def _show_history(terminal: Terminal, runs: list[HistoryItem]) -> None:
    """Show a row per run; what all of them have in common is shown once, above."""
    shared = {
        "branch": {run.git_ref for run in runs if run.git_ref},
        "table": {run.table for run in runs if run.table},
    }
    differing = [name for name, values in shared.items() if len(values) > 1]
    table = plain_table("run", "outcome", "started (UTC)", "type", *differing, "what it did")
    for run in runs:
        values = {"branch": run.git_ref or "", "table": run.table or ""}
        table.add_row(
            run.run_id,
            Styled(run.outcome.replace("_", " "), OUTCOME_COLORS.get(run.outcome, "red")),
            run.started_at[:19].replace("T", " "),
            run.sync_type or "",
            *(values[name] for name in differing),
            "; ".join(_what_it_did(run)),
        )
    common = [f"{name} {min(values)}" for name, values in shared.items() if len(values) == 1]
    if common:
        terminal.line(", ".join(common))
    terminal.table(table)


def _what_it_did(run: HistoryItem) -> Iterator[str]:
    if run.redrive_count:
        yield f"redriven {count_times(run.redrive_count)}"
    if run.coalesced_into:
        yield f"into {run.coalesced_into}"
    if run.waits:
        yield f"waits: {run.waits}"
    if run.error:
        yield run.error.rstrip(".")
    if run.files:
        yield run.files.in_words(are_loaded=run.outcome == "succeeded")
    if run.rows is not None:
        outcomes = {**run.rows, "deleted": run.deleted or 0}
        changes = [f"{count:,} {name}" for name, count in outcomes.items() if count]
        did = ", ".join(changes)
        if run.dry_run:
            yield f"no row was written; would have been {did}" if did else "nothing would change"
        else:
            yield did or "nothing new"
    if run.deletes_deferred:
        yield f"{run.deletes_deferred:,} to delete wait for --allow-deletes"
    if run.window_reason:
        yield f"read the whole lake: {run.window_reason}"


def show_logs(
    run: RunArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep showing new lines until the run ends.")
    ] = False,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Show what all functions logged during a run, in order."""
    deployed = deployment.find(environment, project)
    arn = deployed.execution_arn(run)
    lines = (
        logs.follow(deployed, arn)
        if follow
        else iter(logs.read(deployed, run_status.describe(deployed, arn)))
    )
    if as_json and not follow:
        print_json(list(lines))
        return
    terminal = out()
    for line in lines:
        if as_json:
            write_json(line, indent=None)
        else:
            _show_log_line(terminal, line, deployed.function_name(""))


def _show_log_line(terminal: Terminal, line: dict[str, Any], prefix: str) -> None:
    details = line["details"]
    function = str(details.get("function") or "").removeprefix(prefix)
    answer = f"  {json.dumps(details['answer'])}" if "answer" in details else ""
    color = LEVELS.get(line["level"], "default")
    terminal.line(
        f"{line['timestamp'][11:23]}  {function:<18}  ",
        Styled(line["message"], color),
        Styled(answer, "dim"),
    )


def _finish(
    deployed: Deployment, arn: str, *, wait: bool, as_json: bool, redrive_count: int = 0
) -> None:
    if not wait:
        report_run(deployed, run_status.describe(deployed, arn), as_json=as_json)
        return
    last = wait_for_run(deployed, arn, redrive_count=redrive_count)
    report_run(deployed, last, as_json=as_json)
    if last.status != "SUCCEEDED":
        raise typer.Exit(1)


def _show_freshness(terminal: Terminal, document: dict[str, Any], one: str | None) -> None:
    """``one`` is the table that the document is about, if the stack syncs several."""
    branch = document["git_ref"] or document["environment"]
    tables = {table["name"]: table for table in document["tables"]} or {one: document}
    for name, each in tables.items():
        _show_state(terminal, f"{branch}, {name}" if name else branch, each)
    if document["state"] == "unreachable":
        return
    for each in tables.values():
        if each["table"]:
            show_table(terminal, each["table"])
    runs = document["runs"][:10]
    shown_tables = bool(document["tables"])
    names = list(OUTCOMES)
    if any(run.get("deleted") for run in runs):
        names.append("deleted")
    table = plain_table("run", "status", "type", *(["table"] if shown_tables else []), *names)
    for run in runs:
        counts = ("" if run[name] is None else f"{run[name]:,}" for name in names)
        status = run["status"].replace("_", " ")
        of = [run.get("table") or ""] if shown_tables else []
        table.add_row(run["run_id"], status, run["sync_type"], *of, *counts)
    if runs:
        terminal.table(table)
    _show_deferred(terminal, document["runs"], one, by_table=shown_tables)
    for run in runs:
        if run.get("window_reason"):
            terminal.line(f"{run['run_id']} read the whole lake: {run['window_reason']}")


def _show_state(terminal: Terminal, label: str, document: dict[str, Any]) -> None:
    """How fresh a branch is, for its only table or for one of several, and what is running."""
    color = STATES[document["state"]]
    state = STATE_WORDS.get(document["state"], document["state"])
    terminal.line(f"{label}: ", Styled(state, color), f": {document['why']}")
    if document["state"] == "unreachable":
        return
    watermark = document["watermark"]
    if watermark:
        utc_time = watermark[:19].replace("T", " ")
        count = document["waiting_files"]
        files = "1 file" if count == 1 else f"{count:,} files"
        but = f", except for {files}" if count else ""
        terminal.line(f"everything uploaded until {utc_time} UTC has arrived{but}")
    terminal.line(f"running now: {document['running'] or 'nothing'}")


def _show_deferred(
    terminal: Terminal, runs: list[dict[str, Any]], one: str | None, *, by_table: bool
) -> None:
    """For each table whose last successful run deferred deletions: how to allow them."""
    last: dict[str | None, dict[str, Any]] = {}
    for run in runs:
        if run["status"] == "succeeded":
            last.setdefault(run.get("table") if by_table else one, run)
    for name, run in last.items():
        if count := run.get("deletes_deferred"):
            of, option = (f" {name}", f" --table {name}") if name else (" the table", "")
            terminal.line(
                f"{count:,} rows that should leave{of} wait for somebody: `forecast-sync plan"
                f"{option}` shows some, `forecast-sync start{option} --allow-deletes {count}` "
                "deletes them"
            )
