"""A stack that answers the dashboard from memory: several tables, in every state there is.

Its answers are the status API's own models, so that they can't differ from what the API says.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from forecast_sync.api.schemas import DeployedTable
from forecast_sync.contracts.counts import Counts
from forecast_sync.dry_run.changes import Group
from forecast_sync.dry_run.report import ChangeReport, Deletion, ScannedQuery
from forecast_sync.runs import model
from forecast_sync_cli.client.api import Answer
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.dashboard.view_models import Views

from tests.builders import DEFINITION
from tests.contract.stack import machine
from tests.workflow.several import table_text

MACHINE = "arn:aws:states:us-east-2:000000000000:stateMachine:forecast-sync-dev"
NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)
GOAL_SECONDS = 6 * 3600
TABLES = ("forecast", "price", "promotion", "calendar")
REASONS = {"price": {"price is negative": 41, "currency is NULL": 3}, "forecast": {"too long": 7}}
LONG_KEY = "price/region=north/2026-11-27/prices-of-all-stores-0017.parquet"
HELD_BACK = "119 of 2,400 rows are more than the 5 % that may leave within a day."


@dataclass(frozen=True)
class Run:
    """An execution, and what the API says about it."""

    name: str
    table: str | None
    minutes_ago: float
    status: str = "SUCCEEDED"
    counts: Mapping[str, int] = field(default_factory=dict)
    deferred: int = 0
    dry_run: bool = False

    @property
    def started_at(self) -> datetime:
        return NOW - timedelta(minutes=self.minutes_ago)

    def listed(self) -> dict[str, Any]:
        """As Step Functions lists and describes it."""
        ended: dict[str, Any] = (
            {} if self.status == "RUNNING" else {"stopDate": self.started_at + timedelta(0, 41)}
        )
        if self.status == "SUCCEEDED":
            result = {
                "status": "dry_run" if self.dry_run else "succeeded",
                "table": self.table,
                "counts": self.counts,
                "deletes_deferred": self.deferred,
            }
            ended["output"] = json.dumps(result)
        if self.status == "FAILED":
            ended |= {"error": "SchemaMismatch", "cause": "t_promotion lacks the column discount"}
        given: dict[str, Any] = {"dry_run": True} if self.dry_run else {}
        given |= {"trigger": "s3"} | ({"table": self.table} if self.table else {})
        return {
            "name": self.name,
            "status": self.status,
            "startDate": self.started_at,
            "input": json.dumps(given),
            **ended,
        }

    def described(self) -> model.SyncDetail:
        """As ``GET /syncs/{run_id}`` describes it."""
        is_running = self.status == "RUNNING"
        rows = {name: self.counts.get(name, 0) for name in model.OUTCOMES}
        failure = model.Failure(
            name="SchemaMismatch",
            message="SchemaMismatch: t_promotion lacks the column discount",
            meaning="The target isn't as the table file says.",
        )
        failed = self.status == "FAILED"
        return model.SyncDetail(
            run_id=self.name,
            status="running" if is_running else "failed" if failed else "succeeded",
            execution_arn=f"arn:{self.name}",
            execution_status=self.status,
            outcome="running" if is_running else "failed" if failed else self._ended_as,
            table=self.table,
            trigger="s3",
            git_ref="dev",
            sync_type="incremental",
            started_at=self.started_at,
            stopped_at=None if is_running else self.started_at + timedelta(0, 41),
            redrive_count=0,
            state="Load pages" if is_running else None,
            states=[],
            pages=None,
            pages_begun=0,
            rows=model.Rows(**rows),
            counts=None if is_running or failed else Counts.model_validate(self.counts),
            error=failure if failed else None,
            definition=DEFINITION,
            deletes_deferred=self.deferred or None,
            deletes_deferred_reason=HELD_BACK if self.deferred else None,
            report="s3://results/report.json" if self.dry_run else None,
            warning=None,
            refused=model.Actions(
                redrive=None if failed else "it has succeeded.",
                stop=None if is_running else "it has ended already.",
            ),
            links=model.Links(console=None, runbook=""),
        )

    @property
    def _ended_as(self) -> Any:
        return "dry_run" if self.dry_run else "succeeded"


RUNS = (
    Run("price-now", "price", 1, "RUNNING"),
    Run("forecast-now", "forecast", 2, "RUNNING"),
    Run("forecast-early", "forecast", 59.8, counts={"inserted": 400, "unchanged": 90}),
    Run("price-leaves", "price", 60, counts={"updated": 20, "deleted": 3}, deferred=119),
    Run("promotion-bad", "promotion", 90, "FAILED"),
    Run("price-plan", "price", 120, counts={"deleted": 1}, deferred=119, dry_run=True),
    Run("calendar-old", "calendar", 600, counts={"inserted": 12}),
)


@dataclass
class StackInMemory:
    """A stand-in for ``Deployment``; ``started`` is what it was told to start."""

    tables: tuple[str, ...] = TABLES
    runs: tuple[Run, ...] = RUNS
    environment: str = "dev"
    selected_table: None = None
    label: str = "dev"
    endpoint_url: str | None = None
    state_machine_arn: str = MACHINE
    session: Any = field(default_factory=lambda: SimpleNamespace(region_name="us-east-2"))
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ExecutionDoesNotExist=KeyError))

    @property
    def views(self) -> Views:
        """What a dashboard shows of it."""
        return Views(cast("Deployment", self))

    @property
    def settings(self) -> Any:
        return SimpleNamespace(table_file=self.tables[0])

    @property
    def stepfunctions(self) -> StackInMemory:
        return self

    @property
    def api(self) -> StackInMemory:
        return self

    def renewed(self) -> StackInMemory:
        return self

    def client(self, _service: str) -> StackInMemory:
        return self

    # Step Functions and S3.

    def describe_state_machine(self, **_: Any) -> dict[str, Any]:
        return {"definition": json.dumps(machine())}

    def get_paginator(self, _: str) -> StackInMemory:
        return self

    def paginate(self, PaginationConfig: dict[str, int], **_: Any) -> list[dict[str, Any]]:  # noqa: N803
        return [{"executions": [run.listed() for run in self.runs][: PaginationConfig["MaxItems"]]}]

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        return self._run(executionArn.rpartition(":")[2]).listed()

    def get_execution_history(self, **_: Any) -> dict[str, Any]:
        return {"events": []}

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(make_report().model_dump_json().encode())}

    # The status API.

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> Answer:
        if method == "POST":
            self.started.append(body or {})
            return Answer(202, {})
        self.asked.append((path, dict(query or {})))
        given = dict(query or {})
        if path.startswith("/syncs/"):
            return Answer(
                200, self._run(path.rpartition("/")[2]).described().model_dump(mode="json")
            )
        answers = {
            "/status": self._status,
            "/rejects": self._rejects,
            "/files": self._files,
            "/syncs": self._syncs,
            "/table": self._table,
        }
        return Answer(200, answers[path](given))

    def ask_status(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        return self.call("GET", path, query).document

    def _run(self, name: str) -> Run:
        return next(run for run in self.runs if run.name == name)

    def _names(self, query: dict[str, str]) -> tuple[str, ...]:
        return (query["table"],) if "table" in query else self.tables

    def _status(self, query: dict[str, str]) -> dict[str, Any]:
        lines = [line for line in make_lines() if line.table in self._names(query)]
        report = model.StatusReport(environment="dev", goal_seconds=GOAL_SECONDS, branches=lines)
        return report.model_dump(mode="json")

    def _rejects(self, query: dict[str, str]) -> dict[str, Any]:
        is_all = "table" not in query and len(self.tables) > 1
        listed = [
            (table, reason, rows)
            for table in self._names(query)
            for reason, rows in REASONS.get(table, {}).items()
            if query.get("reason") in (None, reason)
        ]
        reasons = [
            model.RejectReason(
                reason=reason,
                table=table if is_all else None,
                rows=rows,
                files=1,
                example_file=f"s3://lake/{table}/one.parquet",
                last_rejected_at=NOW,
                first_date="2026-11-27",
                last_date="2026-11-28",
                undated=0,
            )
            for table, reason, rows in sorted(listed, key=lambda item: -item[2])
        ]
        rows = [
            model.Reject(
                content_hash=f"{number:032x}",
                run_id=f"{table}-early",
                last_run_id=f"{table}-early",
                resolved_run_id=None,
                source_file=f"s3://lake/{table}/one.parquet",
                reason=reason,
                row_json={"store": str(number), table: "?"},
                row_bytes=20,
                shortened=False,
                rejected_at=NOW,
            )
            for number, (table, reason, _) in enumerate(listed)
        ]
        page = model.Rejects(rejects=rows[: int(query["limit"])], next=None, reasons=reasons)
        return page.model_dump(mode="json")

    def _files(self, query: dict[str, str]) -> dict[str, Any]:
        assert "table" in query or len(self.tables) == 1, "the API refuses it"
        files = [
            file
            for file in make_files(self._names(query)[0])
            if query.get("state") in (None, file.state)
            and file.key.startswith(query.get("prefix", ""))
        ]
        return model.Files(files=files, next=None).model_dump(mode="json")

    def _syncs(self, query: dict[str, str]) -> dict[str, Any]:
        found = [run for run in self.runs if run.table == query["table"]]
        return {"syncs": [{"run_id": run.name} for run in found[:1]], "next": None}

    def _table(self, query: dict[str, str]) -> dict[str, Any]:
        [name] = self._names(query)
        return DeployedTable(
            name=name,
            target=f"t_{name}",
            definition=DEFINITION,
            location=f"s3://lake/{name}/",
            file=table_text(name),
        ).model_dump(mode="json")


def make_lines() -> list[model.BranchStatus]:
    """A table that is fresh, one that is stale, one never synced, one that can't be reached."""

    def line(table: str, state: model.FreshnessState, **more: Any) -> model.BranchStatus:
        known = dict.fromkeys(model.BranchStatus.model_fields)
        given = {"git_ref": "dev", "neon_branch": "dev", "table": table, "state": state}
        return model.BranchStatus.model_validate({**known, "waiting_files": 0, **given, **more})

    return [
        line(
            "forecast",
            "fresh",
            age_seconds=240,
            watermark=NOW,
            last_success="forecast-early",
            last_success_at=NOW - timedelta(hours=1),
            running="forecast-now",
            quarantined_files=0,
        ),
        line(
            "price",
            "stale",
            age_seconds=31_000,
            watermark=NOW,
            last_success="price-leaves",
            last_success_at=NOW - timedelta(hours=1),
            running="price-now",
            waiting_files=3,
            waiting_file=LONG_KEY,
            waiting_since=NOW - timedelta(seconds=31_000),
            quarantined_files=2,
        ),
        line(
            "promotion",
            "never",
            last_run="promotion-bad",
            last_status="failed",
            error="SchemaMismatch: t_promotion lacks the column discount",
            quarantined_files=0,
        ),
        line("calendar", "unreachable", error="DatabaseUnreachable: no answer within 5 s"),
    ]


