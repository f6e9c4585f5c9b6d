"""What the footer check accepts Trino reads exactly; what it refuses Trino fails on or misreads.

Each column of a file is one combination that a writer can make, and is queried on its own. The
embedded engine reads what is accepted alike and fails on the rest, with the exceptions that
docs/architecture.md names.
"""

from __future__ import annotations

import io
import itertools
import struct
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import cramjam
import duckdb
import fastparquet
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forecast_sync.adapters.athena import Athena
from forecast_sync.errors import QueryFailed
from forecast_sync.extract.athena_sql import NO_TIMES
from forecast_sync.survey.parquet_footer import read_footer
from forecast_sync.survey.readable import find_misfits
from forecast_sync.tables import load_table
from forecast_sync.tables.model import declared_type
from forecast_sync_cli.client import athena as client
from forecast_sync_cli.client.athena import run_query
from forecast_sync_cli.glue_tables import GLUE_FORMAT
from localcloud.athena.embedded import fetch, open_database
from localcloud.athena.engine import QueryError
from localcloud.athena.object_files import ObjectFile
from localcloud.athena.parquet_files import define_view
from localcloud.athena.trino_dialect import parse, transpile

from tests.footer_editing import (
    BINARY,
    I32,
    I64,
    LIST,
    NAME,
    REPEATED,
    REPETITION,
    SCHEMA,
    STRUCT,
    Struct,
    column_metadata,
    created_by,
    edit_column,
    edit_footer,
    logical_type,
    read_struct,
    write_struct,
)
from tests.workflow.deployed import Deployed

Values = list[Any]
AT_ONCE = 8
CODECS = ("none", "snappy", "gzip", "zstd", "brotli", "lz4")
UNREADABLE = ("brotli", "lz4")
ENCODINGS = (
    "PLAIN",
    "RLE",
    "BYTE_STREAM_SPLIT",
    "DELTA_BINARY_PACKED",
    "DELTA_LENGTH_BYTE_ARRAY",
    "DELTA_BYTE_ARRAY",
    "dictionary",
)
DAYS = [date(2026, 1, 31), date(1969, 12, 31), None, date(1, 1, 1)]
MOMENTS = [datetime(2026, 1, 31, 1, 2, 3), datetime(1969, 12, 31, 23, 59), None]  # noqa: DTZ001
STORED: dict[str, tuple[pa.DataType, str, Values]] = {
    "boolean": (pa.bool_(), "boolean", [True, False, None, True]),
    "int32": (pa.int32(), "bigint", [2**31 - 1, -(2**31), None, 0]),
    "int64": (pa.int64(), "bigint", [2**62, -(2**63), None, 0]),
    "date": (pa.date32(), "date", DAYS),
    "timestamp": (pa.timestamp("us"), "timestamp", MOMENTS),
    "float": (pa.float32(), "double", [1.5, -0.25, None, 1.5]),
    "double": (pa.float64(), "double", [0.1, -1e300, None, 0.1]),
    "text": (pa.string(), "string", ["a", "a\u00e9", None, ""]),
    "decimal": (pa.decimal128(30, 2), "decimal(38,2)", [Decimal("-1.25"), None, Decimal(10**20)]),
}
"""A type, the source type that it fits, and values."""


