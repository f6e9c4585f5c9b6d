"""Snapshots of a run: its state, pages and rows, and how it ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.stepfunctions import Workflow, current_state
from forecast_sync.contracts.base import Model
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.result import RunResult
from forecast_sync.errors import ForecastSyncError
from forecast_sync.runs import history
from forecast_sync.runs.model import Definition, SyncDetail, TableName, WindowReason
from forecast_sync.runs.outcome import Outcome, coalesced_into, find_wait, outcome_of
from forecast_sync.text.strict_json import read_object
from pydantic import Field

from forecast_sync_cli.client.api import parse
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

Time = str
ExecutionStatus = Literal[
    "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"
]

ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
REDRIVABLE = ENDED - {"SUCCEEDED"}
POLL_SECONDS = 2.0
LOCAL_POLL_SECONDS = 0.4


class Result(RunResult):
    """A finished run's output."""

    error_message: str | None = Field(
        default=None, description="Always null; why a run failed is its `error`."
    )


class Snapshot(Model):
    """A snapshot of a run."""

    run_id: str = Field(description="The execution's name.")
    execution_arn: str
    status: ExecutionStatus
    state: str | None = Field(description="The state that the run entered last.")
    started_at: Time
    stopped_at: Time | None
    seconds: float = Field(
        description="How long it has taken so far, since its start or last redrive."
    )
    redrive_count: int
    table: str | None = TableName
    outcome: Outcome = Field(description="What became of it.")
    coalesced_into: str | None = Field(
        default=None, description="The run that starts one more run for this coalesced one."
    )
    waits: str | None = Field(
        default=None, description="Which run holds the lease that this one waits for, and why."
    )
    pages_done: int = 0
    pages_failed: int = 0
    pages: int | None = Field(default=None, description="Null before the pages are planned.")
    files: int | None = Field(
        default=None, description="Files that it takes in, as far as they have been listed."
    )
    files_surveyed: int | None = Field(
        default=None, description="New or changed files judged so far, while the lake is surveyed."
    )
    scanned_bytes: int | None = Field(
        default=None, description="What Athena has read for its queries, while they run."
    )
    most_bytes: int | None = Field(
        default=None, description="The most that it may have to read: all of the files, twice."
    )
    rows: dict[str, int] = Field(default_factory=dict, description="Committed so far, by outcome.")
    rows_expected: int | None = None
    definition: str | None = Definition
    window_reason: str | None = WindowReason
    error: str | None = Field(default=None, description="Why it failed, in one line.")
    result: Result | dict[str, Any] | None = Field(
        default=None,
        union_mode="left_to_right",
        description="The execution's output; for a coalesced run, its state.",
    )

    @property
    def rows_done(self) -> int:
        """Rows of all outcomes."""
        return sum(self.rows.values())

    @property
    def ended(self) -> bool:
        """Whether the run has ended; only a redrive continues it."""
        return self.status in ENDED

    @property
    def counts(self) -> Counts | None:
        """A finished run's rows by outcome."""
        return self.result.counts if isinstance(self.result, RunResult) else None

    @property
    def deletes_deferred(self) -> int:
        """How many rows should leave the target and wait for somebody."""
        return self.result.deletes_deferred if isinstance(self.result, RunResult) else 0

    @property
    def report(self) -> str | None:
        """The ``s3://`` location of a dry run's report."""
        return self.result.report if isinstance(self.result, RunResult) else None

    def to_dict(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return self.model_dump(mode="json")


def follow(
    deployment: Deployment, execution_arn: str, *, redrive_count: int = 0
) -> Iterator[Snapshot]:
    """Snapshots until the execution, redriven that often, has ended; the last one is final."""
    pause = LOCAL_POLL_SECONDS if deployment.endpoint_url else POLL_SECONDS
    while True:
        snapshot = describe(deployment, execution_arn)
        yield snapshot
        if snapshot.ended and snapshot.redrive_count >= redrive_count:
            return
        time.sleep(pause)


def describe(deployment: Deployment, execution_arn: str) -> Snapshot:
    """A run as it is now. Raises ``UserError`` for one that doesn't exist."""
    client = deployment.stepfunctions
    workflow = Workflow(client, deployment.state_machine_arn)
    try:
        execution = workflow.describe(execution_arn)
    except client.exceptions.InvalidArn:
        execution = None
    if execution is None:
        raise UserError(
            f"there is no execution {execution_arn}: `forecast-sync history` lists the runs"
        )
    events = workflow.newest_events(execution_arn)
    run_id = execution_arn.rpartition(":")[2]
    started_at = datetime.fromisoformat(execution.started_at)
    began_at = datetime.fromisoformat(execution.began_at)
    stopped_at = datetime.fromisoformat(execution.stopped_at) if execution.stopped_at else None
    failure = workflow.failure_of(execution_arn, execution) if execution.ended_badly else None
    window = history.find_window(events) or {}
    survey, files = history.find_survey(events) or {}, history.find_files(events, {})
    is_planned = history.find_plan(events) is not None
    is_surveying = execution.is_alive and current_state(events) == history.SURVEYING
    is_known = is_planned or is_surveying
    given, output = read_object(execution.input), read_object(execution.output)
    known = _ask(deployment, run_id, given) if is_known else None
    tables = (each.get("table") for each in (output, history.find_run(events) or {}, given))
    return Snapshot.model_validate(
        {
            "run_id": run_id,
            "execution_arn": execution_arn,
            "status": execution.status,
            "state": current_state(events),
            "started_at": utc(started_at),
            "stopped_at": utc(stopped_at) if stopped_at else None,
            "seconds": round(((stopped_at or datetime.now(UTC)) - began_at).total_seconds(), 1),
            "redrive_count": execution.redrive_count,
            "table": next((name for name in tables if isinstance(name, str)), None),
            "outcome": outcome_of(execution.status, execution.output, failure),
            "coalesced_into": coalesced_into(execution.output),
            "waits": find_wait(events) if execution.is_alive else None,
            **_pages(workflow, execution_arn, events),
            "files": survey.get("window_objects"),
            "files_surveyed": known.files_surveyed if known else None,
            "most_bytes": 2 * files.bytes if files and files.bytes else None,
            "scanned_bytes": _scanned_bytes(deployment, events) if execution.is_alive else None,
            "rows": known.rows.model_dump(mode="json") if known and is_planned else {},
            "definition": window.get("definition"),
            "window_reason": window.get("reason"),
            "error": failure,
            "result": json.loads(execution.output) if execution.output else None,
        }
    )


def _pages(
    workflow: Workflow, execution_arn: str, events: Sequence[HistoryEventTypeDef]
) -> dict[str, Any]:
    """The fields of a snapshot that count pages and expected rows."""
    pages = history.count_pages(workflow, execution_arn, events)
    if pages is None:
        return {}
    return {
        "pages": pages.planned,
        "pages_done": pages.done,
        "pages_failed": pages.failed,
        "rows_expected": pages.rows_expected,
    }


def _scanned_bytes(deployment: Deployment, events: Sequence[HistoryEventTypeDef]) -> int | None:
    """What the running queries have read so far; None when none runs, or Athena doesn't say."""
    query_ids = history.find_queries(events)
    if not query_ids or history.find_plan(events) is not None:
        return None
    # Only the number of bytes is asked for, so neither workgroup nor location matter.
    athena = Athena(deployment.client("athena"), "", "")
    try:
        return sum(athena.scanned_bytes(query_id) for query_id in query_ids)
    except ForecastSyncError:
        return None


def _ask(deployment: Deployment, run_id: str, payload: Mapping[str, Any]) -> SyncDetail | None:
    """What the run's database knows of it, through the status API."""
    git_ref = payload.get("git_ref")
    query = {"git_ref": git_ref} if isinstance(git_ref, str) else {}
    try:
        document = deployment.ask_status(f"/syncs/{run_id}", query)
        return parse(SyncDetail, document) if document else None
    except UserError:
        # Only progress is missing; the run itself fails if its database is unreachable.
        return None


def utc(time: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds")
