"""What is known about runs: the queries build this model, the API returns it, the CLI parses it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from forecast_sync.contracts.base import Model
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.run import SyncType
from forecast_sync.contracts.survey import RunFiles
from forecast_sync.runs.outcome import Outcome

Status = Literal["running", "succeeded", "failed", "superseded", "dry_run"]
Definition = Field(default=None, description="Hash of what decides values in the run's table file.")
WindowReason = Field(default=None, description="Why an incremental run read the whole lake.")
TableName = Field(default=None, description="The table file's name.")
DeletesDeferred = Field(
    default=None, description="Rows that should leave the table but wait until somebody allows it."
)
FreshnessState = Literal["fresh", "stale", "never", "unreachable"]


class Answered(Model):
    """Base of every answer: a later version may add keys."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Sync(Answered):
    """A run as recorded in its branch's status table; times without an offset are UTC."""

    run_id: str
    status: Status
    sync_type: str
    trigger: str | None
    git_ref: str | None
    neon_branch: str | None
    dry_run: bool | None
    execution_arn: str | None
    last_sync_timestamp: str
    window_low: str | None
    window_high: str | None
    window_rows: int | None
    rejected: int | None
    candidates: int | None
    superseded: int | None
    good: int | None
    inserted: int | None
    updated: int | None
    unchanged: int | None
    warnings: dict[str, int] | None
    error_message: str | None
    created_at: str
    finished_at: str | None
    definition: str | None = Definition
    window_reason: str | None = WindowReason
    table: str | None = TableName
    deleted: int | None = Field(default=None, description="Rows that have left the table.")
    deletes_deferred: int | None = DeletesDeferred


class Syncs(Answered):
    """A page of runs, newest first."""

    syncs: list[Sync]
    next: str | None = Field(description="Pass it as `after` for the next page; null at the end.")


class Visit(Answered):
    """A state of the workflow and the run's visits to it; `left_at` is null while it is inside."""

    name: str
    visits: int
    entered_at: AwareDatetime
    left_at: AwareDatetime | None


class PageCounts(Answered):
    """The run's pages by status, and the rows expected of all of them."""

    planned: int
    done: int
    running: int
    failed: int
    rows_expected: int


class Rows(Answered):
    """Rows that the run's batches have committed so far, by outcome."""

    inserted: int
    updated: int
    unchanged: int
    rejected: int


OUTCOMES = ("inserted", "updated", "unchanged", "rejected")
"""What can become of a row, in the order in which people are shown it."""


class Failure(Answered):
    """Why a run ended badly."""

    name: str = Field(description="Name of the error; empty when there is none.")
    message: str
    meaning: str = Field(description="What an error of this name means.")


class Links(Answered):
    """Where to read more."""

    console: str | None = Field(description="In the AWS console; null in a local cloud.")
    runbook: str


class Actions(Answered):
    """Why an operation isn't possible now; null when it is."""

    redrive: str | None
    stop: str | None


class SyncDetail(Answered):
    """Everything about one run, from its execution and from its branch's database."""

    run_id: str
    status: Status | None = Field(description="In the status table; null before the run is there.")
    execution_arn: str
    execution_status: str
    outcome: Outcome = Field(
        description="What became of it: a run that ended well may have done nothing."
    )
    coalesced_into: str | None = Field(
        default=None, description="The run that starts one more run for this coalesced one."
    )
    waits: str | None = Field(
        default=None, description="Which run holds the lease that this one waits for, and why."
    )
    table: str | None = TableName
    trigger: str | None = Field(default=None, description="What started it.")
    git_ref: str | None
    sync_type: SyncType | None
    started_at: AwareDatetime
    stopped_at: AwareDatetime | None
    redrive_count: int
    redriven_at: AwareDatetime | None = Field(
        default=None, description="When it was last redriven."
    )
    state: str | None = Field(description="The state that was entered last.")
    states: list[Visit]
    pages: PageCounts | None
    pages_begun: int
    rows: Rows
    counts: Counts | None
    error: Failure | None
    definition: str | None = Definition
    window_reason: str | None = WindowReason
    files: RunFiles | None = Field(
        default=None, description="The files that it deals with; null before the lake is surveyed."
    )
    files_surveyed: int | None = Field(
        default=None, description="New or changed files judged so far, while the lake is surveyed."
    )
    deletes_deferred: int | None = DeletesDeferred
    deletes_deferred_reason: str | None = Field(default=None, description="Why they wait.")
    report: str | None = Field(
        default=None, description="Where a dry run's report is (`s3://...`)."
    )
    warning: str | None = Field(description="Why the database couldn't be reached.")
    refused: Actions
    links: Links


