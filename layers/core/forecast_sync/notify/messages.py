"""The notifications: one model of each, as an email's text and as a chat message."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Literal

from forecast_sync import errors, links
from forecast_sync.config import Settings
from forecast_sync.contracts.base import Model
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.result import RunResult
from forecast_sync.contracts.run import Run
from forecast_sync.runs.model import BranchStatus, name_waiting
from forecast_sync.stack_names import DEFAULT_PROJECT, execution_arn_of, stack_name
from forecast_sync.text.visible import inert_in_chat, visible

Kind = Literal["deferred", "failed", "quarantined", "recovered", "rejected", "stale", "succeeded"]
TITLES: dict[Kind, str] = {
    "deferred": "Forecast sync deferred deletions",
    "failed": "Forecast sync failed",
    "quarantined": "Forecast sync left files out",
    "recovered": "Forecast sync recovered",
    "rejected": "Forecast sync rejected rows",
    "stale": "Forecasts are stale",
    "succeeded": "Forecast sync succeeded",
}
STALE_SECTION = "forecast-sync-ENV-freshness"
"""The runbook's section is named after the default project's alarm."""
DEFAULT_ENVIRONMENT = "dev"
"""The command line's default of ``--environment``."""
TITLE_LIMIT = 250
DESCRIPTION_LIMIT = 8000
WHAT_LIMIT = 4000
"""Of ``what`` in a chat message, so that the links after it aren't cut off."""

CLEAN_URL = re.compile(r"https://[^\s<>|]+")


class Link(Model):
    """Where to read more."""

    label: str
    url: str


class Notification(Model):
    """What happened, to which branch and how many rows, what to do, and where to read more.

    ``table`` is the one of several that it is about.
    """

    kind: Kind
    table: str | None = None
    deployment: str
    environment: str
    neon_branch: str
    run_id: str | None
    what: str
    rows: str
    todo: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def title(self) -> str:
        """The subject of an email and the heading in a chat; one line."""
        is_default = self.deployment == stack_name(DEFAULT_PROJECT, self.environment)
        where = self.environment if is_default else self.deployment
        return visible(f"{TITLES[self.kind]}: {self._subject} ({where})")

    @property
    def _subject(self) -> str:
        return f"{self.table} on {self.neon_branch}" if self.table else self.neon_branch

    def to_text(self) -> str:
        """The text of an email; a line break in an error or a name is shown as an escape."""
        steps = [f"- {visible(step)}" for step in self.todo]
        more = [f"{link.label}: {visible(link.url)}" for link in self.links]
        parts = [
            visible(self.what),
            visible(self.rows),
            "\n".join(["What to do:", *steps]) if steps else "",
            "\n".join(more),
        ]
        return "\n\n".join(part for part in parts if part)

    def to_chat(self) -> str:
        """JSON in the custom notification schema of Amazon Q Developer in chat applications.

        Chat clients read texts as markup, mentions included: everything but our own links and
        emoji is made inert.
        """
        what = inert_in_chat(self.what[:WHAT_LIMIT])
        more = " · ".join(map(_chat_link, self.links))
        description = "\n\n".join(
            part for part in (what[:WHAT_LIMIT], inert_in_chat(self.rows), more) if part
        )
        content: dict[str, object] = {
            "textType": "client-markdown",
            "title": f"{MARKS[self.kind]} {inert_in_chat(self.title)}"[:TITLE_LIMIT],
            "description": description[:DESCRIPTION_LIMIT],
            "keywords": [
                inert_in_chat(word) for word in (self.environment, self.neon_branch, self.kind)
            ],
        }
        if self.todo:
            content["nextSteps"] = [inert_in_chat(step) for step in self.todo]
        thread = (self.deployment, self.neon_branch, self.table)
        metadata = {
            # One thread per branch and table, so that a failure and its recovery are read together.
            "threadId": inert_in_chat("-".join(filter(None, thread))),
            "summary": what[:TITLE_LIMIT],
            "eventType": self.kind,
            "additionalContext": {
                "run_id": inert_in_chat(self.run_id or ""),
                "neon_branch": inert_in_chat(self.neon_branch),
                **({"table": inert_in_chat(self.table)} if self.table else {}),
            },
        }
        message = {
            "version": "1.0",
            "source": "custom",
            "content": content,
            "metadata": metadata,
        }
        return json.dumps(message, ensure_ascii=False)


