"""Claims about who may write to a database, checked in a real Postgres."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from forecast_sync import clients, deployed_tables
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run
from forecast_sync.errors import LeaseHeld, Superseded
from forecast_sync.lease import lease
from forecast_sync.lease.window import open_window
from forecast_sync.load.loader import load_page
from forecast_sync.record.outcome import record_failure
from forecast_sync.tables import load_table

from tests.builders import STARTED_AT, Files, make_row, make_run, make_upsert, to_line
from tests.handlers import import_handler
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


def test_a_run_that_is_stopped_before_any_run_made_the_tables_never_takes_the_lease(
    connection: Connection, read_watermark: Handler
) -> None:
    connection.execute(b"DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    run = make_run()
    assert not record_failure(connection, Starts(), SETTINGS, run, "StoppedByHand: by hand", 0)
    with pytest.raises(LeaseHeld, match="has ended since this call began"):
        read_watermark(run, is_alive=False)
    assert status_of(connection, run) is None
    # A redrive makes it alive again, and this time the tables are there.
    assert read_watermark(run, is_alive=True)["outcome"] == "proceed"
    assert status_of(connection, run) == ("running", 0)


def test_a_first_run_creates_the_tables_and_takes_the_lease(
    connection: Connection, read_watermark: Handler
) -> None:
    connection.execute(b"DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert read_watermark(make_run(), is_alive=True)["outcome"] == "proceed"
    assert status_of(connection, make_run()) == ("running", 0)


class Handler(Protocol):
    """Read watermark for a run; ``is_alive`` is what Step Functions says of every execution."""

    def __call__(self, run: Run, *, is_alive: bool) -> dict[str, Any]: ...


@pytest.fixture
def read_watermark(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Handler:
    function = import_handler("read_watermark", monkeypatch)
    monkeypatch.setattr(clients, "connection", lambda *_: connection)
    monkeypatch.setattr(deployed_tables, "table_of", lambda _run: load_table())
    monkeypatch.setattr(deployed_tables, "settings_of", lambda _run: SETTINGS)

    def call(run: Run, *, is_alive: bool) -> dict[str, Any]:
        step_functions = SimpleNamespace(is_alive=lambda _arn: is_alive)
        monkeypatch.setattr(clients, "workflow", lambda: step_functions)
        event = {"run": run.model_dump(mode="json"), "redrive_count": 0, "renewal": 0}
        answer: dict[str, Any] = function.handler(event, LambdaContext())
        return answer

    return call


def test_the_run_that_waits_is_next_and_reruns_coalesce_into_it(connection: Connection) -> None:
    """Otherwise reruns that follow each other would take the lease between its attempts."""
    holder, full = make_run("holder"), make_run("full", sync_type="full")
    begin(connection, holder)
    with pytest.raises(LeaseHeld, match="Run holder works on this database"):
        begin(connection, full)
    connection.execute("UPDATE forecast_sync_status SET status = 'succeeded'")
    window = begin(connection, make_run("holder-rerun"))
    assert (window.outcome, window.holder) == ("coalesced", "full")
    with pytest.raises(LeaseHeld, match="Run full waits for this database"):
        begin(connection, make_run("another", sync_type="full"))
    assert begin(connection, full).outcome == "proceed"
    assert reruns_asked_of(connection) == ["full"]
    connection.execute("UPDATE forecast_sync_status SET status = 'succeeded'")
    window = begin(connection, make_run("full-rerun"))
    assert (window.outcome, window.holder) == ("coalesced", "another")


@pytest.mark.parametrize("quiet", [False, True])
def test_a_run_that_has_stopped_waiting_is_passed_over_and_its_rerun_inherited(
    connection: Connection, quiet: bool
) -> None:
    begin(connection, make_run("holder"))
    full = make_run("full", sync_type="full")
    with pytest.raises(LeaseHeld):
        begin(connection, full)
    connection.execute("UPDATE forecast_sync_status SET status = 'succeeded'")
    begin(connection, make_run("coalesced"))
    if quiet:
        connection.execute("UPDATE forecast_sync_waiting SET seen_at = seen_at - interval '1 day'")
    assert begin(connection, make_run("heir"), alive=quiet).outcome == "proceed"
    assert reruns_asked_of(connection) == ["heir"]


def test_a_run_that_waits_in_vain_starts_the_rerun_that_was_asked_of_it(
    connection: Connection,
) -> None:
    begin(connection, make_run("holder"))
    full, starts = make_run("full", sync_type="full"), Starts()
    with pytest.raises(LeaseHeld):
        begin(connection, full)
    connection.execute("UPDATE forecast_sync_status SET status = 'succeeded'")
    begin(connection, make_run("coalesced"))
    record_failure(connection, starts, SETTINGS, full, "StoppedByHand: by hand", 0)
    assert starts.names == ["full-rerun"]
    assert begin(connection, make_run("later")).outcome == "proceed"


OTHER_LAKE = SETTINGS.model_copy(update={"data_location": "s3://other/forecast/"})
OTHER_TABLE = SETTINGS.model_copy(update={"table_file": "price"})


@pytest.mark.parametrize("others", [OTHER_LAKE, OTHER_TABLE], ids=["lake", "table"])
def test_a_run_coalesces_only_into_one_of_its_lake_and_table(
    connection: Connection, others: Settings
) -> None:
    """The holder's rerun would sync the holder's lake, and this one's uploads would be left out."""
    begin(connection, make_run("holder"))
    begin(connection, make_run("coalesced"))
    other = make_run("other")
    with pytest.raises(LeaseHeld, match="syncs another lake or table"):
        open_window(connection, others, load_table(), other, lambda _arn: True)
    window = open_window(connection, others, load_table(), other, lambda _arn: False)
    assert window.outcome == "proceed"
    assert reruns_asked_of(connection) == ["holder"], "its own end or redrive starts it"


