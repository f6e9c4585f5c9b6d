"""Claims about files that Athena would misread, or not read at all, as their footers show."""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forecast_sync.survey.parquet_footer import read_footer
from forecast_sync.survey.readable import find_misfits
from forecast_sync.tables import load_table, parse_table
from forecast_sync_cli.table_proposal import Answers, propose

from tests.footer_editing import (
    BINARY,
    I32,
    LIST,
    REPEATED,
    SCHEMA,
    Struct,
    column_metadata,
    created_by,
    edit_column,
    edit_footer,
    logical_type,
)

MOST = 2**63 - 1
FASTPARQUET = "fastparquet-python version 2026.9.0 (build 0)"
EXACT = "decimal(4,4)"


def written(columns: dict[str, Any] | pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), sink, **options)
    return sink.getvalue()


def twice(*columns: tuple[str, Any]) -> pa.Table:
    names, arrays = zip(*columns, strict=True)
    return pa.table(list(arrays), names=list(names))


def misfits(content: bytes, declared: str, name: str = "x") -> list[str]:
    source = load_table("price").source.model_copy(update={"columns": {name: declared}})
    return list(find_misfits(read_footer(content), source))


ONE, TWO = pa.array([1]), pa.array([2])


@pytest.mark.parametrize("names", [("x", "X"), ("X", "x"), ("x", "x"), ("X", "X")], ids="".join)
@pytest.mark.parametrize("other", [pa.array([2]), pa.array([2], pa.uint64()), pa.array([[2]])])
def test_a_column_that_occurs_twice_is_named(names: tuple[str, str], other: Any) -> None:
    """Athena reads the first, whatever the other one is."""
    shown = ", ".join(names)
    for columns in ((ONE, other), (other, ONE)):
        (misfit,) = misfits(written(twice(*zip(names, columns, strict=True))), "bigint")
        assert misfit.startswith(f"has the column x more than once ({shown}), ")


def test_other_columns_may_occur_twice() -> None:
    assert misfits(written(twice(("x", ONE), ("y", ONE), ("Y", TWO), ("y", TWO))), "bigint") == []


@pytest.mark.parametrize(
    ("name", "declared"), [("\u017f", "s"), ("\u0131", "i"), ("\u212a", "k"), ("K", "k")]
)
def test_letters_that_equal_others_to_athena_are_the_same_column(name: str, declared: str) -> None:
    """As measured on Trino 476, which compares names as Java's equalsIgnoreCase does."""
    assert misfits(written({name: ONE}), "bigint", declared) == []
    (misfit,) = misfits(written(twice((declared, ONE), (name, TWO))), "bigint", declared)
    assert "more than once" in misfit


def test_a_capital_i_with_a_dot_is_another_column() -> None:
    assert misfits(written({"\u0130": ONE}), "bigint", "i") == ["lacks the column i (bigint)"]


def test_the_storage_of_a_column_by_another_name_is_found() -> None:
    content = written({"\u017f": ONE}, compression="brotli")
    (misfit,) = misfits(content, "bigint", "s")
    assert "compresses the column s with BROTLI" in misfit


@pytest.mark.parametrize("stored", [{}, {"store_decimal_as_integer": True}])
@pytest.mark.parametrize(
    ("digits", "declared", "fits"),
    [
        ((4, 4), "decimal(4,4)", True),
        ((4, 4), "decimal(10,4)", True),
        ((2, 2), "decimal(4,4)", True),
        ((4, 3), "decimal(4,4)", False),
        ((5, 5), "decimal(4,4)", False),
    ],
)
def test_decimals_without_digits_before_the_point(
    digits: tuple[int, int], declared: str, fits: bool, stored: dict[str, Any]
) -> None:
    content = written({"x": pa.array([Decimal(0)], pa.decimal128(*digits))}, **stored)
    assert (misfits(content, declared) == []) is fits


def test_what_tables_init_makes_of_such_a_decimal_fits_its_file(tmp_path: Path) -> None:
    content = written(
        {
            "item": pa.array([1], pa.int32()),
            "day": pa.array([0], pa.date32()),
            "rate": pa.array([Decimal("0.1234")], pa.decimal128(4, 4)),
        }
    )
    (tmp_path / "rate.parquet").write_bytes(content)
    answers = Answers(key="item", date="day", target="rate")
    text = propose(tmp_path / "rate.parquet", answers, _unasked).write()
    source = parse_table(text, "rate.toml").source
    assert source.columns["rate"] == EXACT
    assert list(find_misfits(read_footer(content), source)) == []


