"""A table of one's own, from a Parquet file to rows, without touching the product."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

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
