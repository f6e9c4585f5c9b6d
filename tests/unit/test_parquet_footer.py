"""Attacks on the footer reader: a footer's false claims cost little memory and are refused."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import pytest
from forecast_sync.adapters.s3 import Listed
from forecast_sync.survey.judge import judge
from forecast_sync.survey.parquet_footer import (
    DEEPEST,
    MAGIC,
    MOST_ELEMENTS,
    MOST_FOOTER_BYTES,
    MOST_VALUES,
    ParquetColumn,
    footer_size,
    read_footer,
)
from forecast_sync.tables import load_table

from tests.footer_editing import varint
from tests.unit.test_survey import NOW, TYPES, Lake, parquet

CORPUS = sorted((Path(__file__).parent.parent / "fuzz" / "corpus").iterdir())
MEBIBYTE = 1024 * 1024
ROOT_AND_A = b"\x48\x01r\x15\x02\x00" + b"\x15\x02\x38\x01a\x00"
"""The elements of a schema: a root with one child, and its child, an INT32 called a."""


def reason(lake: Lake) -> str:
    """Why the lake's only object is a bad file."""
    item = Listed("forecast/a.parquet", 1, NOW)
    judgement = judge(lake, "lake", item, load_table(), Lock())
    assert judgement is not None
    assert judgement.state == "quarantined"
    return judgement.reason or ""


def long_list(kind: int, size: int) -> bytes:
    """The header of a list that claims ``size`` values."""
    return bytes([0xF0 | kind]) + varint(size)


def schema(elements: bytes, size: int = 2) -> bytes:
    return b"\x29" + long_list(12, size) + elements


def end_of_file(footer: bytes) -> bytes:
    return footer + len(footer).to_bytes(4, "little") + MAGIC


def row_group(fields: bytes) -> bytes:
    """A footer with one row group of these fields."""
    return schema(ROOT_AND_A) + b"\x29\x1c" + fields + b"\x00" + b"\x00"


def chunk(metadata: bytes) -> bytes:
    """A row group's only column, with these fields of its metadata."""
    return b"\x19\x1c\x3c" + metadata + b"\x00" + b"\x00"


