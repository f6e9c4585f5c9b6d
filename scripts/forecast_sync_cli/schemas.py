"""What each command prints with ``--json``, as docs/cli.md documents it.

Keys are only ever added. The tests validate every document that they read against these models.
"""

from __future__ import annotations

from typing import Any, Literal

from forecast_sync.contracts.base import Model
from forecast_sync.contracts.counts import Counts
from forecast_sync.dry_run.report import ChangeReport
from forecast_sync.runs import model
from forecast_sync.runs.model import FreshnessState, RejectReason, Sync
from localcloud.description import Cloud
from pydantic import Field

from forecast_sync_cli.client.history import HistoryItem
from forecast_sync_cli.client.run_status import ExecutionStatus, Snapshot, Time


class ReplayShape(Snapshot):
    """A replay's run, and the rejects before and after it."""

    rejects_before: int
    rejects_after: int


class TableInUseShape(Model):
    """The table that a stack syncs, as it was deployed."""

    name: str = Field(description="`NAME` of the file `tables/NAME.toml`.")
    target: str = Field(description="The Postgres table.")
    definition: str = Field(description="Hash of what decides values in the file.")
    difference: str | None = Field(
        description="How the file in this checkout differs, as a sentence; null if it doesn't."
    )


class FreshnessOfTable(Model):
    """How fresh a branch is for one table."""

    state: FreshnessState
    why: str = Field(description="The reason for the state, as a sentence.")
    age_seconds: int | None = Field(
        description="Age of the oldest file that is neither loaded nor accepted; without one, time "
        "since the lake was last listed; null before the first success."
    )
    waiting_files: int = Field(description="Files that are neither loaded nor accepted.")
    waiting_file: str | None = Field(description="The key of the oldest of them.")
    waiting_since: Time | None = Field(description="When that was uploaded.")
    running: str | None = Field(description="The active run.")
    last_success: str | None
    watermark: Time | None = Field(
        description="Every file uploaded before then is in the table, except those that wait."
    )
    table: TableInUseShape | None = Field(
        default=None, description="Null if the stack can't say what it has deployed."
    )


class TableStatus(FreshnessOfTable):
    """How fresh a branch is for one of several tables."""

    name: str = Field(description="The table file's name.")


class StatusShape(FreshnessOfTable):
    """How fresh a branch is; if several tables are shown, for the one furthest behind."""

    environment: str
    git_ref: str | None = Field(description="As given; null means the environment's own.")
    goal_seconds: int
    tables: list[TableStatus] = Field(
        default_factory=list,
        description="Each of several tables; empty if there is one, or one is selected.",
    )
    runs: list[Sync] = Field(description="Newest first, as `GET /syncs` lists them.")


class LogLine(Model):
    """One line of a function's log; with `--follow`, one document for each line."""

    timestamp: Time
    level: str
    message: str
    stream: str
    details: dict[str, Any] = Field(
        description="The line's `function`, `table`, `xray_trace_id` and `answer`, if any."
    )


class CheckResult(Model):
    """The result of one of doctor's checks."""

    check: str
    table: str | None = Field(
        default=None, description="The table that is checked; null unless there are several."
    )
    status: Literal["ok", "advice", "finding", "skipped"]
    found: str
    advice: str | None = Field(description="What to do.")


class DoctorShape(Model):
    """The results of all of doctor's checks."""

    environment: str
    healthy: bool = Field(description="True if there are no findings; advice doesn't count.")
    findings: int
    checks: list[CheckResult]


class DiffDay(Model):
    """A business date whose counts or checksums differ."""

    day: str
    lake_rows: int
    postgres_rows: int


class DiffKey(Model):
    """A key whose rows differ."""

    key: dict[str, str]
    difference: Literal["only in the lake", "only in Postgres", "different", "deleted in the lake"]


class DiffShape(Model):
    """A comparison of lake and Postgres."""

    table: str = Field(description="The table file's name.")
    equal: bool
    as_of: Time = Field(description="The time whose state of the lake is compared.")
    days_compared: int
    lake_rows: int
    postgres_rows: int
    days: list[DiffDay]
    keys: list[DiffKey]
    complete: bool = Field(description="False if more keys differ than `keys` has.")


class LeftOutFile(Model):
    """A file that can't be read, and why, as a predicate."""

    file: str
    reason: str


class SyncShape(Snapshot):
    """The run, and the files that it left out."""

    left_out: list[LeftOutFile]


class DecidedFiles(Model):
    """The keys of the files that were accepted, or that the next run judges again."""

    keys: list[str]


class FilledWindow(Model):
    """A window of a backfill, and its run."""

    run_id: str
    date_from: str
    date_to: str
    begun: Literal["started", "redriven", "joined", "done before"]
    status: ExecutionStatus
    error: str | None
    counts: Counts | None


class BackfillShape(Model):
    """A backfill, up to its last or first failed run."""

    table: str = Field(description="The table file's name.")
    complete: bool
    windows: list[FilledWindow]


class PreviewShape(Model):
    """A pull request's Neon branch, and the run that filled it."""

    git_ref: str
    exists: bool = Field(description="Whether Neon has the branch.")
    run: Snapshot | None = Field(description="The first that failed or, if none did, the first.")
    runs: list[Snapshot] = Field(description="One for each table.")


class Reject(model.Reject):
    """A row that the table can't hold."""

    row_json: dict[str, str | None] = Field(
        description="The values as text; shortened if the row is large."
    )
    shortened: bool = Field(description="True if only `rejects export` has the whole row.")


class ExportShape(Model):
    """The file that was written."""

    path: str
    rows: int


class DownShape(Model):
    """Whether there was a local cloud to stop."""

    was_running: bool


class TableShape(Model):
    """A valid table file."""

    target: str
    columns: int
    reject_rules: int
    expectations: int
    leaves: str | None = Field(
        default=None, description="When rows leave the target, as a sentence; null if none does."
    )
    losses: list[str]


class RefusalShape(Model):
    """A difference that a run would refuse; ``remedy`` is the statement that removes it."""

    column: str
    expected: str
    found: str | None
    remedy: str | None


class DeployChangesShape(Model):
    """What deploying a table file would change; ``adds`` are columns that the next run adds.

    ``unknown`` says why the target wasn't compared.
    """

    table: str
    definition: str
    deployed_definition: str
    changes: list[str]
    adds: list[str]
    refusals: list[RefusalShape]
    unknown: str | None


class DeclareShape(Model):
    """The table that was declared in Glue."""

    database: str
    table: str
    action: Literal["created", "updated", "unchanged", "used as it is"]


SHAPES: dict[str, Any] = {
    "start": Snapshot,
    "redrive": Snapshot,
    "stop": Snapshot,
    "status": StatusShape,
    "status RUN": Snapshot,
    "history": list[HistoryItem],
    "logs": list[LogLine],
    "plan": ChangeReport,
    "plan --table": DeployChangesShape,
    "diff": DiffShape,
    "doctor": DoctorShape,
    "backfill": BackfillShape,
    "preview": PreviewShape,
    "sync": SyncShape,
    "local up": Cloud,
    "local down": DownShape,
    "files": list[model.File],
    "files accept": DecidedFiles,
    "files retry": DecidedFiles,
    "rejects": list[RejectReason],
    "rejects list": list[Reject],
    "rejects reasons": list[RejectReason],
    "rejects export": ExportShape,
    "rejects replay": ReplayShape,
    "tables check": TableShape,
    "tables declare": DeclareShape,
}
"""By command; `status RUN` is `status` of one run, and `plan --table` starts none."""