KINDS: dict[str, tuple[pa.DataType, Values]] = {
    **{f"int{bits}": (getattr(pa, f"int{bits}")(), [5, -5, None]) for bits in (8, 16, 32, 64)},
    "uint8": (pa.uint8(), [5, 2**8 - 1, None]),
    "uint16": (pa.uint16(), [5, 2**16 - 1, None]),
    "uint32": (pa.uint32(), [5, 2**32 - 1, None]),
    "uint64": (pa.uint64(), [5, 2**64 - 1, None]),
    "float16": (pa.float16(), [1.5, None]),
    "float32": (pa.float32(), [1.5, None]),
    "float64": (pa.float64(), [0.1, None]),
    "bool": (pa.bool_(), [True, False, None]),
    "string": (pa.string(), ["a", "\u00e9", None]),
    "large_string": (pa.large_string(), ["a", None]),
    "string_view": (pa.string_view(), ["a", None]),
    "binary": (pa.binary(), [b"a", None]),
    "fixed": (pa.binary(2), [b"ab", None]),
    "uuid": (pa.uuid(), [bytes(16), None]),
    "json": (pa.json_(), ['{"a": 1}', None]),
    "date32": (pa.date32(), [date(2026, 1, 31), None]),
    "date64": (pa.date64(), [date(2026, 1, 31), None]),
    "time32": (pa.time32("ms"), [1, None]),
    "time64": (pa.time64("us"), [1, None]),
    **{f"time_{unit}": (pa.timestamp(unit), MOMENTS) for unit in ("s", "ms", "us", "ns")},
    "time_zone": (pa.timestamp("us", "UTC"), MOMENTS),
    "duration": (pa.duration("us"), [5, None]),
    **{
        f"decimal_{precision}_{scale}": (pa.decimal128(precision, scale), [Decimal(0), None])
        for precision, scale in ((4, 4), (5, 0), (10, 2), (11, 2), (12, 4), (18, 4), (38, 10))
    },
    "decimal256": (pa.decimal256(50, 2), [Decimal(0), None]),
    "null": (pa.null(), [None]),
    "list": (pa.list_(pa.int64()), [[1], None]),
    "struct": (pa.struct({"a": pa.int64()}), [{"a": 1}, None]),
    "map": (pa.map_(pa.string(), pa.int64()), [{"a": 1}, None]),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), ["a", None]),
}
"""A name for each type that pyarrow writes, and values."""

INTEGERS = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "duration"}
DECIMALS = {name for name in KINDS if name.startswith("decimal_")}
READ_AS_SOMETHING_ELSE: dict[str, set[str]] = {
    "bigint": {"uint32", "uint64", "decimal_5_0", "time64"}
    | {f"time_{unit}" for unit in ("s", "ms", "us", "ns", "zone")},
    "double": INTEGERS,
    "boolean": set(),
    "string": {*INTEGERS, *DECIMALS, "float16", "float32", "float64", "fixed", "uuid"},
    "date": {*INTEGERS, "decimal_5_0"},
    "timestamp": set(),
    "decimal(10,2)": {*INTEGERS, *DECIMALS} - {"int64", "uint64", "duration"},
    "decimal(38,10)": set(),
    "decimal(4,4)": {*INTEGERS, *DECIMALS} - {"int64", "uint64", "duration", "uint16"},
}
"""By source type: what the footer check refuses and Trino reads."""


SOURCE = load_table("price").source


@pytest.fixture(autouse=True)
def _short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of queries take some milliseconds each."""
    monkeypatch.setattr(client, "POLL_SECONDS", 0.05)


class Columns:
    """Columns of one file in the local cloud, each of a source type of its own."""

    def __init__(self, deployed: Deployed, content: bytes, types: dict[str, str]) -> None:
        self.content = content
        self.footer = read_footer(content)
        self.types = {name: declared_type(kind) for name, kind in types.items()}
        self.refusals = {
            name: list(
                find_misfits(self.footer, SOURCE.model_copy(update={"columns": {name: kind}}))
            )
            for name, kind in types.items()
        }
        cloud = deployed.cloud
        self._table = f"columns_{uuid.uuid4().hex[:12]}"
        key = f"both/{self._table}/a.parquet"
        deployed.client("s3").put_object(Bucket=cloud.bucket, Key=key, Body=content)
        storage = {
            **GLUE_FORMAT,
            "Columns": [{"Name": name, "Type": kind} for name, kind in self.types.items()],
            "Location": f"s3://{cloud.bucket}/both/{self._table}/",
        }
        table = {"Name": self._table, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage}
        deployed.client("glue").create_table(DatabaseName="forecast_dev", TableInput=table)
        self._client = deployed.client("athena")
        self._athena = Athena(self._client, "primary", f"s3://{cloud.results_bucket}/athena/")

    def on_trino(self, names: list[str]) -> list[set[Any]] | str:
        """The different values of some columns, or why they can't be read."""
        query = self._distinct(names, f'forecast_dev."{self._table}"')
        try:
            query_id = run_query(self._athena, query)
        except QueryFailed as failed:
            return str(failed)
        results = self._client.get_query_results(QueryExecutionId=query_id)
        read = [
            [cell.get("VarCharValue") for cell in row["Data"]]
            for row in results["ResultSet"]["Rows"][1:]
        ]
        return self._parsed(names, read)

    def embedded(
        self, names: list[str], connection: duckdb.DuckDBPyConnection, path: Path
    ) -> list[set[Any]] | str:
        """The same on the embedded engine, which may rewrite the file at ``path``."""
        path.write_bytes(self.content)
        files = [ObjectFile(path, "s3://lake/a", "2026-01-01T00:00:00Z")]
        try:
            view = define_view(connection, files, {name: self.types[name] for name in names})
            connection.execute(f"CREATE OR REPLACE VIEW t AS {view}")
            query = transpile(parse(self._distinct(names, "t")))
            return self._parsed(names, fetch(connection, query, path.parent).rows)
        except QueryError as error:
            return str(error)

    def _distinct(self, names: list[str], table: str) -> str:
        # Trino doesn't send an overflown time as it is.
        shown = (
            f'CAST("{name}" AS varchar)' if self.types[name] == "timestamp" else f'"{name}"'
            for name in names
        )
        return f"SELECT DISTINCT {', '.join(shown)} FROM {table}"

    def _parsed(self, names: list[str], rows: Iterable[Iterable[Any]]) -> list[set[Any]]:
        return [
            {_parsed(value, self.types[name]) for value in column}
            for name, column in zip(names, zip(*rows, strict=True), strict=True)
        ]


