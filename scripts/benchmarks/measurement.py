"""Measures what a load does to the database, and to the process that loads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psycopg
from forecast_sync.adapters.postgres import connect
from forecast_sync.tables import load_table
from forecast_sync.target.schema import ensure_schema
from forecast_sync_cli.errors import UserError
from localcloud.ports import free_port
from localcloud.postgres import Postgres, initialize
from rich.console import Console

from benchmarks.data import Files
from benchmarks.ways import WAYS

NO_CLIENT = "workflow"
"""The way whose loaders are Lambdas: the worker's own memory and CPU mean nothing for it."""

Figures = dict[str, Any]
Rounds = dict[str, list[dict[str, Figures]]]
"""By way, round and workload."""


@dataclass(frozen=True)
class DatabaseState:
    """The database's counters before or after a load."""

    wal: int
    last_id: int
    rows: int
    dead: int


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server without autovacuum, so that only the loads touch its tables."""
    with TemporaryDirectory(prefix="forecast-sync-bench-") as home:
        log = Path(home) / "postgres.log"
        initialize(Path(home) / "data", log).wait()
        server = Postgres.start(Path(home) / "data", free_port(), log)
        try:
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET autovacuum = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server
        finally:
            server.stop()


def measure_rounds(
    server: Postgres, names: Sequence[str], workloads: dict[str, Files], rounds: int
) -> Rounds:
    """Measure ways in interleaved rounds, because the speed of a shared machine drifts."""
    progress = Console(stderr=True)
    results: Rounds = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            progress.print(f"round {number + 1} of {rounds}: {WAYS[name].label}")
            results[name].append(_measure_way(server, name, workloads))
    return results


def _measure_way(server: Postgres, name: str, workloads: dict[str, Files]) -> dict[str, Figures]:
    """One round of a way: its workloads, one after the other, in a new database."""
    way = WAYS[name]
    figures: dict[str, Figures] = {}
    with _database(server) as url, TemporaryDirectory() as folder:
        for workload, files in workloads.items():
            if not way.only or workload in way.only:
                _settle(url)
                task = {"way": name, "url": url, "folder": folder}
                task["files"] = str(files.folder)
                figures[workload] = _measure(task)
    return figures


def _measure(task: dict[str, str]) -> Figures:
    before = _look(task["url"])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker"],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or "it printed nothing").splitlines()[-1]
        raise UserError(f"{task['way']} failed to load {task['files']}: {last}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    if task["way"] == NO_CLIENT:
        figures |= {"client_cpu_seconds": None, "peak_memory_bytes": None}
    after = _look(task["url"])
    ids_taken = after.last_id - before.last_id
    return figures | {
        "rows": after.rows,
        "wal_bytes": after.wal - before.wal,
        "ids_burned": ids_taken - (after.rows - before.rows),
        "dead_tuples": after.dead - before.dead,
    }


@contextmanager
def _database(server: Postgres) -> Iterator[str]:
    """An empty database with the schema, dropped afterwards."""
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE bench")
    url = urlsplit(server.url())._replace(path="/bench").geturl()
    try:
        with connect(url) as connection:
            ensure_schema(connection, load_table())
        yield url
    finally:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("DROP DATABASE bench WITH (FORCE)")


def _settle(url: str) -> None:
    """Do what autovacuum would, so that no load pays for the one before it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) forecast_data")
        connection.execute("CHECKPOINT")


def _look(url: str) -> DatabaseState:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute(
            "SELECT pg_current_wal_lsn() - '0/0', CASE WHEN is_called THEN last_value ELSE 0 END, "
            "(SELECT count(*) FROM forecast_data), "
            "(SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'forecast_data'::regclass) "
            "FROM forecast_data_id_seq"
        ).fetchone()
    if row is None:
        raise UserError("the sequence of forecast_data can't be read")
    return DatabaseState(*map(int, row))
