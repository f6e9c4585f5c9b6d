"""What a local sync does in its database itself: it works there alone, and counts what it did.

Each sync runs in its own cloud, which can't ask another cloud whether its run is alive. So a sync
holds an advisory lock, in a transaction that stays open: a pooler in transaction mode would hand a
session's lock to somebody else.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import NamedTuple

import psycopg
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.errors import ForecastSyncError
from localcloud.protocol import ACCOUNT
from psycopg import sql

from forecast_sync_cli.errors import UserError
from forecast_sync_cli.local_advice import advise_again

LOCK = 7_306_935_271_204
"""The advisory lock's key: any number, but always the same one."""
POLL_SECONDS = 0.5
LONGEST_NAME = 63

BEGIN = """
BEGIN;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL transaction_timeout = 0;
SET LOCAL application_name = {name}
"""
"""In one message, so that the server's own limits never apply."""
HOLDER = """
SELECT application_name, xact_start
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32 | objid::bigint) = %s
"""
RUNNING = """
SELECT run_id, execution_arn FROM forecast_sync_status
WHERE status = 'running' AND run_id IS NOT NULL
"""
COMMITTED = """
SELECT coalesce(sum(inserted), 0)::bigint, coalesce(sum(updated), 0)::bigint,
       coalesce(sum(unchanged), 0)::bigint
FROM forecast_sync_batch WHERE run_id = %s
"""
REASONS = """
SELECT reason, count(*), min(source_file) FROM forecast_sync_rejects
WHERE last_run_id = %s AND resolved_run_id IS NULL
GROUP BY reason ORDER BY 2 DESC, reason
"""

NAME_LOCALLY = """
UPDATE forecast_sync_rejects
SET source_file = %(folder)s || substr(source_file, length(%(location)s) + 1)
WHERE run_id = %(run_id)s AND starts_with(source_file, %(location)s)
"""


class Committed(NamedTuple):
    """Rows that a run's batches have committed, by outcome."""

    inserted: int
    updated: int
    unchanged: int


@contextmanager
def working_alone(database_url: str, on_wait: Callable[[str], None] | None) -> Iterator[None]:
    """Hold the database for the length of a block.

    While another sync holds it, calls ``on_wait`` once with the holder's name and waits; without
    ``on_wait``, raises ``UserError``. Also raises it if the database can't be used, or if a
    deployment's run is at work there.
    """
    with _connected(database_url) as connection:
        name = f"forecast-sync sync on {platform.node()}, process {os.getpid()}"
        connection.execute(sql.SQL(BEGIN).format(name=sql.Literal(name[:LONGEST_NAME])))
        told = False
        while not _try(connection):
            if on_wait is None:
                raise UserError(f"{_holder(connection)} is at work in this database: sync later")
            if not told:
                on_wait(_holder(connection))
                told = True
            time.sleep(POLL_SECONDS)
        # On a connection of its own: this one would keep the table locked, which the run may alter.
        with _connected(database_url) as reading:
            _refuse_deployment(reading)
        yield
        with suppress(psycopg.Error):  # Whoever ended the connection ended the lock with it.
            connection.execute("COMMIT")


def check_database(database_url: str) -> None:
    """Fail at once where a run would fail after its retries; raises ``UserError``."""
    with _connected(database_url):
        pass


def count_committed(database_url: str, run_id: str) -> Committed | None:
    """What a run has committed; None if the database can't say."""
    try:
        with connect(database_url) as connection:
            row = connection.execute(COMMITTED, [run_id]).fetchone()
    except (ForecastSyncError, psycopg.Error):
        return None
    return Committed(*row) if row else None


class Rejected(NamedTuple):
    """Rows that a run has rejected for one reason, and a file that one of them is from."""

    reason: str
    rows: int
    example_file: str


def list_rejected(database_url: str, run_id: str) -> list[Rejected]:
    """Why rows of a run are rejected, the most frequent reason first."""
    with _connected(database_url) as connection:
        return [Rejected(*row) for row in connection.execute(REASONS, [run_id]).fetchall()]


def name_locally(database_url: str, run_id: str, location: str, folder: str) -> None:
    """Let the rejects that a run has found name files of ``folder``, which was the lake."""
    values = {"run_id": run_id, "location": location, "folder": folder}
    with suppress(ForecastSyncError, psycopg.Error), connect(database_url) as connection:
        # A run that failed early has created no table, and names aren't worth an error.
        connection.execute(NAME_LOCALLY, values)


@contextmanager
def _connected(database_url: str) -> Iterator[Connection]:
    try:
        connection = connect(database_url)
    except (ForecastSyncError, psycopg.Error) as error:
        advice = advise_again(str(error))
        raise UserError(f"--database-url can't be used: {advice}") from None
    try:
        yield connection
    finally:
        connection.close()


def _try(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK]).fetchone()
    return row is not None and bool(row[0])


def _holder(connection: Connection) -> str:
    """Who has the lock, as far as this role may see it."""
    name, since = connection.execute(HOLDER, [LOCK]).fetchone() or (None, None)
    started = f", since {since:%H:%M:%S} UTC" if isinstance(since, datetime) else ""
    return f"{name or 'another forecast-sync sync'}{started}"


def _refuse_deployment(connection: Connection) -> None:
    """A run of a deployment can't be asked from here whether it is alive: leave it alone."""
    has_table = connection.execute("SELECT to_regclass('forecast_sync_status')").fetchone()
    if not has_table or has_table[0] is None:
        return
    for run_id, arn in connection.execute(RUNNING).fetchall():
        _, _, _, region, account, *_, name, _ = [*str(arn).split(":"), *[""] * 8][:8]
        if account and account != ACCOUNT:
            raise UserError(
                f"the run {run_id} of the deployment {name} in {region} is at work in this "
                "database: sync when it has ended"
            )
