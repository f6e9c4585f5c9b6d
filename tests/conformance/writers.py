"""Parquet files of every writer, with values of every source type, made by hypothesis."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from datetime import date, datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import duckdb
import fastparquet
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

Rows = dict[str, list[Any]]
Choose = Callable[[list[Any]], Any]
"""Draws one of a list."""

Columns = dict[str, tuple[pa.DataType, list[Any]]]

EPOCH = date(1970, 1, 1).toordinal()
DAYS = [
    date(1, 1, 1),
    date(1582, 10, 4),
    date(1582, 10, 15),
    date(1900, 2, 28),
    date(1969, 12, 31),
    date(9999, 12, 31),
]
DAYS_OUTSIDE = [-719_163, -719_528, -719_529, -1_000_000, 2_932_897, 10_000_000]
"""Days since 1970 of dates that Python doesn't have; the first is the day before the year 1."""

DOUBLES = [
    *(0.0, -0.0, math.nan, -math.nan, math.inf, -math.inf, 5e-324, -5e-324),
    *(2.2250738585072014e-308, 0.005, -0.005, 1.005, -1.005, 2.675, 0.1 + 0.2, 8.5, 1e7, 1e-9),
    *(123456.785, 1e22, 1e300, 2**53 + 0.0),
    *(99_999_999.99, 99_999_999.994, 99_999_999.995, -99_999_999.995, 1e8),
]
TEXTS = [
    *("", "\\N", "\\", "\\t", "a\tb", "a\nb", "a\r\nb", "'", '"', " x ", "NULL", "{}", "%s", "\0"),
    *("é", "e\u0301", "🍕", "\ufeffx", "\u2028", "\x7f\x80\x9f", "\U0010ffff", "\ufffd"),
    "".join(map(chr, range(1, 32))),
    "".join(map(chr, range(127, 160))),
]
BAD_TEXTS = [
    *(b"\xff", b"a\xffb", b"\xc3", b"\xe2\x82", b"\xe2\x82x", b"\xf0\x9f\x8d", b"\x80\x80"),
    *(b"\xed\xa0\x80", b"\xed\xa0\xbd\xed\xb0\x80", b"\xed\xa0", b"\xc0\xaf", b"\xe0\x80\x80"),
    *(
        b"\xf0\x80\x80\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfe\xff",
        b"\xe1\x80\xff",
    ),
]
NS_PER = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
NANOSECONDS = [
    *(0, -1, 1, 499_999, 500_000, 500_001, -499_999, -500_000, -500_001, 1_500_000, -1_500_000),
    *(-12_219_292_800_000_500_000, -62_135_596_800_000_000_000, 253_402_300_799_999_500_000),
]
"""Halves of a millisecond, also before 1970, in 1582, in the year 1 and at the end of 9999."""
MOST = 2**63 - 1
OVERFLOWING = {
    "ms": [10**16, 2**62, MOST, -MOST, -MOST - 1],
    "us": [],  # DuckDB has no times as early as Trino's.
    "ns": [MOST, MOST - 499_999, MOST - 500_000, -MOST + 499_998, -MOST + 499_997, -MOST - 1],
}
"""By unit: times at which Trino's arithmetic overflows 64 bits, and their neighbours."""


def integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low, *_, high = edges(bits, signed=signed)
    return st.one_of(st.sampled_from(edges(bits, signed=signed)), st.integers(low, high))


