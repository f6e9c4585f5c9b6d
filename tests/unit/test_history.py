"""The list of runs: read from Step Functions alone, and each ended run only once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.client.history import HistoryItem, read_history
from forecast_sync_cli.dashboard.throughput import Rate
from forecast_sync_cli.dashboard.view_models import Now

MACHINE = "arn:aws:states:us-east-2:000000000000:stateMachine:forecast-sync-dev"
BEGAN = datetime(2026, 11, 27, 10, tzinfo=UTC)
COUNTS = {"window_rows": 3, "good": 3, "candidates": 3, "inserted": 2, "unchanged": 1}


class StepFunctions:
    """Executions by name, newest first, and which were described."""

    exceptions = SimpleNamespace(ExecutionDoesNotExist=KeyError)

    def __init__(self, **executions: dict[str, Any]) -> None:
        self.executions = executions
        self.described: list[str] = []

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, *, PaginationConfig: Any, **_: Any) -> list[dict[str, Any]]:  # noqa: N803
        return [{"executions": list(self.executions.values())[: PaginationConfig["MaxItems"]]}]

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        name = executionArn.rpartition(":")[2]
        self.described.append(name)
        return self.executions[name]

    def get_execution_history(self, **_: Any) -> dict[str, Any]:
        return {"events": []}


def execution(name: str, status: str, **more: Any) -> dict[str, Any]:
    ended = {} if status == "RUNNING" else {"stopDate": BEGAN + timedelta(minutes=1)}
    return {"name": name, "status": status, "startDate": BEGAN, "input": "{}", **ended, **more}


def read(client: StepFunctions, known: dict[str, HistoryItem] | None = None) -> list[HistoryItem]:
    deployed = SimpleNamespace(stepfunctions=client, state_machine_arn=MACHINE)
    return read_history(cast("Deployment", deployed), 50, known)


def test_a_run_says_what_it_did_and_why_it_ended_so() -> None:
    output = {"status": "succeeded", "git_ref": "dev", "sync_type": "full", "table": "price"}
    message = json.dumps({"errorMessage": "Postgres refused\nDETAIL: secret rows"})
    good, bad, odd = read(
        StepFunctions(
            good=execution(
                "good",
                "SUCCEEDED",
                output=json.dumps({**output, "counts": COUNTS, "window_reason": "It was empty."}),
            ),
            bad=execution("bad", "FAILED", error="BatchRefused", cause=message),
            odd=execution("odd", "FAILED", input="[1]", error="InvalidInput", cause="no"),
        )
    )
    assert (good.outcome, good.sync_type, good.table, good.git_ref) == (
        "succeeded",
        "full",
        "price",
        "dev",
    )
    assert good.rows == {"inserted": 2, "updated": 0, "unchanged": 1, "rejected": 0}
    assert good.window_reason == "It was empty."
    assert (bad.outcome, bad.error) == ("failed", "BatchRefused: Postgres refused")
    assert (bad.sync_type, bad.rows) == ("incremental", None)
    assert odd.error == "InvalidInput: no"


def test_an_ended_run_is_asked_about_once_until_it_is_redriven() -> None:
    client = StepFunctions(
        going=execution("going", "RUNNING"), bad=execution("bad", "FAILED", error="X", cause="y")
    )
    known: dict[str, HistoryItem] = {}
    read(client, known)
    read(client, known)
    assert sorted(client.described) == ["bad", "going", "going"]
    client.executions["bad"] |= {"redriveCount": 1, "status": "SUCCEEDED", "output": "{}"}
    assert [item.outcome for item in read(client, known)] == ["running", "succeeded"]


def test_a_table_s_newest_runs_are_found_behind_those_of_others() -> None:
    names = [f"stock-{n}" for n in range(9)] + ["refused", "sales-0", "sales-1"]
    runs = {name: execution(name, "RUNNING") for name in names}
    for name, run in runs.items():
        table = name.partition("-")[0]
        run["input"] = json.dumps({} if table == "refused" else {"table": table})
    client = StepFunctions(**runs)

    def find(limit: int, *, several: bool = True) -> list[str]:
        deployed = SimpleNamespace(
            stepfunctions=client, state_machine_arn=MACHINE, has_several_tables=several
        )
        found = read_history(cast("Deployment", deployed), limit, table="sales")
        return [run.run_id for run in found]

    assert find(1) == ["sales-0"]
    assert find(5) == ["sales-0", "sales-1"]
    assert find(5, several=False) == ["refused", "sales-0", "sales-1"], "whose else could it be?"


def test_a_redriven_run_s_time_counts_from_its_redrive() -> None:
    run = {
        "started_at": "2026-11-27T08:00:00+00:00",
        "redriven_at": "2026-11-27T10:00:00+00:00",
        "stopped_at": None,
        "asked_at": "2026-11-27T10:00:05+00:00",
    }
    assert Now(run, [], Rate(None, None), None, {}).seconds == 5
    assert Now({**run, "redriven_at": None}, [], Rate(None, None), None, {}).seconds == 7205