def _chat_link(link: Link) -> str:
    is_clean = CLEAN_URL.fullmatch(link.url) and visible(link.url) == link.url
    return f"<{link.url}|{link.label}>" if is_clean else inert_in_chat(link.url)


MARKS: dict[Kind, str] = {
    "deferred": ":warning:",
    "failed": ":x:",
    "quarantined": ":warning:",
    "recovered": ":white_check_mark:",
    "rejected": ":warning:",
    "stale": ":hourglass_flowing_sand:",
    "succeeded": ":white_check_mark:",
}


def failed(run: Run, message: str, settings: Settings) -> Notification:
    """A run failed while its branch was healthy, or with another error than the last one."""
    error = errors.error_name(message)
    meaning = errors.meaning_of(error)
    return Notification(
        kind="failed",
        table=settings.scope,
        deployment=settings.deployment,
        environment=run.environment,
        neon_branch=run.neon_branch,
        run_id=run.run_id,
        what=f"Run {run.run_id} ({run.sync_type}) of {run.git_ref} failed: {message}",
        rows="What it had committed stays; the rows keep aging until a run succeeds.",
        todo=_steps_after(error, meaning, run, settings),
        links=_links(run.execution_arn, error, settings),
    )


def _steps_after(error: str, meaning: str, run: Run, settings: Settings) -> tuple[str, str]:
    """What to do after a failure: about its cause, and about the run."""
    redrive = _command("redrive", settings, run.run_id)
    if links.console_link(run.execution_arn):
        redrive += ", or the console's Redrive."
    if error == errors.LeaseHeld.__name__:
        return (
            f"{meaning} Nothing is wrong with either: this one has waited as long as it may.",
            f"When the other run has ended, redrive this one: {redrive}",
        )
    if errors.redrive_helps(error):
        return f"{meaning} Fix the cause.".strip(), f"Redrive the run: {redrive}"
    start = _command("start", settings, *_options(error))
    return (
        f"{meaning} Fix the cause.".strip(),
        f"Start a new run: {start}. A redrive can't help.",
    )


def unresolved(run_id: str, execution_arn: str, message: str, settings: Settings) -> Notification:
    """A run failed, and its branch is unknown or can't be looked up now."""
    error = errors.error_name(message)
    then = "redrive" if errors.redrive_helps(error) else "start a new run: a redrive can't help"
    return Notification(
        kind="failed",
        deployment=settings.deployment,
        environment=settings.environment,
        neon_branch="unknown branch",
        run_id=run_id,
        what=f"Run {run_id} of an unknown branch failed: {message}",
        rows="What it had committed, if anything, stays.",
        todo=(f"{errors.meaning_of(error)} Fix the cause, then {then}.".strip(),),
        links=_links(execution_arn, error, settings),
    )


def recovered(result: RunResult, settings: Settings) -> Notification:
    """The first success after a failure, or nothing holds the branch back too long any longer."""
    waiting = name_waiting(result.waiting_files, result.waiting_file)
    if waiting is None:
        return _of_result("recovered", result, settings, "The branch is healthy again.")
    return _of_result(
        "recovered",
        result,
        settings,
        f"Runs of the branch succeed again. {_still_missing(waiting, result.waiting_since)}",
        f"See why: {_command('files', settings, '--state', 'quarantined')}",
    )


def rejected(result: RunResult, settings: Settings) -> Notification:
    """A run rejected at least ``notify_rejected_rows`` rows."""
    return _of_result(
        "rejected",
        result,
        settings,
        f"{result.counts.rejected:,} of {result.counts.window_rows:,} rows can't be in the table.",
        f"See them by reason: {_command('rejects', settings)}",
        "Repair the files and upload them again; a full run then resolves the rejects.",
    )


def quarantined(result: RunResult, settings: Settings) -> Notification:
    """Files of the lake can't be read."""
    is_one = result.quarantined == 1
    files, are = ("1 file", "is") if is_one else (f"{result.quarantined:,} files", "are")
    oldest = ""
    if result.waiting_file:
        oldest = f": {result.waiting_file}" if is_one else f", the oldest {result.waiting_file}"
    return _of_result(
        "quarantined",
        result,
        settings,
        f"{files} of the lake can't be read and {are} left out{oldest}; all others were loaded.",
        f"See which, and why: {_command('files', settings, '--state', 'quarantined')}",
        "Repair the files and upload them again; the next run takes them in.",
    )


