"""The demo: the whole job on this machine, step by step, in under a minute and a half.

It reports what happens as events; the caller decides how to show them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from forecast_sync.adapters.postgres import Connection, connect
from localcloud import cloud
from localcloud.unprivileged import what_is_missing

from forecast_sync_cli.client import executions, run_status
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.demo import data
from forecast_sync_cli.demo.events import Note, Outcome, Page, Pages, Progress, Rows, Scene, Show
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.local_sync import find_files, upload

UPDATED_AT = datetime.fromisoformat("2026-11-23T06:00:00")
PARAMETERS = {
    "BatchingWindowSeconds": "1",
    # One page per result file, loaded one at a time: little data then shows what much would do.
    "PageBytes": "1",
    "LoadConcurrency": "1",
}
WAIT_SCALE = 0.1
START_SECONDS = 30.0


def perform(show: Show) -> None:
    """Run the demo; raises ``UserError`` if anything turns out differently than expected."""
    began = time.monotonic()
    show(Scene("Starting the local cloud: AWS, Neon and Postgres; deploying template.yaml"))
    if missing := what_is_missing():
        show(Note(f"note: {missing}"))
    with (
        tempfile.TemporaryDirectory(prefix="forecast-demo-") as folder,
        cloud.running(wait_scale=WAIT_SCALE, parameters=PARAMETERS) as local,
    ):
        deployment = Deployment("dev", local.session(), local.endpoint_url, local.state_machine_arn)
        story = _Story(show, deployment, local.database_urls["dev"], Path(folder))
        story.first_upload()
        story.changes()
        story.failure_and_redrive()
        show(Scene("Stopping the local cloud"))
    show(Note(f"Done in {time.monotonic() - began:.0f} s; nothing is left running."))


class _Story:
    """The scenes; each one checks what it shows."""

    def __init__(self, show: Show, deployment: Deployment, database_url: str, folder: Path) -> None:
        self._show = show
        self._deployment = deployment
        self._database_url = database_url
        self._folder = folder

    def first_upload(self) -> None:
        """Five producers' files; their S3 events start a run."""
        folder = self._folder / "first"
        self._show(Scene("Writing Parquet as different producers do, and uploading it"))
        for label, rows, path in data.write_first_files(folder, UPDATED_AT):
            shown = path.relative_to(folder)
            self._note(f"  {rows:>6,} rows  forecast/{shown!s:<28} {label}")
        last = self._upload_and_follow(folder)
        counts = _counts(last)
        _expect("rows that arrived", counts["inserted"], counts["window_rows"] - 2)
        _expect("rejected rows", counts["rejected"], 2)
        self._show_rows()

    def changes(self) -> None:
        """A small upload touches only its own rows."""
        self._show(Scene("Uploading 100 changed, 100 equal and 100 new rows"))
        folder = self._folder / "changes"
        folder.mkdir()
        newer = UPDATED_AT + timedelta(hours=1)
        rows = data.forecasts(range(4), newer)[1000:1200] + [
            {**row, "business_date": row["business_date"] + timedelta(days=60)}
            for row in data.forecasts([0], newer)[:100]
        ]
        for row in rows[:100]:
            row["y_50"] += 1
        data.with_polars(rows, folder / "changes.parquet")
        before = self._versions()
        last = self._upload_and_follow(folder)
        counts = _counts(last)
        after = self._versions()
        rewritten = sum(1 for key, version in after.items() if before.get(key) != version)
        _expect("rows written", rewritten, 200)
        _expect("rows updated", counts["updated"], 100)
        self._note(
            f"  Postgres wrote {rewritten} row versions; {len(after) - rewritten:,} rows are"
            " untouched, and no id was burned"
        )
        _expect("highest id", self._one("SELECT max(id) FROM forecast_data"), len(after))

    def failure_and_redrive(self) -> None:
        """One row that Postgres refuses, one failed page, one redrive."""
        self._show(Scene("Breaking a page: a constraint refuses one of the new rows"))
        self._execute("ALTER TABLE forecast_data ADD CONSTRAINT demo CHECK (y_50 < 90000)")
        folder = self._folder / "broken"
        folder.mkdir()
        rows = data.forecasts(range(40, 60), UPDATED_AT + timedelta(hours=2))
        rows[len(rows) // 2]["y_50"] = 90_000.0
        data.with_pyarrow(rows, folder / "broken.parquet")
        failed = self._upload_and_follow(folder, expected="FAILED")
        before = self._pages(failed.execution_arn)
        self._show(Pages(before))
        self._note("  `forecast-sync status` shows it too:")
        self._note(f"    {self._recorded_error(failed.run_id)}")

        self._show(Scene("Fixing the cause, and pressing Redrive"))
        self._execute("ALTER TABLE forecast_data DROP CONSTRAINT demo")
        count = executions.redrive(self._deployment, failed.execution_arn)
        self._follow(failed.execution_arn, "SUCCEEDED", redrive_count=count)
        after = self._pages(failed.execution_arn)
        self._show(Pages(after))
        repeated = [page.number for page in after if page.runs > 1]
        broken = [page.number for page in before if page.status == "FAILED"]
        _expect("pages that ran again", repeated, broken)
        self._note(f"  Only page {broken[0]}, which had failed, ran again.")

    def _note(self, text: str) -> None:
        self._show(Note(text))

    def _upload_and_follow(self, folder: Path, expected: str = "SUCCEEDED") -> run_status.Snapshot:
        known = {item.run_id for item in executions.list_runs(self._deployment, 100)}
        location = self._deployment.settings.data_location
        upload(self._deployment, location, folder, find_files(folder))

        def find_new_run() -> str | None:
            for item in executions.list_runs(self._deployment, 100):
                if item.run_id not in known:
                    return self._deployment.execution_arn(item.run_id)
            return None

        arn = executions.until_started(find_new_run, "no S3 event has started a run", START_SECONDS)
        self._note("  the S3 event has started a run:")
        return self._follow(arn, expected)

    def _follow(self, arn: str, expected: str, redrive_count: int = 0) -> run_status.Snapshot:
        for snapshot in run_status.follow(self._deployment, arn, redrive_count=redrive_count):
            self._show(Progress(snapshot))
        self._show(Outcome(snapshot))
        _expect("the run's status", snapshot.status, expected)
        return snapshot

    def _pages(self, execution_arn: str) -> list[Page]:
        """The children of the newest Map Run, by page number."""
        client = self._deployment.stepfunctions
        map_run = client.list_map_runs(executionArn=execution_arn)["mapRuns"][0]["mapRunArn"]
        pages = []
        for child in client.list_executions(mapRunArn=map_run)["executions"]:
            execution = client.describe_execution(executionArn=child["executionArn"])
            history = client.get_execution_history(executionArn=child["executionArn"])["events"]
            entered = [
                event
                for event in history
                if event.get("stateEnteredEventDetails", {}).get("name") == "Upsert batches"
            ]
            pages.append(
                Page(
                    number=executions.page_number(execution["input"]),
                    status=child["status"],
                    runs=len(entered) + execution.get("redriveCount", 0),
                )
            )
        return sorted(pages, key=lambda page: page.number)

    def _show_rows(self) -> None:
        columns = "restaurant_id, inventory_item_id, business_date, dma_id, state, y_05, y_50, y_95"
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT {columns} FROM forecast_data ORDER BY id LIMIT 3"
            ).fetchall()
            total = connection.execute("SELECT count(*) FROM forecast_data").fetchone()
        self._show(Rows(columns.split(", "), [[str(value) for value in row] for row in rows]))
        self._note(f"  ... {total[0] if total else 0:,} rows in forecast_data")

    def _versions(self) -> dict[int, str]:
        """The transaction that wrote each row, by id."""
        with self._connected() as connection:
            rows = connection.execute("SELECT id, xmin::text FROM forecast_data").fetchall()
        return {row[0]: row[1] for row in rows}

    def _recorded_error(self, run_id: str) -> str:
        """What the rule for failed executions has recorded in the database."""
        statement = "SELECT error_message FROM forecast_sync_status WHERE run_id = %s"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if message := self._one(statement, [run_id]):
                return str(message)
            time.sleep(run_status.LOCAL_POLL_SECONDS)
        raise UserError(f"the failure of {run_id} wasn't recorded within {START_SECONDS:.0f} s")

    def _one(self, statement: str, parameters: list[Any] | None = None) -> object:
        with self._connected() as connection:
            row = connection.execute(statement, parameters).fetchone()
        return row[0] if row else None

    def _execute(self, statement: str) -> None:
        with self._connected() as connection:
            connection.execute(statement)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with connect(self._database_url) as connection:
            yield connection


def _counts(snapshot: run_status.Snapshot) -> dict[str, int]:
    if snapshot.counts is None:
        raise UserError(f"{snapshot.run_id} has no result: expected a run's counts")
    return snapshot.counts.model_dump()


def _expect(what: str, actual: object, expected: object) -> None:
    """A demo that can't fail proves nothing."""
    if actual != expected:
        raise UserError(f"the demo read {actual} for {what}, expected {expected}")
