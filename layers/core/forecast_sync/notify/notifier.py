"""Announcing: when people are told; by default only when a branch's state changes.

What was told last is kept in the branch's own database, by topic, and written after the message
is out: a message may come twice, but none is lost. Without the database the run before says what
is news (see ``outages``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from pydantic import ValidationError

from forecast_sync import errors
from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.adapters.stepfunctions import Execution
from forecast_sync.config import Settings
from forecast_sync.contracts.result import RunResult
from forecast_sync.contracts.run import ExecutionIdentity, Run
from forecast_sync.errors import ForecastSyncError, Superseded
from forecast_sync.lease import lease
from forecast_sync.notify import messages, outages
from forecast_sync.notify.messages import Announcement
from forecast_sync.resolve.git_refs import DEFAULT_REFS, map_git_ref
from forecast_sync.runs.freshness import judge_branch

Topic = Literal["run", "rejects", "freshness"]
WELL: dict[Topic, str] = {"run": "well", "rejects": "few", "freshness": "fresh"}


class Publisher(Protocol):
    """What announcing needs of SNS."""

    def publish(self, subject: str, text: str, chat: str) -> None:
        """Publish a message as text and as a chat message."""
        ...


class Workflow(outages.Workflow, Protocol):
    """What announcing needs of Step Functions."""

    def newest_succeeded(self, limit: int) -> Iterable[Execution]:
        """The executions that succeeded last, the newest first."""
        ...


def announce_result(
    workflow: Workflow,
    connection: Connection,
    topic: Publisher,
    settings: Settings,
    result: RunResult,
) -> list[str]:
    """Tell what a run that has succeeded changes: recovered, rejected rows, or every success.

    Returns the kinds that were told. A dry run changes nothing, and whoever started it watches it.
    A failure that the database couldn't be told of has recovered too.
    """
    if result.status != "succeeded":
        return []
    is_many = result.counts.rejected >= settings.notify_rejected_rows
    states: dict[Topic, str] = {"run": WELL["run"], "rejects": "many" if is_many else "few"}
    if result.watermark and _age(result.watermark) <= _goal(settings):
        states["freshness"] = WELL["freshness"]
    with transaction(connection) as cursor:
        changed = _note(cursor, result.neon_branch, result.run_id, states)
        news = []
        if changed & {"run", "freshness"} or outages.ends_with(workflow, settings, result):
            news.append(messages.recovered(result, settings))
        if is_many and "rejects" in changed:
            news.append(messages.rejected(result, settings))
        if settings.notify_successes and not news:
            news.append(messages.succeeded(result, settings))
        for announcement in news:
            _publish(topic, announcement)
    return [announcement.kind for announcement in news]


def announce_failure(
    connection: Connection | None,
    topic: Publisher,
    settings: Settings,
    run: Run,
    message: str,
    is_known: Callable[[], bool],
) -> bool:
    """Tell that a run has failed, unless its branch failed with the same error before.

    A run that was overtaken isn't news: a later one has written since. Nor is a dry run.
    ``is_known`` is asked when the database can't say what was told last.
    """
    error = errors.error_name(message)
    if run.dry_run or error == Superseded.__name__:
        return False
    announcement = messages.failed(run, message, settings)
    if connection is not None:
        with suppress(ForecastSyncError), transaction(connection) as cursor:
            states: dict[Topic, str] = {"run": f"failed: {error}"}
            is_news = bool(_note(cursor, run.neon_branch, run.run_id, states))
            if is_news:
                _publish(topic, announcement)
            return is_news
    if is_known():
        return False
    _publish(topic, announcement)
    return True


def announce_unresolved(
    topic: Publisher, settings: Settings, identity: ExecutionIdentity, message: str
) -> None:
    """Tell that a run has failed whose branch, and so its database, isn't known."""
    _publish(
        topic,
        messages.unresolved(identity.run_id, identity.execution_arn, message, settings),
    )


def check_freshness(
    workflow: Workflow, settings: Settings, connect: Callable[[str], Connection], topic: Publisher
) -> bool:
    """Tell when the environment's own branch has become stale.

    Step Functions is asked first: while a run has succeeded lately, no sleeping database is woken.
    """
    git_ref = DEFAULT_REFS[settings.environment]
    neon_branch = map_git_ref(git_ref, settings.environment).neon_branch
    recent = workflow.newest_succeeded(outages.RECENT)
    if any(_shows_fresh(execution.output, neon_branch, settings) for execution in recent):
        return False
    branch = judge_branch(git_ref, settings, connect)
    if branch.state != "stale":
        return False
    with transaction(connect(git_ref)) as cursor:
        is_news = bool(_note(cursor, neon_branch, branch.last_run, {"freshness": "stale"}))
        if is_news:
            _publish(topic, messages.stale(branch, settings))
    return is_news


def _note(
    cursor: lease.Rows, neon_branch: str, run_id: str | None, states: Mapping[Topic, str]
) -> set[Topic]:
    """Keep the states of a branch; the topics whose state differs from what was told last.

    A branch of which nothing was ever told counts as well.
    """
    changed: set[Topic] = set()
    for about, state in sorted(states.items()):
        values = {"neon_branch": neon_branch, "topic": about, "state": state, "run_id": run_id}
        row = cursor.execute(statement("notify/read_announced.sql"), values).fetchone()
        if (row[0] if row else WELL[about]) != state:
            changed.add(about)
            cursor.execute(statement("notify/keep_announced.sql"), values)
    return changed


def _shows_fresh(output: str, neon_branch: str, settings: Settings) -> bool:
    """Whether an execution's output is a run's that has made the branch fresh enough."""
    try:
        result = RunResult.model_validate_json(output)
    except ValidationError:
        return False  # A coalesced run has another output.
    is_its_own = result.neon_branch == neon_branch and result.status == "succeeded"
    is_recent = result.watermark is not None and _age(result.watermark) <= _goal(settings)
    return is_its_own and is_recent


def _age(watermark: datetime) -> timedelta:
    return datetime.now(UTC) - watermark


def _goal(settings: Settings) -> timedelta:
    return timedelta(hours=settings.freshness_goal_hours)


def _publish(topic: Publisher, announcement: Announcement) -> None:
    topic.publish(announcement.title, announcement.to_text(), announcement.to_chat())
