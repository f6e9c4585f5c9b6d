"""Several tables in one stack: routed, loaded and failing independently of each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from localcloud.protocol import Athena

from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Ended
from tests.workflow.leaving import table_file
from tests.workflow.several import Several, rename_target, running_tables, table_text

TEXTS = {
    "sales": table_text("sales"),
    "stock": table_text("stock", "shared/"),
    "waste": rename_target(table_file(mirror=True), "waste", "shared/"),
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


@contextmanager
def deployed_tables(several: Several, *names: str) -> Iterator[None]:
    """The stack with other tables, as a deployment changes it, for the length of a block."""
    before = several.settings()
    changes = {"TABLES": ",".join(names)}
    if len(names) == 1:
        location = f"s3://{several.cloud.bucket}/{several.folder(names[0])}"
        changes |= {"TABLE_FILE": names[0], "FORECAST_TABLE_NAME": names[0]}
        changes |= {"DATA_LOCATION": location}
    several.configure(**changes)
    try:
        yield
    finally:
        for function, variables in before.items():
            several.restore(function, variables)


def hold(several: Several, **payload: str) -> str:
    """Start an execution whose query is held; its ARN."""
    arn = several.start(**payload)
    eventually(lambda: several.entered(arn)[-1:] == ["Wait for Athena"], 60, "a held query")
    return arn


@pytest.mark.parametrize("left", [("stock", "waste"), ("stock",)])
def test_a_run_of_a_table_that_the_stack_no_longer_has_ends_and_holds_nothing(
    several: Several, left: tuple[str, ...]
) -> None:
    several.put("sales/a.parquet", make_rows(range(10)))
    with several.held_query("sales_survey"):
        arn = hold(several, table="sales")
        with deployed_tables(several, *left):
            several.athena_faults()
            ended = several.wait(arn, 120)
            assert ended.error == "InvalidInput"
            assert (
                f"This stack doesn't sync sales: its tables are {', '.join(left)}." in ended.cause
            )
            eventually(lambda: several.runs_of("sales")[0]["status"] == "failed", 30, "the record")
            assert several.succeed(table="stock").status == "SUCCEEDED"
    assert several.redrive(ended).status == "SUCCEEDED"
    assert several.is_right("sales")


def test_a_run_without_a_table_goes_on_when_the_stack_gets_several(several: Several) -> None:
    with deployed_tables(several, "sales"):
        several.put("sales/a.parquet", make_rows(range(10)))
        with several.held_query("sales_survey"):
            arn = hold(several)
            several.put("sales/b.parquet", make_rows(range(5, 15)))
            assert several.succeed().entered[-1] == "Coalesced"
            several.configure(TABLES=",".join(TEXTS))
        ended = several.wait(arn, 120)
        assert (ended.status, ended.output["table"]) == ("SUCCEEDED", "sales")
        # The rerun, which loads what came meanwhile, names the table.
        eventually(lambda: several.is_right("sales"), 60, "the rerun")
        several.await_end_of_runs()
        assert {several.table_of(run) for run in ends(several) if run.name.endswith("-rerun")} == {
            "sales"
        }


def test_a_run_without_a_table_that_fails_is_recorded_when_the_stack_has_several(
    several: Several,
) -> None:
    several.execute("CREATE TABLE t_sales (id integer)")
    with deployed_tables(several, "sales"):
        several.put("sales/a.parquet", make_rows(range(10)))
        several.execute("DROP TABLE t_sales")
        with several.held_query("sales_survey"):
            arn = hold(several)
            several.configure(TABLES=",".join(TEXTS))
            several.stop(arn)
        eventually(lambda: several.runs_of("sales")[0]["status"] == "failed", 30, "the record")
        assert several.redrive(several.wait(arn)).status == "SUCCEEDED"
        assert several.is_right("sales")


def test_an_execution_of_a_version_that_named_no_table_is_told_which_there_are(
    several: Several,
) -> None:
    """Its state has no table; nothing says which of several its results are for."""
    branches = several.neon("GET", "/branches?search=dev")["branches"]
    (branch,) = (branch for branch in branches if branch["name"] == "dev")
    older = {
        "run_id": "older",
        "execution_arn": "arn:aws:states:us-east-2:000000000000:execution:forecast-sync-dev:older",
        "started_at": "2026-11-28T00:00:00Z",
        "trigger": "manual",
        "sync_type": "incremental",
        "batch_size": 100,
        "git_ref": "dev",
        "environment": "dev",
        "neon_branch": "dev",
        "neon_branch_id": branch["id"],
    }
    answer = several.client("lambda").invoke(
        FunctionName=f"{several.name}-read-watermark",
        Payload=json.dumps({"run": older, "renewal": 0, "redrive_count": 1}),
    )
    failed = json.loads(answer["Payload"].read())
    assert failed["errorType"] == "InvalidInput"
    assert "sales, stock, waste" in failed["errorMessage"]
    assert "start a new run" in failed["errorMessage"]


def ends(several: Several) -> list[Ended]:
    """All executions, when they have ended."""
    return [several.wait(arn) for arn in several.executions()]


def test_of_tables_with_one_folder_only_the_mirror_loses_what_leaves_the_lake(
    several: Several,
) -> None:
    several.put("shared/a.parquet", make_rows(range(10)))
    several.put("shared/b.parquet", make_rows(range(5, 20)))
    for name in ("stock", "waste"):
        assert several.succeed(table=name).changed == (20, 0, 0)
    before = several.rows_of("stock")
    several.client("s3").delete_object(Bucket=several.cloud.bucket, Key="shared/b.parquet")
    del several.files[f"s3://{several.cloud.bucket}/shared/b.parquet"]
    assert several.succeed(table="waste").counts["deleted"] == 10
    assert several.is_right("waste")
    assert several.succeed(table="stock").counts["deleted"] == 0
    assert several.rows_of("stock") == before
    several.put("shared/a.parquet", make_rows(range(9), state="NV"))
    for name, deleted in (("stock", 0), ("waste", 1)):
        assert several.succeed(table=name).counts["deleted"] == deleted
    assert several.is_right("waste")
    assert several.rows_of("stock") == before | several.expected("stock")
