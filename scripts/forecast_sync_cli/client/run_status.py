"""A run at one moment: its state, pages and rows, and how it ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from forecast_sync.adapters.stepfunctions import Workflow, current_state
from forecast_sync.runs import history

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
REDRIVABLE = ENDED - {"SUCCEEDED"}
POLL_SECONDS = 2.0
LOCAL_POLL_SECONDS = 0.4


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment; times are ISO 8601 in UTC, ``rows`` are what its batches committed."""

    run_id: str
    execution_arn: str
    status: str
    state: str | None
    started_at: str
    stopped_at: str | None
    seconds: float
    redrive_count: int
    pages_done: int = 0
    pages_failed: int = 0
    pages: int | None = None
    rows: dict[str, int] = field(default_factory=dict)
    rows_expected: int | None = None
    error: str | None = None
    result: dict[str, Any] | None = None

    @property
    def rows_done(self) -> int:
        """Rows of all outcomes."""
        return sum(self.rows.values())

    @property
    def ended(self) -> bool:
        """Whether nothing will change without somebody's doing."""
        return self.status in ENDED

    def to_dict(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self)


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
    """What is known of a run now. Raises ``UserError`` for one that doesn't exist."""
    client = deployment.stepfunctions
    try:
        found = client.describe_execution(executionArn=execution_arn)
    except (client.exceptions.ExecutionDoesNotExist, client.exceptions.InvalidArn):
        raise UserError(
            f"there is no execution {execution_arn}: `forecast-sync history` lists the runs"
        ) from None
    workflow = Workflow(client, deployment.state_machine_arn)
    events = workflow.newest_events(execution_arn)
    stopped = found.get("stopDate")
    until = stopped or datetime.now(UTC)
    failure = None
    if found["status"] in REDRIVABLE and (described := workflow.describe(execution_arn)):
        failure = workflow.failure_of(execution_arn, described)
    return Snapshot(
        run_id=found["name"],
        execution_arn=execution_arn,
        status=found["status"],
        state=current_state(events),
        started_at=utc(found["startDate"]),
        stopped_at=utc(stopped) if stopped else None,
        seconds=round((until - found["startDate"]).total_seconds(), 1),
        redrive_count=found.get("redriveCount", 0),
        **_pages(workflow, execution_arn, events),
        rows=_rows(deployment, found["name"], json.loads(found.get("input") or "{}"), events),
        error=failure,
        result=json.loads(found["output"]) if found.get("output") else None,
    )


def _pages(
    workflow: Workflow, execution_arn: str, events: Sequence[HistoryEventTypeDef]
) -> dict[str, Any]:
    """The fields of a snapshot that count pages, and how many rows they hold."""
    pages = history.count_pages(workflow, execution_arn, events)
    if pages is None:
        return {}
    return {
        "pages": pages.planned,
        "pages_done": pages.done,
        "pages_failed": pages.failed,
        "rows_expected": pages.rows_expected,
    }


def _rows(
    deployment: Deployment,
    run_id: str,
    payload: Mapping[str, Any],
    events: Sequence[HistoryEventTypeDef],
) -> dict[str, int]:
    """What the run's batches have committed; nothing before its pages are planned."""
    if history.find_plan(events) is None:
        return {}
    git_ref = payload.get("git_ref")
    query = {"git_ref": git_ref} if isinstance(git_ref, str) else {}
    try:
        found = deployment.ask_status(f"/syncs/{run_id}", query)
    except UserError:
        return {}  # Progress is a courtesy; the run itself tells when its database is out of reach.
    return dict(found["rows"]) if found else {}


def utc(moment: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
