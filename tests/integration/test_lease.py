"""Claims about who may write to a database, checked in a real Postgres."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.errors import LeaseHeld, Superseded
from forecast_sync.lease import lease
from forecast_sync.load.loader import load_page
from forecast_sync.record.outcome import record_failure
from forecast_sync.tables import load_table

from tests.builders import Files, make_row, make_run, make_upsert, to_line
from tests.integration.loads import LONG, SETTINGS, Starts, as_text, begin, load, stored


def test_a_failed_run_resumes_unless_another_run_wrote(connection: Connection) -> None:
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


def reruns_asked_of(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT run_id FROM forecast_sync_status WHERE rerun_requested")
    return [run_id for (run_id,) in rows]


def test_a_run_that_evicts_a_dead_holder_inherits_its_rerun(
    connection: Connection,
) -> None:
    begin(connection, make_run("holder"))
    begin(connection, make_run("coalesced"))
    assert reruns_asked_of(connection) == ["holder"]
    begin(connection, make_run("heir", sync_type="full"), alive=False)
    assert reruns_asked_of(connection) == ["heir"]


def test_a_run_whose_row_is_gone_is_refused(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    connection.execute("DELETE FROM forecast_sync_status")
    for _redrive in range(2):
        with pytest.raises(Superseded, match="run-1 has begun: it was reset, restored or replaced"):
            load(connection, run, [make_row(1)])
        record_failure(connection, Starts(), SETTINGS, run, "Superseded: it was reset", 0)


def test_each_end_of_a_redriven_run_starts_its_own_rerun(connection: Connection) -> None:
    run, starts = make_run(), Starts()
    begin(connection, run)
    for redrive_count in (0, 1, 1):
        connection.execute("UPDATE forecast_sync_status SET rerun_requested = true")
        record_failure(connection, starts, SETTINGS, run, "QueryFailed: no", redrive_count)
    assert starts.names == ["run-1-rerun", "run-1-rerun-1", "run-1-rerun-1"]
    assert reruns_asked_of(connection) == []


def test_what_is_left_of_a_stopped_run_ends_and_doesn_t_take_the_lease_again(
    connection: Connection,
) -> None:
    run, files = make_run(), Files()
    begin(connection, run)
    files.add("a.gz", [to_line(make_row(number)) for number in range(10)])
    files.add("b.gz", [to_line(make_row(number)) for number in range(10, 20)])

    def stream(bucket: str, key: str) -> Iterator[bytes]:
        if key == "b.gz":
            connection.execute("UPDATE forecast_sync_status SET status = 'failed'")
        yield from files.stream(bucket, key)

    request = make_upsert(run, list(files.content))
    with pytest.raises(LeaseHeld, match="recorded as ended while this page loaded"):
        load_page(connection, stream, load_table(), request, lambda: LONG, None)
    assert len(stored(connection)) == 10
    assert connection.execute("SELECT status FROM forecast_sync_status").fetchone() == ("failed",)
    assert load_page(connection, files.stream, load_table(), request, lambda: LONG, None).done
    assert len(stored(connection)) == 20


def test_a_lease_copied_by_branching_is_taken_over(connection: Connection) -> None:
    begin(connection, make_run("original", neon_branch_id="br-parent"))
    begin(connection, make_run("another", neon_branch_id="br-parent"))
    assert begin(connection, make_run("mine", neon_branch_id="br-child")).outcome == "proceed"
    assert reruns_asked_of(connection) == [], "the rerun is the other branch's"
    with pytest.raises(Superseded):
        lease.resume(connection, make_run("original", neon_branch_id="br-parent"))


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
