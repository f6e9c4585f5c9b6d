"""Plan, diff, backfill and preview: what would change, what differs, what is filled."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.builders import FORECAST_FILE
from tests.e2e.cli import as_json, error_of, forecast_sync
from tests.lake import MORNING, make_row, make_rows
from tests.workflow.deployed import Deployed


def test_plan_shows_what_would_change_and_changes_nothing(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    deployed.upload("a", make_rows(range(100)))
    as_json("start", **at)
    later = MORNING + timedelta(hours=1)
    changed = [
        make_row(3, y_50=1000.0, updated_at=later),
        make_row(13, y_50=14.0, updated_at=later),
        make_row(200, state="TX", updated_at=later),
        make_row(23, state=None, updated_at=later),
    ]
    deployed.upload("b", changed)
    stands = deployed.query("SELECT id, xmin::text FROM forecast_data ORDER BY id")
    deployed.execute("ALTER TABLE forecast_data ADD note text")
    report = as_json("plan", **at)
    assert deployed.query("SELECT id, xmin::text FROM forecast_data ORDER BY id") == stands
    assert deployed.query("SELECT count(*) FROM forecast_sync_rejects") == [(0,)]
    counts = report["counts"]
    assert (counts["inserted"], counts["updated"], counts["rejected"]) == (1, 2, 1)
    assert report["group_by"] == ["business_date", "state"]
    groups = {tuple(group["by"]): group for group in report["groups"]}
    assert groups["2026-12-04", "OH"]["updated"] == 2
    assert groups["2026-12-01", "TX"]["inserted"] == 1
    assert groups["2026-12-04", None]["rejected"] == 1
    assert sum(group["unchanged"] for group in report["groups"]) == counts["unchanged"] == 0
    assert report["reasons"] == {"state is NULL": 1}
    [example] = report["examples"]["state is NULL"]
    assert example["source_file"].endswith("forecast/b.parquet")
    assert (example["row"]["restaurant_id"], example["row"]["state"]) == ("23", None)
    assert counts["warnings"] == {"y_05 <= y_50 <= y_95": 1}
    assert report["largest"] == [
        {"key": ["3", "7", "2026-12-04"], "before": "3.00", "after": "1000.00"},
        {"key": ["13", "7", "2026-12-04"], "before": "13.00", "after": "14.00"},
    ]
    assert all(query["scanned_bytes"] > 0 for query in report["queries"])
    assert report["schema_differences"] == []
    words = forecast_sync("plan", report["run_id"], **at).stdout
    assert "no row was written" in words
    assert "1000.00" in words
    assert "expectation broken in 1 row: y_05 <= y_50 <= y_95" in words
    assert "restaurant_id=23" in words
    assert "the run itself will read and cost as much again" in words
    assert as_json("start", **at)["result"]["counts"]["updated"] == 2


def test_plan_of_an_empty_database_and_of_a_run_that_was_none(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    deployed.upload("a", make_rows(range(5)))
    assert as_json("plan", **at)["counts"]["inserted"] == 5
    assert deployed.query("SELECT count(*) FROM forecast_data") == [(0,)]
    run = as_json("start", **at)["run_id"]
    assert "only dry runs" in error_of("plan", run, **at)


def test_plan_says_what_deploying_another_table_file_would_change(
    deployed: Deployed, at: dict[str, Any], tmp_path: Path
) -> None:
    deployed.upload("a", make_rows(range(5)))
    as_json("start", **at)
    changed = FORECAST_FILE.replace('type = "varchar(50)"', 'type = "text"')
    file = tmp_path / "forecast.toml"
    file.write_text(f'{changed}\n[[column]]\nname = "note"\ntype = "real"\nsource = "y_50"\n')
    plan = as_json("plan", "--table", file, **at)
    assert plan["changes"][0] == "dma_id: its type is text, was varchar(50)"
    assert plan["changes"][1] == "note (real) is a new column of forecast_data"
    assert plan["changes"][-1].startswith("the run after the deployment is a full one")
    assert plan["adds"] == ["note real"]
    (refused,) = plan["refusals"]
    deployed.execute(refused["remedy"])
    assert as_json("plan", "--table", file, **at)["refusals"] == []
    shown = forecast_sync("plan", "--table", file, **at).stdout
    assert "adds note real to the target, and fills every row" in shown
    assert "pass either RUN or --table FILE" in error_of("plan", "a-run", "--table", file, **at)


def test_diff_names_the_keys_that_differ(deployed: Deployed, at: dict[str, Any]) -> None:
    deployed.upload("a", make_rows(range(100)))
    as_json("start", **at)
    deployed.upload("later", make_rows(range(100, 105)))
    assert as_json("diff", **at) | {"as_of": ""} == {
        "table": "forecast",
        "equal": True,
        "as_of": "",
        "days_compared": 10,
        "lake_rows": 100,
        "postgres_rows": 100,
        "days": [],
        "keys": [],
        "complete": True,
    }
    deployed.execute("DELETE FROM forecast_data WHERE restaurant_id = 4")
    deployed.execute("UPDATE forecast_data SET y_50 = y_50 + 0.01 WHERE restaurant_id = 14")
    deployed.execute("UPDATE forecast_data SET restaurant_id = 1005 WHERE restaurant_id = 5")
    answer = as_json("diff", code=1, **at)
    assert [day["day"] for day in answer["days"]] == ["2026-12-05", "2026-12-06"]
    assert {item["key"]["restaurant_id"]: item["difference"] for item in answer["keys"]} == {
        "4": "only in the lake",
        "14": "different",
        "5": "only in the lake",
        "1005": "only in Postgres",
    }
    one_day = as_json("diff", "--date-from", "2026-12-07", "--date-to", "2026-12-07", **at)
    assert (one_day["equal"], one_day["lake_rows"]) == (True, 10)
    words = forecast_sync("diff", "--now", "--limit", "1", code=1, **at).stdout
    assert "more keys differ" in words
    assert "105 rows in the lake" in words


def test_a_backfill_goes_on_where_it_ended(deployed: Deployed, at: dict[str, Any]) -> None:
    deployed.upload("a", make_rows(range(100)))
    as_json("plan", **at)
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT early CHECK (restaurant_id <> 4)")
    dates = ("--from", "2026-12-01", "--to", "2026-12-08", "--days-per-run", "3")
    words = forecast_sync("backfill", *dates, code=1, **at)
    assert "2026-12-04 to 2026-12-06: FAILED, started" in words.stderr
    assert "repeat the command: it resumes from there" in words.stderr
    assert deployed.query("SELECT count(*) FROM forecast_data") == [(30,)]
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT early")
    second = as_json("backfill", *dates, **at)
    assert second["complete"]
    assert [window["begun"] for window in second["windows"]] == [
        "done before",
        "redriven",
        "started",
    ]
    assert [window["date_to"] for window in second["windows"]][-1] == "2026-12-08"
    assert deployed.query("SELECT count(*) FROM forecast_data") == [(80,)]
    third = as_json("backfill", *dates, **at)
    assert {window["begun"] for window in third["windows"]} == {"done before"}
    assert "is after" in error_of("backfill", "--from", "2026-12-02", "--to", "2026-12-01", **at)


def test_a_preview_branch_is_filled_and_a_missing_one_is_reported(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    deployed.upload("a", make_rows(range(10)))
    filled = as_json("preview", "7", **at)
    assert (filled["exists"], filled["run"]["result"]["counts"]["inserted"]) == (True, 10)
    assert deployed.query("SELECT count(*) FROM forecast_data", branch="preview/pr-7") == [(10,)]
    gone = as_json("preview", "preview/pr-99", code=3, **at)
    assert gone == {"git_ref": "preview/pr-99", "exists": False, "run": None, "runs": []}
    assert "is gone" in forecast_sync("preview", "99", code=3, **at).stdout
    assert "expected a number such as 12" in error_of("preview", "main", **at)
