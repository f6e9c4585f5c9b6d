"""Whether a branch is fresh against a goal, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from forecast_sync_ops.deployment import Deployment

GOAL_HOURS = 8.0
"""The regular run comes every six hours; two hours are for running and for trying again."""


def judge(found: Deployment, git_ref: str | None, goal_hours: float) -> dict[str, Any]:
    """Everything that ``status --json`` prints: the verdict, its reason, and the last runs."""
    answer = found.ask_status("/syncs", {"git_ref": git_ref} if git_ref else {}) or {"syncs": []}
    runs: list[dict[str, Any]] = answer["syncs"]
    succeeded = next((run for run in runs if run["status"] == "succeeded"), None)
    age = _age(succeeded["finished_at"]) if succeeded else None
    state = "never" if age is None else "fresh" if age <= goal_hours * 3600 else "stale"
    running = next((run["run_id"] for run in runs if run["status"] == "running"), None)
    return {
        "environment": found.environment,
        "git_ref": git_ref,
        "state": state,
        "why": _why(state, age, goal_hours, runs),
        "goal_seconds": round(goal_hours * 3600),
        "age_seconds": age,
        "running": running,
        "last_success": succeeded["run_id"] if succeeded else None,
        "watermark": succeeded["last_sync_timestamp"] if succeeded else None,
        "runs": runs,
    }


def ago(seconds: int) -> str:
    """An age in the largest unit that says enough."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _age(finished_at: str) -> int:
    return round((datetime.now(UTC) - datetime.fromisoformat(finished_at)).total_seconds())


def _why(state: str, age: int | None, goal_hours: float, runs: list[dict[str, Any]]) -> str:
    newest = runs[0] if runs else None
    reason = (
        "no run has succeeded yet"
        if age is None
        else f"the last success is {ago(age)} old, the goal is {goal_hours:g} h"
    )
    if newest is None:
        return f"{reason}; none has been started"
    if newest["status"] == "running":
        return f"{reason}; {newest['run_id']} is running"
    if newest["status"] == "failed":
        return f"{reason}; {newest['run_id']} failed: {newest['error_message'] or 'no reason'}"
    return reason if state == "fresh" else f"{reason}; nothing has run since"
