"""How fresh a branch is, and why, according to the status API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forecast_sync.resolve.git_refs import DEFAULT_REFS
from forecast_sync.runs.model import BranchStatus, StatusReport, Sync, Syncs

from forecast_sync_cli.client.api import parse
from forecast_sync_cli.client.deployment import Deployment

STATES = ("fresh", "stale", "never", "unreachable")
"""Ordered by how far behind they are."""


def ask(deployed: Deployment, git_ref: str | None, goal_hours: float | None) -> dict[str, Any]:
    """What ``status --json`` prints: how fresh the branch is, why, and its last runs.

    ``goal_hours`` None means the deployment's own goal. With several tables, unless one is
    selected, the branch is as fresh as the one that is furthest behind.
    """
    query = {"git_ref": git_ref or DEFAULT_REFS.get(deployed.environment, deployed.environment)}
    if deployed.has_several_tables and deployed.selected_table:
        query |= deployed.table_choice
    goal = {} if goal_hours is None else {"goal_hours": f"{goal_hours:g}"}
    report = parse(StatusReport, deployed.ask_status("/status", {**query, **goal}) or {})
    is_reachable = any(branch.state != "unreachable" for branch in report.branches)
    listed = deployed.ask_status("/syncs", query) if is_reachable else None
    runs: list[Sync] = parse(Syncs, listed).syncs if listed else []
    tables = []
    for branch in report.branches:
        # A stack of an earlier version doesn't name its only table.
        each = deployed.of_table(branch.table) if branch.table else deployed.one_table()
        described = _describe(branch, report.goal_seconds)
        tables.append({"name": each.table_name, **described, "table": each.describe_table()})
    return {
        "environment": report.environment,
        "git_ref": git_ref,
        "goal_seconds": report.goal_seconds,
        **{key: value for key, value in max(tables, key=_behind).items() if key != "name"},
        "tables": tables if len(tables) > 1 else [],
        "runs": [run.model_dump(mode="json") for run in runs],
    }


def _behind(table: Mapping[str, Any]) -> tuple[int, int]:
    """Larger for a table that is further behind."""
    return STATES.index(table["state"]), table["age_seconds"] or 0


def _describe(branch: BranchStatus, goal_seconds: int) -> dict[str, Any]:
    """How fresh a branch is for one table."""
    shown = branch.model_dump(mode="json")
    return {
        "state": branch.state,
        "why": _why(branch, goal_seconds / 3600),
        "age_seconds": branch.age_seconds,
        "waiting_files": branch.waiting_files,
        "waiting_file": branch.waiting_file,
        "waiting_since": shown["waiting_since"],
        "running": branch.running,
        "last_success": branch.last_success,
        "watermark": shown["watermark"],
    }


def ago(seconds: int) -> str:
    """An age in the largest unit that gives at least two."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _age(branch: BranchStatus, goal_hours: float) -> str:
    """What the branch's age counts from: the file that holds it back, or the lake's listing."""
    age = branch.age_seconds
    if age is None:
        waiting = f"; not in the table: {branch.waiting}" if branch.waiting else ""
        return f"no run has succeeded yet{waiting}"
    goal = f"the goal is {goal_hours:g} h"
    if branch.waiting:
        more = branch.waiting_files - 1
        others = f" (and {more:,} more)" if more else ""
        oldest = branch.waiting_file or "a file"
        return f"{oldest} has waited for {ago(age)}{others}, {goal}; see `forecast-sync files`"
    unknown = ": what was uploaded since isn't known" if branch.state == "stale" else ""
    return f"no file waits; the lake was last listed {ago(age)} ago, {goal}{unknown}"


def _why(branch: BranchStatus, goal_hours: float) -> str:
    if branch.state == "unreachable":
        return f"its database can't be reached: {branch.error}"
    reason = _age(branch, goal_hours)
    if branch.running:
        return f"{reason}; {branch.running} is running"
    if branch.last_status == "failed":
        return f"{reason}; {branch.last_run} failed: {branch.error or 'no reason recorded'}"
    if branch.last_run is None:
        return f"{reason}; no run has been started"
    return reason if branch.state == "fresh" else f"{reason}; nothing has run since"
