"""Functions extend the product's own tables when they connect, and make none where none are."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from forecast_sync import clients, deployed_tables
from forecast_sync.target.own_tables import has_own_tables

FORMER = "before-the-file-ledger"
STATEMENTS = "layers/core/forecast_sync/sql/target/create_schema.sql"

Connects = Callable[[], psycopg.Connection]


def of_the_former_release() -> str:
    """The statements with which the release before the file ledger made its tables."""
    archive = Path(__file__).parents[1] / f"releases/{FORMER}.tar.xz"
    with tarfile.open(archive) as opened:
        content = opened.extractfile(STATEMENTS)
        assert content is not None
        return content.read().decode()


@pytest.fixture
def connects(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Connects:
    """Connects to an empty database, as a function does at a cold start."""
    monkeypatch.setenv("ENVIRONMENT", "dev")
    monkeypatch.setenv("DATABASE_URL", database_url)

    def connect() -> psycopg.Connection:
        deployed_tables.settings.cache_clear()
        for known in (clients._connections, clients._database_urls, clients._looked_up):
            known.clear()
        return clients.connection(None)

    return connect


def execute(url: str, statements: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statements.encode())


def test_what_an_earlier_release_made_is_extended(connects: Connects, database_url: str) -> None:
    execute(database_url, of_the_former_release())
    execute(
        database_url,
        "INSERT INTO forecast_sync_status (sync_type, last_sync_timestamp, status, run_id)"
        " VALUES ('full', now(), 'succeeded', 'run-1')",
    )
    with connects() as connection:
        assert has_own_tables(connection)
        cursor = connection.execute("SELECT run_id, generation FROM forecast_sync_status")
        assert cursor.fetchall() == [("run-1", None)]


@pytest.mark.parametrize(
    "made", ["", "CREATE TABLE forecast_sync_status (id SERIAL, status VARCHAR(20))"]
)
def test_nothing_is_made_where_no_run_has_been(
    connects: Connects, database_url: str, made: str
) -> None:
    """In an empty database, and beside a status table that is someone else's."""
    tables = (
        "SELECT relname, relnatts FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    execute(database_url, made)
    with psycopg.connect(database_url) as before, connects() as connection:
        expected = before.execute(tables).fetchall()
        assert len(expected) == bool(made)
        assert connection.execute(tables).fetchall() == expected