def make_files(table: str) -> list[model.File]:
    """Two files of each table, and of *price* those that hold it back."""
    waiting: dict[str, model.FileState] = {LONG_KEY: "quarantined", "price/b.parquet": "pending"}
    files: dict[str, model.FileState] = {f"{table}/a.parquet": "loaded"}
    files |= waiting if table == "price" else {}
    return [
        model.File(
            key=key,
            state=state,
            reason="its footer can't be read" if state == "quarantined" else None,
            size=8300,
            rows=5,
            first_date="2026-11-27",
            last_date="2026-11-28",
            modified=NOW,
            run_id="price-leaves" if state == "loaded" else None,
            taken_in_at=NOW if state == "loaded" else None,
            first_seen_at=NOW,
            accepted_at=None,
            accepted_by=None,
            retried_at=None,
            retried_by=None,
        )
        for key, state in files.items()
    ]


def make_report() -> ChangeReport:
    """A dry run in which one row would leave, and most that should wait."""
    return ChangeReport(
        run_id="price-plan",
        git_ref="dev",
        neon_branch="dev",
        window_low=None,
        window_high=NOW,
        counts=Counts(deleted=1),
        group_by=("state",),
        groups=(Group(by=("OH",)),),
        watched=None,
        key=("store", "day"),
        largest=(),
        reasons={},
        queries=(ScannedQuery(query="extract", query_execution_id="q", scanned_bytes=9, usd=0.1),),
        schema_differences=(),
        deletions=(
            Deletion(key=("17", "2026-11-27"), why="tombstone"),
            Deletion(key=("18", "2026-11-27"), why="missing"),
        ),
        deletes_deferred=119,
        deletes_deferred_reason=HELD_BACK,
    )
