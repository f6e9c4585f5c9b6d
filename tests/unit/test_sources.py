"""Claims about checking the lake's objects before Athena reads them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forecast_sync.adapters.s3 import Listed
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Window
from forecast_sync.errors import SourceInvalid
from forecast_sync.survey.objects import check_sources, survey
from forecast_sync.tables import load_table

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SETTINGS = Settings(environment="dev", data_location="s3://lake/forecast/")

TYPES = {
    "restaurant_id": pa.int32(),
    "inventory_item_id": pa.int64(),
    "business_date": pa.date32(),
    "dma_id": pa.string(),
    "dc_id": pa.int32(),
    "state": pa.large_string(),
    "y_05": pa.float32(),
    "y_50": pa.float64(),
    "y_95": pa.float64(),
    "updated_at": pa.timestamp("us"),
}


class Lake:
    """Objects in memory."""

    def __init__(self, modified: datetime = NOW) -> None:
        self.objects: dict[str, bytes] = {}
        self.modified = modified

    def list(self, _bucket: str, prefix: str) -> Iterator[Listed]:
        for key, content in self.objects.items():
            if key.startswith(prefix):
                yield Listed(key, len(content), self.modified, content.hex())

    def read_tail(self, _bucket: str, key: str, size: int) -> bytes:
        return self.objects[key][-size:]


def parquet(types: dict[str, Any], **options: Any) -> bytes:
    table = pa.schema(list(types.items())).empty_table()
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def check(content: bytes, **window: Any) -> int:
    lake = Lake()
    lake.objects["forecast/a.parquet"] = content
    return look(lake, Window(**{"high": NOW, **window}))


def look(lake: Lake, window: Window) -> int:
    return check_sources(lake, SETTINGS, load_table(), window).objects


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_deprecated_int96_timestamps": True},
        {"version": "1.0"},
        {"coerce_timestamps": "ms"},
    ],
)
def test_files_of_every_kind_of_writer_fit(options: dict[str, Any]) -> None:
    assert (
        check(parquet({**TYPES, "extra": pa.list_(pa.struct([("a", pa.int8())]))}, **options)) == 1
    )


def test_a_wide_file_is_read_with_a_second_request() -> None:
    wide = {f"column_{number:05}": pa.string() for number in range(3000)}
    assert check(parquet({**wide, **TYPES})) == 1


def test_a_missing_column_is_named() -> None:
    types = {name: kind for name, kind in TYPES.items() if name != "y_05"}
    with pytest.raises(SourceInvalid, match=r"s3://lake/forecast/a\.parquet lacks the column y_05"):
        check(parquet(types))


@pytest.mark.parametrize(
    ("column", "kind", "found"),
    [
        ("y_50", pa.string(), "BYTE_ARRAY STRING"),
        ("business_date", pa.string(), "BYTE_ARRAY STRING"),
        ("restaurant_id", pa.float64(), "DOUBLE"),
        ("y_95", pa.decimal128(10, 2), "FIXED DECIMAL"),
        ("updated_at", pa.int64(), "INT64"),
        ("dc_id", pa.date32(), "INT32 DATE"),
        ("state", pa.list_(pa.string()), "GROUP OTHER"),
    ],
)
def test_a_wrong_type_is_named(column: str, kind: Any, found: str) -> None:
    with pytest.raises(SourceInvalid, match=f"has the column {column} as {found}"):
        check(parquet({**TYPES, column: kind}))


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"a,b\n1,2\n", parquet(TYPES)[:-1], b"\xff" * 90 + b"\x40\0\0\0PAR1"]
)
def test_what_is_not_parquet_is_named(content: bytes) -> None:
    with pytest.raises(SourceInvalid, match=r"a\.parquet isn't a Parquet file"):
        check(content)


def test_objects_outside_of_the_window_and_hidden_ones_are_not_looked_at() -> None:
    lake = Lake(modified=NOW)
    lake.objects["forecast/_tmp/a.parquet"] = b"no"
    lake.objects["forecast/folder/"] = b""
    assert look(lake, Window(high=NOW)) == 0
    lake.objects["forecast/a.parquet"] = b"no"
    late = Window(low=NOW + timedelta(seconds=1), high=NOW + timedelta(days=1))
    assert look(lake, late) == 0
    with pytest.raises(SourceInvalid):
        look(lake, Window(low=NOW, high=NOW))


def test_many_faults_are_counted() -> None:
    lake = Lake()
    lake.objects = {f"forecast/{number}.parquet": b"no" for number in range(5)}
    with pytest.raises(SourceInvalid, match="and 2 more"):
        look(lake, Window(high=NOW))


def test_a_fingerprint_is_of_all_objects_that_a_query_may_read() -> None:
    lake = Lake(modified=NOW)
    lake.objects = {"forecast/a.parquet": b"one", "forecast/b.parquet": b"two"}
    window = Window(low=NOW, high=NOW)
    first = survey(lake, SETTINGS, window)
    assert survey(lake, SETTINGS, window) == first
    assert survey(lake, SETTINGS, Window(high=NOW)).fingerprint == first.fingerprint
    lake.objects["forecast/_hidden.parquet"] = b"hidden"
    assert survey(lake, SETTINGS, window) == first
    lake.objects["forecast/b.parquet"] = b"six"
    overwritten = survey(lake, SETTINGS, window)
    del lake.objects["forecast/b.parquet"]
    deleted = survey(lake, SETTINGS, window)
    assert len({found.fingerprint for found in (first, overwritten, deleted)}) == 3
