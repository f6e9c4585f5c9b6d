"""The embedded engine does what Trino 476 does; `make conformance` compares the two."""

from __future__ import annotations

import io
import math
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from localcloud.athena.embedded import fetch, open_database
from localcloud.athena.engine import QueryError
from localcloud.athena.object_files import ObjectFile
from localcloud.athena.parquet_files import define_view
from localcloud.athena.trino_dialect import parse, transpile

from tests.footer_editing import (
    I32,
    Struct,
    column_metadata,
    created_by,
    edit_column,
    edit_footer,
    logical_type,
)

BAD_TEXTS = {
    b"a\xffb": "a\ufffdb",
    b"\xed\xa0\x80": "\ufffd",
    b"\xed\xa0": "\ufffd",
    b"\xe2\x82x": "\ufffdx",
    b"\xf0\x9f\x8d": "\ufffd",
    b"\x80\x80": "\ufffd\ufffd",
    b"\xc0\xaf": "\ufffd\ufffd",
    b"\xf4\x90\x80\x80": "\ufffd" * 4,
}
"""Bytes, and what Java shows of them."""


def ask(
    folder: Path, query: str, columns: dict[str, str], *tables: pa.Table, **options: Any
) -> list[tuple[Any, ...]]:
    """What the engine returns for a SELECT from t, a table of these files."""
    return ask_files(folder, query, columns, *(written(table, **options) for table in tables))


def ask_files(
    folder: Path, query: str, columns: dict[str, str], *contents: bytes
) -> list[tuple[Any, ...]]:
    """The same of files that are written already."""
    files = []
    for number, content in enumerate(contents):
        path = folder / f"{number}.parquet"
        path.write_bytes(content)
        files.append(ObjectFile(path, f"s3://lake/{number}", "2026-01-01T00:00:00Z"))
    with open_database() as connection:
        connection.execute(f"CREATE VIEW t AS {define_view(connection, files, columns)}")
        statement = transpile(parse(query))
        return fetch(connection, statement, folder).rows


def column(kind: Any, *values: Any) -> pa.Table:
    return pa.table({"x": pa.array(values, kind)})


@pytest.mark.parametrize("zone", [None, "UTC", "+02:00"])
@pytest.mark.parametrize(("unit", "scale"), [("us", 1), ("ns", 1000)])
def test_timestamps_are_rounded_half_up(
    tmp_path: Path, unit: str, scale: int, zone: str | None
) -> None:
    """Up is later, before 1970 too."""
    rounded = {-1501: -2, -1500: -1, -501: -1, -500: 0, -1: 0, 499: 0, 500: 1, 1500: 2}
    table = column(pa.timestamp(unit, zone), *(value * scale for value in rounded))
    rows = ask(tmp_path, "SELECT to_unixtime(x) FROM t", {"x": "timestamp"}, table)
    assert [round(seconds * 1000) for (seconds,) in rows] == list(rounded.values())


def test_timestamps_of_any_year_have_trinos_text(tmp_path: Path) -> None:
    seconds = {
        -62_135_596_801: "0000-12-31 23:59:59.000",
        -12_219_292_801: "1582-10-14 23:59:59.000",
        0: "1970-01-01 00:00:00.000",
        253_402_300_800: "+10000-01-01 00:00:00.000",
    }
    table = column(pa.timestamp("s"), *seconds)
    rows = ask(tmp_path, "SELECT CAST(x AS varchar) FROM t", {"x": "timestamp"}, table)
    assert [text for (text,) in rows] == list(seconds.values())
    days = {-719_529: "-0001-12-31", -719_528: "0000-01-01", 2_932_897: "10000-01-01"}
    rows = ask(
        tmp_path, "SELECT CAST(x AS varchar) FROM t", {"x": "date"}, column(pa.date32(), *days)
    )
    assert [text for (text,) in rows] == list(days.values())


