"""What the README says a person can do with the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import as_json, error_of, forecast_sync
from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed


def test_a_run_from_start_to_redrive(deployed: Deployed, at: dict[str, Any]) -> None:
    assert "no run has succeeded yet" in forecast_sync("status", **at).stdout
    deployed.upload("a", make_rows(range(50)))
    first = as_json("start", "--name", "first", **at)
    assert (first["status"], first["result"]["counts"]["inserted"]) == ("SUCCEEDED", 50)
    assert first["pages_done"] == first["pages"] == 1
    assert first["rows"] == {"inserted": 50, "updated": 0, "unchanged": 0, "rejected": 0}

    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 5000)")
    deployed.upload("b", [make_row(60, y_50=6000.0)])
    failed = forecast_sync("start", "--name", "second", code=1, **at)
    assert "BatchRefused: Postgres answered 23514" in failed.stdout
    assert "forecast-sync redrive second" in failed.stdout
    planned = deployed.run(name="failed-plan", dry_run=True, git_ref="preview/pr-404")
    assert planned.status == "FAILED"
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    redriven = as_json("redrive", **at)
    assert (redriven["run_id"], redriven["status"]) == ("second", "SUCCEEDED")
    assert redriven["redrive_count"] == 1

    status = as_json("status", **at)
    assert (status["last_success"], status["running"]) == ("second", None)
    assert status["age_seconds"] < 60
    assert as_json("status", "first", **at)["status"] == "SUCCEEDED"
    listed = as_json("history", **at)
    assert [item["run_id"] for item in listed[:3]] == ["second", "failed-plan", "first"]
    assert "can't be redriven" in error_of("redrive", "first", **at)
    assert "redriven once" in forecast_sync("history", **at).stdout
    assert "already" not in forecast_sync("status", "second", **at).stdout


def test_a_run_can_be_stopped(deployed: Deployed, at: dict[str, Any]) -> None:
    deployed.upload("a", make_rows(range(50)))
    with deployed.held_query():
        started = as_json("start", "--no-wait", "--name", "stopped", **at)
        assert started["status"] == "RUNNING"
        assert as_json("stop", "stopped", **at)["status"] == "ABORTED"
    assert (
        "to continue it: forecast-sync redrive stopped"
        in forecast_sync("status", "stopped", **at).stdout
    )
    again = error_of("stop", "stopped", **at)
    assert again == "error: stopped can't be stopped: it has ended already (ABORTED)"
    eventually(lambda: as_json("status", **at)["running"] is None)
    assert as_json("redrive", "stopped", **at)["status"] == "SUCCEEDED"


def test_what_a_run_logged_can_be_read(deployed: Deployed, at: dict[str, Any]) -> None:
    """The command line starts no such run, but others may."""
    deployed.run(name="logged", git_ref="nope")
    run = as_json("status", "logged", **at)
    assert run["error"].startswith("BranchNotMapped: The git ref 'nope' belongs to no environment")
    lines = as_json("logs", "logged", **at)
    assert any("BranchNotMapped" in line["message"] for line in lines)


def test_rejects_are_listed_exported_and_replayed(
    deployed: Deployed, at: dict[str, Any], tmp_path: Path
) -> None:
    bad = [make_row(70, state="OHIO"), make_row(71, y_50=None), make_row(72, state=None)]
    deployed.upload("bad", [*bad, make_row(73)])
    as_json("start", "--name", "rejecting", **at)
    groups = as_json("rejects", **at)
    assert {(group["reason"], group["rows"]) for group in groups} == {
        ("state is longer than 2 characters", 1), ("state is NULL", 1), ("y_50 is NULL", 1)
    }  # fmt: skip
    assert "state is NULL" in forecast_sync("rejects", **at).stdout
    (listed,) = as_json("rejects", "list", "--reason", "y_50 is NULL", **at)
    assert (listed["run_id"], listed["row_json"]["restaurant_id"]) == ("rejecting", "71")
    assert "restaurant_id=71" in forecast_sync("rejects", "list", **at).stdout

    for name in ("rejects.jsonl", "rejects.csv"):
        path = tmp_path / name
        assert as_json("rejects", "export", path, **at)["rows"] == 3
        assert "OHIO" in path.read_text()
    error = error_of("rejects", "export", tmp_path / "rejects.xls", **at)
    assert "expected .jsonl or .csv" in error

    deployed.upload("bad", [*make_rows([70, 71, 73]), bad[2]])
    replayed = as_json("rejects", "replay", **at)
    assert (replayed["rejects_before"], replayed["rejects_after"]) == (3, 1)
    assert replayed["result"]["counts"]["inserted"] == 2
    deployed.upload("bad", make_rows(range(70, 74)))
    assert "rejects: 1 before, 0 now" in forecast_sync("rejects", "replay", **at).stdout
    assert "no open rejects to replay" in error_of("rejects", "replay", **at)
    assert len(as_json("rejects", "list", "--all", **at)) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "nowhere"], "there is no execution"),
        (["stop", "nowhere"], "there is no execution"),
        (["start", "--batch-size", "0"], "--batch-size 0: expected"),
        (
            ["start", "--date-from", "2026-02-01", "--date-to", "2026-01-01"],
            "--date-from 2026-02-01 is after",
        ),
        (["start", "--environment", "production"], "no state machine forecast-sync-production"),
    ],
)
def test_a_mistake_is_one_line(at: dict[str, Any], arguments: list[str], words: str) -> None:
    assert words in error_of(*arguments, **at)


def test_wrong_usage_has_its_own_exit_code() -> None:
    assert "No such option" in forecast_sync("start", "--fast", code=2).stderr
    assert "sync-type" in forecast_sync("start", "--sync-type", "some", code=2).stderr


def test_an_endpoint_without_a_listener_is_one_line() -> None:
    assert "can't be reached" in error_of("status", AWS_ENDPOINT_URL="http://127.0.0.1:9")


def test_without_credentials_it_says_so(tmp_path: Path) -> None:
    missing: dict[str, Any] = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    missing["AWS_SHARED_CREDENTIALS_FILE"] = str(tmp_path / "none")
    assert "credentials" in error_of("status", **missing)