@contextmanager
def at_most(mebibytes: float) -> Iterator[None]:
    """Python's allocations stay below."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < mebibytes * MEBIBYTE, f"{peak / MEBIBYTE:.1f} MiB"


def test_a_footer_by_hand_is_read() -> None:
    """What the attacks below are variations of."""
    footer = schema(ROOT_AND_A) + b"\x16\x00" + b"\x00"
    assert read_footer(end_of_file(footer)).columns == {"a": ParquetColumn("INT32", "")}
    signed = footer + b"\x07" * 28
    assert read_footer(end_of_file(signed)).columns == {"a": ParquetColumn("INT32", "")}


ATTACKS = {
    "nothing": b"",
    "no schema": b"\x00",
    "a schema that is a number": b"\x25\x02\x00",
    "a schema of numbers": b"\x29\x25\x02\x02\x00",
    "two schemas": schema(ROOT_AND_A) + b"\x09\x04" + long_list(12, 2) + ROOT_AND_A + b"\x00",
    "elements that aren't there": schema(ROOT_AND_A, 3) + b"\x00",
    "elements without end": schema(ROOT_AND_A, 2**62) + b"\x00",
    "too many elements": schema(b"\x00" * (MOST_ELEMENTS + 1), MOST_ELEMENTS + 1),
    "more children than elements": schema(b"\x48\x01r\x15\x08\x00" + ROOT_AND_A[6:]) + b"\x00",
    "fewer children than elements": schema(b"\x48\x01r\x15\x00\x00" + ROOT_AND_A[6:]) + b"\x00",
    "fewer than no children": schema(b"\x48\x01r\x15\x01\x00" + ROOT_AND_A[6:]) + b"\x00",
    "2^63 children": schema(b"\x48\x01r\x16" + b"\xfe" + b"\xff" * 8 + b"\x01\x00" + b"\x00"),
    "a physical type of -1": schema(ROOT_AND_A[:6] + b"\x15\x01\x38\x01a\x00") + b"\x00",
    "a physical type of 8": schema(ROOT_AND_A[:6] + b"\x15\x10\x38\x01a\x00") + b"\x00",
    "a name that isn't UTF-8": schema(ROOT_AND_A[:6] + b"\x48\x01\xff\x00") + b"\x00",
    "a name that is a number": schema(ROOT_AND_A[:6] + b"\x45\x02\x00") + b"\x00",
    "a name of 2^62 bytes": schema(b"\x48" + varint(2**62) + b"r"),
    "a value of 2^62 bytes": b"\x18" + varint(2**62) + b"r",
    "a number without end": b"\x16" + b"\xff" * 10_000,
    "a field's number without end": b"\x06" + b"\xff" * 10_000,
    "an unknown type": b"\x1d",
    "structs in structs": b"\x3c" * 100_000,
    "lists in lists": b"\x39" + b"\x19" * 100_000,
    "structs in a column": schema(b"\x48\x01r\x5c" + b"\x1c" * 100_000),
    "structs in a logical type": schema(b"\x48\x01r\x6c" + b"\x1c" * 100_000),
    "a list of 2^62 numbers": b"\x39" + long_list(5, 2**62) + b"\x00",
    "a map": b"\x3b\x00\x00",
    "row groups that are a number": schema(ROOT_AND_A) + b"\x25\x02\x00",
    "row groups of numbers": schema(ROOT_AND_A) + b"\x29\x15\x02\x00",
    "two lists of row groups": schema(ROOT_AND_A) + b"\x29\x0c\x09\x08\x0c\x00",
    "row groups without end": schema(ROOT_AND_A) + b"\x29" + long_list(12, 2**62),
    "columns of numbers": row_group(b"\x19\x15\x02"),
    "columns without end": row_group(b"\x19" + long_list(12, 2**62)),
    "encodings of names": row_group(chunk(b"\x29\x18\x01a")),
    "encodings without end": row_group(chunk(b"\x29" + long_list(5, 2**62))),
    "a path of numbers": row_group(chunk(b"\x39\x15\x02")),
    "a path that isn't UTF-8": row_group(chunk(b"\x39\x18\x01\xff")),
    "a path without end": row_group(chunk(b"\x39" + long_list(8, 2**62))),
    "structs in a row group": row_group(b"\x5c" + b"\x1c" * 100_000),
    "structs in a stored column": row_group(chunk(b"\x5c" + b"\x1c" * 100_000)),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_makes_its_object_a_bad_file(name: str) -> None:
    tail = end_of_file(ATTACKS[name])
    with at_most(4), pytest.raises(ValueError, match=r"^it"):
        read_footer(tail)
    lake = Lake()
    lake.objects["forecast/a.parquet"] = tail
    assert reason(lake).startswith("isn't a Parquet file: it")


def test_depth_has_a_limit_that_the_format_stays_below() -> None:
    for depth, fits in ((DEEPEST - 2, True), (DEEPEST - 1, False)):
        nested = b"\x1c" * depth + b"\x00" * depth
        footer = schema(ROOT_AND_A) + b"\x1c" + nested + b"\x00" + b"\x00"
        if fits:
            assert read_footer(end_of_file(footer))
        else:
            with pytest.raises(ValueError, match="nests deeper"):
                read_footer(end_of_file(footer))


@pytest.mark.parametrize(
    "footer",
    [
        b"\x39" + long_list(5, MOST_VALUES - 2) + bytes(MOST_VALUES) + b"\x00",
        b"\x39" + long_list(12, MOST_VALUES - 2) + bytes(MOST_VALUES) + b"\x00",
        b"\x39" + long_list(5, MOST_FOOTER_BYTES // 10 - 2) + (b"\xff" * 9 + b"\x01") * 838_857,
    ],
    ids=["numbers", "empty structs", "long numbers"],
)
def test_the_dearest_footers_take_some_seconds(footer: bytes) -> None:
    tail = end_of_file(footer[:MOST_FOOTER_BYTES])
    began = time.process_time()
    with pytest.raises(ValueError, match="footer"):
        read_footer(tail)
    assert time.process_time() - began < 20


def test_more_values_than_are_read_are_refused_before_they_are() -> None:
    footer = b"\x39" + long_list(5, MOST_VALUES + 1) + bytes(MOST_VALUES + 2)
    with at_most(20), pytest.raises(ValueError, match="more than 3,000,000 values"):
        read_footer(end_of_file(footer))


def test_the_widest_schema_takes_some_megabytes() -> None:
    leaf = b"\x15\x02\x38\x64%s\x00"
    leaves = b"".join(leaf % str(number).zfill(100).encode() for number in range(MOST_ELEMENTS - 1))
    root = b"\x48\x01r\x15" + varint(2 * (MOST_ELEMENTS - 1)) + b"\x00"
    tail = end_of_file(schema(root + leaves, MOST_ELEMENTS) + b"\x00")
    with at_most(24):
        assert len(read_footer(tail).columns) == MOST_ELEMENTS - 1


def test_stored_columns_and_encodings_that_no_schema_has_take_some_megabytes() -> None:
    """A name and an unknown encoding that are new in each of a row group's columns."""
    count = MOST_ELEMENTS + 1
    columns = b"".join(
        b"\x3c\x29\x15%s\x19\x18\x64%s\x00\x00" % (varint(2 * n + 100), str(n).zfill(100).encode())
        for n in range(count)
    )
    tail = end_of_file(row_group(b"\x19" + long_list(12, count) + columns))
    with at_most(24), pytest.raises(ValueError, match="more columns than its schema may have"):
        read_footer(tail)


