"""What a run measures arrives in the log group as lines that CloudWatch turns into metrics."""

from __future__ import annotations

import json
from typing import Any

from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

GROUP = "/aws/lambda/forecast-sync-dev"


def measured(deployed: Deployed, name: str, run_id: str = "") -> dict[str, Any] | None:
    """The newest line with a metric of this name, of one run or of any."""
    pages = deployed.client("logs").get_paginator("filter_log_events")
    events = [event for page in pages.paginate(logGroupName=GROUP) for event in page["events"]]
    messages = [event["message"] for event in events]
    lines = [text for text in messages if f'"{name}"' in text and run_id in text]
    return json.loads(lines[-1]) if lines else None


def test_a_run_is_measured(deployed: Deployed) -> None:
    deployed.upload("first", [*make_rows(range(199)), make_row(300, state=None)])
    run_id = deployed.succeed().name
    # Under load, ministack hands a call's last lines over with the next call only.
    deployed.succeed()
    run = eventually(lambda: measured(deployed, "RowsInserted", run_id), what="the run's metrics")
    assert (run["service"], run["branch"]) == ("forecast-sync-dev", "dev")
    assert (run["RowsInserted"], run["RowsRejected"]) == ([199], [1])
    assert run["SyncsSucceeded"] == [1]
    rejects = eventually(lambda: measured(deployed, "RejectPercent", run_id), what="the share")
    assert rejects["RejectPercent"] == [0.5]
    assert eventually(lambda: measured(deployed, "AthenaBytesScanned"), what="what Athena cost")
