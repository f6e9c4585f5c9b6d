"""The whole workflow as a way: one full run in a local cloud, after the lake is uploaded."""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from forecast_sync_cli.client import executions, run_status
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.local_sync import WAIT_SCALE, find_files, upload
from localcloud import cloud

from benchmarks.data import Files

QUERIES = "Run queries"


def prepare_workflow(database_url: str, files: Files) -> Callable[[], dict[str, float]]:
    """Start the cloud and upload; the load returns the seconds that the local Athena took."""
    stack = ExitStack()
    atexit.register(stack.close)
    local = stack.enter_context(cloud.running(database_url=database_url, wait_scale=WAIT_SCALE))
    deployment = Deployment("dev", local.session(), local.endpoint_url, local.state_machine_arn)
    deployment.client("events").disable_rule(Name=f"{deployment.name}-uploads")
    location = deployment.settings.data_location
    upload(deployment, location, files.parquet, find_files(files.parquet))

    def load() -> dict[str, float]:
        payload = {"sync_type": "full", "trigger": "bench"}
        arn = executions.start(deployment, executions.new_name("bench"), payload)
        *_, last = run_status.follow(deployment, arn)
        if last.status != "SUCCEEDED":
            raise UserError(f"the workflow ended as {last.status}: {last.error}")
        return {"athena_seconds": _seconds_in(deployment, arn, QUERIES)}

    return load


def _seconds_in(deployment: Deployment, arn: str, state: str) -> float:
    """How many seconds a state took."""
    times: dict[str, Any] = {}
    pages = deployment.stepfunctions.get_paginator("get_execution_history").paginate(
        executionArn=arn
    )
    for page in pages:
        for event in json.loads(json.dumps(page["events"], default=str)):
            details = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails")
            if details and details["name"] == state:
                times[event["type"]] = event["timestamp"]
    return _between(times["MapStateEntered"], times["MapStateExited"])


def _between(first: str, last: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
