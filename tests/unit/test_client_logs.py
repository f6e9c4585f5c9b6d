"""Claims about the log lines of a run."""

from __future__ import annotations

import json
from typing import Any, cast

from forecast_sync_cli.client import logs as run_logs
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.client.run_status import Snapshot

SNAPSHOT = Snapshot(
    run_id="r1",
    execution_arn="arn:aws:states:us-east-2:000000000000:execution:m:r1",
    status="SUCCEEDED",
    state=None,
    started_at="2026-11-24T06:00:00+00:00",
    stopped_at=None,
    seconds=1.0,
    redrive_count=0,
    outcome="succeeded",
)


class Logs:
    """CloudWatch with these events, in two pages."""

    name = "forecast-sync-dev"

    def __init__(self, *events: tuple[int, str]) -> None:
        self.events = [
            {"timestamp": at, "logStreamName": f"s-{at}", "message": text} for at, text in events
        ]

    def client(self, _service: str) -> Any:
        return self

    def get_paginator(self, _name: str) -> Any:
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        assert request["logGroupName"] == "/aws/lambda/forecast-sync-dev"
        assert request["filterPattern"] == '"r1"'
        return [{"events": self.events[:1]}, {"events": self.events[1:]}]


def line(message: str, function: str, **more: Any) -> str:
    return json.dumps({"level": "INFO", "message": message, "function": function, **more}) + "\n"


def test_lines_come_in_order_without_the_status_api_s() -> None:
    logs = Logs(
        (3000, line("done", "forecast-sync-dev-notify", answer={"run_id": "r1"})),
        (1000, line("done", "forecast-sync-dev-resolve-branch")),
        (2000, line("answered", "forecast-sync-dev-status-api")),
        (2500, "2026 r1 Task timed out after 60 seconds"),
    )
    entries = run_logs.read(cast(Deployment, logs), SNAPSHOT)
    assert [item["message"] for item in entries] == [
        "done",
        "2026 r1 Task timed out after 60 seconds",
        "done",
    ]
    assert entries[0]["details"] == {"function": "forecast-sync-dev-resolve-branch"}
    assert entries[2]["details"]["answer"] == {"run_id": "r1"}
    assert entries[0]["timestamp"] == "1970-01-01T00:00:01.000+00:00"
