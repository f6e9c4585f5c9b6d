"""What full and incremental runs leave in Postgres, whoever starts them."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import Any

import pyarrow as pa
import pytest

from tests.lake import MORNING, SCHEMA, make_row, make_rows, reference, to_parquet
from tests.waiting import eventually
from tests.workflow.deployed import Deployed


def test_a_full_run_brings_every_row_and_keeps_what_it_rejects(deployed: Deployed) -> None:
    deployed.upload("good", make_rows(range(200)))
    deployed.upload("bad/one", [make_row(500, state=None), make_row(501)])
    ended = deployed.succeed(sync_type="full")
    assert deployed.table() == reference(deployed.files)
    assert ended.changed == (201, 0, 0)
    assert ended.counts["window_rows"] == 202
    rejected = deployed.query("SELECT run_id, source_file, row_json FROM forecast_sync_rejects")
    assert [(run, file.rsplit("/", 1)[1]) for run, file, _ in rejected] == [
        (ended.name, "one.parquet")
    ]
    assert rejected[0][2]["restaurant_id"] == "500"
    assert ended.entered[-3:] == ["Record status", "Notify", "Finished"]


def test_an_incremental_run_touches_only_what_differs(deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(300)))
    deployed.succeed()
    before = deployed.versions()
    later = MORNING + timedelta(hours=1)
    changed = make_rows(range(5), y_50=999.0, updated_at=later)
    deployed.upload("second", [*changed, *make_rows(range(300, 303), updated_at=later)])
    ended = deployed.succeed()
    after = deployed.versions()
    assert ended.changed == (3, 5, 0)
    assert deployed.table() == reference(deployed.files)
    assert sum(before.get(row) != version for row, version in after.items()) == 8
    assert max(after) == 303


def test_the_same_data_again_writes_nothing_and_burns_no_id(deployed: Deployed) -> None:
    deployed.upload("only", make_rows(range(100)))
    deployed.succeed(sync_type="full")
    before = deployed.versions()
    assert deployed.succeed(sync_type="full").changed == (0, 0, 100)
    assert deployed.succeed().changed == (0, 0, 0)
    deployed.upload("only", make_rows(range(100)))
    assert deployed.succeed().changed == (0, 0, 100)
    assert deployed.versions() == before
    assert deployed.query("SELECT last_value FROM forecast_data_id_seq") == [(100,)]


def test_an_empty_lake_is_a_success_and_moves_the_watermark(deployed: Deployed) -> None:
    ended = deployed.succeed()
    assert ended.counts["window_rows"] == 0
    assert "Load pages" not in ended.entered
    status = deployed.status(ended.name)
    assert status is not None
    assert status["status"] == "succeeded"
    started_at = deployed.describe(ended.arn)["startDate"].astimezone(UTC).replace(tzinfo=None)
    assert status["last_sync_timestamp"] > started_at
    assert status["window_high"].replace(tzinfo=None) == status["last_sync_timestamp"]


def test_an_old_file_uploaded_again_overwrites_no_newer_row(deployed: Deployed) -> None:
    old = make_rows(range(50))
    deployed.upload("old", old)
    deployed.upload("new", make_rows(range(50), y_50=77.0, updated_at=MORNING + timedelta(days=1)))
    deployed.succeed()
    deployed.upload("again", old)
    assert deployed.succeed().changed == (0, 0, 50)
    assert {values[4] for values in deployed.table().values()} == {77}


def test_a_backfill_looks_at_its_dates_and_moves_no_watermark(deployed: Deployed) -> None:
    deployed.upload("all", make_rows(range(100)))
    ended = deployed.succeed(sync_type="full", date_from="2026-12-03", date_to="2026-12-04")
    assert ended.changed == (20, 0, 0)
    assert {str(key[2]) for key in deployed.table()} == {"2026-12-03", "2026-12-04"}
    assert ended.output["watermark"].startswith("1970")
    assert deployed.succeed().changed == (80, 0, 20)


def test_a_dry_run_says_what_would_change_and_changes_nothing(deployed: Deployed) -> None:
    deployed.upload("all", make_rows(range(30)))
    deployed.succeed()
    deployed.upload("more", make_rows(range(20, 40), y_50=5.0, updated_at=MORNING.replace(hour=9)))
    before = deployed.versions()
    ended = deployed.succeed(dry_run=True)
    assert (ended.output["status"], ended.changed) == ("dry_run", (10, 10, 0))
    assert deployed.versions() == before
    assert deployed.succeed().changed == (10, 10, 0)


S3_EVENT = {
    "version": "0",
    "source": "aws.s3",
    "detail-type": "Object Created",
    "detail": {"bucket": {"name": "b"}, "object": {"key": "forecast/x.parquet"}},
}


@pytest.mark.parametrize(
    ("payload", "trigger"),
    [
        (S3_EVENT, "s3"),
        ({"trigger": "schedule"}, "schedule"),
        ({"git_ref": "feature/menu", "trigger": "github"}, "github"),
        ({}, "manual"),
    ],
)
def test_each_trigger_s_input_starts_the_same_run(
    deployed: Deployed, payload: dict[str, Any], trigger: str
) -> None:
    deployed.upload("few", make_rows(range(10)))
    ended = deployed.succeed(**payload)
    status = deployed.status(ended.name)
    assert status is not None
    assert (status["trigger"], status["inserted"]) == (trigger, 10)


def test_a_preview_branch_gets_the_rows_and_dev_doesn_t(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(10)))
    ended = deployed.succeed(git_ref="preview/pr-7")
    assert deployed.table("preview/pr-7") == reference(deployed.files)
    assert deployed.query("SELECT to_regclass('forecast_data')") == [(None,)]
    assert ended.output["neon_branch"] == "preview/pr-7"


def test_an_upload_starts_a_run_by_itself(deployed: Deployed) -> None:
    deployed.react_to_uploads(True)
    deployed.upload("from-event", make_rows(range(10)))
    assert eventually(lambda: _finished(deployed)) == [("s3", "succeeded", 10)]


def _finished(deployed: Deployed) -> list[tuple[Any, ...]]:
    if deployed.query("SELECT to_regclass('forecast_sync_status')") == [(None,)]:
        return []
    return deployed.query(
        "SELECT trigger, status, inserted FROM forecast_sync_status WHERE status = 'succeeded'"
    )


def test_a_second_run_coalesces_and_the_first_one_s_rerun_brings_its_rows(
    deployed: Deployed,
) -> None:
    deployed.upload("first", make_rows(range(10)))
    with deployed.held_query():
        first = deployed.start("first-of-two-" + deployed.cloud.endpoint_url[-5:])
        eventually(lambda: "Poll Athena query" in deployed.entered(first))
        deployed.upload("second", make_rows(range(10, 20)))
        second = deployed.succeed()
        assert second.entered[-1] == "Coalesced"
        assert deployed.describe(first)["status"] == "RUNNING"
    ended = deployed.wait(first)
    rerun = deployed.wait(f"{ended.arn}-rerun")
    assert (ended.status, rerun.status) == ("SUCCEEDED", "SUCCEEDED")
    assert deployed.table() == reference(deployed.files)


@pytest.mark.parametrize(
    ("payload", "error", "words"),
    [
        ({"git_ref": "nope"}, "BranchNotMapped", "nope"),
        ({"git_ref": "main"}, "BranchNotMapped", "production"),
        ({"git_ref": "preview/pr-99"}, "BranchNotFound", "preview/pr-99"),
        ({"sync": "full"}, "InvalidInput", "sync"),
        ({"batch_size": 0}, "InvalidInput", "batch_size"),
        ({"date_from": "2026-02-02", "date_to": "2026-01-01"}, "InvalidInput", "date_from"),
    ],
)
def test_what_can_t_be_meant_is_refused_by_name(
    deployed: Deployed, payload: dict[str, Any], error: str, words: str
) -> None:
    ended = deployed.run(**payload)
    message = json.loads(ended.cause)["errorMessage"]
    assert (ended.status, ended.error) == ("FAILED", error)
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is no Parquet file", "isn't a Parquet file"),
        ("missing", "y_50"),
        ("type", "restaurant_id"),
    ],
)
def test_a_file_that_can_t_be_read_is_named_and_stops_no_other(
    deployed: Deployed, content: bytes | str, words: str
) -> None:
    deployed.upload("good", make_rows(range(10)))
    deployed.upload("x", _broken(content))
    ended = deployed.succeed()
    assert (ended.changed, ended.output["quarantined"]) == ((10, 0, 0), 1)
    ((key, reason),) = deployed.query(
        "SELECT key, reason FROM forecast_sync_file WHERE state = 'quarantined'"
    )
    assert key == "forecast/x.parquet"
    assert words in reason
    deployed.upload("x", make_rows(range(10, 12)))
    ended = deployed.succeed()
    assert (ended.changed, ended.output["quarantined"]) == ((2, 0, 0), 0)


def _broken(content: bytes | str) -> bytes:
    if isinstance(content, bytes):
        return content
    if content == "missing":
        return to_parquet(make_rows(range(3)), schema=SCHEMA.remove(SCHEMA.get_field_index("y_50")))
    index = SCHEMA.get_field_index("restaurant_id")
    rows = [{**row, "restaurant_id": "seven"} for row in make_rows(range(3))]
    return to_parquet(rows, schema=SCHEMA.set(index, pa.field("restaurant_id", pa.string())))
