"""No secret leaks: canaries are planted, and everything that a run writes is searched."""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit

import psutil

from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed


def test_no_secret_can_be_read_anywhere(deployed: Deployed) -> None:
    """After a run that succeeded and several that failed, each where it holds a secret."""
    url = urlsplit(deployed.cloud.database_urls["dev"])
    assert url.password
    canaries = {deployed.cloud.neon_api_key, deployed.cloud.secret_access_key, url.password}
    began = int(time.time() * 1000)
    deployed.upload("rows", [*make_rows(range(20)), make_row(30, state=None)])
    runs = [deployed.succeed().name]
    deployed.neon_fault(status=401, times=1)
    runs.append(deployed.run().name)
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 5000)")
    deployed.upload("refused", [make_row(40, y_50=6000.0)])
    runs.append(deployed.run().name)
    runs.append(deployed.run(git_ref="preview/pr-99").name)
    runs.append(deployed.run(batch_size=-1).name)
    eventually(lambda: deployed.status(runs[2]) and "refused" in _logs(deployed, began))

    for place, texts in {
        "logs": _logs(deployed, began),
        "histories": _histories(deployed),
        "tables": _tables(deployed),
        "processes": _processes(),
        "API": _api(deployed),
    }.items():
        assert runs[0] in texts or place == "processes", f"{place} is searched at all"
        leaked = [canary[:4] for canary in canaries if canary in texts]
        assert not leaked, f"{place} has a secret that begins with {leaked}"


def _logs(deployed: Deployed, began: int) -> str:
    """Since then, in milliseconds."""
    pages = deployed.client("logs").get_paginator("filter_log_events")
    log_pages = pages.paginate(logGroupName="/aws/lambda/forecast-sync-dev", startTime=began)
    return "\n".join(event["message"] for page in log_pages for event in page["events"])


def _histories(deployed: Deployed) -> str:
    sfn, arn = deployed.client("stepfunctions"), deployed.cloud.state_machine_arn
    pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=arn)
    arns = [item["executionArn"] for page in pages for item in page["executions"]]
    children = [child for parent in arns for child in deployed.children(parent)]
    return json.dumps([deployed.history(each) for each in (*arns, *children)], default=str) + (
        json.dumps([deployed.describe(each) for each in arns], default=str)
    )


def _tables(deployed: Deployed) -> str:
    tables = ("forecast_sync_status", "forecast_sync_batch", "forecast_sync_rejects")
    return "\n".join(
        str(row) for table in tables for row in deployed.query(f"SELECT * FROM {table}")
    )


def _processes() -> str:
    lines = [
        " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    ]
    assert any("worker.py" in line for line in lines)
    return "\n".join(lines)


def _api(deployed: Deployed) -> str:
    client = deployed.client("lambda")
    answers = []
    for path in ("/syncs", "/rejects"):
        request = {
            "version": "2.0",
            "rawPath": path,
            "headers": {},
            "requestContext": {
                "http": {"method": "GET", "path": path},
                "stage": "$default",
                "authorizer": {"iam": {"userArn": "arn:aws:iam::000000000000:root"}},
            },
        }
        answer = client.invoke(
            FunctionName="forecast-sync-dev-status-api", Payload=json.dumps(request)
        )
        answers.append(answer["Payload"].read().decode())
    return "\n".join(answers)
