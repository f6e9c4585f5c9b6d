"""Postgres is killed at the worst moments; the run continues after recovery and ends correctly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import psycopg

from tests.chaos import scene
from tests.lake import MORNING, make_rows
from tests.waiting import eventually
from tests.workflow.databases import superuser_url
from tests.workflow.deployed import Deployed

ROWS = range(30_000)
LATER = MORNING + timedelta(hours=1)


def test_killed_during_copy(deployed: Deployed) -> None:
    deployed.upload("bulky", scene.bulky_rows(ROWS))
    with scene.held_results(deployed):
        arn = deployed.start()
        scene.crash_postgres(deployed, scene.await_session(deployed, scene.COPYING))
    # Batches that were being inserted elsewhere at that time are repeated with new ids.
    scene.finished(deployed, deployed.wait(arn), ids=2 * len(ROWS) + scene.FORGOTTEN)


def test_killed_during_merge(deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(100)))
    deployed.succeed()
    deployed.upload("second", make_rows(range(100), y_50=8.0, updated_at=LATER))
    with scene.locked_row(deployed, 3):
        arn = deployed.start()
        backend = scene.await_session(deployed, f"{scene.MERGING} AND wait_event_type = 'Lock'")
        scene.crash_postgres(deployed, backend)
    scene.finished(deployed, deployed.wait(arn), ids=100 + scene.FORGOTTEN)


def test_killed_between_commit_and_answer(deployed: Deployed) -> None:
    """The batch is committed, but the answer is lost: the next attempt finds it in the ledger."""
    deployed.upload("bulky", scene.bulky_rows(ROWS))
    deployed.succeed()
    deployed.upload("bulky", scene.bulky_rows(ROWS, dma_id="new", updated_at=LATER))
    with ExitStack() as stack:
        held = stack.enter_context(ExitStack())
        held.enter_context(scene.held_results(deployed))
        arn = deployed.start(batch_size=1_000_000)
        scene.await_session(deployed, scene.COPYING)
        stack.enter_context(nobody_confirms(deployed))
        held.close()
        backend = scene.await_session(deployed, scene.COMMITTING)
        before = ledger(deployed)
        scene.crash_postgres(deployed, backend)
        after = ledger(deployed)
    assert len(after) > len(before), "the commit stands although its answer was lost"
    ended = deployed.wait(arn)
    scene.finished(deployed, ended, ids=len(ROWS) + scene.FORGOTTEN)
    assert after <= ledger(deployed), "and it isn't done again"
    assert sum(ended.changed) == len(ROWS)


def test_killed_while_a_loader_is_idle_between_batches(deployed: Deployed) -> None:
    deployed.upload("many", make_rows(ROWS))
    arn = deployed.start(batch_size=50)
    scene.crash_postgres(deployed, eventually(lambda: _idle_loader(deployed)))
    scene.finished(deployed, deployed.wait(arn), ids=len(ROWS) + 8 * 50 + scene.FORGOTTEN)


def _idle_loader(deployed: Deployed) -> int | None:
    """Stop the loaders while one is between two batches; returns its session."""
    if not deployed.query("SELECT to_regclass('forecast_sync_batch')")[0][0] or not ledger(
        deployed
    ):
        return None
    with scene.stopped(scene.workers(deployed, "upsert-batches")):
        idle = scene.sessions(deployed, "state = 'idle' AND query LIKE 'COMMIT%%'")
    return idle[0] if idle else None


def test_killed_between_two_runs(deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(50)))
    deployed.succeed()
    backend = scene.await_session(deployed, "state = 'idle'")
    scene.crash_postgres(deployed, backend)
    deployed.upload("second", make_rows(range(50, 80)))
    scene.finished(deployed, deployed.succeed(), ids=80 + scene.FORGOTTEN)


@contextmanager
def nobody_confirms(deployed: Deployed) -> Iterator[None]:
    """Commits stand, but wait for a standby that doesn't exist before they are answered."""
    setting = "ALTER SYSTEM {} synchronous_standby_names {}"
    url = superuser_url(deployed.cloud)

    def change(statement: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())
            connection.execute("SELECT pg_reload_conf()")

    change(setting.format("SET", "= 'nobody'"))
    try:
        yield
    finally:
        change(setting.format("RESET", ""))


def ledger(deployed: Deployed) -> set[tuple[object, ...]]:
    """The committed batches, with the time of their commit."""
    return set(
        deployed.query(
            "SELECT query_execution_id, page, first_row, committed_at FROM forecast_sync_batch"
        )
    )
