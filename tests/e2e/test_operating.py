"""What an operator does with a deployment besides running it: examine, plan, compare, fill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import boto3
import psycopg
import pytest
from forecast_sync_ops.local import cloud as local_cloud

from tests.e2e.cli import as_json, error_of, forecast_sync, in_terminal
from tests.lake import MORNING, make_row, make_rows, to_parquet


@pytest.fixture(scope="module")
def cloud() -> Iterator[dict[str, Any]]:
    with local_cloud.running(wait_scale=0.02) as running:
        up = asdict(running)
        client("events", up).disable_rule(Name="forecast-sync-dev-uploads")
        yield up


def client(service: str, cloud: dict[str, Any]) -> Any:
    session = boto3.Session("test", "test", region_name=cloud["region"])
    return session.client(service, endpoint_url=cloud["endpoint_url"])  # type: ignore[call-overload]


@pytest.fixture
def at(cloud: dict[str, Any]) -> dict[str, Any]:
    """The variables that point to the cloud, whose lake and databases are empty."""
    s3 = client("s3", cloud)
    for item in s3.list_objects_v2(Bucket=cloud["bucket"]).get("Contents", []):
        s3.delete_object(Bucket=cloud["bucket"], Key=item["Key"])
    for branch in ("dev", "preview/pr-7"):
        execute(cloud, "DROP SCHEMA public CASCADE", branch)
        execute(cloud, "CREATE SCHEMA public", branch)
    return {"AWS_ENDPOINT_URL": cloud["endpoint_url"]}


def execute(cloud: dict[str, Any], statement: str, branch: str = "dev") -> None:
    with psycopg.connect(cloud["database_urls"][branch]) as connection:
        connection.execute(statement.encode())


def rows_of(cloud: dict[str, Any], query: str, branch: str = "dev") -> list[tuple[Any, ...]]:
    with psycopg.connect(cloud["database_urls"][branch]) as connection:
        return connection.execute(query.encode()).fetchall()


def upload(cloud: dict[str, Any], name: str, rows: list[dict[str, Any]]) -> None:
    client("s3", cloud).put_object(
        Bucket=cloud["bucket"], Key=f"forecast/{name}.parquet", Body=to_parquet(rows)
    )


def test_doctor_finds_nothing_wrong_in_a_sound_deployment(
    cloud: dict[str, Any], at: dict[str, Any]
) -> None:
    events = client("events", cloud)
    events.enable_rule(Name="forecast-sync-dev-uploads")
    first = as_json("doctor", **at)
    events.disable_rule(Name="forecast-sync-dev-uploads")
    assert (first["healthy"], first["findings"]) == (True, 0)
    statuses = {item["check"]: item["status"] for item in first["checks"]}
    assert {name for name, status in statuses.items() if status != "ok"} == {
        "lake",
        "announcements",
    }
    assert "made by the first run" in str(first)


def test_doctor_says_what_is_wrong_and_what_to_do(
    cloud: dict[str, Any], at: dict[str, Any]
) -> None:
    upload(cloud, "a", make_rows(range(5)))
    as_json("start", **at)
    execute(cloud, "ALTER TABLE forecast_data ALTER y_05 TYPE numeric(12, 3)")
    told = as_json("doctor", code=1, **at)
    checks = {item["check"]: item for item in told["checks"]}
    assert {name for name, item in checks.items() if item["status"] == "finding"} == {
        "uploads",
        "database",
    }
    assert checks["copy"]["status"] == "skipped"
    assert checks["modified time"]["found"].endswith("is S3's LastModified")
    assert "y_05 is numeric(12,3), expected numeric(10,2)" in checks["database"]["found"]
    assert "enable-rule" in checks["uploads"]["advice"]
    words = forecast_sync("doctor", code=1, **at).stdout
    assert "WRONG" in words
    assert "2 findings" in words


def test_doctor_of_a_branch_that_isn_t_there_and_of_a_stack_that_isn_t(at: dict[str, Any]) -> None:
    told = as_json("doctor", "--git-ref", "preview/pr-99", code=1, **at)
    database = next(item for item in told["checks"] if item["check"] == "database")
    assert "BranchNotFound" in database["found"]
    assert "Make the branch" in database["advice"]
    nowhere = as_json("doctor", "--environment", "production", code=1, **at)
    assert [item["status"] for item in nowhere["checks"]][:3] == ["ok", "finding", "skipped"]


def test_plan_shows_what_would_change_and_changes_nothing(
    cloud: dict[str, Any], at: dict[str, Any]
) -> None:
    upload(cloud, "a", make_rows(range(100)))
    as_json("start", **at)
    later = MORNING + timedelta(hours=1)
    changed = [
        make_row(3, y_50=1000.0, updated_at=later),
        make_row(13, y_50=14.0, updated_at=later),
        make_row(200, state="TX", updated_at=later),
        make_row(23, state=None, updated_at=later),
    ]
    upload(cloud, "b", changed)
    stands = rows_of(cloud, "SELECT id, xmin::text FROM forecast_data ORDER BY id")
    execute(cloud, "ALTER TABLE forecast_data ADD note text")
    report = as_json("plan", **at)
    assert rows_of(cloud, "SELECT id, xmin::text FROM forecast_data ORDER BY id") == stands
    assert rows_of(cloud, "SELECT count(*) FROM forecast_sync_rejects") == [(0,)]
    counts = report["counts"]
    assert (counts["inserted"], counts["updated"], counts["rejected"]) == (1, 2, 1)
    assert report["group_by"] == ["business_date", "state"]
    groups = {tuple(group["by"]): group for group in report["groups"]}
    assert groups["2026-12-04", "OH"]["updated"] == 2
    assert groups["2026-12-01", "TX"]["inserted"] == 1
    assert groups["2026-12-04", None]["rejected"] == 1
    assert sum(group["unchanged"] for group in report["groups"]) == counts["unchanged"] == 98
    assert report["reasons"] == {"state is NULL": 1}
    assert report["largest"] == [
        {"key": ["3", "7", "2026-12-04"], "before": "3.00", "after": "1000.00"},
        {"key": ["13", "7", "2026-12-04"], "before": "13.00", "after": "14.00"},
    ]
    assert all(query["scanned_bytes"] > 0 for query in report["queries"])
    assert report["schema_differences"] == []
    words = forecast_sync("plan", report["run_id"], **at).stdout
    assert "no row was written" in words
    assert "1000.00" in words
    assert as_json("start", **at)["result"]["counts"]["updated"] == 2


def test_plan_of_an_empty_database_and_of_a_run_that_was_none(
    cloud: dict[str, Any], at: dict[str, Any]
) -> None:
    upload(cloud, "a", make_rows(range(5)))
    assert as_json("plan", **at)["counts"]["inserted"] == 5
    assert rows_of(cloud, "SELECT count(*) FROM forecast_data") == [(0,)]
    run = as_json("start", **at)["run_id"]
    assert "only a dry run" in error_of("plan", run, **at)


def test_diff_names_the_keys_that_differ(cloud: dict[str, Any], at: dict[str, Any]) -> None:
    upload(cloud, "a", make_rows(range(100)))
    as_json("start", **at)
    upload(cloud, "later", make_rows(range(100, 105)))
    assert as_json("diff", **at) | {"as_of": ""} == {
        "equal": True,
        "as_of": "",
        "days_compared": 10,
        "lake_rows": 100,
        "postgres_rows": 100,
        "days": [],
        "keys": [],
        "complete": True,
    }
    execute(cloud, "DELETE FROM forecast_data WHERE restaurant_id = 4")
    execute(cloud, "UPDATE forecast_data SET y_50 = y_50 + 0.01 WHERE restaurant_id = 14")
    execute(cloud, "UPDATE forecast_data SET restaurant_id = 1005 WHERE restaurant_id = 5")
    told = as_json("diff", code=1, **at)
    assert [day["day"] for day in told["days"]] == ["2026-12-05", "2026-12-06"]
    assert {item["key"]["restaurant_id"]: item["difference"] for item in told["keys"]} == {
        "4": "only in the lake",
        "14": "different",
        "5": "only in the lake",
        "1005": "only in Postgres",
    }
    one_day = as_json("diff", "--date-from", "2026-12-07", "--date-to", "2026-12-07", **at)
    assert (one_day["equal"], one_day["lake_rows"]) == (True, 10)
    words = forecast_sync("diff", "--now", "--limit", "1", code=1, **at).stdout
    assert "there are more" in words
    assert "105 rows in the lake" in words


def test_a_backfill_goes_on_where_it_ended(cloud: dict[str, Any], at: dict[str, Any]) -> None:
    upload(cloud, "a", make_rows(range(100)))
    as_json("plan", **at)
    execute(cloud, "ALTER TABLE forecast_data ADD CONSTRAINT early CHECK (restaurant_id <> 4)")
    dates = ("--from", "2026-12-01", "--to", "2026-12-08", "--days-per-run", "3")
    words = forecast_sync("backfill", *dates, code=1, **at)
    assert "2026-12-04 to 2026-12-06: FAILED, started" in words.stderr
    assert "the same command goes on from there" in words.stderr
    assert rows_of(cloud, "SELECT count(*) FROM forecast_data") == [(30,)]
    execute(cloud, "ALTER TABLE forecast_data DROP CONSTRAINT early")
    second = as_json("backfill", *dates, **at)
    assert second["complete"]
    assert [window["begun"] for window in second["windows"]] == [
        "done before",
        "redriven",
        "started",
    ]
    assert [window["date_to"] for window in second["windows"]][-1] == "2026-12-08"
    assert rows_of(cloud, "SELECT count(*) FROM forecast_data") == [(80,)]
    third = as_json("backfill", *dates, **at)
    assert {window["begun"] for window in third["windows"]} == {"done before"}
    assert "is after" in error_of("backfill", "--from", "2026-12-02", "--to", "2026-12-01", **at)


def test_a_preview_branch_is_filled_and_one_that_is_gone_is_told(
    cloud: dict[str, Any], at: dict[str, Any]
) -> None:
    upload(cloud, "a", make_rows(range(10)))
    filled = as_json("preview", "7", **at)
    assert (filled["exists"], filled["run"]["result"]["counts"]["inserted"]) == (True, 10)
    assert rows_of(cloud, "SELECT count(*) FROM forecast_data", "preview/pr-7") == [(10,)]
    gone = as_json("preview", "preview/pr-99", code=3, **at)
    assert gone == {"git_ref": "preview/pr-99", "exists": False, "run": None}
    assert "is gone" in forecast_sync("preview", "99", code=3, **at).stdout
    assert "expected 12" in error_of("preview", "main", **at)


def test_logs_follow_a_run_to_its_end_and_name_functions(
    cloud: dict[str, Any], at: dict[str, Any]
) -> None:
    upload(cloud, "a", make_rows(range(10)))
    run = as_json("start", "--no-wait", **at)["run_id"]
    lines = [
        json.loads(line)
        for line in forecast_sync("logs", "--follow", run, "--json", **at).stdout.splitlines()
    ]
    assert lines == as_json("logs", run, **at)
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
    functions = [line["details"]["function"] for line in lines]
    assert functions[0] == "forecast-sync-dev-resolve-branch"
    assert functions[-1] == "forecast-sync-dev-notify"
    assert "record-status" in forecast_sync("logs", run, **at).stdout


def test_status_judges_against_a_goal_and_colours_are_for_terminals(
    cloud: dict[str, Any], at: dict[str, Any]
) -> None:
    assert as_json("status", "--check", code=1, **at)["state"] == "never"
    upload(cloud, "a", make_rows(range(10)))
    as_json("start", **at)
    assert as_json("status", "--check", **at)["state"] == "fresh"
    stale = as_json("status", "--check", "--goal-hours", "0", code=1, **at)
    assert stale["state"] == "stale"
    assert "the goal is 0 h" in stale["why"]
    goal = client("lambda", cloud).get_function_configuration(
        FunctionName="forecast-sync-dev-status-api"
    )["Environment"]["Variables"]["FRESHNESS_GOAL_HOURS"]
    assert as_json("status", **at)["goal_seconds"] == float(goal) * 3600
    assert "\x1b[" in forecast_sync("status", FORCE_COLOR="1", **at).stdout
    assert "\x1b[" not in forecast_sync("status", **at).stdout
    assert "\x1b[3" not in forecast_sync("status", FORCE_COLOR="1", NO_COLOR="1", **at).stdout


def test_status_is_the_api_s_verdict_a_backfill_makes_nothing_fresh(
    cloud: dict[str, Any], at: dict[str, Any]
) -> None:
    upload(cloud, "a", make_rows(range(10)))
    dates = ("--date-from", "2026-12-01", "--date-to", "2026-12-03")
    run = as_json("start", *dates, **at)["run_id"]
    told = as_json("status", **at)
    assert (told["state"], told["last_success"], told["watermark"]) == ("never", run, None)
    assert [item["status"] for item in told["runs"]] == ["succeeded"]


def test_status_of_a_branch_that_cannot_be_asked_says_why(at: dict[str, Any]) -> None:
    told = as_json("status", "--git-ref", "preview/pr-99", code=1, **at)
    assert (told["state"], told["runs"], told["age_seconds"]) == ("unreachable", [], None)
    assert "BranchNotFound" in told["why"]
    words = forecast_sync("status", "--git-ref", "preview/pr-99", code=1, **at).stdout
    assert "preview/pr-99: unreachable: its database can't be asked: BranchNotFound" in words
    assert "Expected main, dev, feature/NAME" in error_of("status", "--git-ref", "x", **at)


@pytest.mark.parametrize("command", ["history", "status", "plan"])
def test_tables_fit_a_narrow_terminal_and_lose_nothing(
    cloud: dict[str, Any], at: dict[str, Any], command: str
) -> None:
    upload(cloud, "a", make_rows(range(10)))
    run = as_json("plan", **at)["run_id"]
    arguments = (command, run) if command == "plan" else (command,)
    lines = in_terminal(*arguments, columns=64, **at)
    tabular = [line for line in lines if "  " in line.strip()]
    assert tabular
    assert max(map(len, tabular)) <= 64
    assert not any("…" in line for line in lines)


def test_the_shell_can_complete_commands() -> None:
    told = forecast_sync(
        _FORECAST_SYNC_COMPLETE="complete_bash", COMP_WORDS="forecast-sync pl", COMP_CWORD="1"
    ).stdout
    assert "plan" in told.split()
