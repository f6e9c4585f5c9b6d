"""The benchmark's lake: four workloads as Parquet, COPY text, and page files."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

COLUMNS = "restaurant_id, inventory_item_id, business_date, dma_id, dc_id, state, y_05, y_50, y_95"
RESTAURANTS, ITEMS = 1000, 50
PARQUET_FILES = 8
PARTS = 61
FIRST, AGAIN, CHANGED, WINDOW = "first", "again", "changed", "window"
WORKLOADS = {
    FIRST: "first load into an empty table",
    AGAIN: "the same data again",
    CHANGED: "1% changed and 1% new",
    WINDOW: "a tenth as many new rows into that table",
}

ROWS = """
CREATE TABLE forecast AS
SELECT CAST(n % {restaurants} AS INTEGER) AS restaurant_id,
       CAST(n // {restaurants} % {items} AS INTEGER) AS inventory_item_id,
       DATE '2026-12-01' + CAST(n // ({restaurants} * {items}) AS INTEGER) AS business_date,
       CASE WHEN n % 4 > 0 THEN 'dma-' || n % 200 END AS dma_id,
       CASE WHEN n % 3 > 0 THEN CAST(n % 40 AS INTEGER) END AS dc_id,
       chr(CAST(65 + n % 50 // 7 AS INTEGER)) || chr(CAST(65 + n % 7 AS INTEGER)) AS state,
       CAST(hash(n) % 90000 * 0.008 AS DECIMAL(10, 2)) AS y_05,
       CAST(hash(n) % 90000 * 0.01 AS DECIMAL(10, 2)) AS y_50,
       CAST(hash(n) % 90000 * 0.013 AS DECIMAL(10, 2)) AS y_95
FROM range({rows}) AS numbers(n)
"""
CHANGED_ROWS = f"""
SELECT {COLUMNS.replace("y_50", "CASE WHEN hash(y_95, restaurant_id) % 100 = 0 THEN y_50 + 1 ELSE y_50 END AS y_50")}
FROM forecast
UNION ALL
SELECT {COLUMNS.replace("inventory_item_id", "inventory_item_id + 1000")}
FROM forecast WHERE hash(restaurant_id, inventory_item_id, business_date) % 100 = 0
"""  # noqa: E501
WINDOW_ROWS = f"""
SELECT {COLUMNS.replace("business_date", "business_date + 1000 AS business_date")}
FROM forecast WHERE hash(inventory_item_id, business_date) % {{share}} = 0
"""
QUERIES = {
    FIRST: f"SELECT {COLUMNS} FROM forecast",
    CHANGED: CHANGED_ROWS,
    WINDOW: WINDOW_ROWS,
}
LINE = "concat_ws(chr(9), {})".format(
    ", ".join(f"coalesce(CAST({name} AS VARCHAR), '\\N')" for name in COLUMNS.split(", "))
)


@dataclass(frozen=True)
class Files:
    """One workload on disk; ``pages`` are gzip text, split by key as the extract splits them."""

    folder: Path

    @property
    def parquet(self) -> Path:
        """A folder with the rows in random order."""
        return self.folder / "parquet"

    @property
    def tenth(self) -> Path:
        """A folder with every tenth row, for ways that would take too long."""
        return self.folder / "tenth"

    @property
    def sorted(self) -> Path:
        """COPY text in the order of the key."""
        return self.folder / "sorted.txt"

    @property
    def unsorted(self) -> Path:
        """COPY text in the order of the Parquet files."""
        return self.folder / "unsorted.txt"

    @property
    def pages(self) -> list[Path]:
        """The page files, in order."""
        return sorted(self.folder.glob("pages/*.gz"))


def write_workloads(
    folder: Path, rows: int, names: Iterable[str] = WORKLOADS, share: int = 10
) -> dict[str, Files]:
    """Write workloads for a table of ``rows`` rows; the window is one in ``share`` of these."""
    files = {name: Files(folder / (FIRST if name == AGAIN else name)) for name in names}
    with duckdb.connect() as connection:
        connection.execute(ROWS.format(rows=rows, restaurants=RESTAURANTS, items=ITEMS))
        for name, paths in files.items():
            if name in QUERIES:
                _write(connection, paths, QUERIES[name].format(share=share))
    return files


def count_rows(files: Files) -> int:
    """The number of rows of a workload."""
    with duckdb.connect() as connection:
        query = f"SELECT count(*) FROM '{files.parquet}/*.parquet'"
        return sum(count for (count,) in connection.execute(query).fetchall())


def _write(connection: duckdb.DuckDBPyConnection, files: Files, query: str) -> None:
    for needed in (files.parquet, files.tenth, files.folder / "pages"):
        needed.mkdir(parents=True)
    key = "restaurant_id, inventory_item_id, business_date"
    connection.execute(
        f"CREATE OR REPLACE TABLE workload AS SELECT * FROM ({query}) ORDER BY hash({key})"
    )
    _write_parquet(connection, files)
    for path, order in ((files.unsorted, "rowid"), (files.sorted, key)):
        _write_text(connection, path, f"SELECT {LINE} AS line FROM workload ORDER BY {order}")
    for part in range(PARTS):
        plain = files.folder / "pages" / f"{part:02}"
        _write_text(
            connection,
            plain,
            f"SELECT {LINE} AS line FROM workload WHERE restaurant_id % {PARTS} = {part}",
        )
        plain.with_suffix(".gz").write_bytes(gzip.compress(plain.read_bytes(), compresslevel=1))
        plain.unlink()


def _write_parquet(connection: duckdb.DuckDBPyConnection, files: Files) -> None:
    values = "* REPLACE (y_05::DOUBLE AS y_05, y_50::DOUBLE AS y_50, y_95::DOUBLE AS y_95)"
    columns = f"{values}, TIMESTAMP '2026-11-24 12:00:00' AS updated_at"
    for number in range(PARQUET_FILES):
        connection.execute(
            f"COPY (SELECT {columns} FROM workload WHERE rowid % {PARQUET_FILES} = {number}) "
            f"TO '{files.parquet}/{number}.parquet' (FORMAT parquet)"
        )
    connection.execute(
        f"COPY (SELECT {columns} FROM workload WHERE rowid % 10 = 0) "
        f"TO '{files.tenth}/0.parquet' (FORMAT parquet)"
    )


def _write_text(connection: duckdb.DuckDBPyConnection, path: Path, query: str) -> None:
    connection.execute(
        f"COPY ({query}) TO '{path}' "
        "(FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '')"
    )