def deferred(result: RunResult, settings: Settings) -> Notification:
    """Rows should leave the target and wait for somebody."""
    count = result.deletes_deferred
    rows = (
        "1 row that should leave the table stays"
        if count == 1
        else (f"{count:,} rows that should leave the table stay")
    )
    start = _command("start", settings, "--allow-deletes", str(count))
    return _of_result(
        "deferred",
        result,
        settings,
        f"{rows}; all else was loaded. {result.deletes_deferred_reason or ''}".rstrip(),
        "See some of them: " + _command("plan", settings),
        f"If they should be deleted, allow it once: {start}",
    )


def succeeded(result: RunResult, settings: Settings) -> Notification:
    """A success like the one before."""
    return _of_result("succeeded", result, settings, "")


def stale(branch: BranchStatus, settings: Settings) -> Notification:
    """A file has waited for longer than the goal, or nobody has looked for files for so long."""
    hours = f"{(branch.age_seconds or 0) / 3600:.1f} hours"
    goal = f"the goal is {settings.freshness_goal_hours:g}"
    waiting = branch.waiting
    why = f" The last run failed: {branch.error}" if branch.last_status == "failed" else ""
    running = f" {branch.running} is running." if branch.running else ""
    return Notification(
        kind="stale",
        table=settings.scope,
        deployment=settings.deployment,
        environment=settings.environment,
        neon_branch=branch.neon_branch,
        run_id=branch.last_run,
        what=(
            f"{branch.waiting_file or 'A file'} has waited for {hours} to get into "
            f"{branch.neon_branch}; {goal}.{why}{running}"
            if waiting
            else f"The lake was last listed for {branch.neon_branch} {hours} ago; {goal}. "
            f"Files that were uploaded since aren't in the table.{why}{running}"
        ),
        rows=(
            _still_missing(waiting, branch.waiting_since)
            if waiting
            else f"Files uploaded before {_utc(branch.watermark)} are in the table."
        ),
        todo=(
            f"See why: {_command('status', settings)}, then {_command('files', settings)}.",
            f"Redrive what failed, or start a run: {_command('start', settings)}",
        ),
        links=(Link(label="Runbook", url=links.runbook_url(settings.runbook_url, STALE_SECTION)),),
    )


def _still_missing(waiting: str, since: datetime | None) -> str:
    return f"Not in the table: {waiting}, since {_utc(since)}."


def _utc(time: datetime | None) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if time else "an unknown time"


def _of_result(
    kind: Kind, result: RunResult, settings: Settings, what: str, *todo: str
) -> Notification:
    run = f"Run {result.run_id} ({result.sync_type}) of {result.git_ref} succeeded."
    return Notification(
        kind=kind,
        table=settings.scope,
        deployment=settings.deployment,
        environment=settings.environment,
        neon_branch=result.neon_branch,
        run_id=result.run_id,
        what=f"{run} {what}".strip(),
        rows=_in_words(result.counts),
        todo=todo,
        links=_links(execution_arn_of(settings.state_machine_arn, result.run_id), "", settings),
    )


def _command(name: str, settings: Settings, *arguments: str) -> str:
    """A command as this deployment's operator types it, without options that are the default."""
    words = ["forecast-sync", name, *arguments]
    if settings.scope and name != "redrive":
        words += ["--table", settings.scope]
    if settings.environment != DEFAULT_ENVIRONMENT:
        words += ["--environment", settings.environment]
    if settings.project_name != DEFAULT_PROJECT:
        words += ["--project", settings.project_name]
    return " ".join(words)


def _options(error: str) -> tuple[str, ...]:
    """What the new run needs that is started after this error."""
    return ("--sync-type", "full") if error == errors.FullRunNeeded.__name__ else ()


def _links(execution_arn: str, error: str, settings: Settings) -> tuple[Link, ...]:
    runbook = settings.runbook_url
    console = links.console_link(execution_arn)
    execution = (Link(label="Execution", url=console),) if console else ()
    url = links.runbook_url(runbook, error) if error else runbook
    return (*execution, Link(label="Runbook", url=url))


def _in_words(counts: Counts) -> str:
    deleted = f"{counts.deleted:,} deleted, " if counts.deleted else ""
    return (
        f"{counts.inserted:,} rows inserted, {counts.updated:,} updated, "
        f"{counts.unchanged:,} unchanged, {deleted}{counts.rejected:,} rejected."
    )
