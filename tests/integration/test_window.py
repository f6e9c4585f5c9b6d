"""Claims about which objects a run looks at, checked in a real Postgres."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from forecast_sync.adapters.postgres import Connection, statement
from forecast_sync.contracts.run import Run, Window
from forecast_sync.errors import FullRunNeeded, InputsOutdated, LeaseHeld, Superseded
from forecast_sync.lease.window import EPOCH
from forecast_sync.record.outcome import record_failure
from forecast_sync.tables import Table, definition_of, load_table
from forecast_sync.target import continuity
from forecast_sync.target.schema import ensure_schema

from tests.builders import STARTED_AT, Row, exchanged, make_row, make_run
from tests.integration.loads import SETTINGS, Starts, begin, load

LATER = STARTED_AT + timedelta(minutes=4)


def end(connection: Connection, run_id: str, status: str) -> None:
    connection.execute(
        "UPDATE forecast_sync_status SET status = %s WHERE run_id = %s", [status, run_id]
    )


def test_a_window_ends_at_the_run_s_start(connection: Connection) -> None:
    assert begin(connection, make_run()).high == STARTED_AT


@pytest.mark.parametrize(
    ("status", "rows", "changes", "reaches"),
    [
        ("succeeded", 1, {}, True),
        ("succeeded", 0, {}, True),
        ("failed", 1, {}, True),
        ("failed", 0, {}, False),
        ("dry_run", 1, {"dry_run": True}, False),
    ],
    ids=["wrote", "found all equal", "wrote and failed", "failed first", "dry run"],
)
def test_a_run_that_waited_looks_as_far_as_what_was_written_meanwhile(
    connection: Connection, status: str, rows: int, changes: dict[str, Any], reaches: bool
) -> None:
    """It would else find a row's former version, and write that over the newer one."""
    rerun = make_run("holder-rerun", started_at=LATER, **changes)
    begin(connection, rerun)
    waiting = make_run("waiting", sync_type="full")
    with pytest.raises(LeaseHeld):
        begin(connection, waiting)
    if rows:
        load(connection, rerun, [make_row(1)])
    end(connection, "holder-rerun", status)
    window = begin(connection, waiting)
    assert window.high == (LATER if reaches else STARTED_AT)
    kept = "SELECT window_high FROM forecast_sync_status WHERE run_id = 'waiting'"
    assert connection.execute(kept).fetchone() == (window.high,)


def test_a_run_that_was_stopped_while_it_waited_decides_its_window_when_it_is_redriven(
    connection: Connection,
) -> None:
    holder, stopped = make_run("holder", started_at=LATER), make_run("stopped", sync_type="full")
    begin(connection, holder)
    starts = Starts()
    record_failure(connection, starts, SETTINGS, stopped, "StoppedByHand: by hand", 0)
    assert starts.names == []
    load(connection, holder, [make_row(1)])
    end(connection, "holder", "succeeded")
    assert begin(connection, stopped).high == LATER
    assert begin(connection, stopped).high == LATER, "a call whose answer is lost is made again"


def test_a_run_that_never_had_the_lease_isn_t_overtaken(connection: Connection) -> None:
    """Nothing was decided before a later run wrote, and nothing after is held against it."""
    holder, waiting = make_run("holder"), make_run("waiting", sync_type="full")
    begin(connection, holder)
    starts = Starts()
    record_failure(connection, starts, SETTINGS, waiting, "LeaseHeld: by holder", 0)
    assert starts.names == []
    end(connection, "holder", "succeeded")
    later = make_run("later", started_at=LATER)
    begin(connection, later)
    load(connection, later, [make_row(1)])
    end(connection, "later", "succeeded")
    assert begin(connection, waiting).high == LATER
    end(connection, "waiting", "failed")
    load(connection, waiting, [make_row(2)], query="q-2")


