"""A connection that drops, whenever that is, is recognized, and costs at most one batch."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.errors import DatabaseUnavailable
from forecast_sync.load.loader import load_page
from forecast_sync.tables import load_table

from tests.builders import Files, make_row, make_run, make_upsert, to_line
from tests.integration.loads import LONG, as_text, begin, load, stored


def test_a_server_that_goes_as_a_copy_ends_is_unavailable(
    connection: Connection, database_url: str
) -> None:
    """Through a pooler, psycopg then gets two answers where it expects one."""
    run = make_run()
    begin(connection, run)
    rows = [make_row(number) for number in range(15)]
    files = Files()
    files.add("a.gz", [to_line(row) for row in rows])
    cuts: list[int] = []

    def stream(bucket: str, key: str) -> Iterator[bytes]:
        yield from files.stream(bucket, key)
        cuts.append(_cut_others(database_url))

    request = make_upsert(run, ["a.gz"])
    with pytest.raises(DatabaseUnavailable):
        load_page(connection, stream, load_table(), request, lambda: LONG, None)
    assert cuts
    assert all(cuts)
    with connect(database_url) as another:
        assert stored(another) == as_text(rows[:10])
        load(another, run, rows)
        assert stored(another) == as_text(rows)


def _cut_others(database_url: str) -> int:
    """End every other session of the database; how many there were."""
    with psycopg.connect(database_url) as own:
        return own.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).rowcount
