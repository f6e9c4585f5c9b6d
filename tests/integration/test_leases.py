"""Claims about who may write to a database, checked in a real Postgres."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from forecast_sync import leases
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.errors import LeaseHeld, Superseded
from forecast_sync.loading import load_page
from forecast_sync.tables import load_table

from tests.builders import Files, make_row, make_run, make_upsert, to_line
from tests.integration.loads import LONG, as_text, begin, load, stored


def test_a_failed_run_resumes_when_nobody_came_between(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    load(connection, run, [make_row(1)])
    connection.execute("UPDATE forecast_sync_status SET status = 'failed'")
    load(connection, run, [make_row(2)], query="q-2")
    assert len(stored(connection)) == 2
    assert connection.execute("SELECT status FROM forecast_sync_status").fetchone() == ("running",)


def test_an_overtaken_run_is_refused(connection: Connection) -> None:
    first, second = make_run("run-1"), make_run("run-2")
    begin(connection, first)
    connection.execute("UPDATE forecast_sync_status SET status = 'failed'")
    begin(connection, second)
    load(connection, second, [make_row(1)], query="q-2")
    with pytest.raises(Superseded, match="run-2"):
        load(connection, first, [make_row(1, y_50="0.01")])
    assert stored(connection) == as_text([make_row(1)])


def test_a_second_run_coalesces_or_waits_or_takes_over(connection: Connection) -> None:
    holder = make_run("holder")
    begin(connection, holder)
    window = begin(connection, make_run("later"))
    assert (window.outcome, window.holder) == ("coalesced", "holder")
    flag = "SELECT rerun_requested FROM forecast_sync_status WHERE run_id = 'holder'"
    assert connection.execute(flag).fetchone() == (True,)
    with pytest.raises(LeaseHeld, match="holder"):
        begin(connection, make_run("full", sync_type="full"))
    assert begin(connection, make_run("heir"), alive=False).outcome == "proceed"
    rows = connection.execute(
        "SELECT run_id, status FROM forecast_sync_status ORDER BY id"
    ).fetchall()
    assert rows == [("holder", "failed"), ("heir", "running")]


def test_a_lease_copied_by_branching_is_taken_over(connection: Connection) -> None:
    begin(connection, make_run("original", neon_branch_id="br-parent"))
    assert begin(connection, make_run("mine", neon_branch_id="br-child")).outcome == "proceed"
    with pytest.raises(Superseded):
        leases.resume(connection, make_run("original", neon_branch_id="br-parent"))


def test_a_takeover_waits_for_the_batch_in_flight(
    database_url: str, connection: Connection
) -> None:
    """So it never overlaps a commit, and what comes after it is refused."""
    run, files, done = make_run(), Files(), threading.Event()
    begin(connection, run)
    files.add("a.gz", [to_line(make_row(1))])
    files.add("b.gz", [to_line(make_row(2))])

    def take_over() -> None:
        with connect(database_url) as own:
            begin(own, make_run("heir"), alive=False)
            done.set()

    takeover = threading.Thread(target=take_over)

    def stream(bucket: str, key: str) -> Iterator[bytes]:
        if key == "b.gz":
            takeover.start()
            assert not done.wait(0.3)
        yield from files.stream(bucket, key)

    request = make_upsert(run, list(files.content))
    assert load_page(connection, stream, load_table(), request, lambda: LONG, None).done
    takeover.join()
    assert done.is_set()
    assert stored(connection) == as_text([make_row(1), make_row(2)])
    with pytest.raises(LeaseHeld, match="heir"):
        load(connection, run, [make_row(3)], query="q-2")
