"""The log lines of one run, from the log group that all functions share."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from forecast_sync_cli.client import run_status
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.client.run_status import Snapshot

POLL_SECONDS = 2.0
STATUS_API = "-status-api"
"""It logs the runs that callers ask about, but takes no part in them."""

METRICS = '"CloudWatchMetrics"'
"""Marks lines that are metrics for CloudWatch, not text for people."""

SETTLING = timedelta(seconds=5)
"""CloudWatch ingests lines of several functions out of order: hold each back for this long."""

Line = dict[str, Any]


def read(deployment: Deployment, snapshot: Snapshot) -> list[Line]:
    """The run's lines, oldest first: timestamp, level, message, stream and details of each."""
    lines = map(_line, _events(deployment, snapshot))
    own = (line for line in lines if not str(line["details"].get("function")).endswith(STATUS_API))
    return sorted(own, key=lambda line: str(line["timestamp"]))


def follow(deployment: Deployment, execution_arn: str) -> Iterator[Line]:
    """Lines in order as they arrive, until the run has ended and its last lines have arrived."""
    shown: set[tuple[str, str, str]] = set()
    while True:
        snapshot = run_status.describe(deployment, execution_arn)
        now = datetime.now(UTC)
        over = snapshot.stopped_at is not None and _settled(snapshot.stopped_at, now)
        for line in read(deployment, snapshot):
            identity = (line["timestamp"], line["stream"], line["message"])
            if identity not in shown and (over or _settled(line["timestamp"], now)):
                shown.add(identity)
                yield line
        if over:
            return
        time.sleep(POLL_SECONDS)


def _events(deployment: Deployment, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    logs = deployment.client("logs")
    group = f"/aws/lambda/{deployment.name}"
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group,
        startTime=int(datetime.fromisoformat(snapshot.started_at).timestamp() * 1000),
        filterPattern=f'"{snapshot.run_id}"',
    )
    for page in pages:
        yield from (event for event in page["events"] if METRICS not in event["message"])


def _line(event: dict[str, Any]) -> Line:
    """The parts of a JSON line; any other line is all message."""
    text = event["message"].rstrip()
    logged_at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    line = {
        "timestamp": run_status.utc(logged_at),
        "level": "INFO",
        "message": text,
        "stream": event["logStreamName"],
        "details": {},
    }
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError:
        return line
    if not isinstance(parsed, dict) or "message" not in parsed:
        return line
    answer = parsed.get("answer")
    return {
        **line,
        "level": str(parsed.get("level", "INFO")),
        "message": str(parsed["message"]),
        "details": {
            name: parsed[name] for name in ("function", "table", "xray_trace_id") if name in parsed
        }
        | ({"answer": answer} if answer is not None else {}),
    }


def _settled(utc_time: str, now: datetime) -> bool:
    return datetime.fromisoformat(utc_time) <= now - SETTLING
