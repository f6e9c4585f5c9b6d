"""How old each branch is against the goal, and which file holds it back.

The API (and so the CLI and the dashboard) and the notifications all ask the file ledger: a branch
is as old as the oldest file that is neither loaded nor accepted. If there is none, it is as old as
the last listing of the lake, because nobody knows yet what has been uploaded since.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.rows import dict_row

from forecast_sync.adapters.postgres import Connection, has_table, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.errors import ForecastSyncError
from forecast_sync.resolve.git_refs import map_git_ref
from forecast_sync.runs.model import BranchStatus
from forecast_sync.text.size_limits import shorten

ERROR_CHARACTERS = 500


def age_of(watermark: datetime | None, waiting_since: datetime | None) -> timedelta | None:
    """How long the oldest file has waited, or else the lake went unlisted; None without either."""
    since = waiting_since or watermark
    return datetime.now(UTC) - since if since else None


def is_fresh(age: timedelta, settings: Settings) -> bool:
    """Whether an age is within ``freshness_goal_hours``."""
    return age <= timedelta(hours=settings.freshness_goal_hours)


def judge_branch(
    git_ref: str, settings: Settings, connect: Callable[[str], Connection]
) -> BranchStatus:
    """The age of a branch, and whether it is fresh; of an unreachable one, why it is unknown."""
    neon_branch = map_git_ref(git_ref, settings.environment).neon_branch
    known: dict[str, Any] = dict.fromkeys(BranchStatus.model_fields)
    known["waiting_files"] = 0
    known |= {"git_ref": git_ref, "neon_branch": neon_branch, "state": "never"}
    known["table"] = settings.table_file
    try:
        row = _read(connect(git_ref), settings)
    except ForecastSyncError as error:
        message = shorten(f"{type(error).__name__}: {error}", ERROR_CHARACTERS)
        return BranchStatus.model_validate({**known, "state": "unreachable", "error": message})
    known |= row
    if known["error"]:
        known["error"] = shorten(known["error"], ERROR_CHARACTERS)
    if known["watermark"]:
        known["watermark"] = known["watermark"].replace(tzinfo=UTC)
    age = age_of(known["watermark"], known["waiting_since"])
    if known["watermark"] and age is not None:  # else no run has ended well, whatever waits
        known["state"] = "fresh" if is_fresh(age, settings) else "stale"
        known["age_seconds"] = max(0, round(age.total_seconds()))
    return BranchStatus.model_validate(known)


def _read(connection: Connection, settings: Settings) -> dict[str, Any]:
    """The rows of both statements, whose columns are fields; empty before the tables exist."""
    values = {
        "source": settings.data_location,
        "table_name": settings.table_file,
        "scope": settings.scope,
    }
    with transaction(connection) as plain:
        if not has_table(plain, "forecast_sync_batch"):
            return {}
        cursor = connection.cursor(row_factory=dict_row)
        row = cursor.execute(statement("runs/read_freshness.sql"), values).fetchone() or {}
        if has_table(plain, "forecast_sync_file"):
            cursor.execute(statement("runs/read_waiting_files.sql"), values)
            row |= cursor.fetchone() or {}
    return row