class BranchStatus(Answered):
    """How fresh a branch is: what was uploaded before `watermark` is in its table.

    The exceptions are `waiting_files`.
    """

    git_ref: str
    neon_branch: str
    table: str | None = TableName
    state: FreshnessState
    age_seconds: int | None = Field(
        description="Age of the oldest file that is neither loaded nor accepted; without one, time "
        "since the lake was last listed."
    )
    watermark: AwareDatetime | None = Field(
        description="The time at which the last complete run began listing the lake."
    )
    last_success: str | None
    last_success_at: AwareDatetime | None
    running: str | None
    last_run: str | None = Field(description="The run that ended last.")
    last_status: Status | None = Field(description="How it ended.")
    error: str | None = Field(description="Why it failed, or why the database can't be reached.")
    waiting_files: int = Field(
        default=0,
        description="Files that are neither loaded nor accepted; `GET /files` lists them.",
    )
    waiting_since: AwareDatetime | None = Field(
        default=None, description="When the oldest of them was uploaded."
    )
    waiting_file: str | None = Field(default=None, description="The key of the oldest of them.")
    quarantined_files: int | None = Field(
        default=None, description="How many of them can't be read and are left out."
    )
    newest_file: str | None = Field(
        default=None, description="The key of the newest file that is loaded."
    )
    newest_file_at: AwareDatetime | None = Field(
        default=None, description="When that was uploaded."
    )

    @property
    def waiting(self) -> str | None:
        """The files that hold the branch back, in words; None without any."""
        return name_waiting(self.waiting_files, self.waiting_file)


def name_waiting(count: int, oldest: str | None) -> str | None:
    """Files that hold a branch back, the oldest by name; None without any."""
    if not count:
        return None
    if oldest is None:  # An older deployment doesn't name it.
        return "1 file" if count == 1 else f"{count:,} files"
    return oldest if count == 1 else f"{oldest} and {count - 1:,} more"


class Reject(Answered):
    """A row that the table can't hold."""

    content_hash: str
    table: str | None = TableName
    run_id: str = Field(description="The run that found it first.")
    last_run_id: str = Field(description="The last full run that found it again.")
    resolved_run_id: str | None
    source_file: str
    reason: str
    row_json: Any = Field(description="The row as it is in the lake; shortened if it is large.")
    row_bytes: int = Field(description="The size of the whole row, as JSON.")
    shortened: bool = Field(description="Whether `/rejects/{content_hash}` has more of the row.")
    rejected_at: AwareDatetime


class RejectRow(Answered):
    """A part of a reject's row."""

    content_hash: str
    row_bytes: int = Field(description="The size of the whole row, as JSON.")
    part: str = Field(description="JSON text; all parts together are the row, exactly.")
    next: int | None = Field(description="Pass it as `offset` for the next part; null at the end.")


class RejectReason(Answered):
    """Rejects of one reason."""

    reason: str
    table: str | None = Field(
        default=None, description="Their table; null unless several tables are listed."
    )
    rows: int
    files: int
    example_file: str
    last_rejected_at: AwareDatetime
    first_date: str | None
    last_date: str | None
    undated: int


class Rejects(Answered):
    """A page of rejects, newest first, and the totals of all that match, by reason.

    If several tables are listed, the totals are separate for each table.
    """

    rejects: list[Reject]
    next: str | None = Field(description="Pass it as `after` for the next page; null at the end.")
    reasons: list[RejectReason]


class StatusReport(Answered):
    """Every branch that the deployment serves, against the goal."""

    environment: str
    goal_seconds: int
    branches: list[BranchStatus]


FileState = Literal["pending", "loaded", "quarantined", "archived", "gone"]


class File(Answered):
    """An object of the lake, and what became of it."""

    key: str
    table: str | None = TableName
    state: FileState = Field(
        description="`pending`: not taken in yet; `loaded`: its rows are in the target; "
        "`quarantined`: can't be read and is left out; `archived`: in a storage class that Athena "
        "skips; `gone`: no longer in the lake."
    )
    reason: str | None = Field(description="Why it can't be read.")
    size: int = Field(description="In bytes.")
    rows: int | None = Field(description="According to its footer.")
    first_date: str | None = Field(description="First of its business dates; null if unknown.")
    last_date: str | None
    modified: AwareDatetime
    run_id: str | None = Field(description="The run that took it in.")
    taken_in_at: AwareDatetime | None
    first_seen_at: AwareDatetime = Field(description="When a run first saw this version.")
    accepted_at: AwareDatetime | None = Field(
        description="When somebody accepted that it is left out."
    )
    accepted_by: str | None = Field(description="Who accepted it: the caller's ARN.")
    retried_at: AwareDatetime | None = Field(
        description="When somebody last asked for it to be judged again."
    )
    retried_by: str | None


class Files(Answered):
    """A page of objects, in the order of their keys."""

    files: list[File]
    next: str | None = Field(description="Pass it as `after` for the next page; null at the end.")
