"""Claims about checking the lake's objects before Athena reads them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from forecast_sync.adapters.s3 import Listed, Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Window
from forecast_sync.errors import SourceInvalid, SourceUnstable
from forecast_sync.survey.objects import check_sources, fix_sources, survey
from forecast_sync.survey.parquet_footer import read_footer
from forecast_sync.survey.readable import find_misfits
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


class Lake(Storage):
    """Objects in memory."""

    def __init__(self, modified: datetime = NOW) -> None:
        self.objects: dict[str, bytes] = {}
        self.modified = modified

    def list(self, _bucket: str, prefix: str) -> Iterator[Listed]:
        for key, content in self.objects.items():
            if key.startswith(prefix):
                yield Listed(key, len(content), self.modified, content.hex())

    def read_tail(self, _bucket: str, key: str, size: int) -> bytes | None:
        return self.objects[key][-size:]


def fixed(lake: Lake, now: datetime, slept: list[float]) -> Window:
    return fix_sources(lake, SETTINGS, Window(high=NOW), lambda: now, slept.append)


def test_a_window_ends_when_its_objects_are_listed() -> None:
    lake, slept = Lake(NOW - timedelta(hours=1)), list[float]()
    lake.objects["forecast/a.parquet"] = b"a"
    window = fixed(lake, NOW + timedelta(hours=1, microseconds=123_456), slept)
    assert window.high == NOW + timedelta(hours=1, microseconds=123_000)
    assert window.sources == survey(lake, SETTINGS, window).fingerprint
    assert fixed(lake, NOW - timedelta(hours=1), slept).high == NOW, "never earlier than another's"
    assert slept == []


def test_an_object_of_the_present_second_has_the_lake_listed_after_it() -> None:
    """S3's times are whole seconds: another one of the same second may just be missing."""
    lake, slept = Lake(NOW), list[float]()
    lake.objects["forecast/a.parquet"] = b"a"

    def upload_another(seconds: float) -> None:
        slept.append(seconds)
        lake.objects["forecast/b.parquet"] = b"b"

    now = NOW + timedelta(milliseconds=400)
    window = fix_sources(lake, SETTINGS, Window(high=NOW), lambda: now, upload_another)
    assert slept == [0.6]
    assert window.sources == survey(lake, SETTINGS, window).fingerprint


class Compacted(Storage):
    """An object is rewritten into a later one before each of some listings, as many as are left."""

    def __init__(
        self, clock: list[datetime], listings: set[int], age: timedelta = timedelta()
    ) -> None:
        self.clock, self.listings, self.listed = clock, listings, 0
        self.modified = {"forecast/0.parquet": NOW - age}

    def list(self, _bucket: str, _prefix: str) -> Iterator[Listed]:
        self.listed += 1
        self.clock[0] += timedelta(milliseconds=400)
        if self.listed in self.listings:
            self.modified = {f"forecast/{self.listed}.parquet": self.clock[0]}
        for key, modified in self.modified.items():
            yield Listed(key, 1, modified, key)


@pytest.mark.parametrize("age", [timedelta(hours=1), timedelta()])
def test_an_object_compacted_between_the_window_s_end_and_its_listing_moves_the_end(
    age: timedelta,
) -> None:
    """Its rows are in an object that is newer than the first end."""
    clock = [NOW]
    lake = Compacted(clock, {2}, age)
    window = fix_sources(lake, SETTINGS, Window(high=NOW), lambda: clock[0], lambda _seconds: None)
    assert window.high == NOW + timedelta(milliseconds=1200)
    assert survey(lake, SETTINGS, window).objects == 1
    assert window.sources == survey(lake, SETTINGS, window).fingerprint


def test_a_lake_that_is_compacted_all_the_time_is_refused() -> None:
    clock = [NOW]
    lake = Compacted(clock, {2, 4, 6})
    with pytest.raises(SourceUnstable, match=r"in each of 3 attempts\. Nothing was loaded"):
        fix_sources(lake, SETTINGS, Window(high=NOW), lambda: clock[0], lambda _seconds: None)


def parquet(types: dict[str, Any], rows: int = 1, **options: Any) -> bytes:
    schema = pa.schema(list(types.items()))
    table = pa.table([pa.nulls(rows, kind) for kind in types.values()], schema=schema)
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
        ("restaurant_id", pa.uint32(), "INT32 UINT_32"),
        ("dc_id", pa.uint64(), "INT64 UINT_64"),
        ("updated_at", pa.null(), "INT32 NULL"),
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