def test_an_earlier_run_that_was_redriven_and_looked_further_overtakes(
    connection: Connection,
) -> None:
    rerun, waited = make_run("rerun", started_at=LATER), make_run("waited", sync_type="full")
    begin(connection, rerun)
    end(connection, "rerun", "failed")
    assert begin(connection, waited).high == STARTED_AT
    end(connection, "waited", "failed")
    load(connection, rerun, [make_row(1)])
    end(connection, "rerun", "succeeded")
    with pytest.raises(Superseded, match="Run rerun has written"):
        load(connection, waited, [make_row(1, y_50="0.01")], query="q-2")


def test_a_name_that_has_ended_before_is_refused(connection: Connection) -> None:
    begin(connection, make_run())
    end(connection, "run-1", "succeeded")
    with pytest.raises(Superseded, match=r"has ended here before \(succeeded\).*another name"):
        begin(connection, make_run())


def succeed(
    connection: Connection, run: Run, rows: Sequence[Row] = (), table: Table | None = None
) -> Window:
    """A whole run, and the window that it had."""
    window = begin(connection, run, table=table)
    if rows:
        load(connection, run, rows, query=f"q-{run.run_id}", table=table)
    moved = run.started_at if run.moves_watermark else None
    connection.execute(
        "UPDATE forecast_sync_status SET status = 'succeeded', finished_at = clock_timestamp(), "
        "last_sync_timestamp = coalesce(%s, last_sync_timestamp) WHERE run_id = %s",
        [moved and moved.replace(tzinfo=None), run.run_id],
    )
    return window


def at(hour: int, **changes: Any) -> Run:
    """A run that starts so many hours later."""
    changes.setdefault("run_id", f"run-{hour}")
    return make_run(started_at=STARTED_AT + timedelta(hours=hour), **changes)


def test_a_run_of_another_table_file_reads_the_whole_lake_once_and_says_why(
    connection: Connection,
) -> None:
    assert succeed(connection, at(0), [make_row(1)]).reason is None
    second = succeed(connection, at(1), [make_row(1)])
    assert (second.low, second.reason) == (STARTED_AT, None)
    changed = succeed(connection, at(2), [make_row(1)], table=exchanged())
    assert changed.low is None
    reason = changed.reason or ""
    assert re.search(r"table file has changed since run run-1: .* was \w{16}, and is", reason)
    recorded = connection.execute(
        "SELECT definition, window_reason FROM forecast_sync_status WHERE run_id = 'run-2'"
    ).fetchone()
    assert recorded == (definition_of(exchanged()), changed.reason)
    after = succeed(connection, at(3), table=exchanged())
    assert (after.low, after.reason) == (STARTED_AT + timedelta(hours=2), None)
    back = begin(connection, at(4))
    assert back.low is None
    assert back.reason, "what was right before may have been overwritten since"


def test_a_ledger_row_names_the_definition_that_its_lines_were_made_of(
    connection: Connection,
) -> None:
    succeed(connection, at(0), [make_row(1)], table=exchanged())
    rows = connection.execute("SELECT definition FROM forecast_sync_batch").fetchall()
    assert rows == [(definition_of(exchanged()),)]


@pytest.mark.parametrize(
    ("changes", "end_as"),
    [({}, "failed"), ({"date_from": STARTED_AT.date()}, "succeeded")],
    ids=["failed", "bounded"],
)
def test_rows_of_another_table_file_are_read_again_even_if_no_watermark_was_moved(
    connection: Connection, changes: dict[str, Any], end_as: str
) -> None:
    """Its rows are there, although the table file has been put back since."""
    succeed(connection, at(0), [make_row(1)])
    between = at(1, **changes)
    succeed(connection, between, [make_row(1)], table=exchanged())
    end(connection, "run-1", end_as)
    window = begin(connection, at(2))
    assert window.low is None
    assert "another table file" in (window.reason or "")


def test_a_bounded_run_of_a_new_table_file_does_not_stand_for_the_others(
    connection: Connection,
) -> None:
    succeed(connection, at(0), [make_row(1)])
    succeed(connection, at(1, date_to=STARTED_AT.date()), [make_row(2)], table=exchanged())
    assert begin(connection, at(2), table=exchanged()).low is None


