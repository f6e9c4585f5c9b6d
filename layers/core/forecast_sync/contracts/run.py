"""The execution input, the run that it becomes, and the window of objects that the run reads."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, model_validator

from forecast_sync.contracts.base import Day, Line, Model, Payload, parse_payload
from forecast_sync.contracts.survey import Survey

SyncType = Literal["incremental", "full"]

MAX_BATCH_SIZE = 10_000_000
MAX_DELETES = 1_000_000_000

TABLE_PATTERN = r"^[a-z_][a-z0-9_]*$"
"""A table's name, which is that of its file."""


class SyncRequest(Model):
    """The execution input; every key is optional, unknown keys are refused.

    Without ``table`` it is about the only table of the stack.
    """

    git_ref: Annotated[Line, Field(min_length=1, max_length=255)] | None = None
    sync_type: SyncType = "incremental"
    date_from: Day | None = None
    date_to: Day | None = None
    dry_run: StrictBool = False
    batch_size: Annotated[StrictInt, Field(ge=1, le=MAX_BATCH_SIZE)] | None = None
    allow_deletes: Annotated[StrictInt, Field(ge=1, le=MAX_DELETES)] | None = None
    trigger: Annotated[Line, Field(min_length=1, max_length=64)] = "manual"
    table: Annotated[str, Field(max_length=255, pattern=TABLE_PATTERN)] | None = None

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


class ExecutionIdentity(Payload):
    """The Step Functions execution, as its context object names it."""

    run_id: str
    execution_arn: str
    started_at: AwareDatetime


class Run(ExecutionIdentity):
    """A run, with everything that is decided once, at its start.

    ``table`` names the table file; None in an execution of an older version. ``scope`` is the same
    name where the stack syncs several tables: the run then has a lease of its table's own, and
    nothing to do with runs of others. None is the whole database. ``allow_deletes`` is how many
    rows the run may delete, however much of the table they are.
    """

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
    table: str | None = None
    scope: str | None = None
    allow_deletes: int | None = None

    @property
    def moves_watermark(self) -> bool:
        """Whether the run moves the watermark: only if it writes, and reads every business date."""
        return not (self.dry_run or self.date_from or self.date_to)

    @property
    def sums_content(self) -> bool:
        """Whether a checksum of the written rows is kept; a dry run writes none."""
        return self.verify_checksum and not self.dry_run


class WatermarkRequest(Payload):
    """What Read watermark gets; an execution that began under an older version sends no count.

    Without ``renewal`` it began under a version that has no *Survey lake*.
    """

    run: Run
    redrive_count: int | None = None
    renewal: int | None = None


class Window(Payload):
    """The objects that a run takes in: those that the file ledger doesn't have as loaded.

    Without ``low`` they are all of the lake's. ``low`` is the watermark until then, and ``high``
    when the lake's last listing began, which is what the watermark becomes; no query is bounded by
    either. ``survey`` is what the lake's listings have found, None before them. ``adopts_until`` is
    set when an older version has filled the database: objects from before count as loaded.
    ``connections`` is how many connections the database allows, or 0 when unknown. ``outcome`` is
    ``coalesced`` when the run ends here because ``holder`` will run again for it. ``definition`` is
    that of the table file for which the window was decided; ``reason`` says why an incremental run
    reads the whole lake although it has a watermark.
    """

    outcome: Literal["proceed", "coalesced"] = "proceed"
    low: AwareDatetime | None = None
    high: AwareDatetime
    holder: str | None = None
    connections: int = 0
    definition: str | None = None
    reason: str | None = None
    adopts_until: AwareDatetime | None = None
    survey: Survey | None = None


class BadFilesRequest(Payload):
    """What Find bad files gets: the window, and the ``error`` and ``cause`` of the failure."""

    run: Run
    window: Window
    error: str
    cause: str
    renewal: int = 0
    redrive_count: int = 0


class BadFiles(Payload):
    """How many objects Find bad files has quarantined."""

    quarantined: int


class SurveyRequest(Payload):
    """What Survey lake gets: the window as it is so far, which has the survey once it has begun."""

    run: Run
    window: Window
    renewal: int = 0
    redrive_count: int = 0