def edges(bits: int, *, signed: bool) -> list[int]:
    """The least, the greatest and others between them, in order."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    numbers = {low, high, 0, -1, 1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63}
    return sorted(number for number in numbers if low <= number <= high)


doubles = st.one_of(
    st.sampled_from(DOUBLES),
    st.floats(),
    st.floats(-1e8, 1e8),
    st.integers(-(10**10), 10**10).map(lambda number: (number + 0.5) / 1000),
)
texts = st.one_of(
    st.sampled_from(TEXTS), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
bad_texts = st.one_of(st.sampled_from(BAD_TEXTS), st.binary(max_size=12), texts.map(str.encode))
days = st.one_of(st.sampled_from(DAYS), st.dates()).map(lambda day: day.toordinal() - EPOCH)
days_or_outside = st.one_of(days, st.sampled_from(DAYS_OUTSIDE))
timestamps = st.one_of(
    st.sampled_from(NANOSECONDS),
    st.integers(-(10**19) * 9, 10**19 * 30),
    st.integers(-(10**12), 10**12).map(lambda half: half * 500_000),
)


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    most = 10**precision - 1
    digits = st.one_of(st.sampled_from([0, 5, -5, most, -most]), st.integers(-most, most))
    exact = Context(prec=precision + 1)
    return digits.map(lambda unscaled: Decimal(unscaled).scaleb(-scale, exact))


@st.composite
def arrow_columns(draw: st.DrawFn, size: int) -> Columns:
    """A column of each source type, stored in one of the ways that are read as it.

    Trino reads columns of the null type as most of them, see ``find_misfits``.
    """

    def column(
        kind: pa.DataType, values: st.SearchStrategy[Any], *, has_null_type: bool = True
    ) -> tuple[pa.DataType, list[Any]]:
        nothing = draw(st.sampled_from(["none", "some", "all"]))
        if nothing == "all" and has_null_type and draw(st.booleans()):
            return pa.null(), [None] * size
        chosen = {"none": values, "some": st.none() | values, "all": st.none()}[nothing]
        return kind, draw(st.lists(chosen, min_size=size, max_size=size))

    width = draw(st.sampled_from([8, 16, 32, 64]))
    signed = draw(st.booleans())
    whole = getattr(pa, f"{'' if signed else 'u'}int{width}")()
    unit = draw(st.sampled_from(["s", "ms", "us", "ns"]))
    zone = draw(st.sampled_from([None, "UTC", "+05:30"]))
    least, most = (-(2**63) // 2, 2**63 // 2) if unit == "ns" else (-(10**20), 10**21)
    moments = timestamps.map(lambda ns: min(max(ns, least), most) // NS_PER[unit])
    if overflowing := OVERFLOWING.get(unit):
        moments = st.one_of(moments, st.sampled_from(overflowing))
    small = draw(st.sampled_from([(10, 2), (9, 1), (5, 0), (8, 2), (1, 0)]))
    large = draw(st.sampled_from([(38, 10), (30, 2), (18, 10), (10, 2)]))
    is_bad = draw(st.booleans())
    return {
        "whole": column(whole, integers(width, signed=signed)),
        "large": column(pa.int64(), integers(64, signed=True)),
        "flag": column(pa.bool_(), st.booleans(), has_null_type=False),
        "label": column(pa.binary(), bad_texts) if is_bad else column(pa.string(), texts),
        "code": column(draw(st.sampled_from([pa.string(), pa.large_string()])), texts),
        "number": column(pa.float64(), doubles),
        "ratio": column(pa.float32(), st.floats(width=32)),
        "day": column(pa.date32(), days_or_outside),
        "moment": column(pa.timestamp(unit, zone), moments, has_null_type=False),
        "price": column(pa.decimal128(*small), decimals(*small)),
        "exact": column(pa.decimal128(*large), decimals(*large), has_null_type=False),
    }


PLAIN = pa.schema(
    {
        "item": pa.int64(),
        "stamp": pa.timestamp("ms"),
        "whole": pa.int32(),
        "large": pa.int64(),
        "flag": pa.bool_(),
        "label": pa.string(),
        "code": pa.string(),
        "number": pa.float64(),
        "ratio": pa.float32(),
        "day": pa.date32(),
        "moment": pa.timestamp("us"),
        "price": pa.decimal128(10, 2),
        "exact": pa.decimal128(18, 4),
    }
)
NOT_FASTPARQUETS = frozenset({"day", "price", "exact"})


@st.composite
def keys(draw: st.DrawFn) -> Rows:
    """Keys of which some come twice."""
    size = draw(st.integers(1, 40))
    first, last = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001
    return {
        "item": draw(st.lists(st.integers(1, size * 2), min_size=size, max_size=size)),
        "stamp": draw(st.lists(st.sampled_from([first, last]), min_size=size, max_size=size)),
    }


@st.composite
def by_pyarrow(draw: st.DrawFn) -> File:
    """A file with every source type, in the ways that this writer has."""
    key_columns = draw(keys())
    columns = draw(arrow_columns(len(key_columns["item"])))
    table = pa.table(
        {
            "item": pa.array(key_columns["item"], pa.int64()),
            "stamp": pa.array(key_columns["stamp"], pa.timestamp("ms")),
            **{name: _array(kind, values) for name, (kind, values) in columns.items()},
        }
    )
    moments = columns["moment"][0]
    is_int96 = draw(st.booleans()) and pa.types.is_timestamp(moments) and moments.unit in "s us"
    return written(
        table,
        compression=draw(st.sampled_from(["none", "snappy", "gzip", "zstd"])),
        data_page_version=draw(st.sampled_from(["1.0", "2.0"])),
        use_dictionary=draw(st.booleans()),
        row_group_size=draw(st.sampled_from([3, 1000])),
        write_statistics=draw(st.booleans()),
        store_decimal_as_integer=draw(st.booleans()),
        use_deprecated_int96_timestamps=is_int96,
    )


def _array(kind: pa.DataType, values: list[Any]) -> pa.Array:
    if not pa.types.is_binary(kind):
        return pa.array(values, kind)
    buffers = pa.array(values, kind).buffers()
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


class File(bytes):
    """A file whose report by hypothesis is short."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes of Parquet: {pq.read_schema(io.BytesIO(self))}>"


