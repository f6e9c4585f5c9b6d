"""The README's session with a table of one's own, with files of every writer but pyarrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.e2e.own_table import FILES, FIRST, SECOND, walk

Rows = list[dict[str, Any]]


def with_polars(rows: Rows, path: Path) -> None:
    types: dict[str, Any] = {"store": pl.Int32, "price": pl.Decimal(10, 2)}
    pl.DataFrame(rows, schema_overrides=types).write_parquet(path)


def with_duckdb(rows: Rows, path: Path) -> None:
    lake = pa.Table.from_pylist(rows)
    columns = "* REPLACE (store::INT AS store, price::DECIMAL(10, 2) AS price)"
    with duckdb.connect() as connection:
        connection.register("lake", lake)
        connection.execute(f"COPY (SELECT {columns} FROM lake) TO '{path}' (FORMAT parquet)")


def with_pandas(rows: Rows, path: Path) -> None:
    pd.DataFrame(rows).astype({"store": "int32"}).to_parquet(path, index=False)


@pytest.mark.parametrize("write", [with_polars, with_duckdb, with_pandas])
def test_the_readme_s_session_loads_files_of(
    write: Callable[[Rows, Path], None], tmp_path: Path, database_url: str
) -> None:
    for name, rows in zip(FILES, (FIRST, SECOND), strict=True):
        path = tmp_path / "lake" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(rows, path)
    walk(tmp_path, database_url)
