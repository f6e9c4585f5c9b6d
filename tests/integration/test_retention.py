"""Claims about cleaning history, in a real Postgres: nothing is lost that a redrive needs."""

from __future__ import annotations

from typing import Any

from forecast_sync.adapters.postgres import Connection
from forecast_sync.record.retention import DeletedHistory, clean_history

DAYS = 30


def add_run(connection: Connection, run_id: str | None, age: int, **changes: Any) -> None:
    """A run that ended ``age`` days ago, with one batch in the ledger."""
    values = {"status": "succeeded", "source": "s3://lake/", "rerun_requested": False, **changes}
    finished = None if values["status"] == "running" else age
    connection.execute(
        """
        INSERT INTO forecast_sync_status (
            sync_type, last_sync_timestamp, status, source, run_id, rerun_requested, finished_at,
            created_at
        )
        SELECT 'incremental', now() - make_interval(days => %(age)s), %(status)s, %(source)s,
               %(run_id)s, %(rerun_requested)s, now() - make_interval(days => %(finished)s),
               now() - make_interval(days => %(age)s)
        """,
        {**values, "run_id": run_id, "age": age, "finished": finished},
    )
    if run_id:
        connection.execute(
            "INSERT INTO forecast_sync_batch VALUES (%s, 0, 0, 10, %s, 10, 0, 0, 0, 1)",
            [f"query-{run_id}", run_id],
        )


def kept(connection: Connection) -> list[str | None]:
    rows = connection.execute("SELECT run_id FROM forecast_sync_status ORDER BY id")
    return [run_id for (run_id,) in rows]


def ledger(connection: Connection) -> set[str]:
    return {run_id for (run_id,) in connection.execute("SELECT run_id FROM forecast_sync_batch")}


def test_old_runs_go_with_their_ledger(connection: Connection) -> None:
    add_run(connection, "old", 40)
    add_run(connection, "older-failure", 35, status="failed")
    add_run(connection, "young", 3)
    assert clean_history(connection, DAYS) == DeletedHistory(runs=2, batches=2)
    assert kept(connection) == ["young"]
    assert ledger(connection) == {"young"}
    assert clean_history(connection, DAYS) == DeletedHistory(runs=0, batches=0)


def test_nothing_above_a_run_that_may_be_redriven_goes(connection: Connection) -> None:
    add_run(connection, "old", 60)
    add_run(connection, "failed-again", 2, status="failed")
    add_run(connection, "later", 40)
    add_run(connection, "young", 1)
    clean_history(connection, DAYS)
    assert kept(connection) == ["failed-again", "later", "young"]
    assert ledger(connection) == {"failed-again", "later", "young"}


def test_a_working_run_and_a_wanted_rerun_are_kept_however_old(connection: Connection) -> None:
    add_run(connection, "old", 90)
    add_run(connection, "wanted", 80, rerun_requested=True)
    add_run(connection, "working", 70, status="running")
    add_run(connection, "young", 1)
    clean_history(connection, DAYS)
    assert kept(connection) == ["wanted", "working", "young"]


def test_the_watermark_of_every_lake_is_kept(connection: Connection) -> None:
    add_run(connection, "other-lake", 300, source="s3://other/")
    add_run(connection, "first", 200)
    add_run(connection, "newest", 100)
    add_run(connection, "failure", 90, status="failed")
    assert clean_history(connection, DAYS) == DeletedHistory(runs=2, batches=2)
    assert kept(connection) == ["other-lake", "newest"]


def test_rows_without_a_run_are_left_alone(connection: Connection) -> None:
    add_run(connection, None, 400)
    assert clean_history(connection, DAYS) == DeletedHistory(runs=0, batches=0)
    assert kept(connection) == [None]


def test_a_file_is_forgotten_when_it_is_long_gone(connection: Connection) -> None:
    """Not while its dates have yet to be gone over."""
    for key, state, withdrawn in (("a", "gone", None), ("b", "loaded", None), ("c", "gone", "now")):
        connection.execute(
            "INSERT INTO forecast_sync_file (table_name, lake, key, etag, modified, size, state, "
            "withdrawn_from, changed_at) VALUES ('t', 'l', %s, '', now(), 1, %s, %s, "
            "now() - interval '100 days')",
            [key, state, withdrawn],
        )
    clean_history(connection, 101)
    assert _keys(connection) == ["a", "b", "c"]
    clean_history(connection, 90)
    assert _keys(connection) == ["b", "c"]


def _keys(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT key FROM forecast_sync_file ORDER BY key").fetchall()
    return [key for (key,) in rows]
