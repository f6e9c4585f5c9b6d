"""The commands where a stack syncs several tables: which one each is about, and how it says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from localcloud.protocol import Athena

from tests.e2e.cli import as_json, error_of, forecast_sync
from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.runner import runner_at
from tests.workflow.several import Several, running_tables, table_text

TEXTS = {
    "sales": table_text("sales"),
    "stock": table_text("stock", "shared/"),
    "waste": table_text("waste", "shared/").replace("[target]", '[target]\nmissing = "delete"'),
}
LIST = "sales, stock, waste"
DATES = ("--from", "2026-12-01", "--to", "2026-12-10")
OF_ONE_TABLE: dict[str, tuple[str, ...]] = {
    "start": (),
    "plan": (),
    "diff": (),
    "backfill": DATES,
    "files accept": ("shared/b.parquet",),
    "files retry": ("shared/b.parquet",),
    "rejects export": ("rejects.csv",),
    "rejects replay": (),
}


@pytest.fixture(scope="module")
def stack(athena: Athena) -> Iterator[Several]:
    with running_tables(TEXTS, athena=athena) as deployed:
        at: dict[str, Any] = deployed.cloud.variables
        forecast_sync("tables", "declare", **at)
        yield deployed


@pytest.fixture
def several(stack: Several) -> Several:
    stack.reset()
    return stack


@pytest.fixture
def at(several: Several) -> dict[str, Any]:
    return several.cloud.variables


def fill(several: Several) -> None:
    """An object in each folder, of which the shared one has a row that no table can hold."""
    several.put("sales/a.parquet", make_rows(range(20)))
    several.put("shared/b.parquet", [*make_rows(range(9)), make_row(9, state=None)])


def fail(several: Several, name: str) -> str:
    """The name of a run of this table that a constraint has stopped, which is gone again."""
    several.execute(f"ALTER TABLE t_{name} ADD CONSTRAINT small CHECK (y_50 < 5000)")
    several.put(f"{several.folder(name)}large.parquet", [make_row(30, y_50=6000.0)])
    failed = several.run(table=name)
    assert failed.status == "FAILED"
    eventually(lambda: several.runs_of(name)[-1]["status"] == "failed", 30, "the record")
    several.execute(f"ALTER TABLE t_{name} DROP CONSTRAINT small")
    return failed.name


@pytest.mark.parametrize("command", OF_ONE_TABLE)
def test_what_is_about_one_table_is_refused_without_it_before_anything_starts(
    several: Several, at: dict[str, Any], command: str
) -> None:
    before = several.executions()
    call = (*command.split(), *OF_ONE_TABLE[command])
    refused = error_of(*call, **at)
    assert f"syncs several tables: name one with --table, of {LIST}" in refused
    typed = error_of(*call, "--table", "stok", **at)
    assert f"doesn't sync this table. Did you mean stock? Deployed: {LIST}." in typed
    assert several.executions() == before


def test_a_run_is_of_the_table_that_is_named_and_says_so(
    several: Several, at: dict[str, Any]
) -> None:
    fill(several)
    done = forecast_sync("start", "--table", "stock", "--name", "of-stock", **at)
    assert "SUCCEEDED of-stock of stock in " in done.stdout.replace("\n", " ")
    assert " s  stock  " in done.stderr
    assert (several.is_right("stock"), several.rows_of("sales")) == (True, {})
    shown = as_json("status", "of-stock", **at)
    assert (shown["table"], shown["result"]["table"]) == ("stock", "stock")
    assert "of-stock of stock" in forecast_sync("status", "of-stock", **at).stdout
    ended = error_of("stop", "of-stock", **at)
    assert "of-stock of stock can't be stopped: it has ended already" in ended
    lines = as_json("logs", "of-stock", **at)
    assert {line["details"].get("table") for line in lines} == {"stock"}


def test_status_has_a_line_for_each_table_and_the_branch_is_as_the_last_of_them(
    several: Several, at: dict[str, Any]
) -> None:
    fill(several)
    as_json("start", "--table", "sales", **at)
    run = as_json("start", "--table", "stock", **at)["run_id"]
    known = as_json("status", **at)
    assert {each["name"]: each["state"] for each in known["tables"]} == {
        "sales": "fresh",
        "stock": "fresh",
        "waste": "never",
    }
    assert (known["state"], known["table"]["name"]) == ("never", "waste")
    assert {each["table"]["target"] for each in known["tables"]} == {
        "t_sales",
        "t_stock",
        "t_waste",
    }
    assert [each["table"] for each in known["runs"]] == ["stock", "sales"]
    words = forecast_sync("status", **at).stdout
    for line in ("dev, sales: fresh: ", "dev, stock: fresh: ", "dev, waste: never synced: "):
        assert line in words
    assert "table stock (t_stock), definition " in words
    forecast_sync("status", "--check", code=1, **at)
    forecast_sync("status", "--check", "--table", "stock", **at)
    one = as_json("status", "--table", "stock", **at)
    assert (one["state"], one["table"]["name"], one["tables"]) == ("fresh", "stock", [])
    assert [each["run_id"] for each in one["runs"]] == [run]
    assert forecast_sync("status", "--table", "stock", **at).stdout.startswith("dev, stock: fresh")


def test_history_names_each_run_s_table_and_filters_by_it(
    several: Several, at: dict[str, Any]
) -> None:
    fill(several)
    first = as_json("start", "--table", "sales", **at)["run_id"]
    others = [as_json("start", "--table", "waste", **at)["run_id"] for _ in range(2)]
    refused = several.run()
    assert refused.error == "InvalidInput"
    listed = {run["run_id"]: run for run in as_json("history", "-n", "4", **at)}
    assert [listed[name]["table"] for name in (first, *others, refused.name)] == [
        "sales",
        "waste",
        "waste",
        None,
    ]
    assert f"name one of {LIST} as `table`" in listed[refused.name]["error"]
    words = forecast_sync("history", "-n", "4", **at).stdout
    assert "table" in words.splitlines()[1]
    # The newest two of all tables are others'.
    own = as_json("history", "--table", "sales", "-n", "1", **at)
    assert [run["run_id"] for run in own] == [first]
    both = as_json("history", "--table", "tables/waste.toml", "-n", "2", **at)
    assert {run["run_id"] for run in both} == {*others}


def test_plan_and_diff_are_about_the_table_s_own_file_folder_and_target(
    several: Several, at: dict[str, Any], tmp_path: Path
) -> None:
    fill(several)
    planned = forecast_sync("plan", "--table", "stock", **at)
    assert "table stock (t_stock), definition " in planned.stderr
    report = as_json("plan", "--table", "stock", **at)
    assert (report["counts"]["inserted"], report["counts"]["rejected"]) == (9, 1)
    assert as_json("plan", report["run_id"], **at) == report
    as_json("start", "--table", "sales", **at)
    assert as_json("diff", "--table", "sales", **at)["lake_rows"] == 20
    as_json("start", "--table", "stock", **at)
    several.execute("DELETE FROM t_stock WHERE restaurant_id = 4")
    found = as_json("diff", "--table", "stock", code=1, **at)
    assert (found["table"], found["lake_rows"], found["postgres_rows"]) == ("stock", 9, 8)
    assert [item["key"]["restaurant_id"] for item in found["keys"]] == ["4"]
    words = forecast_sync("diff", "--table", "stock", code=1, **at).stdout
    assert "forecast-sync start --table stock --sync-type full" in words
    changed = tmp_path / "waste.toml"
    changed.write_text(TEXTS["waste"].replace('type = "varchar(50)"', 'type = "text"'))
    plan = as_json("plan", "--table", changed, **at)
    assert plan["table"] == "waste"
    assert plan["changes"][0] == "dma_id: its type is text, was varchar(50)"
    (tmp_path / "price.toml").write_text(TEXTS["waste"])
    assert f"Deployed: {LIST}" in error_of("plan", "--table", tmp_path / "price.toml", **at)


def test_a_backfill_fills_one_table_and_those_of_two_tables_have_runs_of_their_own(
    several: Several, at: dict[str, Any]
) -> None:
    fill(several)
    runs = []
    for name in ("stock", "waste"):
        filled = as_json("backfill", *DATES, "--table", name, **at)
        assert (filled["table"], filled["complete"]) == (name, True)
        assert filled["windows"][0]["begun"] == "started"
        runs.append(filled["windows"][0]["run_id"])
        assert len(several.rows_of(name)) == 9
    assert len({*runs}) == 2
    again = as_json("backfill", *DATES, "--table", "waste", **at)
    assert again["windows"][0]["begun"] == "done before"
    assert several.rows_of("sales") == {}


def test_rejects_are_listed_of_each_table_and_exported_of_one(
    several: Several, at: dict[str, Any], tmp_path: Path
) -> None:
    fill(several)
    for name in ("stock", "waste"):
        as_json("start", "--table", name, **at)
    assert {item["table"] for item in as_json("rejects", "list", **at)} == {"stock", "waste"}
    words = forecast_sync("rejects", "list", **at).stdout
    assert "stock: state is NULL" in words
    assert "waste: state is NULL" in words
    assert [group["table"] for group in as_json("rejects", **at)] == ["stock", "waste"]
    assert "waste" in forecast_sync("rejects", "reasons", **at).stdout
    own = as_json("rejects", "list", "--table", "waste", **at)
    assert [item["table"] for item in own] == ["waste"]
    written = as_json("rejects", "export", tmp_path / "r.csv", "--table", "stock", **at)
    assert written["rows"] == 1
    several.put("shared/b.parquet", make_rows(range(10)))
    replayed = as_json("rejects", "replay", "--table", "stock", **at)
    assert (replayed["table"], replayed["rejects_before"], replayed["rejects_after"]) == (
        "stock",
        1,
        0,
    )
    assert [group["table"] for group in as_json("rejects", **at)] == ["waste"]


def test_files_are_listed_of_each_table_and_accepted_for_one(
    several: Several, at: dict[str, Any]
) -> None:
    fill(several)
    bad = {"Bucket": several.cloud.bucket, "Key": "shared/bad.parquet", "Body": b"no Parquet"}
    several.client("s3").put_object(**bad)
    for name in ("sales", "stock", "waste"):
        as_json("start", "--table", name, **at)
    listed = [(file["table"], file["key"]) for file in as_json("files", **at)]
    assert listed == [
        ("sales", "sales/a.parquet"),
        ("stock", "shared/b.parquet"),
        ("stock", "shared/bad.parquet"),
        ("waste", "shared/b.parquet"),
        ("waste", "shared/bad.parquet"),
    ]
    assert len(as_json("files", "-n", "2", **at)) == 2
    assert "table" in forecast_sync("files", **at).stdout.splitlines()[0]
    own = as_json("files", "--table", "stock", "--state", "quarantined", **at)
    assert [file["key"] for file in own] == ["shared/bad.parquet"]
    as_json("files", "accept", "shared/bad.parquet", "--table", "stock", **at)
    accepted = {
        file["table"]: file["accepted_at"] is not None
        for file in as_json("files", "--state", "quarantined", **at)
    }
    assert accepted == {"stock": True, "waste": False}
    own = forecast_sync("files", "--table", "stock", "--state", "quarantined", **at).stdout
    assert "accepted on " in own
    checks = as_json("doctor", code=1, **at)["checks"]
    left_out = {check["table"]: check for check in checks if check["check"] == "left out"}
    assert left_out["stock"]["status"] == "ok"
    assert left_out["waste"]["status"] == "advice"
    assert "--table waste --state quarantined" in left_out["waste"]["advice"]
    again = forecast_sync("files", "retry", "shared/bad.parquet", "--table", "waste", **at)
    assert "forecast-sync start --table waste" in again.stdout


def test_redrive_finds_the_only_table_whose_newest_run_has_failed(
    several: Several, at: dict[str, Any]
) -> None:
    for name in ("sales", "stock", "waste"):
        several.create_target(name)
    fill(several)
    first = fail(several, "sales")
    as_json("start", "--table", "stock", **at)
    assert several.run().error == "InvalidInput"  # of no table
    second = fail(several, "waste")
    ambiguous = error_of("redrive", **at)
    for words in (f"{first} of sales", f"{second} of waste", "or its table with --table"):
        assert words in ambiguous
    assert "the newest run" in error_of("redrive", "--table", "stock", **at)
    assert "pass either RUN or --table" in error_of("redrive", first, "--table", "sales", **at)
    redriven = forecast_sync("redrive", "--table", "sales", **at)
    assert f"SUCCEEDED {first} of sales in " in redriven.stdout.replace("\n", " ")
    done = as_json("redrive", **at)
    assert (done["run_id"], done["table"], done["status"]) == (second, "waste", "SUCCEEDED")
    assert "no table's newest run has failed" in error_of("redrive", **at)
    assert f"{first} of sales can't be redriven" in error_of("redrive", first, **at)


def test_preview_fills_the_branch_with_each_table_and_one_failure_stops_no_other(
    several: Several, at: dict[str, Any]
) -> None:
    fill(several)
    several.execute("CREATE TABLE t_stock (id integer)", branch="preview/pr-7")
    filled = as_json("preview", "7", code=1, **at)
    assert [(run["table"], run["status"]) for run in filled["runs"]] == [
        ("sales", "SUCCEEDED"),
        ("stock", "FAILED"),
        ("waste", "SUCCEEDED"),
    ]
    assert filled["run"]["table"] == "stock"
    assert several.query("SELECT count(*) FROM t_sales", branch="preview/pr-7") == [(20,)]
    one = as_json("preview", "7", "--table", "waste", **at)
    assert [run["table"] for run in one["runs"]] == ["waste"]
    assert as_json("preview", "99", code=3, **at)["runs"] == []


def test_doctor_checks_the_stack_once_and_each_table(several: Several, at: dict[str, Any]) -> None:
    several.put("sales/a.parquet", make_rows(range(20)))
    for name in ("sales", "waste"):
        several.create_target(name)
        several.execute(f"REVOKE DELETE ON t_{name} FROM current_user")
    checks = as_json("doctor", code=1, **at)["checks"]
    shared = [check["check"] for check in checks if check["table"] is None]
    assert {"credentials", "alarms", "lake", "workgroup"} <= {*shared}
    assert len(shared) == len({*shared})
    by_table: dict[str, dict[str, Any]] = {name: {} for name in TEXTS}
    for check in checks:
        if check["table"] is not None:
            by_table[check["table"]][check["check"]] = check
    names = {name: [*own] for name, own in by_table.items()}
    assert names["sales"] == names["stock"] == names["waste"]
    assert not {*names["sales"]} & {*shared}
    assert by_table["sales"]["copy"]["status"] == "ok", "no row leaves it"
    assert "/shared/ has no *.parquet object" in by_table["stock"]["files"]["found"]
    assert by_table["stock"]["declared table"]["found"].endswith("columns as in the table file")
    refused = by_table["waste"]["database"]
    assert " may not DELETE in t_waste, and a row leaves t_waste when " in refused["found"]
    assert by_table["waste"]["copy"]["status"] == "skipped"
    several.execute(refused["advice"].removeprefix("As its owner: "))
    granted = as_json("doctor", "--table", "waste", code=1, **at)["checks"]
    statuses = {check["check"]: check["status"] for check in granted}
    assert (statuses["database"], statuses["copy"]) == ("ok", "ok")
    words = forecast_sync("doctor", "--table", "stock", code=1, **at).stdout
    assert "table stock\n" in words
    assert "t_stock will be created by the first run" in words.replace("\n", " ")
    assert "t_waste" not in words


def test_github_syncs_the_tables_that_its_variable_lists(several: Several, tmp_path: Path) -> None:
    fill(several)
    several.execute("CREATE TABLE t_stock (id integer)")
    runner = runner_at(several, tmp_path)
    none = runner.step("check_branch.py")
    assert none.stderr.startswith("::error::InvalidInput: This stack syncs several tables: name")
    assert "sales, stock, waste" in none.stderr
    assert runner.step("check_branch.py", TABLE="sales, stok").returncode == 1
    assert runner.step("check_branch.py", TABLE="sales, stock").returncode == 0
    before = several.executions()
    ended = runner.step("run_sync.py", TABLE="sales, stock", ALLOW_DELETES="3")
    assert ended.returncode == 1
    assert ended.stderr.startswith("::error::The run of stock is FAILED. SchemaMismatch: ")
    assert several.is_right("sales")
    started = [arn for arn in several.executions() if arn not in before]
    inputs = [json.loads(several.describe(arn)["input"]) for arn in started]
    assert {each["table"]: each["allow_deletes"] for each in inputs} == {"sales": 3, "stock": 3}
    assert len(inputs) == 2
    assert runner.step("report_run.py").returncode == 0
    assert "## Forecast sync, `sales`: SUCCEEDED" in runner.summary()
    assert "## Forecast sync, `stock`: FAILED" in runner.summary()
