"""Metrics of runs, queries and branches, printed as lines of JSON that CloudWatch reads (EMF).

The alarms and the dashboard in templates/observability.yaml use these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from aws_lambda_powertools.metrics import EphemeralMetrics

from forecast_sync.contracts.counts import Profile
from forecast_sync.contracts.result import RunResult
from forecast_sync.contracts.run import Run
from forecast_sync.telemetry.logging import logged_table

NAMESPACE = "ForecastSync"


def measure_rejects(run: Run, profile: Profile) -> None:
    """The percentage of rejected rows, known before anything is loaded."""
    share = 100 * profile.rejected / max(1, profile.window_rows)
    _emit({"RejectPercent": share}, "Percent", run)


def measure_query(
    bytes_scanned: int, milliseconds: int, run_id: str | None, table: str | None
) -> None:
    """What a finished query took; Athena bills the bytes."""
    names = _names(run_id, table)
    _emit_one({"AthenaBytesScanned": bytes_scanned}, "Bytes", {}, names)
    _emit_one({"AthenaMilliseconds": milliseconds}, "Milliseconds", {}, names)


def measure_run(run: Run, result: RunResult) -> None:
    """A run's rows by outcome, and its success if it takes in every file that it can read."""
    if run.dry_run:
        return
    counts = result.counts
    rows = {
        "RowsInserted": counts.inserted,
        "RowsUpdated": counts.updated,
        "RowsUnchanged": counts.unchanged,
        "RowsSuperseded": counts.superseded,
        "RowsRejected": counts.rejected,
        "RowsDeleted": counts.deleted,
        "DeletesDeferred": result.deletes_deferred,
        "SyncsSucceeded": int(run.moves_watermark),
        "FilesQuarantined": result.quarantined,
    }
    _emit(rows, "Count", run)


def measure_freshness(neon_branch: str, table: str | None, age: timedelta) -> None:
    """How long the oldest file that isn't in the table has waited, or the lake went unlisted.

    ``table`` is one of several; None is the branch, which is as old as its oldest table.
    """
    # In hours, as the alarm's threshold is: CloudFormation can't multiply a parameter.
    hours = age / timedelta(hours=1)
    _emit_one({"HoursBehind": hours}, "None", _dimensions(neon_branch, table))


def measure_outside(objects: int) -> None:
    """How many uploaded files belong to no table of the stack, and so start nothing."""
    _emit_one({"FilesOutsideTables": objects}, "Count", {})


def _emit(values: Mapping[str, float], unit: str, run: Run) -> None:
    # Of several tables, each has a series beside the one of them all.
    for table in dict.fromkeys((None, run.scope)):
        dimensions = _dimensions(run.neon_branch, table)
        _emit_one(values, unit, dimensions, _names(run.run_id, run.scope))


def _names(run_id: str | None, table: str | None) -> dict[str, str | None]:
    """What a line is about, as in the log's other lines."""
    return {"run_id": run_id, "table": logged_table(table)}


def _dimensions(neon_branch: str | None, table: str | None) -> dict[str, str]:
    # Previews share one series: each value of a dimension is billed as a metric of its own.
    branch = {"branch": neon_branch.split("/")[0]} if neon_branch else {}
    return {**branch, "table": table} if table else branch


def _emit_one(
    values: Mapping[str, float],
    unit: str,
    dimensions: Mapping[str, str],
    names: Mapping[str, str | None] | None = None,
) -> None:
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    for name, member in dimensions.items():
        metrics.add_dimension(name, member)
    for name, known in (names or {}).items():
        if known is not None and name not in dimensions:
            metrics.add_metadata(name, known)
    for name, value in values.items():
        metrics.add_metric(name, unit, value)
    metrics.flush_metrics()
