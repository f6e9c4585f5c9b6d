"""``python -m benchmarks.latency``: from the end of an upload to its rows, and where the time goes.

In a local cloud as `local up` starts it. Each upload has one new row and starts after the last run
has ended, so that every run does the same.
"""

from __future__ import annotations

import io
import statistics
import time
import uuid
from datetime import datetime, timedelta
from typing import Annotated, Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.commands.local import PARAMETERS, WAIT_SCALE
from forecast_sync_cli.demo import data
from forecast_sync_cli.glue_tables import declare_table
from forecast_sync_cli.main import run_alone
from localcloud import cloud
from rich.console import Console
from rich.table import Table

WARM_UP = 2
TIMEOUT_SECONDS = 60.0
COLLECTING = "event, queue and batching window"
COUNT = "SELECT count(*) FROM forecast_data"


class Laboratory:
    """A local cloud, and the rows that its target should have."""

    def __init__(self, local: cloud.Cloud) -> None:
        self.local = local
        self.deployment = Deployment(
            "dev", local.session(), local.endpoint_url, local.state_machine_arn
        )
        declare_table(self.deployment)
        self.database_url = local.database_urls["dev"]
        self.rows = 0

    def measure(self) -> dict[str, float]:
        """Upload a row; the seconds of each part of its way, in order."""
        day = data.FIRST_DAY + timedelta(days=self.rows)
        row = data.make_row(1, 7, day, 1.0, datetime.now())  # noqa: DTZ005
        content = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([row], schema=data.SCHEMA), content)
        key = f"forecast/{uuid.uuid4().hex}.parquet"
        s3: Any = self.deployment.client("s3")
        s3.put_object(Bucket=self.local.bucket, Key=key, Body=content.getvalue())
        self.rows += 1
        uploaded = time.time()
        self._await_row()
        arrived = time.time()
        return {**self._parts(uploaded, arrived), "in all": arrived - uploaded}

    def _await_row(self) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            while time.monotonic() < deadline:
                try:
                    arrived = connection.execute(COUNT).fetchone()
                except psycopg.errors.UndefinedTable:
                    arrived = None
                if arrived is not None and arrived[0] == self.rows:
                    return
                time.sleep(0.005)
        raise AssertionError(f"row {self.rows} hasn't arrived within {TIMEOUT_SECONDS:.0f} s")

    def _parts(self, uploaded: float, arrived: float) -> dict[str, float]:
        """How long the run's top-level states took until the row was there."""
        sfn = self.deployment.stepfunctions
        newest = sfn.list_executions(stateMachineArn=self.local.state_machine_arn, maxResults=1)
        arn = newest["executions"][0]["executionArn"]
        while sfn.describe_execution(executionArn=arn)["status"] == "RUNNING":
            time.sleep(0.05)
        history = sfn.get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in history for event in page["events"]]
        parts = {COLLECTING: events[0]["timestamp"].timestamp() - uploaded}
        for event in events:
            if event["type"] in ("TaskStateEntered", "MapStateEntered"):
                name, began = event["stateEnteredEventDetails"]["name"], event["timestamp"]
                if name in PARTS:
                    parts[name] = -began.timestamp()
            elif event["type"] in ("TaskStateExited", "MapStateExited"):
                name, ended = event["stateExitedEventDetails"]["name"], event["timestamp"]
                if name in PARTS:
                    parts[name] += min(ended.timestamp(), arrived)
        return {name: seconds for name, seconds in parts.items() if seconds > 0}


PARTS = (
    "Resolve branch",
    "Read watermark",
    "Survey lake",
    "Run queries",
    "Plan pages",
    "Load pages",
)
"""The states that a row goes through, up to its commit."""


def latency(
    uploads: Annotated[int, typer.Option(min=3, help="How many uploads to measure.")] = 20,
) -> None:
    """Upload one row at a time, and show the medians of the time until each arrives."""
    with cloud.running(parameters=PARAMETERS, wait_scale=WAIT_SCALE) as local:
        laboratory = Laboratory(local)
        for _ in range(WARM_UP):
            laboratory.measure()
        measured = [laboratory.measure() for _ in range(uploads)]
    table = Table("part", title_justify="left", box=None)
    for heading in ("median s", "most"):
        table.add_column(heading, justify="right")
    for part in (COLLECTING, *PARTS, "in all"):
        seconds = [parts.get(part, 0.0) for parts in measured]
        table.add_row(part, f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    run_alone(latency)