def _parsed(text: Any, kind: str) -> Any:
    if not isinstance(text, str):
        return text
    if kind.startswith("decimal"):
        return Decimal(text)
    parsers: dict[str, Callable[[str], Any]] = {
        "bigint": int,
        "double": float,
        "boolean": lambda shown: shown == "true",
        "date": _if_possible(date.fromisoformat),
        "timestamp": _if_possible(datetime.fromisoformat),
    }
    return parsers.get(kind, str)(text)


def _if_possible(parser: Callable[[str], Any]) -> Callable[[str], Any]:
    """Of times that Python doesn't have, the text."""

    def parsed(text: str) -> Any:
        with suppress(ValueError):
            return parser(text)
        return text

    return parsed


def check(
    columns: Columns, values: dict[str, Values], path: Path, misread: Iterable[str] = ()
) -> list[str]:
    """Claim what this module's first line does; returns the columns that are accepted.

    ``misread`` names what is refused and Trino reads.
    """
    accepted = [name for name, why in columns.refusals.items() if not why]
    # Columns that are alike to the footer check fail alike.
    refused = {_storage(columns, name): name for name in columns.types if name not in accepted}
    with open_database() as connection, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda name: (name, columns.on_trino([name])), refused.values())
        if accepted:
            expected = [set(values[name]) for name in accepted]
            assert columns.on_trino(accepted) == expected
            assert columns.embedded(accepted, connection, path) == expected
        read = {name: answer for name, answer in answers if not isinstance(answer, str)}
        assert {*read} == {*misread} & {*refused.values()}, (read, refused)
        for name in {*refused.values()} - {*read}:
            assert isinstance(columns.embedded([name], connection, path), str), name
    return accepted


def _storage(columns: Columns, name: str) -> tuple[Any, ...]:
    storage = columns.footer.storage.get(name)
    kind = columns.footer.columns[name]
    return (kind, *(map(frozenset, (storage.codecs, storage.encodings)) if storage else ()))


