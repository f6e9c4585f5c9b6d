"""``forecast-sync sync``: a folder into any Postgres, and what can be wrong with either."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import psycopg
import pytest
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.local_database import working_alone
from forecast_sync_cli.local_sync import find_files, speak_locally

from tests.e2e.cli import (
    COMMAND,
    as_installed,
    as_json,
    clean_environment,
    error_of,
    forecast_sync,
    our_processes,
)
from tests.lake import make_row, make_rows, to_parquet
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
    """Ctrl-C after so many seconds, or when its run, the second one, has the lease.

    The run can't write, so it can't be over before the signal comes, however late that is.
    """
    before = our_processes()
    with (
        psycopg.connect(database_url) as connection,
        subprocess.Popen(
            [COMMAND, "sync", folder, "--database-url", database_url],
            env=clean_environment(),
            text=True,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        connection.execute("LOCK TABLE forecast_data IN SHARE MODE")
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
    if after is None:
        assert re.search(r"interrupted: .* To continue, run the same command again", error), error
    assert "Traceback" not in error
    eventually(lambda: our_processes() <= before, what="the end of every process")


def test_a_bad_file_is_left_out_and_rejects_name_local_files(
    folder: Path, database_url: str
) -> None:
    (folder / "x.parquet").write_text("not Parquet")
    (folder / "deep" / "c.parquet").write_bytes(to_parquet([make_row(50, state=None)]))
    last = as_json("sync", folder, "--database-url", database_url, code=3)
    with psycopg.connect(database_url) as connection:
        named = connection.execute("SELECT source_file FROM forecast_sync_rejects").fetchall()
    assert named == [(f"{folder}/deep/c.parquet",)]
    (left_out,) = last["left_out"]
    assert left_out["file"] == f"{folder}/x.parquet"
    assert "isn't a Parquet file" in left_out["reason"]
    shown = forecast_sync("sync", folder, "--database-url", database_url, code=3).stdout
    assert f"left out: {folder}/x.parquet isn't a Parquet file" in shown.replace("\n", " ")


def test_a_failed_sync_advises_the_same_command_and_nothing_that_reaches_aws(
    folder: Path, database_url: str
) -> None:
    """Its cloud is gone, and with it whatever could be redriven."""
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE forecast_data (id int)")
    done = forecast_sync("sync", folder, "--database-url", database_url, code=1)
    assert "SchemaMismatch" in done.stdout
    assert "fix the cause, then run the same command again" in done.stdout
    for word in ("forecast-sync", "edrive", "s3://", "AWS"):
        assert word not in done.stdout.partition("SchemaMismatch")[2]


def test_a_second_sync_says_that_the_first_is_at_work_and_leaves_or_waits(
    folder: Path, database_url: str
) -> None:
    to = ("sync", str(folder), "--database-url", database_url)
    with ExitStack() as first:
        first.enter_context(working_alone(database_url, None))
        line = error_of(*to, "--no-wait")
        assert re.match(
            r"error: forecast-sync sync on .*, process \d+, since .* UTC is at wor", line
        )
        with subprocess.Popen(
            [COMMAND, *to], env=clean_environment(), text=True, stderr=subprocess.PIPE
        ) as second:
            assert second.stderr is not None
            assert "waiting until it ends (Ctrl-C leaves)" in second.stderr.readline()
            first.close()
            assert "starting the local cloud for 2 files" in second.stderr.readline()
            second.communicate(timeout=90)
            assert second.returncode == 0


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--batch-size", "0"), 1, "--batch-size 0: expected a whole number of rows from 1 to"),
        (("--batch-size", "many"), 2, "'many' isn't a number; expected a whole number of rows"),
        (("--table", "missing.toml"), 1, "missing.toml: No such file"),
        (
            ("--table", "forcast"),
            1,
            "there is no table forcast in tables/: expected one of forecast, price",
        ),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(
    folder: Path, options: tuple[str, str], code: int, words: str
) -> None:
    """Not even the database is asked: this one doesn't answer."""
    dead = "postgresql://u@127.0.0.1:9/d"
    assert words in error_of("sync", folder, "--database-url", dead, *options, code=code)


def test_local_up_fails_at_once_as_sync_does(tmp_path: Path) -> None:
    dead = ("--database-url", "postgresql://u:secret@127.0.0.1:9/d")
    line = error_of("local", "up", "--state-dir", tmp_path / "cloud", *dead)
    assert line.startswith("error: --database-url can't be used: No connection to Postgres")
    assert not (tmp_path / "cloud").exists()


def test_a_hidden_file_isn_t_synced_and_an_unreadable_one_is_named(tmp_path: Path) -> None:
    for name in ("a.parquet", "_temporary/b.parquet", ".c.parquet", "day=1/d.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_files(tmp_path) == [tmp_path / "a.parquet", tmp_path / "day=1/d.parquet"]
    with (
        mock.patch.object(os, "access", lambda path, _: path.name != "a.parquet"),
        pytest.raises(UserError, match=r"a\.parquet can't be read: `chmod"),
    ):
        find_files(tmp_path)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("s3://b/sales/x y.parquet is bad.", "lake/x y.parquet is bad."),
        ("Repair the files and redrive.", "Repair the files and run the same command again."),
        ("Redrive to query again.", "Run the same command again to query again."),
        (
            "Remove it, then redrive or start a new run.",
            "Remove it, then run the same command again.",
        ),
        ("It failed before the redrive.", "It failed before the redrive."),
    ],
)
def test_a_run_s_message_speaks_of_local_files_and_of_this_command(message: str, said: str) -> None:
    assert speak_locally(message, "s3://b/sales/", Path("lake")) == said


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
