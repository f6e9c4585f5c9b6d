"""Postgres is full, refuses or waits; the run ends right, or says why and is redriven."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from localcloud.databases import ROLE

from tests.chaos import scene
from tests.lake import MORNING, make_row, make_rows
from tests.waiting import eventually
from tests.workflow.databases import superuser_url
from tests.workflow.deployed import Deployed

ROWS = range(30_000)
LATER = MORNING + timedelta(hours=1)


def test_full_of_connections(deployed: Deployed, pytestconfig: pytest.Config) -> None:
    """Postgres refuses and the state is retried; PgBouncer lets its clients wait."""
    refuses = not pytestconfig.getoption("--pooled")
    deployed.upload("few", make_rows(range(50)))
    forget_sessions(deployed)
    with ExitStack() as held:
        eventually(lambda: _fill(held, deployed.cloud.database_urls["dev"]))
        arn = deployed.start()
        eventually(lambda: deployed.attempts(arn, "Read watermark") > refuses)
    scene.finished_at_last(deployed, arn)


def _fill(held: ExitStack, url: str) -> bool:
    """Open connections until one is refused; whether none could be opened at all.

    A session that has ended keeps its slot briefly, so filling is repeated until none is free.
    """
    opened = 0
    while True:
        try:
            held.enter_context(psycopg.connect(url))
        except psycopg.OperationalError:
            return opened == 0
        opened += 1


@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_row_is_locked_for_long(deployed: Deployed, seconds: float) -> None:
    deployed.upload("first", make_rows(range(100)))
    deployed.succeed()
    deployed.upload("second", make_rows(range(100), y_50=8.0, updated_at=LATER))
    with scene.locked_row(deployed, 3) as application:
        arn = deployed.start()
        scene.await_session(deployed, f"{scene.MERGING} AND wait_event_type = 'Lock'")
        application.execute("SELECT pg_sleep(%s)", [seconds])
    scene.finished(deployed, deployed.wait(arn))


def test_a_statement_timeout_ends_a_batch(deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(100)))
    deployed.succeed()
    deployed.upload("second", make_rows(range(100), y_50=8.0, updated_at=LATER))
    with database_setting(deployed, "statement_timeout", "200ms"):
        forget_sessions(deployed)
        with scene.locked_row(deployed, 3):
            arn = deployed.start()
            eventually(lambda: retried(deployed, "57014"))
        scene.finished_at_last(deployed, arn)
    forget_sessions(deployed)


def test_a_deadlock_with_an_application(deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(100)))
    deployed.succeed()
    deployed.upload("second", make_rows(range(100), y_50=8.0, updated_at=LATER))
    with scene.locked_row(deployed, 60, superuser_url(deployed.cloud)) as application:
        application.execute("SET deadlock_timeout = '30s'")
        arn = deployed.start()
        scene.await_session(deployed, f"{scene.MERGING} AND wait_event_type = 'Lock'")
        application.execute("SELECT FROM forecast_data WHERE restaurant_id = 1 FOR UPDATE")
        application.commit()
    scene.finished(deployed, deployed.wait(arn))
    assert retried(deployed, "40P01")


def test_a_serialization_failure(deployed: Deployed) -> None:
    """From an application's trigger, because a READ COMMITTED batch can't cause one itself."""
    deployed.upload("first", make_rows(range(100)))
    deployed.succeed()
    deployed.execute(
        "CREATE SEQUENCE failures; CREATE FUNCTION fail_first() RETURNS trigger LANGUAGE plpgsql "
        "AS $$BEGIN IF nextval('failures') < 3 THEN RAISE EXCEPTION USING ERRCODE = '40001'; "
        "END IF; RETURN NEW; END$$; CREATE TRIGGER fail_first BEFORE UPDATE ON forecast_data "
        "FOR EACH ROW EXECUTE FUNCTION fail_first()"
    )
    deployed.upload("second", make_rows(range(100), y_50=8.0, updated_at=LATER))
    scene.finished(deployed, deployed.succeed())
    assert retried(deployed, "40001")


def test_a_database_whose_default_is_serializable(deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(100)))
    with database_setting(deployed, "default_transaction_isolation", "serializable"):
        forget_sessions(deployed)
        deployed.succeed()
        deployed.upload("second", make_rows(range(100), y_50=8.0, updated_at=LATER))
        scene.finished(deployed, deployed.succeed())
    forget_sessions(deployed)


def test_a_full_disk(deployed: Deployed) -> None:
    """Batches don't fit until space is freed; nothing of them stays behind."""
    deployed.upload("bulky", scene.bulky_rows(ROWS))
    data = Path(deployed.cloud.state_dir) / "postgres"
    url = superuser_url(deployed.cloud)
    with scene.full_disk(data / "small") as small:
        with psycopg.connect(url, autocommit=True) as connection:
            # It reaches its own directory only, and by another path than we do.
            connection.execute("SELECT set_config('client_min_messages', 'error', false)")
            (own,) = connection.execute("SHOW data_directory").fetchone() or ("",)
            location = Path(own) / small.relative_to(data)
            connection.execute(f"CREATE TABLESPACE small LOCATION '{location}'".encode())
            connection.execute(f"GRANT CREATE ON TABLESPACE small TO {ROLE}".encode())
        with database_setting(deployed, "temp_tablespaces", "small"):
            forget_sessions(deployed)
            arn = deployed.start(batch_size=1_000_000)
            eventually(lambda: retried(deployed, "53100"))
            subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
            scene.finished_at_last(deployed, arn)
        forget_sessions(deployed)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP TABLESPACE small")
            # Recovery from a later test's crash would create it again, where the disk is gone.
            connection.execute("CHECKPOINT")


def test_a_foreign_row_of_the_same_key(deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(10)))
    deployed.succeed()
    deployed.upload("second", [make_row(77)])
    with psycopg.connect(deployed.cloud.database_urls["dev"]) as application:
        application.execute(
            "INSERT INTO forecast_data (restaurant_id, inventory_item_id, business_date, state, "
            "y_50) VALUES (77, 7, '2026-12-08', 'XX', 1)"
        )
        arn = deployed.start()
        scene.await_session(deployed, f"{scene.MERGING} AND wait_event_type = 'Lock'")
        application.commit()
    scene.finished(deployed, deployed.wait(arn), ids=12)


@contextmanager
def database_setting(deployed: Deployed, name: str, value: str) -> Iterator[None]:
    """A setting of all new sessions of the database."""
    database = deployed.query("SELECT current_database()")[0][0]
    deployed.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
    try:
        yield
    finally:
        deployed.execute(f"ALTER DATABASE {database} RESET {name}")


def forget_sessions(deployed: Deployed) -> None:
    """End all sessions, so that new ones take the database's present settings."""
    scene.end_sessions(deployed)
    eventually(lambda: not scene.sessions(deployed, "true"))


def retried(deployed: Deployed, code: str) -> bool:
    """Whether a child of the newest execution has met an error with this SQLSTATE."""
    sfn = deployed.client("stepfunctions")
    newest = sfn.list_executions(stateMachineArn=deployed.cloud.state_machine_arn)["executions"][0]
    failures = scene.task_failures(deployed, newest["executionArn"])
    return f"Postgres answered {code}" in failures
