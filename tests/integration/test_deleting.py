"""Claims about deleting rows from a real Postgres: constraints, triggers, partitions, steps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from forecast_sync.adapters.postgres import Connection
from forecast_sync.contracts.counts import Profile
from forecast_sync.contracts.deletions import DeletionsRequest, DeletionStep
from forecast_sync.contracts.page import Plan
from forecast_sync.contracts.query import Queries
from forecast_sync.contracts.run import Run
from forecast_sync.contracts.survey import DateRange
from forecast_sync.delete.guard import allow
from forecast_sync.delete.rows import covered_dates, delete_rows
from forecast_sync.errors import BatchConflict, BatchRefused, ResultInvalid
from forecast_sync.survey.judge import ANY_DATE
from forecast_sync.tables import definition_of, parse_table

from tests.builders import (
    Files,
    make_row,
    make_run,
    make_started,
    make_survey,
    make_window,
    to_line,
)
from tests.integration.loads import SETTINGS, begin, load
from tests.integration.test_survey_lake import Lake, file_of
from tests.workflow.leaving import table_file

BOTH = parse_table(table_file(tombstones=True, mirror=True), "both.toml")
LONG = 900_000


class Results(Lake):
    """A lake, and the result files of a query."""

    files: Files

    def stream(self, bucket: str, key: str) -> Iterator[bytes]:
        return self.files.stream(bucket, key)


def key_line(number: int) -> bytes:
    return to_line(make_row(number)[:3])


def prepare(connection: Connection, run: Run, numbers: Sequence[int]) -> Results:
    """A target with these rows, which a run before has loaded, and a lake with one file."""
    first = make_run("run-0")
    begin(connection, first, table=BOTH)
    load(connection, first, [make_row(number) for number in numbers], query="q-0", table=BOTH)
    connection.execute("UPDATE forecast_sync_status SET status = 'failed' WHERE run_id = 'run-0'")
    begin(connection, run, table=BOTH)
    results = Results()
    results.files = Files()
    results.put("a.parquet", file_of(1))
    return results


def request(
    run: Run,
    results: Results,
    steps: Sequence[DeletionStep],
    **counted: int,
) -> DeletionsRequest:
    results.results["q-1-deletions.json"] = json.dumps(
        [step.model_dump(mode="json") for step in steps]
    ).encode()
    definition = definition_of(BOTH)
    started = make_started(definition=definition)
    profile = {"window_rows": 0, "rejected": 0, "candidates": 0, "good": 0, "checksum": 0}
    return DeletionsRequest(
        run=run,
        window=make_window(definition=definition),
        queries=Queries(extract=started, profile=started),
        plan=Plan(
            pages=0,
            concurrency=1,
            pages_bucket="results",
            pages_key="q-1-pages.json",
            profile=Profile.model_validate({**profile, **counted}),
            definition=definition,
            deletes=True,
            deletions_key="q-1-deletions.json",
        ),
    )


def tombstones(results: Results, numbers: Sequence[int]) -> tuple[DeletionStep, dict[str, int]]:
    """A step of tombstones, and what the profile counts of them."""
    lines = [key_line(number) for number in numbers]
    results.files.add("tombstones.gz", lines)
    step = DeletionStep(kind="tombstone", bucket="results", keys=("tombstones.gz",))
    return step, {"tombstones": len(lines), "key_checksum": sum(map(hash_of, lines))}


def hash_of(line: bytes) -> int:
    return int(hashlib.md5(line.rstrip(b"\n")).hexdigest()[:15], 16)


def delete(
    connection: Connection, results: Results, wanted: DeletionsRequest, **given: Any
) -> bool:
    table = given.get("table", BOTH)
    return delete_rows(connection, results, table, SETTINGS, wanted, lambda: LONG).done


def numbers_in(connection: Connection) -> list[int]:
    cursor = connection.execute("SELECT restaurant_id FROM forecast_data ORDER BY 1")
    return [number for (number,) in cursor]


def deleted(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT first_row, last_row, deleted FROM forecast_sync_batch WHERE page = -1 ORDER BY 1"
    ).fetchall()


def test_a_foreign_key_keeps_its_batch_and_a_further_call_goes_on_behind_the_others(
    connection: Connection,
) -> None:
    run = make_run(batch_size=2)
    results = prepare(connection, run, range(6))
    connection.execute(
        "CREATE TABLE orders (id integer CONSTRAINT orders_id_fkey REFERENCES forecast_data)"
    )
    connection.execute("INSERT INTO orders SELECT id FROM forecast_data WHERE restaurant_id = 3")
    step, counted = tombstones(results, range(5))
    wanted = request(run, results, [step], **counted)
    with pytest.raises(BatchRefused, match=r"23503 .*orders_id_fkey.* Nothing of this batch"):
        delete(connection, results, wanted)
    before = numbers_in(connection)
    assert 3 in before
    assert len(before) % 2 == 0
    connection.execute("DROP TABLE orders")
    assert delete(connection, results, wanted)
    assert numbers_in(connection) == [5]
    assert deleted(connection) == [(1, 2, 2), (3, 4, 2), (5, 5, 1)]
    assert delete(connection, results, wanted)
    assert len(deleted(connection)) == 3


def test_a_trigger_that_keeps_a_row_rolls_its_batch_back(connection: Connection) -> None:
    run = make_run(batch_size=10)
    results = prepare(connection, run, range(4))
    connection.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN CASE WHEN old.restaurant_id = 1 THEN NULL ELSE old END; END $$"
    )
    connection.execute(
        "CREATE TRIGGER keep BEFORE DELETE ON forecast_data FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    step, counted = tombstones(results, range(3))
    with pytest.raises(BatchConflict, match="Of 3 rows to delete 2 were deleted, and 1 are still"):
        delete(connection, results, request(run, results, [step], **counted))
    assert numbers_in(connection) == [0, 1, 2, 3]


def test_rows_leave_a_partitioned_target_and_its_triggers_see_them(connection: Connection) -> None:
    connection.execute("DROP TABLE forecast_data")
    connection.execute(
        "CREATE TABLE forecast_data (id serial, restaurant_id integer NOT NULL, "
        "inventory_item_id integer NOT NULL, business_date date NOT NULL, dma_id varchar(50), "
        "dc_id integer, state varchar(2) NOT NULL, y_05 numeric(10,2), "
        "y_50 numeric(10,2) NOT NULL, y_95 numeric(10,2), created_at timestamp DEFAULT now(), "
        "updated_at timestamp DEFAULT now(), "
        "UNIQUE (restaurant_id, inventory_item_id, business_date)) "
        "PARTITION BY HASH (restaurant_id)"
    )
    for part in range(2):
        connection.execute(
            f"CREATE TABLE part_{part} PARTITION OF forecast_data "
            f"FOR VALUES WITH (MODULUS 2, REMAINDER {part})"
        )
    connection.execute("CREATE TABLE seen (number integer)")
    connection.execute(
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO seen VALUES (old.restaurant_id); RETURN NULL; END $$"
    )
    connection.execute(
        "CREATE TRIGGER see AFTER DELETE ON forecast_data FOR EACH ROW EXECUTE FUNCTION see()"
    )
    run = make_run(batch_size=3)
    results = prepare(connection, run, range(10))
    step, counted = tombstones(results, range(7))
    assert delete(connection, results, request(run, results, [step], **counted))
    assert numbers_in(connection) == [7, 8, 9]
    assert sorted(connection.execute("SELECT number FROM seen")) == [(n,) for n in range(7)]


def test_each_row_is_looked_for_in_the_step_of_its_part(connection: Connection) -> None:
    run = make_run(batch_size=10)
    results = prepare(connection, run, range(30))
    parts = 4
    steps, kept = [], [number for number in range(30) if number % 3]
    for part in range(parts):
        own = [
            number
            for number in kept
            if int(hashlib.md5(str(number).encode()).hexdigest()[:8], 16) % parts == part
        ]
        results.files.add(f"rows-{part}.gz", [to_line(make_row(number)) for number in own])
        steps.append(
            DeletionStep(
                kind="missing",
                bucket="results",
                rows=(f"rows-{part}.gz",),
                parts=(part,),
                part_count=parts,
            )
        )
    assert delete(connection, results, request(run, results, steps, good=len(kept)))
    assert numbers_in(connection) == kept


def test_lines_that_the_profile_did_not_count_delete_nothing(connection: Connection) -> None:
    run = make_run(batch_size=10)
    results = prepare(connection, run, range(4))
    step, counted = tombstones(results, range(3))
    other = {**counted, "key_checksum": counted["key_checksum"] + 1}
    with pytest.raises(ResultInvalid, match="Nothing was deleted"):
        delete(connection, results, request(run, results, [step], **other))
    assert numbers_in(connection) == [0, 1, 2, 3]


def test_an_incremental_run_looks_only_at_dates_of_which_it_has_read_everything() -> None:
    def days(first: int, last: int) -> DateRange:
        return DateRange.model_validate(
            {"first": f"2026-01-{first:02}", "last": f"2026-01-{last:02}"}
        )

    survey = make_survey(touched=(days(1, 9), days(20, 20)), reads=(days(1, 2), days(8, 25)))
    window = make_window(survey, low=survey.began_at)
    assert covered_dates(make_run(), window) == [days(1, 2), days(8, 9), days(20, 20)]
    assert covered_dates(make_run(), make_window(survey)) == [ANY_DATE]
    bounded = make_run(date_from="2026-01-02", date_to="2026-01-08")
    assert covered_dates(bounded, window) == [days(2, 2), days(8, 8)]


def test_a_dry_run_lists_what_would_leave_a_target_that_lacks_a_column(
    connection: Connection,
) -> None:
    run = make_run(batch_size=10, dry_run=True)
    results = prepare(connection, run, range(4))
    connection.execute("ALTER TABLE forecast_data DROP COLUMN y_95")
    step, counted = tombstones(results, range(3))
    results.files.add("rows.gz", [to_line(make_row(0))])
    missing = DeletionStep(
        kind="missing", bucket="results", rows=("rows.gz",), tombstones=("tombstones.gz",)
    )
    assert delete(connection, results, request(run, results, [step, missing], good=1, **counted))
    assert numbers_in(connection) == [0, 1, 2, 3]
    listed = connection.execute("SELECT kind, count(*) FROM forecast_sync_deletion GROUP BY 1")
    assert dict(listed.fetchall()) == {"tombstone": 3, "missing": 1}
    assert deleted(connection) == []


@pytest.mark.parametrize(
    ("rows", "recorded", "percent", "allowed"),
    [
        (100_000, 0, 4.35, 4_350),
        (95_651, 4_349, 4.35, 1),
        (95_650, 4_350, 4.35, 0),
        (1_980, 0, 5, 99),
        (2_000, 0, 5, 100),
        (10, 90, 0, 9),
        (0, 99, 5, 0),
    ],
)
def test_exactly_the_percentage_of_a_day_may_leave(
    rows: int, recorded: int, percent: float, allowed: int
) -> None:
    table = parse_table(table_file(mirror=True, percent=percent), "mirror.toml")
    assert allow(table, make_run(), rows, recorded).allowed == allowed


@pytest.mark.parametrize("changes", ["source = 's3://moved/'", "table_name = 'renamed'"])
def test_what_left_the_table_before_it_got_another_lake_or_name_counts_within_a_day(
    connection: Connection, changes: str
) -> None:
    run = make_run(batch_size=10)
    results = prepare(connection, run, range(4))
    connection.execute("UPDATE forecast_sync_batch SET deleted = 99 WHERE run_id = 'run-0'")
    connection.execute(f"UPDATE forecast_sync_status SET {changes} WHERE run_id = 'run-0'".encode())
    step, counted = tombstones(results, range(3))
    assert delete(connection, results, request(run, results, [step], **counted))
    assert numbers_in(connection) == [0, 1, 2, 3]
    row = connection.execute(
        "SELECT deletions ->> 'reason' FROM forecast_sync_status WHERE run_id = %s", [run.run_id]
    ).fetchone()
    assert row
    assert "after 99 within the last day" in row[0]
