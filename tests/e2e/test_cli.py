"""What the README says a person can do with the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.cli import as_json, error_of, forecast_sync
from tests.e2e.cloud import client
from tests.e2e.cloud import variables as variables_of
from tests.lake import make_row, make_rows, to_parquet


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A local cloud, started and stopped by the command."""
    state_dir = tmp_path_factory.mktemp("cloud") / "state"
    up = as_json("local", "up", "--state-dir", state_dir)
    assert as_json("local", "up", "--state-dir", state_dir)["already_running"] is True
    yield up
    assert as_json("local", "down", "--state-dir", state_dir) == {"was_running": True}
    assert as_json("local", "down", "--state-dir", state_dir) == {"was_running": False}


@pytest.fixture(scope="module")
def s3(cloud: dict[str, Any]) -> Any:
    client("events", cloud).disable_rule(Name="forecast-sync-dev-uploads")
    return client("s3", cloud)


def test_up_says_where_everything_is(cloud: dict[str, Any]) -> None:
    names = {"endpoint_url", "region", "bucket", "results_bucket", "state_machine_arn", "api_url"}
    names |= {"neon_api_url", "neon_project_id", "neon_api_key", "database_urls"}
    names |= {"access_key_id", "secret_access_key"}
    assert names <= set(cloud)
    assert set(cloud["database_urls"]) == {"main", "dev", "preview/pr-7"}
    assert cloud["bucket"] == "forecast-sync-datalake-dev-35315550"


def test_a_run_from_start_to_redrive(cloud: dict[str, Any], s3: Any) -> None:
    variables = variables_of(cloud)
    assert "no run has succeeded yet" in forecast_sync("status", **variables).stdout
    s3.put_object(
        Bucket=cloud["bucket"], Key="forecast/a.parquet", Body=to_parquet(make_rows(range(50)))
    )
    first = as_json("start", "--name", "first", **variables)
    assert (first["status"], first["result"]["counts"]["inserted"]) == ("SUCCEEDED", 50)
    assert first["pages_done"] == first["pages"] == 1
    assert first["rows"] == {"inserted": 50, "updated": 0, "unchanged": 0, "rejected": 0}

    url = cloud["database_urls"]["dev"]
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 5000)")
    s3.put_object(
        Bucket=cloud["bucket"],
        Key="forecast/b.parquet",
        Body=to_parquet([make_row(60, y_50=6000.0)]),
    )
    failed = forecast_sync("start", "--name", "second", code=1, **variables)
    assert "BatchRefused: Postgres answered 23514" in failed.stdout
    assert "forecast-sync redrive second" in failed.stdout
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    redriven = as_json("redrive", **variables)
    assert (redriven["run_id"], redriven["status"]) == ("second", "SUCCEEDED")
    assert redriven["redrive_count"] == 1

    status = as_json("status", **variables)
    assert (status["last_success"], status["running"]) == ("second", None)
    assert status["age_seconds"] < 60
    assert as_json("status", "first", **variables)["status"] == "SUCCEEDED"
    listed = as_json("history", **variables)
    assert [item["run_id"] for item in listed] == ["second", "first"]
    assert "redrives" in forecast_sync("history", **variables).stdout
    assert "already" not in forecast_sync("status", "second", **variables).stdout


def test_a_run_can_be_stopped(cloud: dict[str, Any]) -> None:
    variables = variables_of(cloud)
    faults = Path(cloud["state_dir"], "faults/athena-faults.json")
    faults.write_text(json.dumps([{"match": "UNLOAD", "seconds": 20}]))
    started = as_json("start", "--no-wait", "--name", "stopped", **variables)
    assert started["status"] == "RUNNING"
    assert as_json("stop", "stopped", **variables)["status"] == "ABORTED"
    faults.unlink()
    again = error_of("stop", "stopped", **variables)
    assert again == "error: stopped can't be stopped: it has ended already (ABORTED)"
    deadline = time.monotonic() + 20
    while as_json("status", **variables)["runs"][0]["status"] == "running":
        assert time.monotonic() < deadline
    assert as_json("redrive", "stopped", **variables)["status"] == "SUCCEEDED"


