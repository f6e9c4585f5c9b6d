"""``forecast-sync example``: a file for the first upload, with the columns of the table file."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from forecast_sync.tables import load_table
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.main import make_app
from typer.testing import CliRunner


def test_the_file_has_what_the_table_file_reads(tmp_path: Path) -> None:
    file = tmp_path / "forecast.parquet"
    done = CliRunner().invoke(make_app(), ["example", str(file)])
    assert done.exit_code == 0, done.output
    written = pq.read_table(file)
    assert set(written.column_names) == set(load_table("forecast").source.columns)
    assert f"{written.num_rows:,} rows" in done.stdout


def test_no_file_is_replaced_and_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.parquet"
    file.write_text("mine")
    done = CliRunner().invoke(make_app(), ["example", str(file)])
    assert isinstance(done.exception, UserError)
    assert "already exists" in str(done.exception)
    assert file.read_text() == "mine"
    done = CliRunner().invoke(make_app(), ["example", str(tmp_path / "missing" / "x")])
    assert "can't be written" in str(done.exception)


def test_a_name_does_nothing_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = CliRunner().invoke(make_app(), ["example", str(tmp_path / "a\x1b[2Jb")])
    assert "\x1b" not in done.output + capsys.readouterr().out
