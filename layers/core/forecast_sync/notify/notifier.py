"""Publishes notifications; by default only when a branch's state changes.

The last published state is kept per topic in the branch's own database and committed after the
message is sent, so a message may be sent twice but is never lost. When the database can't be
reached, the branch's previous run decides what is news (see ``outages``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from forecast_sync import errors
from forecast_sync.adapters.postgres import Connection, Cursor, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.contracts.result import RunResult
from forecast_sync.contracts.run import ExecutionIdentity, Run
from forecast_sync.errors import ForecastSyncError, Superseded
from forecast_sync.notify import messages, outages
from forecast_sync.notify.messages import Notification
from forecast_sync.resolve.git_refs import DEFAULT_REFS, map_git_ref
from forecast_sync.runs.freshness import age_of, is_fresh, judge_branch
from forecast_sync.runs.model import BranchStatus
from forecast_sync.telemetry.metrics import measure_freshness

if TYPE_CHECKING:
    from forecast_sync.adapters.sns import Topic
    from forecast_sync.adapters.stepfunctions import Workflow

Subject = Literal["run", "rejects", "freshness", "files", "deletions"]
HEALTHY: dict[Subject, str] = {
    "run": "well",
    "rejects": "few",
    "freshness": "fresh",
    "files": "all read",
    "deletions": "none deferred",
}


def notify_result(
    workflow: Workflow,
    connection: Connection,
    topic: Topic,
    settings: Settings,
    result: RunResult,
) -> list[str]:
    """Publish what a successful run changes, or the success itself, if that is wanted.

    News are a recovery, rejected rows, files that can't be read and are left out, and deletions
    that wait for somebody. Returns the kinds that were published. A dry run changes nothing, and
    whoever started it is watching it. A failure that couldn't be saved in the database counts for
    a recovery, too.
    """
    if result.status != "succeeded":
        return []
    is_many = result.counts.rejected >= settings.notify_rejected_rows
    states: dict[Subject, str] = {"run": HEALTHY["run"], "rejects": "many" if is_many else "few"}
    states["files"] = f"{result.quarantined} left out" if result.quarantined else HEALTHY["files"]
    deferred = result.deletes_deferred
    states["deletions"] = f"{deferred} deferred" if deferred else HEALTHY["deletions"]
    age = _age(result)
    if age is not None and is_fresh(age, settings):
        states["freshness"] = HEALTHY["freshness"]
    with transaction(connection) as cursor:
        changed = _save_states(cursor, settings, result.neon_branch, result.run_id, states)
        news = []
        if changed & {"run", "freshness"} or outages.ends_with(workflow, settings, result):
            news.append(messages.recovered(result, settings))
        if is_many and "rejects" in changed:
            news.append(messages.rejected(result, settings))
        if result.quarantined and "files" in changed:
            news.append(messages.quarantined(result, settings))
        if deferred and "deletions" in changed:
            news.append(messages.deferred(result, settings))
        if settings.notify_successes and not news:
            news.append(messages.succeeded(result, settings))
        for notification in news:
            _publish(topic, notification)
    return [notification.kind for notification in news]


def notify_failure(
    connection: Connection | None,
    topic: Topic,
    settings: Settings,
    run: Run,
    message: str,
    ended_at: str | None,
    is_known: Callable[..., bool],
) -> bool:
    """Publish a run's failure, unless its branch's last failure had the same error.

    Neither a dry run nor a superseded one is news: of the latter, a later run has written since.
    Nor is one that ended (``ended_at``, ISO 8601) before another run succeeded: Lambda delivers the
    event again, minutes later, when the failure couldn't be recorded. ``is_known(has_states=…)``
    says whether it was published otherwise than the published states in the database tell, which
    could be asked or not.
    """
    error = errors.error_name(message)
    if run.dry_run or error == Superseded.__name__:
        return False
    notification = messages.failed(run, message, settings)
    if connection is not None:
        with suppress(ForecastSyncError), transaction(connection) as cursor:
            values = {"ended_at": ended_at, "scope": settings.scope}
            if cursor.execute(statement("notify/find_later_success.sql"), values).fetchone():
                return False
            states: dict[Subject, str] = {"run": f"failed: {error}"}
            is_changed = bool(_save_states(cursor, settings, run.neon_branch, run.run_id, states))
            is_news = is_changed and not is_known(has_states=True)
            if is_news:
                _publish(topic, notification)
            return is_news
    if is_known(has_states=False):
        return False
    _publish(topic, notification)
    return True


def notify_unresolved(
    topic: Topic, settings: Settings, identity: ExecutionIdentity, message: str
) -> None:
    """Publish the failure of a run whose branch, and thus database, is unknown."""
    _publish(
        topic,
        messages.unresolved(identity.run_id, identity.execution_arn, message, settings),
    )


def check_freshness(
    workflow: Workflow,
    tables: Sequence[Settings],
    connect: Callable[[str], Connection],
    topic: Topic,
) -> list[str]:
    """Measure how old each table of the environment's own branch is, and publish what is stale.

    ``tables`` are the settings of each. Step Functions is asked first, so that no suspended
    database is woken while runs keep the branch fresh. A table about which nothing is known has no
    age, and its metric no value; then the branch has none either, which alarms like an old one.
    Returns the kinds that were published.
    """
    git_ref = DEFAULT_REFS[tables[0].environment]
    neon_branch = map_git_ref(git_ref, tables[0].environment).neon_branch
    ages, published = [], []
    for settings in tables:
        age = _age_by_result(workflow, settings, neon_branch)
        if age is None or not is_fresh(age, settings):
            branch = judge_branch(git_ref, settings, connect)
            age = age_of(branch.watermark, branch.waiting_since) or age
            if branch.state == "stale" and _publish_stale(
                connect(git_ref), topic, settings, branch
            ):
                published.append("stale")
        ages.append(age)
        if age is not None and settings.scope:
            measure_freshness(neon_branch, settings.scope, age)
    known = [age for age in ages if age is not None]
    if len(known) == len(ages):
        measure_freshness(neon_branch, None, max(known))
    return published


def _publish_stale(
    connection: Connection, topic: Topic, settings: Settings, branch: BranchStatus
) -> bool:
    """Publish that a table is stale; False if that is known."""
    states: dict[Subject, str] = {"freshness": "stale"}
    with transaction(connection) as cursor:
        if not _save_states(cursor, settings, branch.neon_branch, branch.last_run, states):
            return False
        _publish(topic, messages.stale(branch, settings))
    return True


def _save_states(
    cursor: Cursor,
    settings: Settings,
    neon_branch: str,
    run_id: str | None,
    states: Mapping[Subject, str],
) -> set[Subject]:
    """Save the states of a branch; the subjects whose state differs from the last published one.

    A branch about which nothing was ever published counts as healthy. Where there are several
    tables, each has states of its own; the first one continues from those of an only table.
    """
    scope, is_first = settings.scope, settings.scope == settings.table_names[0]
    changed: set[Subject] = set()
    for subject, state in sorted(states.items()):
        values = {
            "neon_branch": neon_branch,
            "topic": f"{scope}/{subject}" if scope else subject,
            "before": subject if is_first else None,
            "state": state,
            "run_id": run_id,
        }
        row = cursor.execute(statement("notify/read_published_state.sql"), values).fetchone()
        if (row[0] if row else HEALTHY[subject]) != state:
            changed.add(subject)
            cursor.execute(statement("notify/save_published_state.sql"), values)
    return changed


def _age_by_result(workflow: Workflow, settings: Settings, neon_branch: str) -> timedelta | None:
    """How old the table's last run that moved the watermark left the branch, if one has lately."""
    for execution in workflow.newest_succeeded(outages.recent(settings)):
        try:
            result = RunResult.model_validate_json(execution.output)
        except ValidationError:
            continue  # A coalesced run has another output.
        is_of_branch = result.neon_branch == neon_branch and result.status == "succeeded"
        is_of_table = settings.scope is None or result.table == settings.scope
        if is_of_branch and is_of_table and (age := _age(result)) is not None:
            return age
    return None


def _age(result: RunResult) -> timedelta | None:
    """How old a run left its table; None for one that moved no watermark."""
    return age_of(result.watermark, result.waiting_since) if result.watermark else None


def _publish(topic: Topic, notification: Notification) -> None:
    topic.publish(notification.title, notification.to_text(), notification.to_chat())
