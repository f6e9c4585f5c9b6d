"""Forecasts as different producers write them: pyarrow, DuckDB and polars, each in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from forecast_sync_cli.errors import UserError

SEED = 20_261_123
RESTAURANTS = 30
ITEMS = 40
FIRST_DAY = date(2026, 12, 1)
STATES = ("OH", "TX", "CA", "NY", "WA")
SCHEMA = pa.schema(
    [
        ("restaurant_id", pa.int32()),
        ("inventory_item_id", pa.int32()),
        ("business_date", pa.date32()),
        ("dma_id", pa.string()),
        ("dc_id", pa.int32()),
        ("state", pa.string()),
        ("y_05", pa.float64()),
        ("y_50", pa.float64()),
        ("y_95", pa.float64()),
        ("updated_at", pa.timestamp("us")),
    ]
)

Row = dict[str, Any]


def forecasts(days: Iterable[int], updated_at: datetime) -> list[Row]:
    """A row for each restaurant, item and day (counted from the first one), always the same."""
    rows = []
    for day in days:
        random = Random(SEED + day)  # noqa: S311  # nothing here is a secret
        for restaurant in range(RESTAURANTS):
            for item in range(ITEMS):
                middle = random.uniform(0, 900)
                rows.append(
                    {
                        "restaurant_id": restaurant,
                        "inventory_item_id": item,
                        "business_date": FIRST_DAY + timedelta(days=day),
                        "dma_id": f"dma-{restaurant % 7}" if restaurant % 4 else None,
                        "dc_id": restaurant % 9 if item % 3 else None,
                        "state": STATES[restaurant % len(STATES)],
                        "y_05": middle * 0.8,
                        "y_50": middle,
                        "y_95": middle * 1.3,
                        "updated_at": updated_at,
                    }
                )
    return rows


def write_first_files(folder: Path, updated_at: datetime) -> list[tuple[str, int, Path]]:
    """Twenty days by five producers; for each file what wrote it, its rows and its path."""
    writers: list[tuple[str, str, Callable[[list[Row], Path], None]]] = [
        ("pyarrow, snappy", "pyarrow/forecast.parquet", with_pyarrow),
        ("pyarrow, zstd, INT96 timestamps", "spark/part-00000.parquet", with_int96),
        ("polars, zstd", "polars/forecast.parquet", with_polars),
        ("DuckDB, zstd", "duckdb/forecast.parquet", with_duckdb),
        ("DuckDB, hive partitions", "hive", with_partitions),
    ]
    written = []
    for number, (label, name, write) in enumerate(writers):
        rows = forecasts(range(4 * number, 4 * number + 4), updated_at)
        if number == 0:
            rows[7]["state"] = None
            rows[8]["y_50"] = float("nan")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(rows, path)
        written.append((label, len(rows), path))
    return written


def write_example(path: Path) -> int:
    """Two days of forecasts, written now; returns how many rows.

    Raises ``UserError`` when the file is there already or can't be written.
    """
    updated_at = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    rows = forecasts(range(2), updated_at)
    try:
        with path.open("xb") as file:
            pq.write_table(_table(rows), file, compression="snappy")
    except FileExistsError:
        raise UserError(f"{path} is there already: name a new file") from None
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}") from None
    return len(rows)


def with_pyarrow(rows: list[Row], path: Path) -> None:
    """What pandas and most Python programs write."""
    pq.write_table(_table(rows), path, compression="snappy")


def with_int96(rows: list[Row], path: Path) -> None:
    """Timestamps as older Spark and Hive write them."""
    pq.write_table(_table(rows), path, compression="zstd", use_deprecated_int96_timestamps=True)


def with_polars(rows: list[Row], path: Path) -> None:
    """A writer that shares no code with the others."""
    frame = pl.from_arrow(_table(rows))
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("a table becomes a frame")
    frame.write_parquet(path, compression="zstd")


def with_duckdb(rows: list[Row], path: Path) -> None:
    """One file by DuckDB's COPY."""
    forecast = _table(rows)
    with duckdb.connect() as connection:
        connection.register("forecast", forecast)
        connection.execute(f"COPY forecast TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def with_partitions(rows: list[Row], path: Path) -> None:
    """A folder for each model version, which is no column of the table."""
    forecast = _table(rows)
    with duckdb.connect() as connection:
        connection.register("forecast", forecast)
        connection.execute(
            "COPY (SELECT *, restaurant_id % 2 AS model_version FROM forecast)"
            f" TO '{path}' (FORMAT parquet, PARTITION_BY (model_version))"
        )


def _table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)
