"""What each of the last runs did, and why it ended so, from Step Functions alone.

No database is asked, so that none is woken, and runs that never reached one are listed too.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from forecast_sync.adapters.stepfunctions import Execution, Workflow
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.run import SyncType
from forecast_sync.runs import history
from forecast_sync.runs.model import OUTCOMES, TableName, WindowReason
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

READERS = 8
ERROR_CHARACTERS = 300


class HistoryItem(ListedRun):
    """One run: what it did, and why it ended so."""

    outcome: Outcome = Field(
        description="What became of it: a coalesced run has succeeded only for Step Functions."
    )
    coalesced_into: str | None = Field(
        description="The run that starts one more run for this coalesced one."
    )
    waits: str | None = Field(description="Which run holds the lease that it waits for, and why.")
    error: str | None = Field(description="The name of its error and the first line about it.")
    sync_type: SyncType | None
    dry_run: bool
    trigger: str | None
    git_ref: str | None = Field(description="Null when it never got one.")
    table: str | None = TableName
    window_reason: str | None = WindowReason
    rows: dict[str, int] | None = Field(
        description="Rows by outcome; null unless it has ended well."
    )


def read_history(
    deployment: Deployment, limit: int, known: MutableMapping[str, HistoryItem] | None = None
) -> list[HistoryItem]:
    """The newest runs, newest first.

    ``known`` has the runs of an earlier call by name, which isn't asked about again while they are
    as they were; this call adds its own.
    """
    listed = list_runs(deployment, limit)
    remembered = known if known is not None else {}
    unknown = [item for item in listed if not _is_known(item, remembered)]
    workflow = Workflow(deployment.stepfunctions, deployment.state_machine_arn)
    with ThreadPoolExecutor(READERS) as pool:
        read = list(pool.map(partial(_read, workflow), unknown))
    remembered.update({item.run_id: item for item in read})
    return [remembered[item.run_id] for item in listed]


def _is_known(item: ListedRun, known: Mapping[str, HistoryItem]) -> bool:
    before = known.get(item.run_id)
    is_same = before is not None and (before.status, before.redrive_count) == (
        item.status,
        item.redrive_count,
    )
    return is_same and item.stopped_at is not None


def _read(workflow: Workflow, item: ListedRun) -> HistoryItem:
    arn = workflow.arn_of(item.run_id)
    execution = workflow.describe(arn)
    if execution is None:  # Step Functions has forgotten it since it was listed.
        execution = Execution(item.status, item.redrive_count, item.started_at, "{}", "", "")
    failure = workflow.failure_of(arn, execution) if execution.ended_badly else None
    events = [] if execution.output else workflow.newest_events(arn)
    output = read_object(execution.output)
    run = output.get("run") or history.find_run(events) or {}
    window = history.find_window(events) or {}
    given = read_object(execution.input)
    return HistoryItem(
        **item.model_dump(),
        outcome=outcome_of(execution.status, execution.output, failure),
        coalesced_into=coalesced_into(execution.output),
        waits=find_wait(events) if execution.is_alive else None,
        error=shorten(first_line(failure), ERROR_CHARACTERS) if failure else None,
        sync_type=_one_of(("incremental", "full"), output, run, {"sync_type": _type_of(given)}),
        dry_run=given.get("dry_run") is True,
        trigger=_text(run.get("trigger") or given.get("trigger")),
        git_ref=_text(output.get("git_ref") or run.get("git_ref")),
        table=_text(output.get("table") or run.get("table")),
        window_reason=_text(output.get("window_reason") or window.get("reason")),
        rows=_rows(output),
    )


def _type_of(given: Mapping[str, Any]) -> Any:
    return given.get("sync_type", "incremental")


def _one_of(values: Sequence[str], *documents: Mapping[str, Any]) -> Any:
    """The first document's sync type that is one."""
    types = (document.get("sync_type") for document in documents)
    return next((value for value in types if value in values), None)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _rows(output: Mapping[str, Any]) -> dict[str, int] | None:
    if not isinstance(output.get("counts"), dict):
        return None
    counts = Counts.model_validate(output["counts"])
    return {name: getattr(counts, name) for name in OUTCOMES}
