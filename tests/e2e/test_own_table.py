"""A table of one's own, from a Parquet file to rows, without touching the product."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from forecast_sync.tables import parse_table

from tests.e2e.cli import COMMAND, clean_environment, error_of
from tests.e2e.own_table import FILES, FIRST, SECOND, walk

SCHEMA = pa.schema(
    [
        ("store", pa.int32()),
        ("item", pa.string()),
        ("day", pa.date32()),
        ("quantile", pa.float64()),
        ("units", pa.int64()),
        ("price", pa.decimal128(10, 2)),
        ("updated_at", pa.timestamp("us")),
    ]
)


def test_the_readme_s_session_loads_files_of_pyarrow(tmp_path: Path, database_url: str) -> None:
    for name, rows in zip(FILES, (FIRST, SECOND), strict=True):
        path = tmp_path / "lake" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    walk(tmp_path, database_url)


def test_init_asks_on_the_terminal_while_its_output_is_a_file(tmp_path: Path) -> None:
    schema = pa.schema([("shop", pa.int32()), ("day", pa.date32()), ("a", pa.timestamp("us"))])
    pq.write_table(schema.empty_table(), tmp_path / "part.parquet")
    written = tmp_path / "sales.toml"
    person, program = pty.openpty()
    os.write(person, b"shop\n")  # typed before the question, which reads it all the same
    with written.open("w") as output:
        done = subprocess.run(
            [COMMAND, "tables", "init", "part.parquet", "--date", "day"],
            cwd=tmp_path,
            env=clean_environment(TERM="dumb"),
            stdin=program,
            stdout=output,
            stderr=program,
            timeout=100,
            check=False,
        )
    os.close(program)
    asked = os.read(person, 4096).decode()
    os.close(person)
    assert done.returncode == 0, asked
    assert "Which columns identify a row (shop, day, a)?" in asked
    table = parse_table(written.read_text(), "sales.toml")
    assert table.target.key == ("shop", "day")
    assert table.target.table == "sales"


def test_init_without_a_terminal_names_the_option_in_one_line(tmp_path: Path) -> None:
    pq.write_table(SCHEMA.empty_table(), tmp_path / "part.parquet")
    line = error_of("tables", "init", tmp_path / "part.parquet")
    assert line.startswith("error: pass --key a,b, because there is no terminal to ask on: Which")