def test_a_stored_column_by_hand_is_read() -> None:
    metadata = b"\x29\x25\x00\x12" + b"\x19\x18\x01A" + b"\x15\x08"
    footer = read_footer(end_of_file(row_group(chunk(metadata) + b"\x26\x02")))
    assert footer.has_rows
    assert footer.storage["a"].codecs == {"BROTLI"}
    assert footer.storage["a"].encodings == {"PLAIN", "BYTE_STREAM_SPLIT"}
    for rows in (b"\x00", b"\x02"):
        counted = schema(ROOT_AND_A) + b"\x16" + rows + b"\x00"
        assert read_footer(end_of_file(counted)).has_rows is (rows != b"\x00")


def test_a_footer_that_claims_gigabytes_is_never_fetched() -> None:
    sizes = []

    class Watched(Lake):
        def read_tail(self, bucket: str, key: str, size: int) -> bytes | None:
            sizes.append(size)
            return super().read_tail(bucket, key, size)

    lake = Watched()
    lake.objects["forecast/a.parquet"] = b"\x00" * 100_000 + b"\xff\xff\xff\xff" + MAGIC
    assert "claims a footer of 4,294,967,295 bytes" in reason(lake)
    assert sizes == [64 * 1024]


def test_a_footer_that_claims_more_than_its_object_has_is_refused() -> None:
    lake = Lake()
    lake.objects["forecast/a.parquet"] = schema(ROOT_AND_A) + (99_999).to_bytes(4, "little") + MAGIC
    assert "claims a footer of 99,999 bytes and is shorter" in reason(lake)


def test_the_fuzzers_corpus_costs_little() -> None:
    """`make fuzz` finds more; whatever it leaves behind belongs here."""
    assert CORPUS
    size = sum(path.stat().st_size for path in CORPUS)
    assert size < 64 * 1024, "minimise the corpus"
    began = time.process_time()
    with at_most(4):
        for path in CORPUS:
            footer = path.read_bytes()
            for tail in (end_of_file(footer), footer):
                try:
                    read_footer(tail)
                except ValueError:
                    continue
    assert time.process_time() - began < 20


def test_every_byte_of_a_real_footer_may_be_wrong() -> None:
    content = parquet(TYPES)
    whole = content[-footer_size(content) :]
    for position in range(len(whole) - 8):
        for value in (0x00, 0x7F, 0xFF, whole[position] ^ 0x01):
            damaged = whole[:position] + bytes([value]) + whole[position + 1 :]
            try:
                read_footer(damaged)
            except ValueError:
                continue
