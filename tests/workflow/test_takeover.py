"""A database that an older version has filled is taken over by a stack with several tables.

``tests/releases/*.sql`` are dumps of such databases, as a run of that version has left them:
``pg_dump --inserts --no-owner --no-privileges``. The first knows no table's name, the second no
file ledger. Never replace one: people upgrade from it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from localcloud.protocol import Athena

from tests.builders import FORECAST_FILE
from tests.lake import MORNING, make_row, make_rows
from tests.waiting import eventually
from tests.workflow.releases import ARCHIVES
from tests.workflow.several import Several, running_tables, table_text

TEXTS = {
    "forecast": FORECAST_FILE,
    "promo": table_text("promo", "forecast/"),
    "sales": table_text("sales"),
}
FIRST = [*make_rows(range(40)), make_row(90, state="too long")]
LATER = make_rows(range(20, 50), y_50=7.0, updated_at=MORNING.replace(hour=MORNING.hour + 1))

VERSIONS = ("before-table-names", "before-the-file-ledger", "before-several-tables")

SAME_TARGET = """
UPDATE forecast_sync_status SET target = target || jsonb_build_object(
    'oid', 'forecast_data'::regclass::oid::bigint,
    'files', jsonb_build_array(pg_relation_filenode('forecast_data'))
)
"""
"""A restored table has another oid; a database that isn't restored keeps it."""


@pytest.fixture(scope="module")
def stack(athena: Athena) -> Iterator[Several]:
    with running_tables(TEXTS, athena=athena) as deployed:
        yield deployed


def restore(several: Several, version: str) -> None:
    """The database and the lake as the version has left them."""
    several.reset()
    several.execute((ARCHIVES / f"{version}.sql").read_text())
    several.put("forecast/first.parquet", FIRST)
    several.put("forecast/second.parquet", LATER)
    if version != "before-table-names":
        several.execute(SAME_TARGET)
    if version != "before-several-tables":
        return
    listed = several.client("s3").list_objects_v2(Bucket=several.cloud.bucket)["Contents"]
    for item in listed:
        etag = item["ETag"].strip('"')
        several.execute(
            f"UPDATE forecast_sync_file SET etag = '{etag}', modified = '{item['LastModified']}', "
            f"size = {item['Size']} WHERE key = '{item['Key']}'"
        )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_filled_database_is_taken_over_without_a_full_reload(
    stack: Several, version: str
) -> None:
    restore(stack, version)
    versions, last_id = stack.versions(), "SELECT last_value FROM forecast_data_id_seq"
    ids = stack.query(last_id)
    ended = stack.succeed(table="forecast")
    assert (stack.versions(), stack.query(last_id)) == (versions, ids)
    assert ended.changed[:2] == (0, 0)
    [(low, reason)] = stack.query(
        "SELECT window_low, window_reason FROM forecast_sync_status WHERE run_id = %s",
        [ended.name],
    )
    assert low is not None, f"a full run was caused: {reason}"
    assert stack.query(
        "SELECT count(*) FROM forecast_sync_status WHERE table_name IS NULL AND run_id IS NOT NULL"
    ) == [(0,)]
    stack.put("forecast/third.parquet", make_rows(range(45, 60), y_50=9.0, updated_at=None))
    assert stack.succeed(table="forecast").changed[0] == 10
    assert stack.table() == stack.expected("forecast")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_table_of_the_same_folder_takes_over_nothing(stack: Several, version: str) -> None:
    restore(stack, version)
    for name in ("promo", "sales", "forecast"):
        stack.succeed(table=name)
    assert stack.is_right("promo")
    assert len(stack.rows_of("promo")) == len(stack.table()) == 50


def test_a_lease_that_names_no_table_goes_to_the_next_run_when_its_holder_is_dead(
    stack: Several,
) -> None:
    restore(stack, "before-table-names")
    stack.execute(
        "UPDATE forecast_sync_status SET status = 'running', finished_at = NULL "
        "WHERE id = (SELECT max(id) FROM forecast_sync_status)"
    )
    ended = stack.succeed(table="forecast")
    assert ended.entered.count("Read watermark") == 1
    assert eventually(lambda: stack.table() == stack.expected("forecast"), what="all rows")
