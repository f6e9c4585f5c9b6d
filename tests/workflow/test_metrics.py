"""What a run measures arrives in the log group as lines that CloudWatch turns into metrics."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.filter_patterns import matches
from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

GROUP = "/aws/lambda/forecast-sync-dev"
NAMESPACE = "ForecastSync/forecast-sync-dev"


def measured(deployed: Deployed, name: str, began: int, run_id: str = "") -> dict[str, Any] | None:
    """The newest line since ``began`` with a metric of this name, of one run or of any."""
    pages = deployed.client("logs").get_paginator("filter_log_events")
    # Since then, in milliseconds: ministack gives the oldest 10,000 lines and no token for more.
    log_pages = pages.paginate(logGroupName=GROUP, startTime=began)
    messages = [event["message"] for page in log_pages for event in page["events"]]
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


def test_the_freshness_alarm_watches_the_age_of_the_file_that_waits(deployed: Deployed) -> None:
    """Runs succeed meanwhile: counting them would call the branch fresh."""
    began = int(time.time() * 1000)
    uploaded = time.time()
    deployed.upload("bad", b"no parquet")
    deployed.upload("good", make_rows(range(20)))
    deployed.succeed()
    eventually(lambda: time.time() - uploaded > 3)
    deployed.succeed()
    deployed.invoke("notify", {"check": "freshness"})
    line = eventually(lambda: measured(deployed, "HoursBehind", began))
    [hours] = line["HoursBehind"]
    assert 3 <= hours * 3600 <= time.time() - uploaded + 1
    [alarm] = deployed.client("cloudwatch").describe_alarms(
        AlarmNames=["forecast-sync-dev-freshness"]
    )["MetricAlarms"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("ForecastSync", "HoursBehind")
    watched = {item["Name"]: item["Value"] for item in alarm["Dimensions"]}
    assert watched == {name: line[name] for name in ("service", "branch")}


def test_the_filter_of_the_errors_alarm_counts_each_call_that_failed(deployed: Deployed) -> None:
    logs = deployed.client("logs")
    [filtered] = logs.describe_metric_filters(logGroupName=GROUP)["metricFilters"]
    [transformation] = filtered["metricTransformations"]
    [alarm] = deployed.client("cloudwatch").describe_alarms(
        AlarmNames=["forecast-sync-dev-function-errors"]
    )["MetricAlarms"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (NAMESPACE, "FunctionErrors")
    assert (transformation["metricNamespace"], transformation["metricName"]) == (
        NAMESPACE,
        "FunctionErrors",
    )
    began = int(time.time() * 1000)
    deployed.upload("a", make_rows(range(5)))
    deployed.succeed()
    failed = deployed.run(git_ref="nobodys")
    assert failed.error == "BranchNotMapped"

    def counted() -> list[str]:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=GROUP, startTime=began
        )
        messages = [event["message"] for page in pages for event in page["events"]]
        return [text for text in messages if matches(filtered["filterPattern"], text)]

    [line] = eventually(counted, what="the line of the call that failed")
    assert json.loads(line)["error"] == "BranchNotMapped"
    assert json.loads(line)["run_id"] == failed.name