def written(table: pa.Table, **options: Any) -> File:
    """A file of pyarrow's."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return File(buffer.getvalue())


@st.composite
def plain_rows(draw: st.DrawFn) -> Rows:
    """Values that every writer takes."""
    key_columns = draw(keys())
    size = len(key_columns["item"])

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(st.none() | values, min_size=size, max_size=size))

    first, last = datetime(1700, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001
    return {
        **key_columns,
        "whole": column(integers(30, signed=True)),  # see DuckDB's exception
        "large": column(integers(64, signed=True)),
        "flag": column(st.booleans()),
        "label": column(texts),
        "code": column(texts),
        "number": column(doubles),
        "ratio": column(st.floats(width=32)),
        "day": column(st.dates(date(1700, 1, 1), date(2200, 1, 1))),
        "moment": column(st.datetimes(first, last)),
        "price": column(decimals(10, 2)),
        "exact": column(decimals(18, 4)),
    }


def by_polars(rows: Rows, choose: Choose, path: Path) -> None:
    schema = {
        "item": pl.Int64,
        "stamp": pl.Datetime("ms"),
        "whole": pl.Int32,
        "large": pl.Int64,
        "flag": pl.Boolean,
        "label": choose([pl.String, pl.Categorical]),
        "code": pl.String,
        "number": pl.Float64,
        "ratio": pl.Float32,
        "day": pl.Date,
        "moment": pl.Datetime(choose(["ms", "us", "ns"])),
        "price": pl.Decimal(10, 2),
        "exact": pl.Decimal(18, 4),
    }
    codec = choose(["zstd", "snappy", "gzip", "uncompressed"])
    pl.DataFrame(rows, schema=schema).write_parquet(path, compression=codec)


def by_duckdb(rows: Rows, choose: Choose, path: Path) -> None:
    version, codec = choose(["V1", "V2"]), choose(["snappy", "zstd", "gzip", "uncompressed"])
    with duckdb.connect() as connection:
        connection.register("frame", pa.table(rows, schema=PLAIN))
        options = f"FORMAT parquet, PARQUET_VERSION {version}, CODEC '{codec}'"
        connection.execute(f"COPY frame TO '{path}' ({options})")


def by_pandas(rows: Rows, choose: Choose, path: Path) -> None:
    codec = choose(["snappy", "gzip", "zstd", None])
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in rows.items()})
    frame = frame.astype({"whole": "Int32", "large": "Int64", "flag": "boolean"})
    frame = frame.astype({"number": "Float64", "ratio": "Float32"})
    for name in ("stamp", "moment"):
        frame[name] = pd.to_datetime(frame[name]).astype(
            choose(["datetime64[us]", "datetime64[ns]"])
        )
    frame.to_parquet(path, engine="pyarrow", compression=codec, index=choose([True, False]))


def by_fastparquet(rows: Rows, choose: Choose, path: Path) -> None:
    """It has no dates and no decimals."""
    kept = {name: values for name, values in rows.items() if name not in NOT_FASTPARQUETS}
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in kept.items()})
    frame = frame.astype({"item": "int64", "whole": "Int32", "large": "Int64", "flag": "boolean"})
    frame = frame.astype({"number": "float64", "ratio": "float32"})
    for name in ("stamp", "moment"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[ns]")
    fastparquet.write(
        str(path),
        frame,
        compression=choose(["SNAPPY", "GZIP", "ZSTD", None]),
        times=choose(["int64", "int96"]),
        has_nulls=choose([True, sorted({*kept} - {"moment"})]),
        object_encoding={"label": "utf8", "code": "utf8"},
    )


WRITERS = {
    "polars": by_polars,
    "DuckDB": by_duckdb,
    "pandas": by_pandas,
    "fastparquet": by_fastparquet,
}
