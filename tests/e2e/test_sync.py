"""``forecast-sync sync``: a folder into any Postgres, and what can be wrong with either."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from tests.e2e.cli import (
    COMMAND,
    as_installed,
    as_json,
    clean_environment,
    error_of,
    our_processes,
)
from tests.lake import make_rows, to_parquet
from tests.waiting import eventually


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lake" / "deep").mkdir(parents=True)
    (tmp_path / "lake" / "a.parquet").write_bytes(to_parquet(make_rows(range(30))))
    (tmp_path / "lake" / "deep" / "b.parquet").write_bytes(to_parquet(make_rows(range(30, 50))))
    (tmp_path / "lake" / "notes.txt").write_text("ignored")
    return tmp_path / "lake"


@pytest.mark.parametrize(
    "after",
    [None, pytest.param(0.7, marks=pytest.mark.slow), pytest.param(5.0, marks=pytest.mark.slow)],
)
def test_a_folder_arrives_and_nothing_changes_when_it_is_synced_again(
    folder: Path, database_url: str, after: float | None
) -> None:
    """Between the two, a third sync is interrupted, and leaves nothing behind."""
    before = our_processes()
    to = ("--database-url", database_url)
    first = json.loads(as_installed("sync", folder, *to, "--json").stdout)
    assert first["result"]["counts"]["inserted"] == 50
    interrupt_sync(folder, database_url, after)
    second = as_json("sync", folder, *to)
    counts = second["result"]["counts"]
    assert (counts["inserted"], counts["updated"], counts["unchanged"]) == (0, 0, 50)
    with psycopg.connect(database_url) as connection:
        count_and_id = connection.execute("SELECT count(*), max(id) FROM forecast_data").fetchone()
        assert count_and_id == (50, 50)
        assert connection.execute("SELECT last_value FROM forecast_data_id_seq").fetchone() == (50,)
    assert our_processes() <= before


def runs(database_url: str) -> int:
    """How many have taken the lease so far."""
    with psycopg.connect(database_url) as connection:
        return len(connection.execute("SELECT FROM forecast_sync_status").fetchall())


def interrupt_sync(folder: Path, database_url: str, after: float | None) -> None:
    """Ctrl-C after so many seconds, or when its run, the second one, has the lease."""
    before = our_processes()
    with subprocess.Popen(
        [COMMAND, "sync", folder, "--database-url", database_url],
        env=clean_environment(),
        text=True,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            if after is None:
                eventually(lambda: runs(database_url) == 2, 60, "the second run's lease")
            else:
                time.sleep(after)  # not a synchronization: the time is what varies
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, error
    assert "Traceback" not in error
    eventually(lambda: our_processes() <= before, what="the end of every process")


def test_a_file_that_isn_t_parquet_is_left_out(folder: Path, database_url: str) -> None:
    (folder / "x.parquet").write_text("not Parquet")
    last = as_json("sync", folder, "--database-url", database_url)
    assert last["result"]["quarantined"] == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:secret@127.0.0.1:9/d", "No connection to Postgres"),
        ("postgresql://u:secret@[::1/d", "is malformed"),
        ("mysql://u:secret@h/d", "is malformed"),
        ("nonsense", "is malformed"),
    ],
)
def test_an_unusable_database_fails_at_once(folder: Path, url: str, words: str) -> None:
    line = error_of("sync", folder, "--database-url", url)
    assert words in line
    assert "secret" not in line


def test_a_folder_without_parquet_fails_at_once(tmp_path: Path, database_url: str) -> None:
    assert "no *.parquet" in error_of("sync", tmp_path, "--database-url", database_url)
    missing = tmp_path / "missing"
    assert "isn't a directory" in error_of("sync", missing, "--database-url", database_url)
