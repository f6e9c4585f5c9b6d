"""Starts, lists, redrives and stops executions of the state machine."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from forecast_sync.adapters.stepfunctions import ALIVE, Workflow
from forecast_sync.contracts.base import Model
from forecast_sync.contracts.run import SyncRequest
from forecast_sync.runs.model import SyncDetail
from forecast_sync.text.strict_json import read_object

from forecast_sync_cli.client.api import parse
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.client.polling import poll
from forecast_sync_cli.client.run_status import (
    LOCAL_POLL_SECONDS,
    REDRIVABLE,
    ExecutionStatus,
    Time,
    describe,
    utc,
)
from forecast_sync_cli.errors import UserError

LISTED_RUNS = 100
"""How many runs are searched for the one to redrive."""


class ListedRun(Model):
    """One execution, as Step Functions lists it."""

    run_id: str
    status: ExecutionStatus
    started_at: Time
    stopped_at: Time | None
    redrive_count: int
    redriven_at: Time | None = None


def new_name(trigger: str) -> str:
    """A unique name for a run: the time, what started it, and a random part."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{trigger}-{secrets.token_hex(3)}"


def start(deployment: Deployment, name: str, payload: Mapping[str, Any]) -> str:
    """Start an execution and return its ARN; the same name and input find the same execution.

    The input names the table if there are several. Raises ``InvalidInput``, or ``UserError`` if
    no table is selected or Neon has no branch for the git ref: in either case nothing is started.
    """
    payload = {**payload, **deployment.table_choice}
    request = SyncRequest.parse(payload)
    if request.git_ref is not None:
        _refuse_missing_branch(deployment, request.git_ref)
    client = deployment.stepfunctions
    try:
        answer = client.start_execution(
            stateMachineArn=deployment.state_machine_arn,
            name=name,
            input=json.dumps(payload, sort_keys=True),
        )
    except client.exceptions.ExecutionAlreadyExists:
        raise UserError(f"a run named {name} already exists: choose another --name") from None
    return answer["executionArn"]


def _refuse_missing_branch(deployment: Deployment, git_ref: str) -> None:
    """Ask the status API, because it has Neon's key; without an answer, the run will find out."""
    try:
        answer = deployment.api.call("GET", "/syncs", {"git_ref": git_ref, "limit": "1"})
    except (UserError, BotoCoreError, ClientError):
        return
    if answer.status == HTTPStatus.NOT_FOUND and "branch" in answer.reason:
        raise UserError(answer.reason)


def redrive(deployment: Deployment, execution_arn: str) -> int:
    """Redrive a failed, stopped or timed-out run; returns the new redrive count.

    Raises ``UserError`` when that isn't possible, or could only fail.
    """
    client = deployment.stepfunctions
    run = describe(deployment, execution_arn)
    label = deployment.run_label(run.run_id, run.table)
    if reason := _why_not_redrivable(deployment, run.run_id):
        raise UserError(f"{label} can't be redriven: {reason}")
    before = run.redrive_count
    try:
        client.redrive_execution(executionArn=execution_arn)
    except client.exceptions.ExecutionNotRedrivable as error:
        reason = error.response.get("Error", {}).get("Message", "")
        raise UserError(f"{label} can't be redriven: {reason}") from None
    return before + 1


def _why_not_redrivable(deployment: Deployment, run_id: str) -> str | None:
    """Why a redrive couldn't work, as the status API knows it; None when it could.

    Also None without an answer: the redriven run will then find out.
    """
    try:
        document = deployment.ask_status(f"/syncs/{run_id}", {})
        return parse(SyncDetail, document).refused.redrive if document else None
    except UserError:
        return None


def stop(deployment: Deployment, execution_arn: str) -> None:
    """Stop a running execution; it can be redriven."""
    run = describe(deployment, execution_arn)
    if run.status not in ALIVE:
        label = deployment.run_label(run.run_id, run.table)
        raise UserError(f"{label} can't be stopped: it has ended already ({run.status})")
    deployment.stepfunctions.stop_execution(
        executionArn=execution_arn, error="StoppedByHand", cause="forecast-sync stop"
    )


def list_runs(deployment: Deployment, limit: int, status: str | None = None) -> list[ListedRun]:
    """Executions, newest first."""
    pages = deployment.stepfunctions.get_paginator("list_executions").paginate(
        stateMachineArn=deployment.state_machine_arn,
        PaginationConfig={"MaxItems": limit, "PageSize": min(limit, 100)},
        **({"statusFilter": status} if status else {}),  # type: ignore[arg-type]
    )
    return [
        ListedRun(
            run_id=item["name"],
            status=item["status"],
            started_at=utc(item["startDate"]),
            stopped_at=utc(item["stopDate"]) if "stopDate" in item else None,
            redrive_count=item.get("redriveCount", 0),
            redriven_at=utc(item["redriveDate"]) if "redriveDate" in item else None,
        )
        for page in pages
        for item in page["executions"]
    ]


def find_redrivable(deployment: Deployment) -> str:
    """The ARN of the newest run that writes and didn't coalesce.

    With several tables, the newest run of the selected one is meant, or else the only newest run
    that has failed. Raises ``UserError`` unless it has failed, or if several have.
    """
    newest = _newest_by_table(deployment)
    failed = {table: run for table, run in newest.items() if run.status in REDRIVABLE}
    if len(failed) == 1:
        return deployment.execution_arn(next(iter(failed.values())).run_id)
    if failed:
        labels = [deployment.run_label(run.run_id, table) for table, run in failed.items()]
        raise UserError(
            f"the newest runs of several tables have failed: {', '.join(labels)}. Name the run to "
            "redrive, or its table with --table"
        )
    if len(newest) > 1:
        raise UserError("no table's newest run has failed: name the run to redrive")
    for table, run in newest.items():
        label = deployment.run_label(run.run_id, table)
        if run.status == "RUNNING":
            raise UserError(f"{label} is running: name the run to redrive")
        raise UserError(f"the newest run, {label}, has succeeded: name the run to redrive")
    raise UserError(f"none of the last {LISTED_RUNS} runs failed: name the run to redrive")


def _newest_by_table(deployment: Deployment) -> dict[str, ListedRun]:
    """The newest run of each selected table, except dry and coalesced runs."""
    names = [each.table_name for each in deployment.each_table()]
    workflow = Workflow(deployment.stepfunctions, deployment.state_machine_arn)
    newest: dict[str, ListedRun] = {}
    for item in list_runs(deployment, LISTED_RUNS):
        arn = deployment.execution_arn(item.run_id)
        execution = workflow.describe(arn)
        given = read_object(execution.input) if execution else {}
        if given.get("dry_run") is True:
            continue
        table: str | None = names[0]
        if deployment.has_several_tables:
            # The input of a run that began when there was one table doesn't name it.
            table = given.get("table") or describe(deployment, arn).table
        if table is None or table not in names or table in newest:
            continue
        if item.status != "SUCCEEDED" or describe(deployment, arn).state != "Coalesced":
            newest[table] = item
        if len(newest) == len(names):
            break
    return newest


def page_number(child_input: str) -> int:
    """The number of the page that a child execution of *Load pages* loads."""
    return int(json.loads(child_input)["page"]["number"])


def until_started(check: Callable[[], str | None], what: str, deadline_seconds: float) -> str:
    """Wait for an execution that something else starts; returns its ARN."""
    if arn := poll(check, deadline_seconds, LOCAL_POLL_SECONDS):
        return arn
    raise UserError(f"{what} within {deadline_seconds:.0f} s: see `forecast-sync history`")