def _unasked(question: str, option: str, default: str | None) -> str:
    raise AssertionError(question, option, default)


def test_tables_init_leaves_out_what_occurs_twice_or_is_repeated(tmp_path: Path) -> None:
    days = pa.array([0], pa.date32())
    content = written(twice(("item", ONE), ("day", days), ("x", ONE), ("X", TWO), ("y", ONE)))
    content = edit_column(content, "y", repetition=(I32, REPEATED))
    (tmp_path / "a.parquet").write_bytes(content)
    proposal = propose(tmp_path / "a.parquet", Answers("item", "day", target="t"), _unasked)
    assert proposal.left_out == [
        "x is left out: it occurs more than once (x, X)",
        "y is left out: it is nested; write its parts as columns of their own",
    ]


TIMES = {
    "ms": (-(MOST // 1000), MOST // 1000),
    "us": (-MOST - 1, MOST),
    "ns": (-MOST - 1 + 499_999, MOST - 500_000),
}
"""The first and the last value that Trino 476 takes for the time that it is, or rejects."""


@pytest.mark.parametrize("unit", TIMES)
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_that_overflow_are_named(unit: str, zone: str | None) -> None:
    kind = pa.timestamp(unit, zone)
    least, most = TIMES[unit]
    fitting = {"x": pa.array([least, most, None], kind)}
    assert misfits(written(fitting), "timestamp") == []
    for time in (least - 1, most + 1):
        if not -MOST - 1 <= time <= MOST:
            continue
        content = written({"x": pa.array([0, time, None], kind)}, row_group_size=1)
        (misfit,) = misfits(content, "timestamp")
        words = {"ms": "milliseconds", "ns": "nanoseconds"}[unit]
        assert f"times in the column x that overflow in Athena, which reads {least} to" in misfit
        assert f"{most} {words} since 1970" in misfit
        # What no statistics say can't be seen.
        assert (
            misfits(written({"x": pa.array([time], kind)}, write_statistics=False), "timestamp")
            == []
        )


def test_what_older_writers_say_of_a_time_s_unit_is_read() -> None:
    content = written({"x": pa.array([MOST], pa.timestamp("ms"))}, version="1.0")
    for converted, overflows in ((9, True), (10, False)):
        annotated = edit_column(content, "x", converted=(I32, converted), logical=None)
        assert bool(misfits(annotated, "timestamp")) is overflows


def test_required_milliseconds_of_fastparquet_may_be_no_time() -> None:
    """It stores NaT there as -2^63, which its statistics leave out."""
    schema = pa.schema([pa.field("x", pa.timestamp("ms"), nullable=False)])
    content = written(pa.table([pa.array([0], pa.timestamp("ms"))], schema=schema))
    assert misfits(content, "timestamp") == []
    (misfit,) = misfits(created_by(content, FASTPARQUET), "timestamp")
    assert "fastparquet stores no time (NaT) as what Athena reads as 1970" in misfit
    optional = written({"x": pa.array([0], pa.timestamp("ms"))})
    assert misfits(created_by(optional, FASTPARQUET), "timestamp") == []


def with_lz4(writer: str) -> bytes:
    def change(footer: Struct) -> None:
        for metadata in column_metadata(footer):
            metadata[4] = (I32, 5)

    return created_by(edit_footer(written({"x": ONE}), change), writer)


@pytest.mark.parametrize(
    ("writer", "fits"),
    [
        (FASTPARQUET, False),
        ("parquet-cpp version 1.0.0", False),
        ("parquet-cpp version 1.4.1-SNAPSHOT", False),
        ("parquet-cpp version 1.5.0", False),
        ("parquet-cpp version 1.5.1-SNAPSHOT", True),
        ("parquet-mr version 1.13.1 (build db4183109d5b734ec5930d870cdae161e408ddba)", True),
        ("", True),
    ],
)
def test_lz4_is_read_of_writers_that_frame_it(writer: str, fits: bool) -> None:
    content = with_lz4(writer)
    if fits:
        assert misfits(content, "bigint") == []
    else:
        (misfit,) = misfits(content, "bigint")
        assert misfit.startswith("compresses the column x with unframed LZ4, which Athena can't")


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.date32(), pa.decimal128(4, 2)])
def test_a_repeated_value_is_nested(kind: Any) -> None:
    content = edit_column(written({"x": pa.nulls(1, kind)}), "x", repetition=(I32, REPEATED))
    assert read_footer(content).columns["x"].is_nested
    for declared in ("bigint", "string", "date", "decimal(4,2)"):
        (misfit,) = misfits(content, declared)
        assert misfit.startswith("has the column x as REPEATED ")