def test_another_lake_that_was_synced_in_between_makes_a_run_full(connection: Connection) -> None:
    other = SETTINGS.model_copy(update={"data_location": "s3://other/forecast/"})
    succeed(connection, at(0), [make_row(1)])
    begin(connection, at(1), settings=other)
    load(connection, at(1), [make_row(1)], query="q-other")
    end(connection, "run-1", "failed")
    window = begin(connection, at(2))
    assert (window.low, "another lake" in (window.reason or "")) == (None, True)


def test_a_run_that_adopts_its_target_notices_what_that_loses_in_the_middle(
    connection: Connection,
) -> None:
    """An older version recorded no target. A call that is made again, its answer lost, agrees."""
    succeed(connection, at(0), [make_row(1), make_row(2)])
    connection.execute("UPDATE forecast_sync_status SET definition = NULL, target = NULL")
    connection.execute("UPDATE forecast_sync_batch SET definition = NULL")
    assert begin(connection, at(1)).reason is None
    connection.execute(f"TRUNCATE {TARGET}".encode())
    for _ in range(2):
        window = begin(connection, at(1))
        assert window.low is None
        assert "truncated or filled again: it has 0 rows, and had 2" in (window.reason or "")


def test_a_run_that_decides_again_expects_its_own_rows_once(connection: Connection) -> None:
    succeed(connection, at(0), [make_row(1)])
    begin(connection, at(1))
    load(connection, at(1), [make_row(2)], query="q-1")
    assert begin(connection, at(1)).reason is None
    load(connection, at(1), [make_row(2), make_row(3)], query="q-2")
    end(connection, "run-1", "succeeded")
    connection.execute(f"CLUSTER {TARGET} USING forecast_data_pkey".encode())
    assert begin(connection, at(2)).reason is None
    connection.execute(f"DELETE FROM {TARGET} WHERE restaurant_id = 3".encode())
    connection.execute(f"CLUSTER {TARGET} USING forecast_data_pkey".encode())
    assert "has 2 rows, and had 3" in (begin(connection, at(2)).reason or "")


def test_a_run_that_is_given_another_lake_in_its_middle_stands_for_that_one(
    connection: Connection,
) -> None:
    """A deployment in between; the watermark of the lake that it left stays where it was."""
    other = SETTINGS.model_copy(update={"data_location": "s3://other/forecast/"})
    succeed(connection, at(0), [make_row(1)])
    begin(connection, at(1))
    moved = begin(connection, at(1), settings=other)
    assert (moved.low, moved.reason) == (None, None)
    row = "SELECT source, last_sync_timestamp FROM forecast_sync_status WHERE run_id = 'run-1'"
    assert connection.execute(row).fetchone() == (other.data_location, EPOCH.replace(tzinfo=None))
    load(connection, at(1), [make_row(1)], query="q-other")
    end(connection, "run-1", "succeeded")
    assert "another lake" in (begin(connection, at(2)).reason or "")


def test_a_dry_run_of_another_table_file_changes_nothing(connection: Connection) -> None:
    succeed(connection, at(0), [make_row(1)])
    succeed(connection, at(1, dry_run=True), [make_row(1)], table=exchanged())
    end(connection, "run-1", "dry_run")
    assert begin(connection, at(2)).reason is None


def test_a_database_that_an_older_version_filled_adopts_the_present_table_file(
    connection: Connection,
) -> None:
    succeed(connection, at(0), [make_row(1)])
    connection.execute("UPDATE forecast_sync_status SET definition = NULL")
    connection.execute("UPDATE forecast_sync_batch SET definition = NULL")
    adopted = succeed(connection, at(1), table=exchanged())
    assert (adopted.low, adopted.reason) == (STARTED_AT, None)
    assert adopted.adopts_until == STARTED_AT - timedelta(hours=6)
    assert begin(connection, at(2)).low is None, "from then on it is held to it"


