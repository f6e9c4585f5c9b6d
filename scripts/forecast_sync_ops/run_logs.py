"""The log lines of one run, from the log group that all functions share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from forecast_sync_ops.deployment import Deployment
from forecast_sync_ops.snapshots import Snapshot


def read(deployment: Deployment, snapshot: Snapshot) -> list[dict[str, Any]]:
    """timestamp, stream and message of each line that names the run, oldest first."""
    logs = deployment.client("logs")
    group = f"/aws/lambda/forecast-sync-{deployment.environment}"
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group,
        startTime=_milliseconds(snapshot.started_at),
        filterPattern=f'"{snapshot.run_id}"',
    )
    events = [event for page in pages for event in page["events"]]
    events.sort(key=lambda event: event["timestamp"])
    return [
        {
            "timestamp": datetime.fromtimestamp(event["timestamp"] / 1000).astimezone().isoformat(),
            "stream": event["logStreamName"],
            "message": event["message"].rstrip(),
        }
        for event in events
    ]


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