def written(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def _can_be_written(kind: pa.DataType, encoding: str, **options: Any) -> bool:
    table = pa.table({"x": pa.array([None], kind)})
    try:
        written(table, use_dictionary=False, column_encoding={"x": encoding}, **options)
    except (OSError, pa.ArrowNotImplementedError):
        return False
    return True


@pytest.mark.parametrize("pages", ["1.0", "2.0"])
@pytest.mark.parametrize("as_integers", [False, True], ids=["", "decimals as integers"])
def test_encodings_and_codecs(
    deployed: Deployed, tmp_path: Path, pages: str, as_integers: bool
) -> None:
    stored = STORED
    if as_integers:
        cents = [Decimal("-1.25"), None, Decimal("99.99")]
        stored = {
            "short": (pa.decimal128(9, 2), "decimal(9,2)", cents),
            "long": (pa.decimal128(18, 2), "decimal(18,2)", cents),
        }
    arrays, types, values, encodings, codecs = {}, {}, {}, {}, {}
    size = max(len(items) for _, _, items in stored.values())
    for label, (kind, declared, some) in stored.items():
        items = [*some, *[None] * (size - len(some))]
        for encoding, codec in itertools.product(ENCODINGS, CODECS):
            if encoding != "dictionary" and not _can_be_written(
                kind, encoding, store_decimal_as_integer=as_integers
            ):
                continue
            if encoding not in ("PLAIN", "dictionary") and codec in UNREADABLE:
                continue
            name = f"{label}_{encoding}_{codec}".lower()
            # So many values that compressing pays; version 2 of pages has others uncompressed.
            arrays[name], types[name] = pa.array(items * 100, kind), declared
            values[name], codecs[name] = items, codec
            if encoding != "dictionary":
                encodings[name] = encoding
    content = written(
        pa.table(arrays),
        compression=codecs,
        column_encoding=encodings,
        use_dictionary=[name for name in arrays if name not in encodings],
        data_page_version=pages,
        store_decimal_as_integer=as_integers,
    )
    accepted = check(Columns(deployed, content, types), values, tmp_path / "a.parquet")
    assert {*stored} == {name.split("_")[0] for name in accepted}


@pytest.mark.parametrize("declared", READ_AS_SOMETHING_ELSE)
def test_types(deployed: Deployed, tmp_path: Path, declared: str) -> None:
    size = max(len(values) for _, values in KINDS.values())
    values = {name: [*some, *[None] * (size - len(some))] for name, (_, some) in KINDS.items()}
    content = written(
        pa.table({name: pa.array(values[name], kind) for name, (kind, _) in KINDS.items()})
    )
    values["binary"] = ["a", None, None]
    columns = Columns(deployed, content, dict.fromkeys(KINDS, declared))
    assert check(columns, values, tmp_path / "a.parquet", READ_AS_SOMETHING_ELSE[declared])


def look(deployed: Deployed, path: Path, content: bytes, kind: str) -> tuple[Any, Any, list[str]]:
    """What Trino and the embedded engine read in x, and why the footer check refuses it."""
    columns = Columns(deployed, content, {"x": kind})
    with open_database() as connection:
        embedded = columns.embedded(["x"], connection, path)
    return columns.on_trino(["x"]), embedded, columns.refusals["x"]


TWICE: dict[str, tuple[tuple[str, Any], tuple[str, Any], Any]] = {
    "other case": (("x", pa.array([2])), ("X", pa.array([1])), {2}),
    "other case first": (("X", pa.array([2])), ("x", pa.array([1])), {2}),
    "unsigned": (("x", pa.array([2**64 - 1], pa.uint64())), ("X", pa.array([1])), {-1}),
    "the same": (("x", pa.array([2])), ("x", pa.array([1])), {2}),
    "of other types": (("x", pa.array([2], pa.int32())), ("x", pa.array([1])), None),
}


@pytest.mark.parametrize("name", TWICE)
def test_of_a_column_that_occurs_twice_trino_reads_the_first(
    deployed: Deployed, tmp_path: Path, name: str
) -> None:
    first, second, read = TWICE[name]
    table = pa.table([first[1], second[1]], names=[first[0], second[0]])
    trino, embedded, refusals = look(deployed, tmp_path / "a.parquet", written(table), "bigint")
    assert trino == [read] if read else isinstance(trino, str)
    assert isinstance(embedded, str)
    assert "has the column x more than once" in refusals[0]


@pytest.mark.parametrize("name", ["\u017f", "\u0131", "\u212a", "\u0130"])
def test_letters_that_are_the_same_to_trino(deployed: Deployed, tmp_path: Path, name: str) -> None:
    declared = {"\u017f": "s", "\u0131": "i", "\u212a": "k", "\u0130": "i"}[name]
    columns = Columns(deployed, written(pa.table({name: [7]})), {declared: "bigint"})
    with open_database() as connection:
        embedded = columns.embedded([declared], connection, tmp_path / "a.parquet")
    read = {None} if name == "\u0130" else {7}
    assert columns.on_trino([declared]) == embedded == [read]
    assert bool(columns.refusals[declared]) is (name == "\u0130")


MOST = 2**63 - 1
OVERFLOWING: dict[str, list[tuple[int, str]]] = {
    "ms": [
        (10**16, "-265697-05-04 09:44:50.448"),
        (MOST, "1969-12-31 23:59:59.999"),
        (-MOST - 1, "1970-01-01 00:00:00.000"),
        (-(MOST // 1000) - 1, "+294247-01-10 04:00:54.775"),
    ],
    "ns": [
        (MOST, "1677-09-21 00:12:43.146"),
        (MOST - 499_999, "1677-09-21 00:12:43.146"),
        (-MOST - 1, "2262-04-11 23:47:16.854"),
        (-MOST - 1 + 499_998, "2262-04-11 23:47:16.854"),
    ],
    "us": [(-MOST, "+294247-01-10 04:00:54.775")],
}
"""By unit: times, and what they are to Trino."""


@pytest.mark.parametrize("unit", OVERFLOWING)
@pytest.mark.parametrize("statistics", [True, False])
def test_times_that_overflow_are_others_to_trino(
    deployed: Deployed, tmp_path: Path, unit: str, statistics: bool
) -> None:
    """Microseconds become times that no target holds, so their rows are rejected."""
    for time, read in OVERFLOWING[unit]:
        table = pa.table({"x": pa.array([time], pa.timestamp(unit))})
        content = written(table, write_statistics=statistics)
        trino, embedded, refusals = look(deployed, tmp_path / "a.parquet", content, "timestamp")
        assert trino == [{_parsed(read, "timestamp")}], time
        if read[0].isdigit():
            assert embedded == trino
        assert bool(refusals) is (statistics and unit != "us")


def by_fastparquet(path: Path, values: Values, unit: str = "ns", **options: Any) -> bytes:
    times = pd.Series(pd.to_datetime(pd.Series(values))).astype(f"datetime64[{unit}]")
    fastparquet.write(str(path), pd.DataFrame({"x": times}), **options)
    return path.read_bytes()


def test_no_time_of_fastparquet_is_a_time_to_trino(deployed: Deployed, tmp_path: Path) -> None:
    """Its statistics leave it out, so a rule of the extract rejects it, not the footer check."""
    path = tmp_path / "f"
    for times, read in (("int64", "2262-04-11 23:47:16.854"), ("int96", "1677-09-21 00:12:43.145")):
        content = by_fastparquet(path, [None, "2026-01-31"], times=times, has_nulls=False)
        trino, embedded, refusals = look(deployed, tmp_path / "a.parquet", content, "timestamp")
        assert trino == embedded == [{datetime.fromisoformat(read), datetime(2026, 1, 31)}]  # noqa: DTZ001
        assert refusals == []
        assert read in NO_TIMES
    content = by_fastparquet(path, [None, "2026-01-31"], "ms", has_nulls=False)
    trino, embedded, refusals = look(deployed, tmp_path / "a.parquet", content, "timestamp")
    assert trino == embedded == [{datetime(1970, 1, 1), datetime(2026, 1, 31)}]  # noqa: DTZ001
    assert "fastparquet stores no time (NaT) as what Athena reads as 1970" in refusals[0]
    for unit in ("ms", "us", "ns"):
        content = by_fastparquet(path, [None, "2026-01-31"], unit, has_nulls=True)
        trino, embedded, refusals = look(deployed, tmp_path / "a.parquet", content, "timestamp")
        assert trino == embedded == [{None, datetime(2026, 1, 31)}]  # noqa: DTZ001
        assert refusals == []


def _with_lz4(writer: str, *, is_framed: bool) -> bytes:
    """A file whose only page is compressed with LZ4, in a frame as Hadoop writes it or not."""
    table = pa.table({"x": pa.array([*range(1000)])})
    content = written(table, compression="none", use_dictionary=False, write_statistics=False)
    header, start = read_struct(content, 4)
    page = content[start : start + header[3][1]]
    compressed = bytes(cramjam.lz4.compress_block(page, store_size=False))
    if is_framed:
        compressed = struct.pack(">II", len(page), len(compressed)) + compressed
    header[3] = (I32, len(compressed))
    pages = write_struct(header) + compressed

    def change(footer: Struct) -> None:
        (metadata,) = column_metadata(footer)
        metadata |= {4: (I32, 5), 7: (I64, len(pages))}

    end = content[4 + content[4:].index(page) + len(page) :]
    return created_by(edit_footer(b"PAR1" + pages + end, change), writer)


def test_lz4_needs_hadoops_frame(deployed: Deployed, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    framed = _with_lz4("parquet-mr version 1.13.1", is_framed=True)
    trino, embedded, refusals = look(deployed, path, framed, "bigint")
    assert trino == embedded == [{*range(1000)}]
    assert refusals == []
    fastparquet.write(str(path), pd.DataFrame({"x": range(1000)}), compression="LZ4")
    raw = _with_lz4("parquet-cpp version 1.5.0", is_framed=False)
    for content in (path.read_bytes(), raw):
        trino, embedded, refusals = look(deployed, path, content, "bigint")
        assert "GENERIC_INTERNAL_ERROR: Out of bound access" in trino
        assert "GENERIC_INTERNAL_ERROR" in embedded
        assert "compresses the column x with unframed LZ4" in refusals[0]


def _repeated(content: bytes) -> bytes:
    """A required list's elements as a repeated column, as protobuf writes it."""

    def change(footer: Struct) -> None:
        root, _, _, element = footer[SCHEMA][1][1]
        element |= {NAME: (BINARY, b"x"), REPETITION: (I32, REPEATED)}
        footer[SCHEMA] = (LIST, (STRUCT, [root, element]))
        for metadata in column_metadata(footer):
            metadata[3] = (LIST, (BINARY, [b"x"]))

    return edit_footer(content, change)


def test_a_repeated_value_is_no_number_to_trino(deployed: Deployed, tmp_path: Path) -> None:
    element = pa.field("element", pa.int64(), nullable=False)
    schema = pa.schema([pa.field("x", pa.list_(element), nullable=False)])
    content = _repeated(written(pa.table({"x": [[1], [2]]}, schema=schema), store_schema=False))
    trino, embedded, refusals = look(deployed, tmp_path / "a.parquet", content, "bigint")
    assert "NOT_SUPPORTED: Unsupported Trino column type (bigint)" in trino
    assert isinstance(embedded, str)
    assert refusals[0].startswith("has the column x as REPEATED INT64")


def test_what_trino_can_t_open(deployed: Deployed, tmp_path: Path) -> None:
    """Whichever columns a query reads."""
    path = tmp_path / "f"
    fastparquet.write(str(path), pd.DataFrame({"x": [1], "y": [1]}), has_nulls="infer")
    two = written(pa.table({"x": [1], "y": [b""]}))
    for content in (
        path.read_bytes(),
        edit_column(two, "y", repetition=None),
        edit_column(two, "y", logical=logical_type(17)),
    ):
        trino, embedded, refusals = look(deployed, tmp_path / "a.parquet", content, "bigint")
        assert "HIVE_CANNOT_OPEN_SPLIT" in trino
        assert isinstance(embedded, str)
        assert "Athena" in refusals[0]


def test_texts_of_json_and_enums_are_texts(deployed: Deployed, tmp_path: Path) -> None:
    path = tmp_path / "f"
    with duckdb.connect() as connection:
        query = """SELECT '{"a": 1}'::JSON AS x"""
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    text = written(pa.table({"x": ['{"a": 1}']}))
    for content in (path.read_bytes(), edit_column(text, "x", logical=logical_type(4))):
        trino, embedded, refusals = look(deployed, tmp_path / "a.parquet", content, "string")
        assert trino == embedded == [{'{"a": 1}'}]
        assert refusals == []


def test_infinity_of_duckdb_is_a_time_that_no_target_holds(
    deployed: Deployed, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    for sign, read in (("", "-290308-12-21"), ("-", "+294247-01-10")):
        with duckdb.connect() as connection:
            query = f"SELECT '{sign}infinity'::TIMESTAMP AS x"
            connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        content = path.read_bytes()
        trino, embedded, refusals = look(deployed, tmp_path / "a.parquet", content, "timestamp")
        assert trino[0].pop().startswith(read)
        assert embedded[0].pop() is not None
        assert refusals == []


def test_exception_of_integers_beyond_their_annotation(deployed: Deployed, tmp_path: Path) -> None:
    """Trino reads what is stored, and DuckDB as many bits of it as the annotation says."""
    content = written(pa.table({"x": pa.array([300], pa.int32())}))
    annotated = edit_column(content, "x", converted=(I32, 15), logical=None)
    assert look(deployed, tmp_path / "a.parquet", annotated, "bigint") == ([{300}], [{44}], [])