def test_doubles_have_trinos_text(tmp_path: Path) -> None:
    doubles = {
        1.5: "1.5E0",
        1e-5: "1.0E-5",
        123456.785: "1.23456785E5",
        1e300: "1.0E300",
        -0.0: "-0E0",
        math.nan: "NaN",
        -math.inf: "-Infinity",
    }
    table = column(pa.float64(), *doubles)
    rows = ask(tmp_path, "SELECT CAST(x AS varchar) FROM t", {"x": "double"}, table)
    assert [text for (text,) in rows] == list(doubles.values())
    negative_nan = column(pa.float64(), math.copysign(math.nan, -1))
    query = "SELECT CAST(x AS varchar) FROM t"
    assert ask(tmp_path, query, {"x": "double"}, negative_nan) == [("NaN",)]


def test_a_nan_among_numbers_is_one(tmp_path: Path) -> None:
    """A file's statistics name its least and its greatest number, and no NaN."""
    table = column(pa.float64(), 1.0, math.nan, 2.5)
    query = "SELECT sum(CASE WHEN is_nan(x) THEN 1 ELSE 0 END) FROM t"
    assert ask(tmp_path, query, {"x": "double"}, table) == [(1,)]


def test_a_value_that_fails_a_query_does_so_after_rows_that_don_t(tmp_path: Path) -> None:
    texts = [*map(str, range(5000)), "x"]
    with pytest.raises(QueryError, match="Could not convert string 'x'"):
        ask(tmp_path, "SELECT CAST(x AS int) FROM t", {"x": "string"}, column(pa.string(), *texts))


def test_text_that_isn_t_utf_8_is_read_and_detected(tmp_path: Path) -> None:
    texts = [*BAD_TEXTS, b"plain", "é🍕\ufffd".encode()]
    buffers = pa.array(texts, pa.binary()).buffers()
    bad = pa.table({"x": pa.Array.from_buffers(pa.string(), len(texts), buffers)})
    query = (
        "SELECT from_utf8(to_utf8(x)) <> x, "
        "json_format(CAST(MAP(ARRAY['b', 'a'], ARRAY[x, CAST(NULL AS varchar)]) AS json)) FROM t"
    )
    rows = ask(tmp_path, query, {"x": "string"}, bad, column(pa.string(), "other file"))
    shown = [f'{{"a":null,"b":"{text}"}}' for text in BAD_TEXTS.values()]
    expected = [
        *((True, text) for text in shown),
        (False, '{"a":null,"b":"plain"}'),
        (False, '{"a":null,"b":"é\\uD83C\\uDF55\ufffd"}'),
        (False, '{"a":null,"b":"other file"}'),
    ]
    assert Counter(rows) == Counter(expected)


def test_json_has_jacksons_escapes(tmp_path: Path) -> None:
    text = "".join(map(chr, range(1, 0x21))) + '"\\/\x7f\u2028'
    query = "SELECT json_format(CAST(MAP(ARRAY['x'], ARRAY[x]) AS json)) FROM t"
    ((rows,),) = ask(tmp_path, query, {"x": "string"}, column(pa.string(), text))
    low = [f"\\u{code:04X}" for code in range(1, 0x20)]
    for code, letter in ((8, "b"), (9, "t"), (10, "n"), (12, "f"), (13, "r")):
        low[code - 1] = f"\\{letter}"
    assert rows == '{"x":"' + "".join(low) + ' \\"\\\\/\x7f\u2028"}'


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (pa.uint8(), 255, 255),
        (pa.uint16(), 65_535, 65_535),
        (pa.uint32(), 2**32 - 1, -1),
        (pa.uint64(), 2**64 - 2, -2),
        (pa.int64(), -(2**63), -(2**63)),
        (pa.null(), None, None),
    ],
)
def test_integers_are_read_as_trino_reads_them(
    tmp_path: Path, kind: Any, value: Any, read: Any
) -> None:
    """Files of one table may differ, also from each other."""
    both = (column(kind, value), column(pa.int32(), 7))
    rows = ask(tmp_path, "SELECT x FROM t", {"x": "bigint"}, *both)
    assert Counter(rows) == Counter([(read,), (7,)])


def test_an_integer_beyond_its_declaration_fails_the_query(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="out of range"):
        ask(tmp_path, "SELECT x FROM t", {"x": "int"}, column(pa.int64(), 2**31))


