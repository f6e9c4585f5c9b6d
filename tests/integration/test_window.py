"""Claims about which objects a run looks at, checked in a real Postgres."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from forecast_sync.adapters.postgres import Connection
from forecast_sync.errors import LeaseHeld, Superseded
from forecast_sync.record.outcome import record_failure

from tests.builders import STARTED_AT, make_row, make_run
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
