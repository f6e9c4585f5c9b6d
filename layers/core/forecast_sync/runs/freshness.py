"""Freshness: how old the rows of each branch are, against the goal, and why.

An age is counted from the watermark, everywhere: in the API, and so in the CLI and the dashboard,
and in what is announced. The alarm counts the runs that move it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from psycopg.rows import namedtuple_row

from forecast_sync.adapters.postgres import Connection, has_table, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.errors import ForecastSyncError
from forecast_sync.resolve.git_refs import map_git_ref
from forecast_sync.text.size_limits import shorten

ERROR_CHARACTERS = 500
State = Literal["fresh", "stale", "never", "unreachable"]


class Freshness(NamedTuple):
    """How fresh one branch is: everything uploaded up to ``watermark`` is in its table."""

    git_ref: str
    neon_branch: str
    state: State
    age_seconds: int | None = None
    watermark: datetime | None = None
    last_success: str | None = None
    last_success_at: datetime | None = None
    running: str | None = None
    last_run: str | None = None
    last_status: str | None = None
    error: str | None = None


def judge_branches(
    git_refs: Sequence[str],
    settings: Settings,
    connect: Callable[[str], Connection],
    now: datetime | None = None,
) -> list[Freshness]:
    """Judge each git ref; a database that can't be asked is a finding, not a failure."""
    return [judge_branch(git_ref, settings, connect, now) for git_ref in git_refs]


def judge_branch(
    git_ref: str,
    settings: Settings,
    connect: Callable[[str], Connection],
    now: datetime | None = None,
) -> Freshness:
    """The age of a branch's rows against ``freshness_goal_hours``."""
    neon_branch = map_git_ref(git_ref, settings.environment).neon_branch
    try:
        found = _read(connect(git_ref), settings.data_location)
    except ForecastSyncError as error:
        message = f"{type(error).__name__}: {error}"
        return Freshness(
            git_ref, neon_branch, "unreachable", error=shorten(message, ERROR_CHARACTERS)
        )
    if found is None:
        return Freshness(git_ref, neon_branch, "never")
    known = Freshness(
        git_ref,
        neon_branch,
        "never",
        last_success=found.last_success,
        last_success_at=found.last_success_at,
        running=found.running,
        last_run=found.last_run,
        last_status=found.last_status,
        error=found.error and shorten(found.error, ERROR_CHARACTERS),
    )
    if found.watermark is None:
        return known
    watermark = found.watermark.replace(tzinfo=UTC)
    age = (now or datetime.now(UTC)) - watermark
    return known._replace(
        state="fresh" if age <= timedelta(hours=settings.freshness_goal_hours) else "stale",
        age_seconds=max(0, round(age.total_seconds())),
        watermark=watermark,
    )


def _read(connection: Connection, source: str) -> Any:
    """The row of read_freshness.sql; None while the tables haven't been made."""
    with transaction(connection) as plain:
        if not has_table(plain, "forecast_sync_batch"):
            return None
        cursor = connection.cursor(row_factory=namedtuple_row)
        return cursor.execute(statement("runs/read_freshness.sql"), {"source": source}).fetchone()