def test_what_a_run_logged_can_be_read(cloud: dict[str, Any]) -> None:
    variables = variables_of(cloud)
    run = as_json("start", "--git-ref", "nope", "--name", "logged", code=1, **variables)
    assert run["error"].startswith("BranchNotMapped: The git ref 'nope' belongs to no environment")
    lines = as_json("logs", "logged", **variables)
    assert any("BranchNotMapped" in line["message"] for line in lines)


def test_rejects_are_listed_exported_and_replayed(
    cloud: dict[str, Any], s3: Any, tmp_path: Path
) -> None:
    variables = variables_of(cloud)
    bad = [make_row(70, state="OHIO"), make_row(71, y_50=None), make_row(72, state=None)]
    put = {"Bucket": cloud["bucket"], "Key": "forecast/bad.parquet"}
    s3.put_object(**put, Body=to_parquet([*bad, make_row(73)]))
    as_json("start", "--name", "rejecting", **variables)
    groups = as_json("rejects", **variables)
    assert {(group["reason"], group["rows"]) for group in groups} == {
        ("state is longer than 2 characters", 1), ("state is NULL", 1), ("y_50 is NULL", 1)
    }  # fmt: skip
    assert "state is NULL" in forecast_sync("rejects", **variables).stdout
    (listed,) = as_json("rejects", "list", "--reason", "y_50 is NULL", **variables)
    assert (listed["run_id"], listed["row_json"]["restaurant_id"]) == ("rejecting", "71")
    assert "restaurant_id=71" in forecast_sync("rejects", "list", **variables).stdout

    for name in ("rejects.jsonl", "rejects.csv"):
        path = tmp_path / name
        assert as_json("rejects", "export", path, **variables)["rows"] == 3
        assert "OHIO" in path.read_text()
    error = error_of("rejects", "export", tmp_path / "rejects.xls", **variables)
    assert "expected .jsonl or .csv" in error

    s3.put_object(**put, Body=to_parquet([*make_rows([70, 71, 73]), bad[2]]))
    replayed = as_json("rejects", "replay", **variables)
    assert (replayed["rejects_before"], replayed["rejects_after"]) == (3, 1)
    assert replayed["result"]["counts"]["inserted"] == 2
    s3.put_object(**put, Body=to_parquet(make_rows(range(70, 74))))
    assert "rejects: 1 before, 0 now" in forecast_sync("rejects", "replay", **variables).stdout
    assert "no reject to replay" in error_of("rejects", "replay", **variables)
    assert len(as_json("rejects", "list", "--all", **variables)) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "nowhere"], "there is no execution"),
        (["redrive", "first"], "can't be redriven"),
        (["stop", "nowhere"], "there is no execution"),
        (["start", "--batch-size", "0"], "batch_size"),
        (["start", "--date-from", "2026-02-01", "--date-to", "2026-01-01"], "date_from"),
        (["start", "--environment", "production"], "no state machine forecast-sync-production"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    cloud: dict[str, Any], arguments: list[str], words: str
) -> None:
    assert words in error_of(*arguments, **variables_of(cloud))


def test_wrong_usage_has_an_exit_code_of_its_own() -> None:
    assert "No such option" in forecast_sync("start", "--fast", code=2).stderr
    assert "sync-type" in forecast_sync("start", "--sync-type", "some", code=2).stderr


def test_an_endpoint_that_nobody_listens_at_is_one_line() -> None:
    assert "can't be reached" in error_of("status", AWS_ENDPOINT_URL="http://127.0.0.1:9")


def test_without_credentials_it_says_so(tmp_path: Path) -> None:
    missing: dict[str, Any] = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    missing["AWS_SHARED_CREDENTIALS_FILE"] = str(tmp_path / "none")
    assert "credentials" in error_of("status", **missing)
