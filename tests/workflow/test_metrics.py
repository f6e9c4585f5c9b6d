"""What a run measures arrives in the log group as lines that CloudWatch turns into metrics."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

GROUP = "/aws/lambda/forecast-sync-dev"


def measured(deployed: Deployed, name: str, began: int, run_id: str = "") -> dict[str, Any] | None:
    """The newest line since ``began`` with a metric of this name, of one run or of any."""
    pages = deployed.client("logs").get_paginator("filter_log_events")
    # Since then, in milliseconds: ministack gives the oldest 10,000 lines and no token for more.
    found = pages.paginate(logGroupName=GROUP, startTime=began)
    messages = [event["message"] for page in found for event in page["events"]]
    lines = [text for text in messages if f'"{name}"' in text and run_id in text]
    return json.loads(lines[-1]) if lines else None


def test_a_run_is_measured(deployed: Deployed) -> None:
    began = int(time.time() * 1000)
    deployed.upload("first", [*make_rows(range(199)), make_row(300, state=None)])
    run_id = deployed.succeed().name

    def find(name: str, run_id: str = "") -> dict[str, Any]:
        return eventually(lambda: measured(deployed, name, began, run_id), what=name)

    run = find("RowsInserted", run_id)
    assert (run["service"], run["branch"]) == ("forecast-sync-dev", "dev")
    assert (run["RowsInserted"], run["RowsRejected"]) == ([199], [1])
    assert run["SyncsSucceeded"] == [1]
    assert find("RejectPercent", run_id)["RejectPercent"] == [0.5]
    assert find("AthenaBytesScanned")