def _without_repetition(content: bytes) -> bytes:
    return edit_column(content, "y", repetition=None)


def _nested_without_repetition(content: bytes) -> bytes:
    def change(footer: Struct) -> None:
        del footer[SCHEMA][1][1][-1][3]

    return edit_footer(content, change)


@pytest.mark.parametrize("change", [_without_repetition, _nested_without_repetition])
def test_a_column_without_a_repetition_type_keeps_athena_from_opening_the_file(
    change: Callable[[bytes], bytes],
) -> None:
    """Whether the table file names the column or not; as fastparquet writes with "infer"."""
    content = written({"x": ONE, "y": ONE, "z": pa.array([[1]])})
    assert misfits(content, "bigint") == []
    (misfit,) = misfits(change(content), "bigint")
    name = "y" if change is _without_repetition else "z"
    assert misfit.startswith(f"doesn't say whether the column {name} may be NULL, so Athena can't")
    assert misfit.endswith("in fastparquet with has_nulls=True")


def test_a_logical_type_that_athena_doesn_t_know_keeps_it_from_opening_the_file() -> None:
    content = written({"x": ONE, "y": pa.array([b""])})
    for number, fits in ((4, True), (12, True), (13, True), (16, False), (17, False), (99, False)):
        reasons = misfits(edit_column(content, "y", logical=logical_type(number)), "bigint")
        assert (reasons == []) is fits
        assert fits or "has the column y of a logical type that Athena doesn't know" in reasons[0]


def test_a_name_in_a_reason_is_shown_short_and_without_effect() -> None:
    name = "\x1b[31m" + "y" * 10_000
    content = edit_column(written({"x": ONE, name: ONE}), name, repetition=None)
    (misfit,) = misfits(content, "bigint")
    assert len(misfit) < 300
    assert "\x1b" not in misfit


@pytest.mark.parametrize(
    ("logical", "converted", "fits"),
    [
        ("JSON", (logical_type(12), 19), True),
        ("ENUM", (logical_type(4), 4), True),
        ("BSON", (logical_type(13), 20), False),
    ],
)
def test_annotated_texts(logical: str, converted: tuple[Any, int], fits: bool) -> None:
    content = written({"x": pa.array(["{}"])})
    fields = ({"logical": converted[0]}, {"logical": None})
    for field in fields:
        annotated = edit_column(content, "x", converted=(I32, converted[1]), **field)
        assert read_footer(annotated).columns["x"].logical == logical
        assert (misfits(annotated, "string") == []) is fits


def test_a_uuid_in_bytes_is_refused_with_what_to_do() -> None:
    (misfit,) = misfits(written({"x": pa.array([bytes(16)], pa.uuid())}), "string")
    assert misfit.endswith("Athena reads its bytes as text; write UUIDs as text")


def test_a_writer_s_name_may_be_anything() -> None:
    for writer in ("", "\xff" * 10_000, "fastparquet\n"):
        content = created_by(written({"x": ONE}), writer)
        assert misfits(content, "bigint") == []
        assert len(read_footer(content).created_by) <= 1024
    not_text = edit_footer(written({"x": ONE}), lambda f: f.update({6: (BINARY, b"\xff")}))
    assert read_footer(not_text).created_by == "\ufffd"
    numbers = edit_footer(written({"x": ONE}), lambda f: f.update({6: (LIST, (I32, [1]))}))
    assert read_footer(numbers).created_by == ""
