"""``forecast-sync plan``: what a run would change, without changing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from forecast_sync.contracts.run import SyncRequest
from forecast_sync.contracts.survey import RunFiles
from forecast_sync.runs.model import OUTCOMES
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli.client import deployment, executions, plans, run_status
from forecast_sync_cli.client.deploy_changes import DeployChanges, find_changes
from forecast_sync_cli.client.deployment import TABLE_SUFFIX, Deployment
from forecast_sync_cli.commands.common import (
    DateFromOption,
    DateToOption,
    EnvironmentOption,
    GitRefOption,
    JsonOption,
    LimitOption,
    ProjectOption,
    SyncType,
    SyncTypeOption,
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
from forecast_sync_cli.progress import counts_table, show_deferred, show_warnings
from forecast_sync_cli.table_lint import read_checked
from forecast_sync_cli.terminal import Part, Styled, Table, Terminal
from forecast_sync_cli.units import show_size


def plan(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Show this earlier dry run. Default: start one."),
    ] = None,
    git_ref: GitRefOption = None,
    sync_type: SyncTypeOption = SyncType.INCREMENTAL,
    date_from: DateFromOption = None,
    date_to: DateToOption = None,
    limit: LimitOption = 20,
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            metavar="TABLE",
            help="The name of a deployed table, required if the stack syncs several. Or the path"
            " of a .toml file: start nothing, and show what deploying this file would change.",
        ),
    ] = None,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would change, without writing a row.

    Starts a dry run and shows rows by business date and state, the largest changes, rejects with
    examples, broken expectations, how many files are read, what Athena read and what that cost, and
    where the columns of lake, table file and Postgres differ. Only the run's own record is written
    to the database. If the table file in this checkout differs from the deployed one, the command
    first shows what deploying it would change. Exits with 1 if the dry run fails.
    """
    check_dates(date_from, date_to)
    is_file = table is not None and table.endswith(TABLE_SUFFIX)
    if is_file and run is not None:
        raise UserError("pass either RUN or --table FILE: RUN shows a dry run, FILE starts none")
    local = read_checked(table) if table is not None and is_file else None
    deployed = deployment.find(environment, project, None if is_file else table)
    if local is not None:
        if deployed.has_several_tables:
            deployed = deployed.select_table(local.name)
        _show_deployment(find_changes(deployed, local, git_ref), as_json=as_json)
        return
    earlier = None if run is None else run_status.describe(deployed, deployed.execution_arn(run))
    if earlier is not None and earlier.table in deployed.tables:
        deployed = deployed.of_table(earlier.table)
    deployed = deployed.one_table()
    if described := deployed.describe_table():
        # On stderr, where it comes before the progress of the dry run.
        show_table(err(), described)
        if described["difference"]:
            here = read_checked(deployed.settings.table_file)
            show_changes(err(), find_changes(deployed, here, git_ref))
    dates = {"date_from": date_text(date_from), "date_to": date_text(date_to)}
    options = {"git_ref": git_ref, "sync_type": sync_type.value, **dates}
    last = earlier or _dry_run(deployed, options)
    if last.status != "SUCCEEDED":
        report_run(deployed, last, as_json=as_json)
        raise typer.Exit(1)
    report = read_report(deployed, last)
    if as_json:
        print_json(report)
    else:
        show_report(out(), report, limit, deployed.start_command(last.table))


def _show_deployment(changes: DeployChanges, *, as_json: bool) -> None:
    if as_json:
        print_json(changes.to_dict())
    else:
        show_changes(out(), changes)


def show_changes(terminal: Terminal, changes: DeployChanges) -> None:
    """Show what deploying a table file would change, a line per change."""
    terminal.line(
        f"deploying {changes.table} (definition {changes.definition}, deployed is "
        f"{changes.deployed_definition}) would change:"
    )
    for line in changes.changes:
        terminal.line(f"  {line}")
    for column in changes.adds:
        terminal.line(Styled("  adds", "yellow"), f" {column} to the target, and fills every row")
    for item in changes.refusals:
        remedy = f"; first run: {item['remedy']}" if item["remedy"] else ""
        terminal.line(
            Styled("  refused", "red"),
            f" {item['column']} is {item['found'] or 'missing'}, expected {item['expected']}"
            f"{remedy}",
        )
    if changes.unknown:
        terminal.line(f"  the target wasn't compared: {changes.unknown}")


def _dry_run(deployed: Deployment, options: dict[str, str | None]) -> run_status.Snapshot:
    given = {key: value for key, value in options.items() if value is not None}
    payload = {**given, "dry_run": True, "trigger": "cli"}
    SyncRequest.parse(payload)
    arn = executions.start(deployed, executions.new_name("plan"), payload)
    return wait_for_run(deployed, arn)


def read_report(deployed: Deployment, snapshot: run_status.Snapshot) -> dict[str, Any]:
    """The report of a dry run; raises ``UserError`` for a run that has none."""
    location = snapshot.report
    if not location:
        raise UserError(
            f"{deployed.run_label(snapshot.run_id, snapshot.table)} has no report: only dry runs "
            "that don't coalesce write one"
        )
    return plans.read_report(deployed, location)


