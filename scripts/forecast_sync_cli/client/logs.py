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
WATCHER = "-status-api"
"""Names the runs that it is asked about, and is no part of them."""

METRICS = '"CloudWatchMetrics"'
"""Stands in the lines that CloudWatch makes metrics of, which tell a person nothing."""

SETTLING = timedelta(seconds=5)
"""CloudWatch takes in the lines of several functions out of order; so long one is held back."""

Line = dict[str, Any]


def read(deployment: Deployment, snapshot: Snapshot) -> list[Line]:
    """timestamp, level, message, stream and details of each line of the run, oldest first."""
    lines = map(_line, _events(deployment, snapshot))
    own = (line for line in lines if not str(line["details"].get("function")).endswith(WATCHER))
    return sorted(own, key=lambda line: str(line["timestamp"]))


def follow(deployment: Deployment, execution_arn: str) -> Iterator[Line]:
    """Lines in order while they come, until the run has ended and its last ones have settled."""
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
    """A function's JSON line in its parts; any other line as it is."""
    text = event["message"].rstrip()
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    line = {
        "timestamp": run_status.utc(moment),
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
        "details": {name: parsed[name] for name in ("function", "xray_trace_id") if name in parsed}
        | ({"answer": answer} if answer is not None else {}),
    }


def _settled(moment: str, now: datetime) -> bool:
    return datetime.fromisoformat(moment) <= now - SETTLING
