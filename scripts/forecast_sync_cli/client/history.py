"""What each of the last runs did, and why it ended that way, from Step Functions alone.

So no database is woken, and runs that never reached one are listed too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from forecast_sync.adapters.stepfunctions import Execution, Workflow
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.run import SyncType
from forecast_sync.contracts.survey import RunFiles
from forecast_sync.runs import history
from forecast_sync.runs.model import OUTCOMES, DeletesDeferred, TableName, WindowReason
from forecast_sync.runs.outcome import (
    Outcome,
    coalesced_into,
    find_wait,
    first_line,
    outcome_of,
)
from forecast_sync.text.size_limits import shorten
from forecast_sync.text.strict_json import read_object
from pydantic import Field

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.client.executions import ListedRun, list_runs
from forecast_sync_cli.client.run_status import utc

READERS = 8
BURST, READS_PER_SECOND = 200, 10
"""Step Functions allows a few hundred descriptions at once, then about this many a second."""

MOST_RUNS = 1000
ERROR_CHARACTERS = 300


class HistoryItem(ListedRun):
    """One run: what it did, and why it ended that way."""

    outcome: Outcome = Field(
        description="What became of it; to Step Functions, a coalesced run has succeeded."
    )
    coalesced_into: str | None = Field(
        description="The run that starts one more run for this coalesced one."
    )
    waits: str | None = Field(description="Which run holds the lease that it waits for, and why.")
    error: str | None = Field(
        description="The name of its error and the first line of the message."
    )
    sync_type: SyncType | None
    dry_run: bool
    trigger: str | None
    git_ref: str | None = Field(description="Null when it never got one.")
    table: str | None = TableName
    window_reason: str | None = WindowReason
    files: RunFiles | None = Field(
        description="The files that it is about; null if it never surveyed the lake."
    )
    rows: dict[str, int] | None = Field(description="Rows by outcome; null unless it ended well.")
    deleted: int | None = Field(
        default=None, description="Rows that have left the table; null unless it ended well."
    )
    deletes_deferred: int | None = DeletesDeferred


def read_history(
    deployment: Deployment,
    limit: int,
    known: MutableMapping[str, HistoryItem] | None = None,
    *,
    table: str | None = None,
    among: int = MOST_RUNS,
) -> list[HistoryItem]:
    """The newest runs, newest first; with ``table``, the newest of this table.

    They are searched ``among`` this many of the last runs of all tables. ``known`` has the runs of
    an earlier call by name, which aren't read again unless they have changed; this call adds its
    own.
    """
    remembered = known if known is not None else {}
    listed = limit
    while True:
        runs = _read_listed(deployment, listed, remembered)
        if table is None:
            return runs
        own = [run for run in runs if _is_of(run, table, deployment)]
        if len(own) >= limit or len(runs) < listed or listed >= among:
            return own[:limit]
        listed = min(among, listed * 4)


def _is_of(run: HistoryItem, table: str, deployment: Deployment) -> bool:
    """Whether a run belongs to a table; a run without one belongs to the only table, or to none."""
    return run.table == table if run.table else not deployment.has_several_tables


def _read_listed(
    deployment: Deployment, limit: int, remembered: MutableMapping[str, HistoryItem]
) -> list[HistoryItem]:
    listed = list_runs(deployment, limit)
    unknown = [item for item in listed if not _is_known(item, remembered)]
    workflow = Workflow(deployment.stepfunctions, deployment.state_machine_arn)
    with ThreadPoolExecutor(READERS) as pool:
        read = list(pool.map(partial(_read_paced, workflow), unknown, range(len(unknown))))
    remembered.update({item.run_id: item for item in read})
    return [remembered[item.run_id] for item in listed]


def _is_known(item: ListedRun, known: Mapping[str, HistoryItem]) -> bool:
    before = known.get(item.run_id)
    is_same = before is not None and (before.status, before.redrive_count) == (
        item.status,
        item.redrive_count,
    )
    return is_same and item.stopped_at is not None


def _read_paced(workflow: Workflow, item: ListedRun, number: int) -> HistoryItem:
    """Read a run; in a long list, no faster than Step Functions allows."""
    if number >= BURST:
        time.sleep(READERS / READS_PER_SECOND)
    return _read(workflow, item)


def _read(workflow: Workflow, item: ListedRun) -> HistoryItem:
    arn = workflow.arn_of(item.run_id)
    execution = workflow.describe(arn)
    if execution is None:  # Step Functions has forgotten it since it was listed.
        execution = Execution(
            item.status, item.redrive_count, item.started_at, "{}", "", "", item.stopped_at
        )
    failure = workflow.failure_of(arn, execution) if execution.ended_badly else None
    events = [] if execution.output else workflow.newest_events(arn)
    output = read_object(execution.output)
    run = output.get("run") or history.find_run(events) or {}
    window = history.find_window(events) or {}
    given = read_object(execution.input)
    stopped_at = execution.stopped_at
    now = {
        "status": execution.status,
        "redrive_count": execution.redrive_count,
        "stopped_at": utc(datetime.fromisoformat(stopped_at)) if stopped_at else None,
    }
    return HistoryItem(
        **(item.model_dump() | now),
        outcome=outcome_of(execution.status, execution.output, failure),
        coalesced_into=coalesced_into(execution.output),
        waits=find_wait(events) if execution.is_alive else None,
        error=shorten(first_line(failure), ERROR_CHARACTERS) if failure else None,
        sync_type=_find_type(output, run, {"sync_type": "incremental", **given}),
        dry_run=given.get("dry_run") is True,
        trigger=_text(run.get("trigger") or given.get("trigger")),
        git_ref=_text(output.get("git_ref") or run.get("git_ref")),
        table=_text(output.get("table") or run.get("table") or given.get("table")),
        window_reason=_text(output.get("window_reason") or window.get("reason")),
        files=history.find_files(events, output),
        rows=_rows(output),
        deleted=_number(output.get("counts"), "deleted"),
        deletes_deferred=_number(output, "deletes_deferred"),
    )


def _find_type(*documents: Mapping[str, Any]) -> Any:
    """The first of the documents' sync types that is one; the input may be anything."""
    types = (document.get("sync_type") for document in documents)
    return next((value for value in types if value in ("incremental", "full")), None)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(document: object, name: str) -> int | None:
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, int) else None


def _rows(output: Mapping[str, Any]) -> dict[str, int] | None:
    if not isinstance(output.get("counts"), dict):
        return None
    counts = Counts.model_validate(output["counts"])
    return {name: getattr(counts, name) for name in OUTCOMES}