def show_report(terminal: Terminal, report: dict[str, Any], limit: int, start: str) -> None:
    """Show a report on a screen or two; ``start`` is the command that starts a run of its table."""
    terminal.line(
        f"{report['run_id']}: what a run would do to {report['neon_branch']}; no row was written"
    )
    terminal.table(counts_table(report["counts"]))
    show_warnings(terminal, report["counts"].get("warnings", {}))
    for position, name in enumerate(report["group_by"]):
        _show_groups(terminal, name, _by(report["groups"], position), limit)
    _show_reasons(terminal, report["reasons"], report.get("examples", {}))
    _show_largest(terminal, report, limit)
    _show_deletions(terminal, report, limit, start)
    scanned = sum(query["scanned_bytes"] for query in report["queries"])
    usd = sum(query["usd"] for query in report["queries"])
    terminal.line()
    if report.get("files"):
        files = RunFiles.model_validate(report["files"])
        read = f"; those that are read have {show_size(files.bytes)}" if files.bytes else ""
        terminal.line(f"{files.in_words(are_loaded=False)}{read}")
    terminal.line(
        f"Athena read {show_size(scanned)} in two queries: {usd:.4f} USD;"
        " the run itself will read and cost as much again"
    )
    for item in report["schema_differences"]:
        remedy = f": {item['remedy']}" if item.get("remedy") else ""
        terminal.line(
            Styled("schema", "yellow"),
            f" {item['where']}: {item['column']} is {item['found'] or 'missing'},"
            f" expected {item['expected']}{remedy}",
        )
    if not report["schema_differences"]:
        terminal.line("Lake, table file and Postgres agree on the columns.")
    for line in report.get("losses", ()):
        terminal.line(Styled(line, "dim"))


def _by(groups: Sequence[dict[str, Any]], position: int) -> dict[str, dict[str, int]]:
    """Row counts by the value of one of the columns that the report is grouped by."""
    summed: dict[str, dict[str, int]] = {}
    for group in groups:
        value = group["by"][position]
        row = summed.setdefault("NULL" if value is None else value, dict.fromkeys(OUTCOMES, 0))
        for outcome in OUTCOMES:
            row[outcome] += group[outcome]
    return summed


def _show_groups(
    terminal: Terminal, name: str, rows: dict[str, dict[str, int]], limit: int
) -> None:
    changing = {value: row for value, row in rows.items() if _changes(row)}
    if not changing:
        return
    table = plain_table(name.replace("_", " "), *OUTCOMES)
    _fill(table, list(changing.items()), limit, _group_cells)
    terminal.line()
    terminal.table(table)
    unchanged = len(rows) - len(changing)
    if unchanged:
        terminal.line(Styled(f"and {unchanged:,} more without changes", "dim"))


def _changes(row: dict[str, int]) -> int:
    return row["inserted"] + row["updated"] + row["rejected"]


def _group_cells(item: tuple[str, dict[str, int]]) -> list[Part]:
    value, row = item
    return [value, *(f"{row[outcome]:,}" if row[outcome] else "" for outcome in OUTCOMES)]


def _show_reasons(
    terminal: Terminal, reasons: dict[str, int], examples: dict[str, list[dict[str, Any]]]
) -> None:
    for reason, count in reasons.items():
        terminal.line(Styled("rejected", "yellow"), f" {count:,}: {reason}")
        for example in examples.get(reason, []):
            row = example["row"].items()
            values = "  ".join(f"{name}={'NULL' if v is None else v}" for name, v in row)
            terminal.line(Styled(f"  {example['source_file']}  {values}", "dim"))


def _show_largest(terminal: Terminal, report: dict[str, Any], limit: int) -> None:
    if not report["largest"]:
        return
    table = plain_table(*(name.replace("_", " ") for name in report["key"]), "before", "after")

    def cells(change: dict[str, Any]) -> list[Part]:
        values = ("NULL" if text is None else text for text in (change["before"], change["after"]))
        return [*change["key"], *values]

    _fill(table, report["largest"], limit, cells)
    terminal.line()
    terminal.line(f"largest changes of {report['watched']}")
    terminal.table(table)


def _show_deletions(terminal: Terminal, report: dict[str, Any], limit: int, start: str) -> None:
    """Some of the rows that should leave the target, and why they would wait.

    ``start`` is the command that takes ``--allow-deletes``.
    """
    if report.get("deletions"):
        table = plain_table(*(name.replace("_", " ") for name in report["key"]), "why it leaves")
        words = {"tombstone": "deleted in the lake", "missing": "no longer in any file"}
        _fill(table, report["deletions"], limit, lambda row: [*row["key"], words[row["why"]]])
        total = report["counts"].get("deleted", 0) + report["deletes_deferred"]
        terminal.line()
        some = ", some of them:" if total > len(report["deletions"]) else ""
        terminal.line(f"rows that should leave the table: {total:,}{some}")
        terminal.table(table)
    if report.get("deletes_deferred"):
        reason = report["deletes_deferred_reason"]
        show_deferred(terminal, report["deletes_deferred"], reason, start)


def _fill(
    table: Table, rows: Sequence[Any], limit: int, cells: Callable[[Any], list[Part]]
) -> None:
    for row in rows[:limit]:
        table.add_row(*cells(row))
    if len(rows) > limit:
        table.add_row(Styled(f"... {len(rows) - limit:,} more", "dim"))
