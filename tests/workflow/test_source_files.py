"""What files may contain is loaded, or left out by name before a query, on every engine."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.lake import SCHEMA, make_row, make_rows, to_parquet
from tests.workflow.deployed import Deployed

ROWS = make_rows(range(3))
TOO_LARGE = 2**31


def typed(rows: list[dict[str, Any]], types: dict[str, Any], **options: Any) -> bytes:
    """A file of these rows in which some columns have another type."""
    schema = SCHEMA
    for name, kind in types.items():
        schema = schema.set(schema.get_field_index(name), pa.field(name, kind))
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer, **options)
    return buffer.getvalue()


def with_bytes(rows: list[dict[str, Any]], name: str, values: list[bytes]) -> bytes:
    """A file that calls a column text whose bytes may be anything."""
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    buffers = pa.array(values, pa.binary()).buffers()
    text = pa.Array.from_buffers(pa.string(), len(values), buffers)
    buffer = io.BytesIO()
    pq.write_table(table.set_column(SCHEMA.get_field_index(name), name, text), buffer)
    return buffer.getvalue()


def left_out(deployed: Deployed, content: bytes) -> str:
    """Why a file is quarantined; another one's rows arrive in the same run."""
    deployed.upload("good", ROWS)
    deployed.upload("bad", content)
    ended = deployed.succeed()
    assert {key[0] for key in deployed.table()} >= {row["restaurant_id"] for row in ROWS}
    assert ended.output["quarantined"] == 1
    files = deployed.query("SELECT key, reason FROM forecast_sync_file WHERE state <> 'loaded'")
    ((key, reason),) = files
    assert key == "forecast/bad.parquet"
    return str(reason)


def rejects(deployed: Deployed) -> list[tuple[Any, ...]]:
    return deployed.query("SELECT reason FROM forecast_sync_rejects ORDER BY 1")


@pytest.mark.parametrize("kind", [pa.uint32(), pa.uint64()])
def test_an_unsigned_integer_is_left_out_by_name(deployed: Deployed, kind: Any) -> None:
    """The engine would read 4294967295 as -1, and the run would be green."""
    reason = left_out(deployed, typed([make_row(9, dc_id=2**32 - 1)], {"dc_id": kind}))
    assert "has the column dc_id as INT" in reason
    assert "write signed integers" in reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compression": "brotli"}, "with BROTLI, which Athena can't read"),
        ({"compression": "lz4"}, "with LZ4_RAW, which Athena can't read"),
        (
            {"use_dictionary": False, "column_encoding": {"dc_id": "BYTE_STREAM_SPLIT"}},
            "encodes the column dc_id as BYTE_STREAM_SPLIT",
        ),
    ],
    ids=["brotli", "lz4", "byte stream split"],
)
def test_what_the_engine_can_t_decode_is_left_out_by_name(
    deployed: Deployed, options: dict[str, Any], words: str
) -> None:
    assert words in left_out(deployed, typed(ROWS, {}, **options))


def test_a_number_too_large_for_its_column_is_a_reject(deployed: Deployed) -> None:
    wide = {"restaurant_id": pa.int64(), "dc_id": pa.int64()}
    rows = [
        make_row(1, dc_id=2**31 - 1),
        make_row(2, dc_id=TOO_LARGE),
        make_row(TOO_LARGE, business_date=make_row(1)["business_date"]),
        make_row(3, dc_id=-(2**63)),
    ]
    deployed.upload("wide", typed(rows, wide))
    deployed.upload("usual", [make_row(5)])
    ended = deployed.succeed()
    assert (ended.counts["good"], ended.counts["rejected"]) == (2, 3)
    assert rejects(deployed) == [
        ("dc_id doesn't fit integer",),
        ("dc_id doesn't fit integer",),
        ("restaurant_id doesn't fit integer",),
    ]


def test_text_that_isn_t_utf_8_is_a_reject_that_names_the_column(deployed: Deployed) -> None:
    texts = [b"plain", b"\xff", b"lone \xed\xa0\x80", b"cut \xf0\x9f\x8d", "é🍕".encode()]
    rows = make_rows(range(len(texts)))
    deployed.upload("texts", with_bytes(rows, "dma_id", texts))
    deployed.upload("states", with_bytes([make_row(8)], "state", [b"\xc0\xaf"]))
    ended = deployed.succeed()
    assert (ended.counts["good"], ended.counts["rejected"]) == (2, 4)
    assert rejects(deployed) == [("dma_id isn't UTF-8",)] * 3 + [("state isn't UTF-8",)]
    kept = deployed.query("SELECT dma_id FROM forecast_data ORDER BY 1")
    assert sorted(kept) == [("plain",), ("é🍕",)]
    shown = deployed.query(
        "SELECT row_json ->> 'dma_id' FROM forecast_sync_rejects WHERE reason LIKE 'dma%'"
    )
    assert sorted(shown) == [("cut \ufffd",), ("lone \ufffd",), ("\ufffd",)]


def test_a_file_without_rows_is_fine_whatever_its_types_say(deployed: Deployed) -> None:
    anything = pa.schema([(name, pa.uint64()) for name in SCHEMA.names])
    deployed.upload("rows", ROWS)
    deployed.upload("empty", to_parquet([], anything))
    deployed.upload("others", to_parquet([], pa.schema([("other", pa.binary())])))
    assert deployed.succeed().counts["good"] == len(ROWS)


def test_a_column_of_nothing_but_null_is_null(deployed: Deployed) -> None:
    nothing = {"dma_id": None, "dc_id": None, "y_05": None}
    rows = make_rows(range(3), **nothing)
    deployed.upload("null", typed(rows, dict.fromkeys(nothing, pa.null())))
    deployed.upload("usual", [make_row(5)])
    assert deployed.succeed().counts["good"] == 4
    nulls = deployed.query("SELECT count(*) FROM forecast_data WHERE dma_id IS NULL")
    assert nulls == [(3,)]
    bad = typed([make_row(9, updated_at=None)], {"updated_at": pa.null()})
    reason = left_out(deployed, bad)
    assert "has the column updated_at as INT32 NULL, expected timestamp" in reason


def test_a_text_of_a_megabyte_is_a_reject_like_any_other(deployed: Deployed) -> None:
    """Athena's ``||`` can't make a longer one, and would fail every query of the run."""
    deployed.upload("long", [make_row(1, dma_id="x" * 2**20), make_row(2, dma_id="é" * 50)])
    ended = deployed.succeed()
    assert (ended.counts["good"], ended.counts["rejected"]) == (1, 1)
    assert rejects(deployed) == [("dma_id is longer than 50 characters",)]
    ((shown,),) = deployed.query("SELECT length(row_json ->> 'dma_id') FROM forecast_sync_rejects")
    assert shown == 2**20


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_the_newest_is_decided_after_rounding_half_up(deployed: Deployed, unit: str) -> None:
    """Half a millisecond less is equal, and of equals the later file wins."""
    utc_time = datetime.fromisoformat("1969-12-31T23:59:59.000")
    half = timedelta(microseconds=500)
    files = {"a": utc_time + half, "b": utc_time + 2 * half, "c": utc_time + half - half / 500}
    for name, updated in files.items():
        row = make_row(1, y_50=float(ord(name)), updated_at=updated)
        deployed.upload(name, typed([row], {"updated_at": pa.timestamp(unit)}))
    deployed.succeed()
    assert deployed.query("SELECT y_50 FROM forecast_data") == [(Decimal(ord("b")),)]