STOPPED_AT = STARTED_AT + timedelta(minutes=5)


def stop(connection: Connection, run: Run, redrive_count: int = 0) -> None:
    """Somebody stopped the run, and the rule has recorded it."""
    message, ended_at = "StoppedByHand: by hand", STOPPED_AT.isoformat()
    record_failure(connection, Starts(), SETTINGS, run, message, redrive_count, ended_at)


def status_of(connection: Connection, run: Run) -> Any:
    row = connection.execute(
        "SELECT status, redrive_count FROM forecast_sync_status WHERE run_id = %s", [run.run_id]
    ).fetchone()
    return row and tuple(row)


def test_a_call_that_was_in_front_of_its_first_batch_writes_nothing_after_the_stop(
    connection: Connection,
) -> None:
    run, files = make_run(), Files()
    begin(connection, run, redrive_count=0)
    files.add("a.gz", [to_line(make_row(1))])

    def stream(bucket: str, key: str) -> Iterator[bytes]:
        stop(connection, run)
        yield from files.stream(bucket, key)

    for request in (
        make_upsert(run, ["a.gz"], map_redrive_count=0, started_at=STARTED_AT),
        make_upsert(run, ["a.gz"]),
    ):
        with pytest.raises(LeaseHeld, match="recorded as ended"):
            load_page(connection, stream, load_table(), request, lambda: LONG, None)
    assert stored(connection) == []
    assert status_of(connection, run) == ("failed", 0)


@pytest.mark.parametrize(
    "counts",
    [
        {"map_redrive_count": 0, "redrive_count": 1, "started_at": STARTED_AT},
        {"map_redrive_count": 1, "redrive_count": 0, "started_at": STOPPED_AT},
        {"map_redrive_count": 0, "redrive_count": 0, "started_at": STOPPED_AT + timedelta(1)},
        {},
    ],
    ids=["redriven", "new Map Run", "started by the redrive", "older version"],
)
def test_only_a_child_of_the_redrive_takes_the_lease_again(
    connection: Connection, counts: dict[str, Any]
) -> None:
    run = make_run()
    begin(connection, run, redrive_count=0)
    stop(connection, run)
    with pytest.raises(LeaseHeld, match="only a redrive"):
        load(connection, run, [make_row(1)], map_redrive_count=0, started_at=STARTED_AT)
    assert status_of(connection, run) == ("failed", 0)
    assert load(connection, run, [make_row(1)], **counts).done
    assert status_of(connection, run) == ("running", 1 if counts else 0)
    # A sibling that the redrive has started with the input from before it goes on as well.
    assert load(connection, run, [make_row(2)], query="q-2", map_redrive_count=0).done


