"""What travels between the states of a run: one frozen model for each edge of the workflow."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, model_validator

from forecast_sync.counts import Counts, Profile
from forecast_sync.payloads import Day, Line, Model, parse_payload

SyncType = Literal["incremental", "full"]
QueryName = Literal["extract", "profile"]
PageKind = Literal["row", "reject"]

MAX_BATCH_SIZE = 10_000_000


class SyncRequest(Model):
    """The execution input; every key is optional, unknown keys are refused."""

    git_ref: Annotated[Line, Field(min_length=1, max_length=255)] | None = None
    sync_type: SyncType = "incremental"
    date_from: Day | None = None
    date_to: Day | None = None
    dry_run: StrictBool = False
    batch_size: Annotated[StrictInt, Field(ge=1, le=MAX_BATCH_SIZE)] | None = None
    trigger: Annotated[Line, Field(min_length=1, max_length=64)] = "manual"

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        if self.date_from and self.date_to and self.date_from > self.date_to:
            raise ValueError(f"date_from {self.date_from} is after date_to {self.date_to}")
        return self

    @classmethod
    def parse(cls, payload: object) -> Self:
        """Read an execution input, or the raw EventBridge event of an S3 upload.

        Raises ``InvalidInput`` with one line that names every key that doesn't fit.
        """
        match payload:
            case {"source": "aws.s3", "detail": _}:
                return cls(trigger="s3")
        return parse_payload(cls, payload)


class ExecutionIdentity(Model):
    """Who asks: the Step Functions execution, as its context object names it."""

    run_id: str
    execution_arn: str
    started_at: AwareDatetime


class Run(ExecutionIdentity):
    """A run with everything that is decided once, at its start."""

    trigger: str
    sync_type: SyncType
    date_from: date | None = None
    date_to: date | None = None
    dry_run: bool = False
    batch_size: int
    verify_checksum: bool = True
    git_ref: str
    environment: str
    neon_branch: str
    neon_branch_id: str | None = None

    @property
    def moves_watermark(self) -> bool:
        """Only a run that looked at every business date may move the watermark."""
        return not (self.dry_run or self.date_from or self.date_to)

    @property
    def sums_content(self) -> bool:
        """Whether the content of what was written is summed up; a dry run writes nothing."""
        return self.verify_checksum and not self.dry_run


class WatermarkRequest(Model):
    """What Read watermark gets."""

    run: Run


class Window(Model):
    """The objects that a run looks at: modified in [low, high]; ``low`` None means all.

    ``high`` is the run's start, or later where another run has looked further. ``connections`` is
    how many the database allows; 0 when it wasn't asked.
    """

    outcome: Literal["proceed", "coalesced"] = "proceed"
    low: AwareDatetime | None = None
    high: AwareDatetime
    holder: str | None = None
    connections: int = 0


class QueryRequest(Model):
    """What Start Athena query gets; the last three make its token and prefix unique."""

    run: Run
    window: Window
    query: QueryName
    renewal: int = 0
    attempt: int = 0
    redrive_count: int = 0


class StartedQuery(Model):
    """A submitted query and the circumstances in which it was made.

    ``sources`` is the fingerprint of the objects that it could read.
    """

    query: QueryName
    query_execution_id: str
    sources: str
    renewal: int
    attempt: int
    redrive_count: int


class PollRequest(Model):
    """What Poll Athena query gets: the query, how often it was polled, and the redrive count.

    An execution that began before an update of the stack knows neither ``run_id`` nor ``polls``.
    """

    run_id: str | None = None
    started: StartedQuery
    polls: int | None = None
    redrive_count: int


class PolledQuery(Model):
    """Poll's answer; failures are raised, not answered. ``wait_seconds`` is when to ask again."""

    done: bool
    polls: int
    wait_seconds: int


class Queries(Model):
    """Both queries of a run, finished."""

    extract: StartedQuery
    profile: StartedQuery


class Page(Model):
    """One item of the Map: result files that one worker loads, in this order."""

    query_execution_id: str
    number: int
    kind: PageKind
    bucket: str
    keys: tuple[str, ...]


class PlanRequest(Model):
    """What Plan pages gets."""

    run: Run
    window: Window
    queries: Queries
    redrive_count: int


class Plan(Model):
    """Where the pages are, how many may run at once, and what to expect of them."""

    pages: int
    concurrency: int
    pages_bucket: str
    pages_key: str
    profile: Profile


class UpsertRequest(Model):
    """What Upsert batches gets: one page of a run, and how often its child was redriven."""

    run: Run
    page: Page
    redrive_count: int = 0


class UpsertProgress(Model):
    """Upsert's answer: not done means that its time ran out and it wants to go on."""

    done: bool


class VerifyRequest(Model):
    """What Verify load gets."""

    run: Run
    window: Window
    queries: Queries
    plan: Plan
    renewal: int
    redrive_count: int


class RecordRequest(Model):
    """What Record status gets at the end of a run."""

    run: Run
    window: Window
    queries: Queries
    plan: Plan
    redrive_count: int = 0


class NotifyRequest(Model):
    """What Notify gets."""

    result: RunResult


class RunResult(Model):
    """A run's last word: the execution's output, and what Notify tells.

    ``report`` is the ``s3://`` location of a dry run's changes.
    """

    run_id: str
    status: Literal["succeeded", "dry_run", "failed"]
    git_ref: str
    neon_branch: str
    sync_type: SyncType
    watermark: AwareDatetime | None
    counts: Counts
    error_message: str | None = None
    report: str | None = None
