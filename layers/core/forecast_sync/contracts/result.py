"""The requests of Verify load, Record status and Notify, and the result of a run."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from forecast_sync.contracts.base import Payload
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.page import Plan
from forecast_sync.contracts.query import Queries
from forecast_sync.contracts.run import Run, SyncType, Window
from forecast_sync.contracts.survey import RunFiles


class VerifyRequest(Payload):
    """What Verify load gets."""

    run: Run
    window: Window
    queries: Queries
    plan: Plan
    renewal: int
    redrive_count: int


class RecordRequest(Payload):
    """What Record status gets at the end of a run; an older version's execution sends no count."""

    run: Run
    window: Window
    queries: Queries
    plan: Plan
    redrive_count: int | None = None


class NotifyRequest(Payload):
    """What Notify gets."""

    result: RunResult


class RunResult(Payload):
    """A finished run: the execution's output, and what Notify publishes.

    ``watermark`` is when the listing of the lake began from which the last run took in everything.
    ``report`` is the ``s3://`` location of a dry run's report. ``definition`` is that of the table
    file that the rows were made of.
    """

    run_id: str
    status: Literal["succeeded", "dry_run"]
    git_ref: str
    neon_branch: str
    sync_type: SyncType
    table: str | None = Field(default=None, description="The table file's name.")
    watermark: AwareDatetime | None = Field(
        description="Everything uploaded until then has arrived."
    )
    counts: Counts
    report: str | None = Field(
        default=None, description="Where a dry run's report is (`s3://...`)."
    )
    definition: str | None = Field(
        default=None, description="Hash of what decides values in the table file."
    )
    window_reason: str | None = Field(
        default=None, description="Why an incremental run has read the whole lake by itself."
    )
    quarantined: int = Field(
        default=0, description="Files of the lake that can't be read and are left out."
    )
    files: RunFiles | None = Field(default=None, description="The files that the run is about.")
    deletes_deferred: int = Field(
        default=0, description="Rows that should leave the target and wait for somebody."
    )
    deletes_deferred_reason: str | None = Field(default=None, description="Why they wait.")
    waiting_files: int = Field(
        default=0, description="Files that are still neither loaded nor accepted."
    )
    waiting_file: str | None = Field(default=None, description="The key of the oldest of them.")
    waiting_since: AwareDatetime | None = Field(
        default=None, description="When the oldest of them was uploaded."
    )