def test_decimals_are_rescaled_half_away_from_zero(tmp_path: Path) -> None:
    values = [Decimal("1.0050"), Decimal("-1.0050"), Decimal("1.0049"), None]
    rows = ask(
        tmp_path,
        "SELECT x, TRY_CAST(x AS decimal(2, 2)) FROM t",
        {"x": "decimal(10,2)"},
        column(pa.decimal128(10, 4), *values),
    )
    expected = [Decimal("1.01"), Decimal("-1.01"), Decimal("1.00"), None]
    assert rows == [(value, None) for value in expected]


def test_decimals_have_a_digit_before_the_point(tmp_path: Path) -> None:
    texts = ["0.1234", "-0.0001", "0.0000", "0.9999"]
    values = [Decimal(text) for text in texts]
    declared, content = {"x": "decimal(4,4)"}, column(pa.decimal128(4, 4), *values)
    rows = ask(tmp_path, "SELECT CAST(x AS varchar), x FROM t", declared, content)
    assert rows == list(zip(texts, values, strict=True))


def test_a_concatenation_has_trinos_limit(tmp_path: Path) -> None:
    texts = column(pa.string(), "x" * (2**20 - 1), "x" * 2**20)
    lengths = ask(tmp_path, "SELECT length(TRY(x || 'y')) FROM t", {"x": "string"}, texts)
    assert Counter(lengths) == Counter([(2**20,), (None,)])


def test_a_file_without_rows_isn_t_looked_at(tmp_path: Path) -> None:
    empty = column(pa.string())
    usual = column(pa.int32(), 7)
    assert ask(tmp_path, "SELECT x FROM t", {"x": "int"}, empty, usual) == [(7,)]
    assert ask(tmp_path, "SELECT x FROM t", {"x": "int"}, empty) == []
    with pytest.raises(QueryError, match="nested"):
        ask(tmp_path, "SELECT x FROM t", {"x": "int"}, column(pa.list_(pa.uint64())))


@pytest.mark.parametrize(
    ("columns", "kind", "value"),
    [
        ({"x": "timestamp"}, pa.null(), None),
        ({"x": "boolean"}, pa.null(), None),
        ({"x": "decimal(19,2)"}, pa.null(), None),
        ({"x": "int"}, pa.float64(), 1.0),
        ({"x": "double"}, pa.string(), "1"),
        ({"x": "date"}, pa.timestamp("us"), datetime(2026, 1, 1, tzinfo=UTC)),
        ({"x": "timestamp"}, pa.date32(), date(2026, 1, 1)),
    ],
    ids=str,
)
def test_a_type_that_trino_can_t_read_fails_the_query(
    tmp_path: Path, columns: dict[str, str], kind: Any, value: Any
) -> None:
    with pytest.raises(QueryError, match="HIVE_BAD_DATA: Field x's type"):
        ask(tmp_path, "SELECT x FROM t", columns, column(kind, value))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "brotli"},
        {"compression": "lz4"},
        {"use_dictionary": False, "column_encoding": {"x": "BYTE_STREAM_SPLIT"}},
    ],
    ids=["brotli", "lz4", "byte stream split"],
)
def test_what_trino_can_t_decode_fails_the_query_without_a_name(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(QueryError, match="GENERIC_INTERNAL_ERROR") as raised:
        ask(tmp_path, "SELECT x FROM t", {"x": "int"}, column(pa.int32(), 1), **options)
    assert "s3://" not in str(raised.value)
    assert ask(tmp_path, "SELECT 1 FROM t", {"y": "int"}, column(pa.int32(), 1), **options)


def test_what_isn_t_parquet_fails_the_query_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    path.write_bytes(b"no Parquet")
    file = ObjectFile(path, "s3://lake/bad", "2026-01-01T00:00:00Z")
    with (
        open_database() as connection,
        pytest.raises(QueryError, match="Error opening Hive split s3://lake/bad"),
    ):
        define_view(connection, [file], {"x": "int"})


MOST = 2**63 - 1


@pytest.mark.parametrize("has_statistics", [True, False])
@pytest.mark.parametrize("zone", [None, "UTC", "+02:00"])
@pytest.mark.parametrize(
    ("unit", "times"),
    [
        (
            "ms",
            {
                10**16: "-265697-05-04 09:44:50.448",
                MOST: "1969-12-31 23:59:59.999",
                -MOST - 1: "1970-01-01 00:00:00.000",
                MOST // 1000: "+294247-01-10 04:00:54.775",
            },
        ),
        (
            "us",
            {
                MOST: "-290308-12-22 00:00:00.000",
                MOST - 500: "+294247-01-10 04:00:54.775",
                -MOST: "+294247-01-10 04:00:54.775",
                -MOST - 1 + 499: "-290308-12-22 00:00:00.000",
            },
        ),
        (
            "ns",
            {
                MOST: "1677-09-21 00:12:43.146",
                MOST - 500_000: "2262-04-11 23:47:16.854",
                -MOST - 1: "2262-04-11 23:47:16.854",
                -MOST - 1 + 499_999: "1677-09-21 00:12:43.146",
            },
        ),
    ],
)
def test_times_overflow_as_trinos(
    tmp_path: Path, unit: str, times: dict[int, str], zone: str | None, has_statistics: bool
) -> None:
    """Of microseconds, Trino's go back for some hours more."""
    table = column(pa.timestamp(unit, zone), *times, None)
    query = "SELECT CAST(x AS varchar) FROM t"
    rows = ask(tmp_path, query, {"x": "timestamp"}, table, write_statistics=has_statistics)
    assert rows == [(text,) for text in [*times.values(), None]]


def test_a_time_out_of_range_in_another_column_doesn_t_matter(tmp_path: Path) -> None:
    table = pa.table({"x": [1], "y": pa.array([10**16], pa.timestamp("ms"))})
    assert ask(tmp_path, "SELECT x FROM t", {"x": "bigint"}, table) == [(1,)]


@pytest.mark.parametrize("names", [("x", "X"), ("X", "x"), ("x", "x"), ("x", "\u212a")])
def test_a_column_that_occurs_twice_fails_the_query(tmp_path: Path, names: tuple[str, str]) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=list(names))
    if names[1] == "\u212a":
        assert ask(tmp_path, "SELECT x, k FROM t", {"x": "int", "k": "int"}, table) == [(1, 2)]
        return
    with pytest.raises(QueryError, match="Error opening Hive split s3://lake/0: it has x twice"):
        ask(tmp_path, "SELECT x FROM t", {"x": "bigint"}, table)
    assert ask(tmp_path, "SELECT count(*) FROM t", {"y": "bigint"}, table) == [(1,)]


