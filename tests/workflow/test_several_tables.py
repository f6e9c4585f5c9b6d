"""Several tables in one stack: routed, loaded and failing independently of each other."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from localcloud.protocol import Athena

from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.several import Several, running_tables, table_text

TEXTS = {
    "sales": table_text("sales"),
    "stock": table_text("stock", "shared/"),
    "waste": table_text("waste", "shared/"),
}


@pytest.fixture(scope="module")
def stack(athena: Athena) -> Iterator[Several]:
    with running_tables(TEXTS, athena=athena) as deployed:
        yield deployed


@pytest.fixture
def several(stack: Several) -> Several:
    stack.reset()
    stack.texts = TEXTS
    return stack


def test_an_upload_is_loaded_into_every_table_that_reads_its_folder(several: Several) -> None:
    several.react_to_uploads(True)
    several.put("sales/a.parquet", make_rows(range(10)))
    several.put("shared/b.parquet", make_rows(range(5, 20), state="TX"))
    for name in TEXTS:
        eventually(lambda name=name: several.rows_of(name), 60, name)  # type: ignore[misc]
        assert several.is_right(name), name
    several.await_end_of_runs()
    assert all(
        json.loads(several.describe(arn)["input"]).keys() <= {"table", "trigger", "git_ref"}
        for arn in several.executions()
    )
    assert {run["trigger"] for name in TEXTS for run in several.runs_of(name)} <= {"s3", "rerun"}


def test_an_object_under_no_table_s_folder_starts_nothing_and_is_counted(several: Several) -> None:
    before = several.executions()
    body = json.dumps({"source": "aws.s3", "detail": {"object": {"key": "other/c.parquet"}}})
    answer = several.invoke("start-sync", {"Records": [{"messageId": "m-1", "body": body}]})
    assert answer == {"run_ids": [], "outside": 1}
    assert several.executions() == before


def test_what_says_nothing_about_its_object_may_be_about_any_table(several: Several) -> None:
    records = [{"messageId": "m-2", "body": "not an event"}]
    answer = several.invoke("start-sync", {"Records": records})
    again = several.invoke("start-sync", {"Records": records})
    assert answer == again
    assert len(answer["run_ids"]) == len(TEXTS)
    several.await_end_of_runs()


def test_the_schedule_runs_each_table(several: Several) -> None:
    several.put("sales/a.parquet", make_rows(range(3)))
    several.put("shared/b.parquet", make_rows(range(4)))
    started = several.invoke("start-sync", {"trigger": "schedule"})["run_ids"]
    assert len(started) == len(TEXTS)
    several.await_end_of_runs()
    for name in TEXTS:
        assert several.is_right(name), name
        assert [run["trigger"] for run in several.runs_of(name)] == ["schedule"]


def test_a_run_without_a_table_is_refused_with_the_list(several: Several) -> None:
    ended = several.run()
    assert (ended.status, ended.error) == ("FAILED", "InvalidInput")
    assert "sales, stock, waste" in ended.cause
    assert several.run(table="price").error == "InvalidInput"


def test_one_table_s_lease_holds_up_no_other(several: Several) -> None:
    several.put("sales/a.parquet", make_rows(range(10)))
    several.put("shared/b.parquet", make_rows(range(10)))
    with several.held_query("sales_survey"):
        held = several.start(table="sales")
        eventually(lambda: several.entered(held)[-1:] == ["Wait for Athena"], 30, "a held query")
        coalesced = several.succeed(table="sales")
        assert coalesced.entered[-1] == "Coalesced"
        assert several.succeed(table="stock").output["table"] == "stock"
        assert several.describe(held)["status"] == "RUNNING"
    assert several.is_right("stock")
    assert several.wait(held).status == "SUCCEEDED"
    several.await_end_of_runs()
    assert several.is_right("sales")


def test_one_table_s_failure_is_nobody_else_s(several: Several) -> None:
    several.execute("CREATE TABLE t_waste (id integer)")
    several.put("shared/b.parquet", make_rows(range(10)))
    failed, loaded = several.run(table="waste"), several.run(table="stock")
    assert (failed.error, loaded.status) == ("SchemaMismatch", "SUCCEEDED")
    assert several.is_right("stock")
    several.execute("DROP TABLE t_waste")
    assert several.redrive(failed).status == "SUCCEEDED"
    assert several.is_right("waste")


def test_two_tables_with_one_folder_take_in_each_object_once(several: Several) -> None:
    several.put("shared/a.parquet", make_rows(range(10)))
    for name in ("stock", "waste"):
        assert several.succeed(table=name).changed == (10, 0, 0)
    several.put("shared/b.parquet", [make_row(3, state="NV", updated_at=None), make_row(50)])
    for name in ("stock", "waste"):
        ended = several.succeed(table=name)
        assert ended.counts["window_rows"] == 2
        assert several.is_right(name)


def test_rejects_of_two_tables_with_one_folder_are_apart(several: Several) -> None:
    several.put("shared/a.parquet", [make_row(1), make_row(2, state="too long")])
    for name in ("stock", "waste"):
        assert several.succeed(table=name).counts["rejected"] == 1
    assert several.query(
        "SELECT table_name, count(*) FROM forecast_sync_rejects GROUP BY 1 ORDER BY 1"
    ) == [("stock", 1), ("waste", 1)]
    several.put("shared/a.parquet", [make_row(1), make_row(2)])
    several.succeed(table="stock", sync_type="full")
    assert several.query(
        "SELECT table_name FROM forecast_sync_rejects WHERE resolved_run_id IS NULL"
    ) == [("waste",)]
