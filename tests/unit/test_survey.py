"""Claims about judging the lake's objects before Athena reads them."""

from __future__ import annotations

import base64
import io
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from forecast_sync.adapters.s3 import Listed, ObjectArchived, Storage
from forecast_sync.contracts.survey import DateRange
from forecast_sync.errors import SourceInvalid
from forecast_sync.survey.judge import ANY_DATE, Judged, find_dates, judge
from forecast_sync.survey.listing import is_hidden
from forecast_sync.survey.parquet_footer import read_footer
from forecast_sync.survey.readable import find_misfits
from forecast_sync.tables import load_table

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

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

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def read_tail(self, _bucket: str, key: str, size: int) -> bytes | None:
        return self.objects[key][-size:] if key in self.objects else None


def parquet(types: dict[str, Any], rows: int = 1, **options: Any) -> bytes:
    schema = pa.schema(list(types.items()))
    table = pa.table([pa.nulls(rows, kind) for kind in types.values()], schema=schema)
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def judged(content: bytes, key: str = "forecast/a.parquet", **listed: Any) -> Judged | None:
    lake = Lake()
    lake.objects[key] = content
    item = Listed(key, len(content), NOW, **listed)
    return judge(lake, "lake", item, load_table(), Lock())


def check(content: bytes) -> int:
    """How many objects can be read; raises for one that can't."""
    judgement = judged(content)
    assert judgement is not None
    if judgement.state == "quarantined":
        raise SourceInvalid(f"s3://lake/forecast/a.parquet {judgement.reason}")
    return 1


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


def test_an_object_that_is_gone_is_not_judged() -> None:
    item = Listed("forecast/a.parquet", 1, NOW)
    assert judge(Lake(), "lake", item, load_table(), Lock()) is None


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_not_read(storage_class: str) -> None:
    judgement = judged(b"anything", storage_class=storage_class)
    assert judgement == Judged("archived", f"is archived as {storage_class}")


class Refusing(Storage):
    """Answers every look at an object with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read_tail(self, _bucket: str, _key: str, _size: int) -> bytes | None:
        raise self.error


def test_an_object_that_may_not_be_read_is_judged_again_by_the_next_run() -> None:
    item = Listed("forecast/a.parquet", 1, NOW)
    refusing = Refusing(SourceInvalid("AccessDenied"))
    judgement = judge(refusing, "lake", item, load_table(), Lock())
    assert judgement == Judged("quarantined", "AccessDenied", is_final=False)
    tiered = judge(
        Refusing(ObjectArchived("InvalidObjectState")), "lake", item, load_table(), Lock()
    )
    assert tiered == Judged("archived", "is archived")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("forecast/a\nb.parquet", "line break in its name"),
        ("forecast/a\rb.parquet", "line break in its name"),
        ("forecast//a.parquet", "a folder without a name"),
        ("/a.parquet", "a folder without a name"),
        ("forecast/a\x0bb.parquet", "control character in its name"),
        ("forecast/\x1f/b.parquet", "control character in its name"),
        ("forecast/\uffff.parquet", "control character in its name"),
    ],
)
def test_a_name_by_which_athena_finds_nothing_is_named(key: str, reason: str) -> None:
    judgement = judged(parquet(TYPES), key)
    assert judgement is not None
    assert judgement.state == "quarantined"
    assert reason in (judgement.reason or "")


@pytest.mark.parametrize(
    "name", [" a ", "a\tb", "\u0085", "é\u0301", "\U0001f355", "a?b#c%2F", "."]
)
def test_any_other_name_is_read(name: str) -> None:
    assert judged(parquet(TYPES), f"forecast/{name}.parquet") == judged(
        parquet(TYPES), "forecast/a"
    )


@pytest.mark.parametrize(
    ("key", "hidden"),
    [
        ("forecast/a.parquet", False),
        ("forecast/_tmp/a.parquet", True),
        ("forecast/.hidden", True),
        ("forecast/folder/", True),
        ("forecast/a_b/c.parquet", False),
        ("forecast/nul\0", True),
    ],
)
def test_what_athena_skips_is_not_listed(key: str, hidden: bool) -> None:
    assert is_hidden(key, "forecast/") is hidden


def dates_of(days: list[int | None], kind: Any = None, **options: Any) -> DateRange | None:
    """The business dates, as days since 1970, of a file in one row group for each of them."""
    kind = kind or pa.date32()
    columns = {name: pa.nulls(len(days), other) for name, other in TYPES.items()}
    columns["business_date"] = pa.array(days, pa.int32()).cast(kind)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=1, **options)
    judgement = judged(sink.getvalue())
    assert judgement is not None
    assert (judgement.state, judgement.rows) == ("pending", len(days)), judgement.reason
    return judgement.dates


def test_a_footer_tells_the_dates_of_a_file() -> None:
    first, last = (date(1970, 1, 1) + timedelta(days=days) for days in (-5, 20_000))
    assert dates_of([20_000, None, 19_000, -5]) == DateRange(first=first, last=last)
    assert dates_of([None, None]) is None
    assert dates_of([20_000], write_statistics=False) == ANY_DATE
    assert dates_of([2**31 - 1]) == DateRange(first=date.max, last=date.max)
    assert dates_of([-(2**31)]) == DateRange(first=date.min, last=date.min)


def test_a_file_without_rows_has_no_dates() -> None:
    assert judged(parquet(TYPES, rows=0)) == Judged("pending", rows=0)


def test_a_table_file_that_computes_the_date_has_no_dates_in_its_footers() -> None:
    table = load_table()
    computed = [
        column.model_copy(update={"source": "date_add('day', 1, business_date)"})
        if column.name == table.source.date
        else column
        for column in table.column
    ]
    footer = read_footer(parquet(TYPES))
    assert find_dates(footer, table) is None
    assert find_dates(footer, table.model_copy(update={"column": tuple(computed)})) == ANY_DATE


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
    assert check(parquet({**TYPES, "state": pa.list_(pa.string())}, rows=0)) == 1


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
    """What Trino 476 reads; tests/conformance/test_footer_check.py asks it."""
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
