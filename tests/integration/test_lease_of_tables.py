"""Claims about leases of several tables in one database, checked in a real Postgres."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run, Window
from forecast_sync.errors import LeaseHeld, Superseded
from forecast_sync.lease import lease
from forecast_sync.lease.window import open_window
from forecast_sync.record.outcome import record_failure
from forecast_sync.tables import Table, parse_table
from forecast_sync.target.schema import ensure_schema

from tests.builders import make_run
from tests.integration.loads import Starts
from tests.workflow.several import table_text

STACK = Settings(environment="dev", tables="sales,stock", data_location="s3://lake/")
TABLES = {name: parse_table(table_text(name), name) for name in STACK.table_names}
LAKES = {name: STACK.for_table(name, "shared/") for name in STACK.table_names}
INSERT_ROW = (
    "INSERT INTO t_{} (restaurant_id, inventory_item_id, business_date, state, y_50) "
    "VALUES (1, 1, '2026-12-01', 'TX', 1)"
)


def run_of(table: str, run_id: str, **changes: Any) -> Run:
    return make_run(run_id, table=table, scope=table, **changes)


def begin(
    connection: Connection,
    run: Run,
    *,
    alive: bool = True,
    adopts: bool = False,
    table: Table | None = None,
) -> Window:
    name = str(run.table)
    ensure_schema(connection, table or TABLES[name])
    settings = LAKES[name].model_copy(update={"adopts_unnamed": adopts})
    return open_window(connection, settings, table or TABLES[name], run, lambda _arn: alive, 0)


def statuses(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT run_id, status FROM forecast_sync_status ORDER BY id"
    ).fetchall()


def test_each_table_has_a_lease_and_coalesces_with_its_own_runs(connection: Connection) -> None:
    assert begin(connection, run_of("sales", "a")).outcome == "proceed"
    assert begin(connection, run_of("stock", "b")).outcome == "proceed"
    assert begin(connection, run_of("stock", "c")).holder == "b"
    with pytest.raises(LeaseHeld, match="Run a works on"):
        begin(connection, run_of("sales", "d", sync_type="full"))
    assert begin(connection, run_of("sales", "e"), alive=False).outcome == "proceed"
    assert statuses(connection) == [("a", "failed"), ("b", "running"), ("e", "running")]


def test_the_database_admits_one_running_row_of_a_table(connection: Connection) -> None:
    begin(connection, run_of("sales", "a"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(
            "INSERT INTO forecast_sync_status "
            "(sync_type, last_sync_timestamp, status, run_id, table_name) "
            "VALUES ('full', now(), 'running', 'x', 'sales')"
        )


def test_a_run_of_one_table_is_overtaken_by_no_run_of_another(connection: Connection) -> None:
    first = run_of("sales", "a")
    begin(connection, first)
    record_failure(connection, Starts(), LAKES["sales"], first, "QueryFailed: no", 0)
    begin(connection, run_of("stock", "b"))
    connection.execute("UPDATE forecast_sync_status SET status = 'succeeded' WHERE run_id = 'b'")
    lease.resume(connection, first, 1)
    record_failure(connection, Starts(), LAKES["sales"], first, "QueryFailed: no", 1)
    begin(connection, run_of("sales", "c"))
    connection.execute("UPDATE forecast_sync_status SET status = 'succeeded' WHERE run_id = 'c'")
    with pytest.raises(Superseded, match="Run c has written"):
        lease.resume(connection, first, 2)


@pytest.mark.parametrize(
    "change", ["table_name = NULL", "table_name = 'renamed'"], ids=["unnamed", "renamed"]
)
def test_a_run_that_may_write_to_the_same_target_is_waited_for(
    connection: Connection, change: str
) -> None:
    """It is of an older version, which names no table, or the file had another name."""
    begin(connection, run_of("sales", "a"))
    connection.execute(f"UPDATE forecast_sync_status SET {change}".encode())
    with pytest.raises(LeaseHeld, match="Run a works on"):
        begin(connection, run_of("sales", "b", sync_type="full"))
    if "NULL" not in change:
        assert begin(connection, run_of("stock", "c")).outcome == "proceed"


def test_a_rerun_is_of_the_table_and_is_started_for_it(connection: Connection) -> None:
    run, starts = run_of("sales", "a"), Starts()
    begin(connection, run)
    begin(connection, run_of("sales", "b"))
    record_failure(connection, starts, LAKES["sales"], run, "QueryFailed: no", 0)
    assert starts.payloads == [{"git_ref": "dev", "trigger": "rerun", "table": "sales"}]


def test_a_batch_of_one_table_doesn_t_wait_for_another_s_lease(
    connection: Connection, database_url: str
) -> None:
    begin(connection, run_of("sales", "a"))
    begin(connection, run_of("stock", "b"))
    with connect(database_url) as other, other.transaction(), other.cursor() as cursor:
        lease.lock_exclusively(cursor, "stock")
        free = _in_time(lambda: lease.resume(connection, run_of("sales", "a"), 0))
        assert free
        assert not _in_time(lambda: lease.resume(connection, run_of("stock", "b"), 0), seconds=0.5)


def _in_time(work: Callable[[], object], seconds: float = 10) -> bool:
    done = threading.Thread(target=work, daemon=True)
    done.start()
    done.join(seconds)
    return not done.is_alive()


def test_what_an_older_version_recorded_goes_to_the_first_table_whose_target_has_rows(
    connection: Connection,
) -> None:
    for table in TABLES.values():
        ensure_schema(connection, table)
    connection.execute(INSERT_ROW.format("stock").encode())
    connection.execute(
        "INSERT INTO forecast_sync_status "
        "(sync_type, last_sync_timestamp, status, run_id, execution_arn, source, dry_run, "
        " window_high) VALUES "
        "('full', '2026-11-01', 'succeeded', 'old', 'arn', 's3://lake/shared/', false, now())"
    )
    assert begin(connection, run_of("sales", "a")).low is None
    assert begin(connection, run_of("stock", "b"), adopts=True).low is not None
    names = "SELECT table_name FROM forecast_sync_status WHERE run_id = 'old'"
    assert connection.execute(names).fetchone() == ("stock",)


def test_an_empty_target_adopts_no_watermark(connection: Connection) -> None:
    ensure_schema(connection, TABLES["sales"])
    connection.execute(
        "INSERT INTO forecast_sync_status "
        "(sync_type, last_sync_timestamp, status, run_id, execution_arn, source, dry_run, "
        " window_high) VALUES "
        "('full', '2026-11-01', 'succeeded', 'old', 'arn', 's3://lake/shared/', false, now())"
    )
    assert begin(connection, run_of("sales", "a"), adopts=True).low is None
