"""Claims about metrics: one EMF line each, and the names that alarms and dashboard use."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from forecast_sync.contracts.counts import Counts, Profile
from forecast_sync.contracts.result import RunResult
from forecast_sync.telemetry.metrics import (
    measure_freshness,
    measure_query,
    measure_rejects,
    measure_run,
)

from tests.builders import make_run

COUNTS = Counts(good=6, inserted=1, updated=2, unchanged=3, rejected=4, superseded=5)


@pytest.fixture(autouse=True)
def _service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "forecast-sync-dev")


def result(**changes: Any) -> RunResult:
    values = {
        "run_id": "run-1",
        "status": "succeeded",
        "git_ref": "dev",
        "neon_branch": "dev",
        "sync_type": "incremental",
        "watermark": None,
        "counts": COUNTS,
    }
    return RunResult(**{**values, **changes})


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_run_is_measured_by_outcome_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    measure_run(make_run(), result())
    [line] = printed(capsys)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "ForecastSync"
    assert [set(names) for names in directive["Dimensions"]] == [{"service", "branch"}]
    assert (line["service"], line["branch"]) == ("forecast-sync-dev", "dev")
    measured = {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}
    assert measured == {
        "RowsInserted": [1],
        "RowsUpdated": [2],
        "RowsUnchanged": [3],
        "RowsSuperseded": [5],
        "RowsRejected": [4],
        "RowsDeleted": [0],
        "DeletesDeferred": [0],
        "FilesQuarantined": [0],
        "SyncsSucceeded": [1],
    }


def test_only_what_moves_the_watermark_is_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    measure_run(make_run(date_from="2026-01-01"), result())
    assert printed(capsys)[0]["SyncsSucceeded"] == [0]


def test_a_dry_run_measures_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    measure_run(make_run(dry_run=True), result(status="dry_run"))
    assert printed(capsys) == []


def test_previews_share_one_series(capsys: pytest.CaptureFixture[str]) -> None:
    profile = Profile(window_rows=200, rejected=3, candidates=197, good=197, checksum=1)
    measure_rejects(make_run(neon_branch="preview/pr-7"), profile)
    [line] = printed(capsys)
    assert (line["branch"], line["RejectPercent"]) == ("preview", [1.5])


def test_a_query_is_measured_in_bytes_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    measure_query(1_000_000, 1200, "run-1", "price")
    scanned, took = printed(capsys)
    assert scanned["AthenaBytesScanned"] == [1_000_000]
    assert took["AthenaMilliseconds"] == [1200]
    assert scanned["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert (scanned["run_id"], scanned["table"]) == ("run-1", "forecast")


def test_how_far_a_branch_is_behind_is_measured_in_hours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measure_freshness("preview/pr-7", None, timedelta(minutes=90))
    [line] = printed(capsys)
    assert (line["service"], line["branch"]) == ("forecast-sync-dev", "preview")
    assert line["HoursBehind"] == [1.5]