def test_a_run_whose_table_file_is_replaced_decides_its_window_again(
    connection: Connection,
) -> None:
    succeed(connection, at(0), [make_row(1)])
    assert begin(connection, at(1)).low is not None
    load(connection, at(1), [make_row(2)], query="q-2")
    assert begin(connection, at(1), table=exchanged()).low is None
    with pytest.raises(InputsOutdated, match="another table file"):
        load(connection, at(1), [make_row(3)], query="q-left-over")
    load(connection, at(1), [make_row(3)], query="q-3", table=exchanged())
    assert begin(connection, at(1)).low is None, "some of its rows are of the other one"


def test_a_batch_is_recorded_in_the_schema_of_an_older_version(connection: Connection) -> None:
    """A run that began before an upgrade goes on before any run has extended the schema."""
    begin(connection, at(0))
    connection.execute("ALTER TABLE forecast_sync_batch DROP COLUMN definition")
    connection.execute("ALTER TABLE forecast_sync_status DROP COLUMN definition")
    load(connection, at(0), [make_row(1)])
    assert connection.execute("SELECT inserted FROM forecast_sync_batch").fetchall() == [(1,)]


TARGET = "forecast_data"
DROP = f"DROP TABLE {TARGET}"
ROUNDED_COLUMN = (
    f"ALTER TABLE {TARGET} ALTER y_05 TYPE numeric(10,1);"
    f"ALTER TABLE {TARGET} ALTER y_05 TYPE numeric(10,2)"
)
"""What a run says to do, once somebody has narrowed the column: its rows stay rounded."""
REPLACED_COLUMN = f"ALTER TABLE {TARGET} DROP COLUMN y_05, ADD COLUMN y_05 numeric(10,2)"


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (DROP, r"is another table than the one that run run-0 filled: its oid was \d+, and is"),
        (f"TRUNCATE {TARGET}", "truncated or filled again: it has 0 rows, and had 2"),
        (REPLACED_COLUMN, "columns of forecast_data were added or replaced: y_05"),
        (ROUNDED_COLUMN, "was rewritten and columns of it were altered: y_05"),
    ],
    ids=["dropped", "truncated", "column replaced", "column rounded"],
)
def test_a_target_that_lost_its_rows_is_filled_by_a_run_that_says_why(
    connection: Connection, loss: str, why: str
) -> None:
    succeed(connection, at(0), [make_row(1), make_row(2)])
    assert begin(connection, at(1)).reason is None
    end(connection, "run-1", "failed")
    connection.execute(loss.encode())
    ensure_schema(connection, load_table())
    filled = succeed(connection, at(2), [make_row(1), make_row(2)])
    assert filled.low is None
    assert re.search(f"{why}.*\\.$", filled.reason or ""), filled.reason
    after = begin(connection, at(3))
    assert (after.low is None, after.reason) == (False, None)


@pytest.mark.parametrize(
    "rewrite",
    [
        f"VACUUM FULL {TARGET}",
        f"CLUSTER {TARGET} USING forecast_data_pkey",
        f"DELETE FROM {TARGET}",
        f"ALTER TABLE {TARGET} ALTER y_05 SET STATISTICS 500",
    ],
    ids=["vacuum full", "cluster", "delete", "statistics"],
)
def test_a_target_that_was_rewritten_without_loss_costs_no_full_run(
    connection: Connection, rewrite: str
) -> None:
    """Rows that somebody deletes one by one are `diff`'s to find."""
    succeed(connection, at(0), [make_row(1), make_row(2)])
    connection.execute(rewrite.encode())
    assert succeed(connection, at(1)).reason is None
    assert begin(connection, at(2)).reason is None


def test_a_truncated_target_that_was_filled_again_in_part_is_noticed(
    connection: Connection,
) -> None:
    succeed(connection, at(0), [make_row(1), make_row(2)])
    succeed(connection, at(1), [make_row(3)])
    connection.execute(b"CREATE TABLE kept AS SELECT * FROM forecast_data LIMIT 2")
    connection.execute(b"TRUNCATE forecast_data")
    connection.execute(b"INSERT INTO forecast_data SELECT * FROM kept")
    reason = begin(connection, at(2)).reason or ""
    assert "it has 2 rows, and had 3" in reason, reason


