"""What several kinds of tests share: a real Postgres with a fresh database for each test."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.schema import ensure_schema
from forecast_sync.tables import load_table
from forecast_sync_ops.local.postgres import Postgres, initialise


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One embedded server for all tests."""
    home = tmp_path_factory.mktemp("postgres")
    log = Path(home / "postgres.log")
    initialise(home / "data", log).wait()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Postgres.start(home / "data", port, log)
    yield server
    server.stop()


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    """An empty database of the test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.url(name)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """A connection to a database that has the schema."""
    opened = connect(database_url)
    ensure_schema(opened, load_table())
    yield opened
    opened.close()