def test_an_empty_object_is_named_as_what_it_is() -> None:
    with pytest.raises(SourceInvalid, match=r"a\.parquet isn't a Parquet file: it is empty, 0 b"):
        check(b"")


class VanishingLake(Lake):
    """Deletes an object between a listing and the first look at it, for some listings."""

    def __init__(self, vanishing: list[str]) -> None:
        super().__init__()
        self.vanishing = vanishing
        self.listings = 0

    def list(self, bucket: str, prefix: str) -> Iterator[Listed]:
        self.listings += 1
        listed = list(super().list(bucket, prefix))
        if self.vanishing:
            del self.objects[self.vanishing.pop(0)]
        yield from listed

    def read_tail(self, bucket: str, key: str, size: int) -> bytes | None:
        return super().read_tail(bucket, key, size) if key in self.objects else None


@pytest.mark.parametrize(("vanishing", "listings"), [(0, 1), (1, 2), (2, 3)])
def test_an_object_that_is_deleted_after_it_was_listed_is_left_out(
    vanishing: int, listings: int
) -> None:
    keys = [f"forecast/{number}.parquet" for number in range(4)]
    lake = VanishingLake(keys[:vanishing])
    lake.objects = {key: parquet(TYPES) for key in keys}
    window = Window(high=NOW)
    surveyed = check_sources(lake, SETTINGS, load_table(), window)
    assert (surveyed.objects, lake.listings) == (4 - vanishing, listings)
    assert surveyed == survey(lake, SETTINGS, window)


def test_a_lake_that_keeps_vanishing_is_left_to_the_run_s_comparison() -> None:
    keys = [f"forecast/{number}.parquet" for number in range(9)]
    lake = VanishingLake([*keys])
    lake.objects = {key: parquet(TYPES) for key in keys}
    window = Window(high=NOW)
    surveyed = check_sources(lake, SETTINGS, load_table(), window)
    assert surveyed.fingerprint != survey(lake, SETTINGS, window).fingerprint


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
    assert len({surveyed.fingerprint for surveyed in (first, overwritten, deleted)}) == 3


@pytest.mark.parametrize("kind", [pa.uint32(), pa.uint64()])
def test_an_integer_that_athena_reads_as_signed_is_refused_with_what_to_do(kind: Any) -> None:
    """Athena would load 4294967295 as -1, and the run would be green."""
    with pytest.raises(SourceInvalid, match="largest value as -1; write signed integers"):
        check(parquet({**TYPES, "dc_id": kind}))


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.uint8(), pa.uint16()])
def test_narrow_integers_are_read_signed_or_not(kind: Any) -> None:
    assert check(parquet({**TYPES, "restaurant_id": kind, "dc_id": kind})) == 1


def test_a_file_without_rows_fits_whatever_its_types_say() -> None:
    anything = dict.fromkeys(TYPES, pa.uint64())
    assert check(parquet(anything, rows=0)) == 1
    assert check(parquet({}, rows=0)) == 1
    assert check(parquet(TYPES, rows=0, compression="brotli")) == 1
    with pytest.raises(SourceInvalid, match="has the column state as GROUP"):
        check(parquet({**TYPES, "state": pa.list_(pa.string())}, rows=0))


@pytest.mark.parametrize("name", sorted({*TYPES} - {"updated_at"}))
def test_a_column_of_nothing_but_null_is_null(name: str) -> None:
    assert check(parquet({**TYPES, name: pa.null()})) == 1


@pytest.mark.parametrize(
    ("codec", "named"), [("brotli", "BROTLI"), ("lz4", "LZ4_RAW")], ids=["brotli", "lz4"]
)
def test_a_codec_that_athena_lacks_is_named_with_its_columns(codec: str, named: str) -> None:
    words = rf"a\.parquet compresses the columns restaurant_id, .*updated_at with {named}, which"
    with pytest.raises(SourceInvalid, match=words) as raised:
        check(parquet(TYPES, compression=codec))
    assert "write it with snappy, gzip or zstd" in str(raised.value)
    some = {"dma_id": codec, "extra": codec}
    with pytest.raises(SourceInvalid, match=rf"compresses the column dma_id with {named}"):
        check(parquet({**TYPES, "extra": pa.int8()}, compression=some))
    assert check(parquet({**TYPES, "extra": pa.int8()}, compression={"extra": codec})) == 1


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd"])
@pytest.mark.parametrize("pages", ["1.0", "2.0"])
def test_codecs_that_athena_has_fit(codec: str, pages: str) -> None:
    assert check(parquet(TYPES, compression=codec, data_page_version=pages)) == 1


