"""Keeps what is known about a round with a difference, because chance doesn't play it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg

from tests.workflow.deployed import Deployed

LOG_GROUP = "/aws/lambda/forecast-sync-dev"
TABLES = (
    "forecast_sync_status",
    "forecast_sync_batch",
    "forecast_sync_waiting",
    "forecast_sync_file",
    "forecast_sync_deletion_date",
)


@contextmanager
def kept(deployed: Deployed, path: Path) -> Iterator[list[str]]:
    """If the block fails, or leaves a note in the list that it gets, write a file of it all.

    The file has the notes, the objects of the lake, our tables, and of the time of the block the
    histories of all executions and the functions' log lines.
    """
    notes: list[str] = []
    since = datetime.now().astimezone()
    try:
        yield notes
    except Exception as error:
        notes.append(f"{type(error).__name__}: {error}")
        raise
    finally:
        if notes:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join([*notes, *_collect(deployed, since)]) + "\n")


def _collect(deployed: Deployed, since: datetime) -> Iterator[str]:
    for name, (modified, content) in sorted(deployed.files.items()):
        yield f"{name} {modified:%H:%M:%S.%f} {len(content)} bytes"
    for table in TABLES:
        yield f"\n{table}"
        try:
            for (row,) in deployed.query(f"SELECT to_jsonb(t) FROM {table} AS t ORDER BY ctid"):
                yield json.dumps(row)
        except psycopg.Error as error:
            yield str(error)
    states = deployed.client("stepfunctions")
    listed = states.list_executions(stateMachineArn=deployed.cloud.state_machine_arn)
    for execution in reversed(listed["executions"]):
        if execution["startDate"] >= since:
            yield f"\n{execution['name']} {execution['status']}"
            for arn in (execution["executionArn"], *deployed.children(execution["executionArn"])):
                yield from _describe(deployed, arn)
    yield "\nlog"
    pages = deployed.client("logs").get_paginator("filter_log_events")
    begin = int(since.timestamp() * 1000)
    for page in pages.paginate(logGroupName=LOG_GROUP, startTime=begin):
        for event in page["events"]:
            yield event["message"].strip()


def _describe(deployed: Deployed, arn: str) -> Iterator[str]:
    """An execution's events, without the payloads that all have."""
    yield f"- {arn}"
    for event in deployed.history(arn):
        details = {
            name: value
            for key, detail in event.items()
            if key.endswith("EventDetails")
            for name, value in detail.items()
            if name not in ("input", "output", "inputDetails", "outputDetails", "parameters")
        }
        described = json.dumps(details, default=str)
        yield f"  {event['timestamp']:%H:%M:%S.%f} {event['type']} {described}"