def test_lz4_needs_hadoops_frame(tmp_path: Path) -> None:
    def change(footer: Struct) -> None:
        for metadata in column_metadata(footer):
            metadata[4] = (I32, 5)

    content = edit_footer(written(column(pa.int64(), 1), compression="lz4"), change)
    for writer, fails in (("fastparquet-python version 1", True), ("parquet-mr", False)):
        by_writer = created_by(content, writer)
        if fails:
            with pytest.raises(QueryError, match="GENERIC_INTERNAL_ERROR"):
                ask_files(tmp_path, "SELECT x FROM t", {"x": "bigint"}, by_writer)
        else:
            assert ask_files(tmp_path, "SELECT x FROM t", {"x": "bigint"}, by_writer) == [(1,)]
        assert ask_files(tmp_path, "SELECT count(*) FROM t", {"y": "int"}, by_writer) == [(1,)]


def written(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def test_what_trino_can_t_open_fails_whatever_the_query_reads(tmp_path: Path) -> None:
    content = written(pa.table({"x": [1], "y": [b""]}))
    for bad in (
        edit_column(content, "y", repetition=None),
        edit_column(content, "y", logical=logical_type(17)),
    ):
        with pytest.raises(QueryError, match="Error opening Hive split s3://lake/0: y"):
            ask_files(tmp_path, "SELECT x FROM t", {"x": "bigint"}, bad)


def test_json_is_text_and_a_half_float_no_number(tmp_path: Path) -> None:
    content = edit_column(written(column(pa.string(), "{}")), "x", logical=logical_type(12))
    assert ask_files(tmp_path, "SELECT x FROM t", {"x": "string"}, content) == [("{}",)]
    with pytest.raises(QueryError, match="HIVE_BAD_DATA: Field x's type"):
        ask(tmp_path, "SELECT x FROM t", {"x": "double"}, column(pa.float16(), 1.5))
