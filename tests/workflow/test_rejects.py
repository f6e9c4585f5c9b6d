"""What the target can't hold is kept, judged by a threshold, and gone once it is repaired."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

from forecast_sync.adapters.postgres import connect
from forecast_sync.runs.rejects import RejectQuery, list_rejects
from forecast_sync.tables import load_table

from tests.lake import MORNING, make_row, make_rows, reference
from tests.workflow.deployed import Deployed


def open_rejects(deployed: Deployed) -> list[tuple[Any, ...]]:
    return deployed.query(
        "SELECT row_json ->> 'restaurant_id', last_run_id FROM forecast_sync_rejects "
        "WHERE resolved_run_id IS NULL ORDER BY 1"
    )


def test_a_repaired_file_resolves_its_rejects_in_the_next_full_run(deployed: Deployed) -> None:
    deployed.upload("good", make_rows(range(10)))
    deployed.upload("one", [make_row(50, state=None)])
    deployed.upload("two", [make_row(51, state="OHIO")])
    first = deployed.succeed()
    assert open_rejects(deployed) == [("50", first.name), ("51", first.name)]
    deployed.upload("one", [make_row(50, updated_at=MORNING + timedelta(hours=1))])
    second = deployed.succeed()
    assert second.counts["rejected"] == 0, "the file of the other one is loaded"
    assert [row for row, _ in open_rejects(deployed)] == ["50", "51"], "only a full run saw all"
    third = deployed.succeed(sync_type="full")
    assert open_rejects(deployed) == [("51", third.name)]
    resolved = deployed.query(
        "SELECT run_id, resolved_run_id FROM forecast_sync_rejects WHERE resolved_run_id <> ''"
    )
    assert resolved == [(first.name, third.name)]
    assert deployed.table() == reference(deployed.files)


def test_a_run_that_is_full_by_itself_resolves_rejects_too(deployed: Deployed) -> None:
    deployed.upload("good", make_rows(range(10)))
    deployed.upload("bad", [make_row(50, state=None)])
    deployed.succeed()
    deployed.upload("bad", [make_row(50, updated_at=MORNING + timedelta(hours=1))])
    deployed.execute("DROP TABLE forecast_data")
    deployed.succeed()
    assert open_rejects(deployed) == []
    assert deployed.table() == reference(deployed.files)


def test_a_full_run_over_dates_resolves_no_reject_of_another_date(deployed: Deployed) -> None:
    deployed.upload("good", make_rows(range(10)))
    deployed.upload("bad", [make_row(50, state=None), make_row(55, state=None)])
    deployed.upload("nul", [make_row(60, dma_id="a\0b")])
    deployed.succeed()
    deployed.upload("bad", make_rows([50, 55], updated_at=MORNING + timedelta(hours=1)))
    day = str(make_row(50)["business_date"])
    deployed.succeed(sync_type="full", date_from=day, date_to=day)
    left = deployed.query(
        "SELECT row_json::text FROM forecast_sync_rejects WHERE resolved_run_id IS NULL"
    )
    assert sorted(json.loads(row)["restaurant_id"] for (row,) in left) == ["55", "60"]
    with connect(deployed.cloud.database_urls["dev"]) as connection:
        page = list_rejects(connection, [load_table()], RejectQuery())
    assert {reason.undated for reason in page.reasons} == {0, 1}


def test_a_reject_that_comes_back_is_open_again(deployed: Deployed) -> None:
    bad = [make_row(50, state=None), make_row(51)]
    deployed.upload("bad", bad)
    deployed.succeed()
    deployed.upload("bad", make_rows([50, 51]))
    deployed.succeed(sync_type="full")
    assert open_rejects(deployed) == []
    deployed.upload("bad", bad)
    again = deployed.succeed()
    assert open_rejects(deployed) == [("50", again.name)]


def test_a_dry_run_counts_rejects_and_keeps_none(deployed: Deployed) -> None:
    deployed.upload("bad", [make_row(50, state=None), make_row(51)])
    ended = deployed.succeed(dry_run=True)
    assert ended.counts["rejected"] == 1
    assert open_rejects(deployed) == []


def test_over_the_threshold_nothing_is_loaded_until_the_repair(deployed: Deployed) -> None:
    deployed.upload("good", make_rows(range(1000)))
    deployed.upload("bad", make_rows(range(2000, 2100), y_50=float("nan")))
    failed = deployed.run()
    assert (failed.status, failed.error) == ("FAILED", "TooManyRejects")
    assert "100 of 1100 rows are rejected (9.1%)" in failed.cause
    assert re.search(r"For example: y_50 [^;]+ in s3://\S+/bad.parquet\.", failed.cause)
    assert deployed.table() == {}
    deployed.upload("bad", make_rows(range(2000, 2100)))
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED", ended.cause
    # The repaired file is younger than the run: its rows are the next run's.
    deployed.succeed()
    assert deployed.table() == reference(deployed.files)