def test_of_a_partitioned_target_the_partitions_count(connection: Connection) -> None:
    connection.execute(
        b"CREATE TABLE parts (LIKE forecast_data INCLUDING DEFAULTS) "
        b"PARTITION BY RANGE (restaurant_id);"
        b"CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (10);"
        b"CREATE TABLE high PARTITION OF parts FOR VALUES FROM (10) TO (20);"
        b"ALTER TABLE parts ADD UNIQUE (restaurant_id, inventory_item_id, business_date);"
        b"ALTER SEQUENCE forecast_data_id_seq OWNED BY NONE;"
        b"DROP TABLE forecast_data; ALTER TABLE parts RENAME TO forecast_data"
    )
    succeed(connection, at(0), [make_row(1), make_row(11)])
    connection.execute(b"CREATE TABLE more PARTITION OF forecast_data FOR VALUES FROM (20) TO (30)")
    assert succeed(connection, at(1)).reason is None, "a new partition loses nothing"
    connection.execute(b"TRUNCATE high")
    assert "it has 1 rows, and had 2" in (begin(connection, at(2)).reason or "")


def test_a_full_run_by_hand_needs_no_reason(connection: Connection) -> None:
    succeed(connection, at(0), [make_row(1)])
    connection.execute(b"TRUNCATE forecast_data")
    window = begin(connection, at(1, sync_type="full"))
    assert (window.low, window.reason) == (None, None)


@pytest.mark.parametrize(
    ("trigger", "is_refused"),
    [("s3", True), ("rerun", True), ("schedule", False), ("cli", False)],
)
def test_uploads_do_not_read_the_whole_lake_again_and_again(
    connection: Connection, trigger: str, is_refused: bool
) -> None:
    succeed(connection, at(0), [make_row(1)])
    connection.execute(b"TRUNCATE forecast_data")
    assert begin(connection, at(1, trigger="s3")).reason
    end(connection, "run-1", "failed")
    if is_refused:
        with pytest.raises(
            FullRunNeeded, match=r"had 1\..* run-1 has failed in that.*sync-type full"
        ):
            begin(connection, at(2, trigger=trigger))
    else:
        assert begin(connection, at(2, trigger=trigger)).reason
        end(connection, "run-2", "failed")
    assert begin(connection, at(1, trigger="s3")).reason, "its redrive may"
    end(connection, "run-1", "failed")
    succeed(connection, at(3, sync_type="full"), [make_row(1)])
    assert begin(connection, at(4, trigger="s3")).reason is None


def test_a_database_of_an_older_version_adopts_its_target(connection: Connection) -> None:
    succeed(connection, at(0), [make_row(1)])
    connection.execute(b"UPDATE forecast_sync_status SET target = NULL")
    connection.execute(b"INSERT INTO forecast_data SELECT * FROM forecast_data WHERE false")
    assert succeed(connection, at(1)).reason is None
    connection.execute(b"TRUNCATE forecast_data")
    assert "it has 0 rows, and had 1" in (begin(connection, at(2)).reason or "")


def test_a_target_that_takes_long_to_count_counts_as_not_emptied(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed(connection, at(0), [make_row(1)])
    connection.execute(b"VACUUM FULL forecast_data")
    monkeypatch.setattr(continuity, "COUNT_MILLISECONDS", 50)
    slow = "SELECT count(*) FROM {target}, pg_sleep(5)"
    monkeypatch.setattr(continuity, "statement", lambda name, **parts: (
        psycopg.sql.SQL(slow).format(**parts) if name == "target/count_rows.sql"
        else statement(name, **parts)
    ))  # fmt: skip
    window = begin(connection, at(1))
    assert window.reason is None
    before = connection.execute("SHOW statement_timeout").fetchone()
    assert before == ("0",)
