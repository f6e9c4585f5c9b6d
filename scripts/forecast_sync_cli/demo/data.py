"""Forecasts as different producers write them: pyarrow, DuckDB and polars, each in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

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


def make_row(restaurant: int, item: int, day: date, median: float, updated_at: datetime) -> Row:
    """A valid forecast of a restaurant's item for one day."""
    return {
        "restaurant_id": restaurant,
        "inventory_item_id": item,
        "business_date": day,
        "dma_id": f"dma-{restaurant % 7}",
        "dc_id": restaurant % 9,
        "state": STATES[0],
        "y_05": median * 0.8,
        "y_50": median,
        "y_95": median * 1.3,
        "updated_at": updated_at,
    }


def forecasts(days: Iterable[int], updated_at: datetime) -> list[Row]:
    """A row for each restaurant, item and day after the first one; always the same rows."""
    rows = []
    for day in days:
        random = Random(SEED + day)  # noqa: S311  # nothing here is a secret
        date_of_day = FIRST_DAY + timedelta(days=day)
        for restaurant in range(RESTAURANTS):
            for item in range(ITEMS):
                row = make_row(restaurant, item, date_of_day, random.uniform(0, 900), updated_at)
                row["state"] = STATES[restaurant % len(STATES)]
                if restaurant % 4 == 0:
                    row["dma_id"] = None
                if item % 3 == 0:
                    row["dc_id"] = None
                rows.append(row)
    return rows


def write_first_files(folder: Path, updated_at: datetime) -> list[tuple[str, int, Path]]:
    """Write twenty days as five producers do; for each file its writer, row count and path."""
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
    """Write two days of forecasts, dated now; returns the number of rows.

    Raises ``UserError`` if the file exists or can't be written.
    """
    updated_at = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    rows = forecasts(range(2), updated_at)
    try:
        with path.open("xb") as file:
            pq.write_table(_table(rows), file, compression="snappy")
    except FileExistsError:
        raise UserError(f"{path} already exists: name a new file") from None
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}") from None
    return len(rows)


def with_pyarrow(rows: list[Row], path: Path) -> None:
    """A file as pandas and most Python programs write it."""
    pq.write_table(_table(rows), path, compression="snappy")


def with_int96(rows: list[Row], path: Path) -> None:
    """A file with timestamps as older versions of Spark and Hive write them."""
    pq.write_table(_table(rows), path, compression="zstd", use_deprecated_int96_timestamps=True)


def with_polars(rows: list[Row], path: Path) -> None:
    """A file by a writer that shares no code with the others."""
    import polars as pl

    frame = pl.from_arrow(_table(rows))
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("polars made no data frame of a table")
    frame.write_parquet(path, compression="zstd")


def with_duckdb(rows: list[Row], path: Path) -> None:
    """One file by DuckDB's COPY."""
    import duckdb

    forecast = _table(rows)
    with duckdb.connect() as connection:
        connection.register("forecast", forecast)
        connection.execute(f"COPY forecast TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def with_partitions(rows: list[Row], path: Path) -> None:
    """A folder for each model version, which isn't a column of the table."""
    import duckdb

    forecast = _table(rows)
    with duckdb.connect() as connection:
        connection.register("forecast", forecast)
        connection.execute(
            "COPY (SELECT *, restaurant_id % 2 AS model_version FROM forecast)"
            f" TO '{path}' (FORMAT parquet, PARTITION_BY (model_version))"
        )


def _table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)