def test_a_child_that_a_redrive_has_started_takes_the_lease_at_each_later_redrive(
    connection: Connection,
) -> None:
    """Its own count stays one behind the run's."""
    run = make_run()
    begin(connection, run, redrive_count=0)
    stop(connection, run)
    began = STOPPED_AT + timedelta(hours=1)
    for redrive in range(1, 5):
        child = {"StartTime": STOPPED_AT + timedelta(hours=1)}
        if redrive > 1:
            child["RedriveTime"] = began
        counts: dict[str, Any] = {
            "map_redrive_count": 0,
            "redrive_count": redrive - 1,
            "execution": child,
        }
        assert load(connection, run, [make_row(redrive)], query=f"q-{redrive}", **counts).done
        assert status_of(connection, run) == ("running", redrive)
        ended = began + timedelta(minutes=1)
        record_failure(connection, Starts(), SETTINGS, run, "X: no", redrive, ended.isoformat())
        with pytest.raises(LeaseHeld, match="only a redrive"):
            load(connection, run, [make_row(0)], query="left over", **counts)
        began += timedelta(hours=1)


def test_a_redrive_fences_a_call_from_before_it_even_if_nobody_recorded_the_stop(
    connection: Connection,
) -> None:
    run, files = make_run(), Files()
    begin(connection, run, redrive_count=0)
    files.add("a.gz", [to_line(make_row(1))])

    def stream(bucket: str, key: str) -> Iterator[bytes]:
        lease.resume(connection, run, 1)
        yield from files.stream(bucket, key)

    request = make_upsert(run, ["a.gz"], map_redrive_count=0, started_at=STARTED_AT)
    with pytest.raises(LeaseHeld, match="recorded as ended"):
        load_page(connection, stream, load_table(), request, lambda: LONG, None)
    assert stored(connection) == []
    with pytest.raises(LeaseHeld, match="only a redrive"):
        lease.resume(connection, run, 0)
    assert status_of(connection, run) == ("running", 1)


def test_what_is_left_of_read_watermark_doesn_t_take_a_stopped_run_s_lease(
    connection: Connection,
) -> None:
    run = make_run()
    stop(connection, run)
    with pytest.raises(LeaseHeld, match="only a redrive"):
        begin(connection, run, redrive_count=0)
    assert status_of(connection, run) == ("failed", 0)
    begin(connection, run, redrive_count=1)
    assert status_of(connection, run) == ("running", 1)
    stop(connection, run, 1)
    with pytest.raises(LeaseHeld, match="only a redrive"):
        begin(connection, run, redrive_count=1)


def test_a_stop_that_is_recorded_after_the_redrive_doesn_t_end_it(connection: Connection) -> None:
    run = make_run()
    begin(connection, run, redrive_count=0)
    lease.resume(connection, run, 1)
    stop(connection, run, 0)
    assert status_of(connection, run) == ("running", 1)


def test_a_run_goes_on_in_the_schema_of_the_version_before(connection: Connection) -> None:
    """Its functions were updated after Read watermark."""
    run = make_run()
    begin(connection, run)
    connection.execute("ALTER TABLE forecast_sync_status DROP COLUMN redrive_count")
    assert load(connection, run, [make_row(1)]).done
    connection.execute("ALTER TABLE forecast_sync_status DROP COLUMN IF EXISTS redrive_count")
    stop(connection, run)
    lease.resume(connection, run, 1)
    assert status_of(connection, run) == ("running", 1)


def test_a_run_is_superseded_by_a_later_one_that_had_nothing_to_load(
    connection: Connection,
) -> None:
    """What the failed one would write has been withdrawn from the lake meanwhile."""
    failed, later = make_run("failed"), make_run("later")
    begin(connection, failed, redrive_count=0)
    stop(connection, failed)
    begin(connection, later, redrive_count=0)
    connection.execute("UPDATE forecast_sync_status SET status = 'succeeded' WHERE id = 2")
    with pytest.raises(
        Superseded, match="later has written or succeeded since failed lost its lease"
    ):
        load(connection, failed, [make_row(1)], map_redrive_count=0, redrive_count=1)
    assert stored(connection) == []


def test_a_lease_copied_by_branching_is_taken_over(connection: Connection) -> None:
    begin(connection, make_run("original", neon_branch_id="br-parent"))
    begin(connection, make_run("another", neon_branch_id="br-parent"))
    assert begin(connection, make_run("mine", neon_branch_id="br-child")).outcome == "proceed"
    assert reruns_asked_of(connection) == [], "the rerun is the other branch's"
    with pytest.raises(Superseded):
        lease.resume(connection, make_run("original", neon_branch_id="br-parent"), 1)


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