INTEGERS = {"PLAIN", "DELTA_BINARY_PACKED"}
FLOATS = {"PLAIN", "BYTE_STREAM_SPLIT"}
TEXTS = {"PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"}
READABLE = {
    "restaurant_id": INTEGERS,
    "inventory_item_id": INTEGERS,
    "business_date": INTEGERS,
    "updated_at": INTEGERS,
    "state": TEXTS,
    "y_05": FLOATS,
    "y_50": FLOATS,
}


@pytest.mark.parametrize("encoding", sorted(INTEGERS | FLOATS | TEXTS))
@pytest.mark.parametrize("name", READABLE)
def test_an_encoding_that_athena_lacks_for_a_type_is_named(name: str, encoding: str) -> None:
    """What Trino 476 reads of what pyarrow writes; `make conformance` checks it with Trino."""
    try:
        content = parquet(TYPES, use_dictionary=False, column_encoding={name: encoding})
    except OSError:
        return  # The format knows no such encoding of the type.
    if encoding in READABLE[name]:
        assert check(content) == 1
        return
    with pytest.raises(SourceInvalid, match=f"encodes the column {name} as {encoding}, which"):
        check(content)


def test_an_encrypted_column_is_named() -> None:
    class Client(pe.KmsClient):  # type: ignore[misc]  # pyarrow has no types
        def __init__(self, _config: Any) -> None:
            super().__init__()

        def wrap_key(self, key_bytes: bytes, _master: str) -> bytes:
            return base64.b64encode(key_bytes)

        def unwrap_key(self, wrapped_key: bytes, _master: str) -> bytes:
            return base64.b64decode(wrapped_key)

    properties = pe.CryptoFactory(Client).file_encryption_properties(
        pe.KmsConnectionConfig(),
        pe.EncryptionConfiguration(
            footer_key="footer", column_keys={"column": ["y_50"]}, plaintext_footer=True
        ),
    )
    with pytest.raises(SourceInvalid, match="encrypts the column y_50, which Athena can't read"):
        check(parquet(TYPES, encryption_properties=properties))


def look_at_decimals(kind: Any, declared: str, **options: Any) -> list[str]:
    source = load_table("price").source.model_copy(update={"columns": {"x": declared}})
    return list(find_misfits(read_footer(parquet({"x": kind}, **options)), source))


@pytest.mark.parametrize("stored", [{}, {"store_decimal_as_integer": True}])
@pytest.mark.parametrize(
    ("digits", "fits"),
    [
        ((10, 2), True),
        ((8, 0), True),
        ((9, 1), True),
        ((10, 3), False),
        ((10, 1), False),
        ((11, 2), False),
        ((18, 2), False),
    ],
)
def test_a_decimal_fits_where_no_digit_is_lost(
    digits: tuple[int, int], fits: bool, stored: dict[str, Any]
) -> None:
    """Athena would round the others, or fail the query."""
    misfits = look_at_decimals(pa.decimal128(*digits), "decimal(10,2)", **stored)
    if fits:
        assert misfits == []
    else:
        (misfit,) = misfits
        assert f"DECIMAL({digits[0]},{digits[1]}), expected decimal(10,2), or one with" in misfit


@pytest.mark.parametrize(
    ("kind", "declared", "fits"),
    [
        (pa.decimal128(38, 10), "decimal(38,10)", True),
        (pa.decimal256(50, 2), "decimal(38,2)", False),
        (pa.null(), "decimal(18,2)", True),
        (pa.null(), "decimal(19,2)", False),
        (pa.int32(), "decimal(18,2)", False),
        (pa.float64(), "decimal(18,2)", False),
    ],
    ids=str,
)
def test_what_athena_reads_as_a_decimal(kind: Any, declared: str, fits: bool) -> None:
    assert (look_at_decimals(kind, declared) == []) is fits
