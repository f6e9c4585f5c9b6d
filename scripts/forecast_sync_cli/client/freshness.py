"""How fresh a branch is, and why, according to the status API."""

from __future__ import annotations

from typing import Any

from forecast_sync.resolve.git_refs import DEFAULT_REFS
from forecast_sync.runs.model import BranchStatus, StatusReport, Sync, Syncs

from forecast_sync_cli.client.api import parse
from forecast_sync_cli.client.deployed_table import describe_table
from forecast_sync_cli.client.deployment import Deployment


def ask(deployed: Deployment, git_ref: str | None, goal_hours: float | None) -> dict[str, Any]:
    """What ``status --json`` prints: how fresh the branch is, why, and its last runs.

    ``goal_hours`` None means the deployment's own goal.
    """
    query = {"git_ref": git_ref or DEFAULT_REFS.get(deployed.environment, deployed.environment)}
    goal = {} if goal_hours is None else {"goal_hours": f"{goal_hours:g}"}
    report = parse(StatusReport, deployed.ask_status("/status", {**query, **goal}) or {})
    [branch] = report.branches
    is_reachable = branch.state != "unreachable"
    listed = deployed.ask_status("/syncs", query) if is_reachable else None
    runs: list[Sync] = parse(Syncs, listed).syncs if listed else []
    shown = branch.model_dump(mode="json")
    return {
        "environment": report.environment,
        "git_ref": git_ref,
        "state": branch.state,
        "why": _why(branch, report.goal_seconds / 3600),
        "goal_seconds": report.goal_seconds,
        "age_seconds": branch.age_seconds,
        "waiting_files": branch.waiting_files,
        "waiting_file": branch.waiting_file,
        "waiting_since": shown["waiting_since"],
        "running": branch.running,
        "last_success": branch.last_success,
        "watermark": shown["watermark"],
        "table": describe_table(deployed.settings.table_file, deployed.ask_status),
        "runs": [run.model_dump(mode="json") for run in runs],
    }


def ago(seconds: int) -> str:
    """An age in the largest unit of which there are at least two."""
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
