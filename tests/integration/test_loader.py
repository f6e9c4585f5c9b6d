"""Claims about loading, checked in a real Postgres."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import psycopg
import pytest
from forecast_sync.adapters.postgres import Connection, connect, transaction
from forecast_sync.errors import (
    BatchConflict,
    BatchRefused,
    DatabaseUnavailable,
    InputsOutdated,
    ResultInvalid,
    SchemaMismatch,
)
from forecast_sync.load.loader import load_page
from forecast_sync.tables import load_table

from tests.builders import Files, make_row, make_run, make_upsert, to_line
from tests.integration.loads import LONG, as_text, begin, last_id, ledger, load, stored
from tests.waiting import eventually


def test_rows_arrive_in_batches_with_exact_counts(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    rows = [make_row(number) for number in range(25)]
    assert load(connection, run, rows).done
    assert stored(connection) == as_text(rows)
    assert ledger(connection) == [(1, 10, 10, 0, 0), (11, 20, 10, 0, 0), (21, 25, 5, 0, 0)]


def test_a_second_call_for_the_same_page_is_a_no_op(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    rows = [make_row(number) for number in range(25)]
    load(connection, run, rows)
    before = ledger(connection)
    assert load(connection, run, rows).done
    assert ledger(connection) == before


def test_the_same_rows_again_change_nothing_and_burn_no_id(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    rows = [make_row(number) for number in range(20)]
    load(connection, run, rows)
    versions = "SELECT ctid::text, xmin::text, updated_at FROM forecast_data ORDER BY id"
    before, used = connection.execute(versions).fetchall(), last_id(connection)
    load(connection, run, rows, query="q-2")
    assert ledger(connection, "q-2") == [(1, 10, 0, 0, 10), (11, 20, 0, 0, 10)]
    assert connection.execute(versions).fetchall() == before
    assert last_id(connection) == used


@pytest.mark.parametrize(
    "default", ["DROP DEFAULT", "SET DEFAULT '-infinity'"], ids=["none", "another"]
)
def test_each_write_sets_the_time_of_the_write_whatever_its_default(
    connection: Connection, default: str
) -> None:
    """The first page is inserted as it is, the second is merged with rows that stand there."""
    connection.execute(f"ALTER TABLE forecast_data ALTER updated_at {default}".encode())
    run = make_run()
    begin(connection, run)
    started = connection.execute("SELECT CURRENT_TIMESTAMP AT TIME ZONE 'UTC'").fetchone()
    load(connection, run, [make_row(number) for number in range(5)])
    load(connection, run, [make_row(number, y_95="9.99") for number in range(3, 9)], query="q-2")
    times = "SELECT count(*) FROM forecast_data WHERE updated_at >= %s"
    assert connection.execute(times, started).fetchone() == (9,)


def test_only_changed_rows_are_written(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    load(connection, run, [make_row(number) for number in range(10)])
    changed = [make_row(number, y_95="9.99" if number == 4 else None) for number in range(11)]
    load(connection, run.model_copy(update={"batch_size": 100}), changed, query="q-2")
    assert ledger(connection, "q-2") == [(1, 11, 1, 1, 9)]
    assert stored(connection) == as_text(changed)


@pytest.mark.parametrize(
    "kept", [None, "\\N", "", "\t", "a\nb\r", "back\\slash", "it's", "🍕", '"', "\\t"]
)
def test_text_arrives_exactly_and_sums_up(connection: Connection, kept: str | None) -> None:
    run = make_run()
    begin(connection, run)
    rows = [make_row(1, dma_id=kept)]
    load(connection, run, rows)
    assert stored(connection) == as_text(rows)
    row = connection.execute("SELECT checksum FROM forecast_sync_batch").fetchone()
    line = to_line(rows[0])[:-1]
    assert row == (int(hashlib.md5(line).hexdigest()[:15], 16),)


@pytest.mark.parametrize(
    "changes",
    [
        {"y_50": "99999999.99", "y_05": "-99999999.99", "y_95": "0.00"},
        {"business_date": "0001-01-01", "restaurant_id": -2147483648},
        {"business_date": "9999-12-31", "restaurant_id": 2147483647},
        {"business_date": "1969-07-20", "dma_id": "x" * 50, "dc_id": None},
    ],
)
def test_values_at_the_ends_arrive_exactly(connection: Connection, changes: dict[str, Any]) -> None:
    run = make_run()
    begin(connection, run)
    rows = [make_row(1, **changes)]
    load(connection, run, rows)
    assert stored(connection) == as_text(rows)
    row = connection.execute("SELECT checksum FROM forecast_sync_batch").fetchone()
    assert row == (int(hashlib.md5(to_line(rows[0])[:-1]).hexdigest()[:15], 16),)


def test_a_page_whose_time_is_up_goes_on_after_the_last_batch(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    files = Files()
    rows = [make_row(number) for number in range(30)]
    files.add("a.gz", [to_line(row) for row in rows])
    left = iter([LONG, LONG, 10_000])
    request = make_upsert(run, ["a.gz"])
    assert not load_page(
        connection, files.stream, load_table(), request, lambda: next(left), None
    ).done
    assert [row[:2] for row in ledger(connection)] == [(1, 10)]
    bigger = request.model_copy(update={"run": run.model_copy(update={"batch_size": 15})})
    assert load_page(connection, files.stream, load_table(), bigger, lambda: LONG, None).done
    assert [row[:2] for row in ledger(connection)] == [(1, 10), (11, 25), (26, 30)]
    assert stored(connection) == as_text(rows)


def test_two_workers_on_the_same_page_commit_it_once(
    database_url: str, connection: Connection
) -> None:
    run = make_run()
    begin(connection, run)
    rows = [make_row(number) for number in range(200)]
    failures: list[Exception] = []

    def work() -> None:
        with connect(database_url) as own:
            try:
                load(own, run, rows)
            except Exception as error:  # noqa: BLE001 - handed to the test
                failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert sum(row[2] for row in ledger(connection)) == 200
    assert stored(connection) == as_text(rows)
    assert last_id(connection) == 200


def test_a_refused_row_rolls_back_its_batch_only(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    connection.execute("ALTER TABLE forecast_data ADD CHECK (restaurant_id <> 15)")
    rows = [make_row(number) for number in range(30)]
    with pytest.raises(BatchRefused, match="23514"):
        load(connection, run, rows)
    assert len(stored(connection)) == 10
    connection.execute(
        "ALTER TABLE forecast_data DROP CONSTRAINT forecast_data_restaurant_id_check"
    )
    load(connection, run, rows)
    assert stored(connection) == as_text(rows)


def test_a_truncated_file_is_named_and_nothing_of_its_batch_stays(connection: Connection) -> None:
    run = make_run(batch_size=1000)
    begin(connection, run)
    files = Files()
    files.add("a.gz", [to_line(make_row(number)) for number in range(500)])
    files.content["a.gz"] = files.content["a.gz"][:-20]
    with pytest.raises(ResultInvalid, match=r"s3://results/a\.gz"):
        load(connection, run, [], files=files)
    assert stored(connection) == []


def test_a_line_that_ends_the_copy_is_no_success(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    lines = [to_line(make_row(number)) for number in range(3)]
    files = Files()
    files.add("a.gz", [lines[0], b"\\.\n", *lines[1:]])
    with pytest.raises(ResultInvalid, match="took 1 rows of 4 lines"):
        load(connection, run, [], files=files)
    assert stored(connection) == []


def test_rejects_are_kept_once_with_reason_and_row(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    files = Files()
    bad = ("s3://lake/forecast/x.parquet", "state is NULL", '{"dma_id": "\\u0000", "state": null}')
    files.add("r.gz", [to_line(bad)] * 3)
    for query in ("q-1", "q-2"):
        request = make_upsert(run, ["r.gz"], kind="reject", query=query)
        assert load_page(connection, files.stream, load_table(), request, lambda: LONG, None).done
    kept = connection.execute(
        "SELECT run_id, source_file, reason, row_json::text FROM forecast_sync_rejects"
    ).fetchall()
    assert kept == [(run.run_id, *bad)]
    assert connection.execute("SELECT sum(rejected) FROM forecast_sync_batch").fetchone() == (6,)


def test_a_trigger_that_swallows_a_row_is_no_success(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    _before_insert(connection, "IF NEW.restaurant_id = 3 THEN RETURN NULL; END IF")
    with pytest.raises(BatchConflict, match="Of 5 rows 4 were inserted"):
        load(connection, run, [make_row(number) for number in range(5)])
    assert stored(connection) == []


def test_the_checksum_is_of_what_a_trigger_left_in_the_target(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    _before_insert(connection, "NEW.y_50 = 1")
    load(connection, run, [make_row(7)])
    digest = hashlib.md5(to_line(make_row(7, y_50="1.00")).rstrip(b"\n")).hexdigest()
    checksums = connection.execute("SELECT checksum FROM forecast_sync_batch").fetchone()
    assert checksums == (int(digest[:15], 16),)


def _before_insert(connection: Connection, action: str) -> None:
    """A foreign trigger on the target that does this to each new row."""
    connection.execute(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN {action}; RETURN NEW; END'".encode()
    )
    connection.execute(
        "CREATE TRIGGER meddle BEFORE INSERT ON forecast_data FOR EACH ROW "
        "EXECUTE FUNCTION meddle()"
    )


def test_a_small_batch_never_reads_the_whole_target(connection: Connection) -> None:
    """The planner believes that the target is empty; it holds 50,000 rows."""
    run = make_run(batch_size=100)
    begin(connection, run)
    connection.execute("ALTER TABLE forecast_data SET (autovacuum_enabled = off)")
    connection.execute("ANALYZE forecast_data")
    connection.execute(
        "INSERT INTO forecast_data (restaurant_id, inventory_item_id, business_date, state, y_50) "
        "SELECT n, 7, '2026-01-01', 'OH', 1 FROM generate_series(1, 50000) AS n"
    )
    before = _scans(connection)
    load(connection, run, [make_row(number) for number in range(1000, 2000)])
    assert _scans(connection) == before


def _scans(connection: Connection) -> int:
    connection.execute("SELECT pg_stat_force_next_flush()")
    row = connection.execute(
        "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'forecast_data'"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("definition", "columns"),
    [
        ("UNIQUE INDEX once ON forecast_data (y_50)", "y_50"),
        ("UNIQUE INDEX once ON forecast_data (restaurant_id, (y_50 * 2))", "restaurant_id, an exp"),
        ("UNIQUE INDEX once ON forecast_data (dc_id, state) INCLUDE (restaurant_id)", "dc_id, st"),
    ],
)
def test_a_foreign_unique_index_is_named_at_once(
    connection: Connection, definition: str, columns: str
) -> None:
    """Each try would refuse the same row and use up the ids of those before it."""
    run = make_run()
    begin(connection, run)
    connection.execute(f"CREATE {definition}".encode())
    rows = [make_row(number, y_50="1.00") for number in range(5)]
    rows += [make_row(number // 2, inventory_item_id=number, y_50="1.00") for number in range(5)]
    refused = rf"23505 \(table forecast_data, constraint once\).* It is on {columns}.* drop it"
    with pytest.raises(BatchRefused, match=refused):
        load(connection, run, rows)
    assert stored(connection) == []
    assert last_id(connection) <= run.batch_size
    connection.execute("DROP INDEX once")
    assert load(connection, run, rows).done
    assert len(stored(connection)) == len(set(rows))


def test_a_row_that_another_session_inserts_first_is_tried_again(
    database_url: str, connection: Connection
) -> None:
    run = make_run()
    begin(connection, run)
    connection.execute(
        "CREATE UNIQUE INDEX wider ON forecast_data "
        "(state, business_date, inventory_item_id, restaurant_id)"
    )
    with psycopg.connect(database_url) as application:
        application.execute(
            "INSERT INTO forecast_data (restaurant_id, inventory_item_id, business_date, state, "
            "y_50) VALUES (3, 7, '2026-01-01', 'OH', 1)"
        )
        failures: list[Exception] = []

        def work() -> None:
            with connect(database_url) as own:
                try:
                    load(own, run, [make_row(number) for number in range(5)])
                except Exception as error:  # noqa: BLE001 - handed to the test
                    failures.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        eventually(lambda: _waits_for_a_lock(connection))
        application.commit()
    worker.join()
    (failure,) = failures
    assert type(failure) is BatchConflict
    load(connection, run, [make_row(number) for number in range(5)])
    assert stored(connection) == as_text([make_row(number) for number in range(5)])


def _waits_for_a_lock(connection: Connection) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ).fetchone()
    return row != (0,)


def test_a_transaction_timeout_passes(connection: Connection) -> None:
    with pytest.raises(DatabaseUnavailable, match="25P04"):
        _sleep(connection, "SET LOCAL transaction_timeout = '50ms'")


def _sleep(connection: Connection, setting: str) -> None:
    with transaction(connection) as cursor:
        cursor.execute(setting.encode())
        cursor.execute("SELECT pg_sleep(1)")


@pytest.mark.parametrize("redrive_count", [0, 1])
@pytest.mark.parametrize(
    ("breaks", "expected"),
    [
        ("ALTER TABLE forecast_data ADD CHECK (restaurant_id <> 3)", BatchRefused),
        ("ALTER TABLE forecast_data DROP COLUMN y_95", SchemaMismatch),
    ],
)
def test_a_redriven_page_that_is_refused_again_asks_for_new_rows(
    connection: Connection, breaks: str, expected: type[Exception], redrive_count: int
) -> None:
    """The rows may have been repaired at their source; the page has the old ones."""
    run = make_run()
    begin(connection, run)
    connection.execute(breaks.encode())
    files = Files()
    files.add("a.gz", [to_line(make_row(number)) for number in range(5)])
    request = make_upsert(run, ["a.gz"]).model_copy(update={"redrive_count": redrive_count})
    with pytest.raises(InputsOutdated if redrive_count else expected):
        load_page(connection, files.stream, load_table(), request, lambda: LONG, None)


@pytest.mark.parametrize("redrive_count", [0, 1])
def test_lines_of_another_table_file_are_asked_for_again_by_a_redrive(
    connection: Connection, redrive_count: int
) -> None:
    """As after a deployment between the extract and the load."""
    run = make_run()
    begin(connection, run)
    files = Files()
    files.add("a.gz", [to_line(make_row(number)[:-1]) for number in range(5)])
    request = make_upsert(run, ["a.gz"]).model_copy(update={"redrive_count": redrive_count})
    with pytest.raises(InputsOutdated if redrive_count else ResultInvalid, match="22P04"):
        load_page(connection, files.stream, load_table(), request, lambda: LONG, None)
