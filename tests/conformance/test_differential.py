"""The embedded engine and Trino agree, line by line, on the same files and the same statements.

What they don't agree on is the list at the end, which docs/architecture.md repeats.
"""

from __future__ import annotations

import math
import tempfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from forecast_sync.survey.parquet_footer import read_footer
from forecast_sync.survey.readable import find_misfits
from forecast_sync.tables import Table, parse_table
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from localcloud.protocol import Athena

from tests.conformance import writers
from tests.conformance.both_engines import Lake, compare
from tests.workflow.deployed import Deployed

TABLE_FILE = (Path(__file__).parent / "everything.toml").read_text()
EVERYTHING = parse_table(TABLE_FILE, "everything.toml")
TOMBSTONES = parse_table(
    TABLE_FILE.replace("[source]\n", '[source]\ndeleted = "flag"\n'), "tombstones.toml"
)
MIRROR = parse_table(
    TABLE_FILE.replace("[target]\n", '[target]\nmissing = "delete"\n'), "mirror.toml"
)
TARGETS = parse_table((Path(__file__).parent / "targets.toml").read_text(), "targets.toml")
FILTERED = parse_table(
    TABLE_FILE.replace("[source]\n", '[source]\nfilter = "number > 5"\n'), "filtered.toml"
)
EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def _on_trino(athena: Athena) -> None:
    assert athena != "embedded", "run this with --athena trino, as `make conformance` does"


@EXAMPLES
@given(
    st.sampled_from([EVERYTHING, TOMBSTONES, MIRROR]),
    st.lists(writers.by_pyarrow(), min_size=1, max_size=3),
)
def test_every_source_type_as_pyarrow_writes_it(
    deployed: Deployed, table: Table, files: list[bytes]
) -> None:
    named = {f"{number}.parquet": content for number, content in enumerate(files)}
    answer = compare(Lake(deployed, table, named))
    assert not answer.error, answer.error


def test_every_width_of_integers(deployed: Deployed) -> None:
    files: dict[str, bytes] = {}
    for width in (8, 16, 32, 64):
        for is_signed in (True, False):
            edges = writers.edges(width, signed=is_signed)
            kind = getattr(pa, f"{'' if is_signed else 'u'}int{width}")()
            files[str(kind)] = one(kind, *edges, name="large", first=len(files) * 100)
    answer = compare(Lake(deployed, EVERYTHING, files))
    assert not answer.error, answer.error


@pytest.mark.parametrize("unit", writers.NS_PER)
def test_every_unit_and_zone_of_times(deployed: Deployed, unit: str) -> None:
    files: dict[str, bytes] = {}
    for zone in (None, "UTC", "+05:30"):
        kind = pa.timestamp(unit, zone)
        least, most = (-(2**63), 2**63 - 2**20) if unit == "ns" else (-(10**20), 10**21)
        moments = [ns // writers.NS_PER[unit] for ns in writers.NANOSECONDS if least < ns < most]
        for is_int96 in {False, unit != "ns"}:
            options = {"use_deprecated_int96_timestamps": is_int96}
            files[f"{zone} {is_int96}"] = one(
                kind, *moments, name="moment", first=len(files) * 100, **options
            )
    answer = compare(Lake(deployed, EVERYTHING, files))
    assert not answer.error, answer.error
    assert int(answer.profile["good"]) >= 10 * len(files)


UUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
DIGITS = UUID.replace("-", "")
UUIDS = [
    *(UUID, f"{{{UUID.upper()}}}", DIGITS.upper(), f"{DIGITS}\n", "", "x", "K" * 32, "a\0"),
    *(f"{{{UUID}", f"{DIGITS[:16]}-{DIGITS[16:]}", f"\u0130{UUID[1:]}", f"\uff16{DIGITS[1:]}"),
]
TIMES = [
    *(0, -1, 499, 500, -500, -501, -62_135_596_800_000_000, -62_135_596_800_000_001),
    *(253_402_300_799_999_499, 253_402_300_799_999_500, 2**61, 2**62, 9_223_372_036_854_774_000),
    *(9_223_372_036_854_000, -9_223_372_036_855_000),  # NaT, as Trino reads it
]
REALS = [
    *writers.DOUBLES,
    *(1e-45, 7e-46, 1.17549435e-38, 1.1754942e-38, 16_777_217.0, -3.4028235677973366e38),
    *(3.4028235677973362e38, 3.4028235677973366e38),
]
SHARES = [Decimal(text) for text in ("0", "0.0001", "0.1234", "0.9999", "-0.1234", "-0.0001")]
OTHER_TARGETS: dict[str, tuple[Any, list[Any], int]] = {
    "short": (pa.int32(), [0, 32767, 32768, -32768, -32769, 2**31 - 1], 3),
    "single": (pa.float64(), REALS, 3),
    "double": (pa.float64(), REALS, 0),
    "moment": (pa.timestamp("us"), TIMES, 6),
    "zoned": (pa.timestamp("us", "+05:30"), TIMES, 6),
    "identity": (pa.string(), UUIDS, 9),
    "share": (pa.decimal128(4, 4), SHARES, 0),
}
"""Values of the source of each type of target that ``EVERYTHING`` lacks, and how many don't fit."""


@pytest.mark.parametrize("name", OTHER_TARGETS)
def test_the_other_types_of_targets(deployed: Deployed, name: str) -> None:
    _, values, misfits = OTHER_TARGETS[name]
    items = [*range(len(values) + 1), None]
    rows: dict[str, Any] = {"item": pa.array(items, pa.int64())}
    for column, (other, _, _) in OTHER_TARGETS.items():
        stored = [*values, None, None] if column == name else [None] * len(items)
        rows[column] = pa.array(stored, other)
    answer = compare(Lake(deployed, TARGETS, {"a": writers.written(pa.table(rows))}))
    assert not answer.error, answer.error
    assert int(answer.profile["rejected"]) == misfits + 1  # the row without a key


@pytest.mark.parametrize("writer", writers.WRITERS)
def test_what_other_writers_write(deployed: Deployed, writer: str) -> None:
    table = EVERYTHING if writer != "fastparquet" else without(writers.NOT_FASTPARQUETS)

    @settings(EXAMPLES, max_examples=5)
    @given(writers.plain_rows(), st.data())
    def compared(rows: writers.Rows, data: st.DataObject) -> None:
        choose = lambda options: data.draw(st.sampled_from(options))  # noqa: E731
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file.parquet"
            writers.WRITERS[writer](rows, choose, path)
            content = path.read_bytes()
        misfits = list(find_misfits(read_footer(content), table.source))
        answer = compare(Lake(deployed, table, {"file.parquet": content}))
        assert bool(answer.error) == bool(misfits), (answer.error, misfits)

    compared()


def without(names: frozenset[str]) -> Table:
    """The table file without some columns."""
    kept = {name: kind for name, kind in EVERYTHING.source.columns.items() if name not in names}
    source = EVERYTHING.source.model_copy(update={"columns": kept})
    column = tuple(item for item in EVERYTHING.column if item.name not in names)
    return EVERYTHING.model_copy(update={"source": source, "column": column})


def one(kind: Any, *values: Any, name: str, first: int = 0, **options: Any) -> bytes:
    """A file in which one column has these values, and the others NULL; items from ``first`` on."""
    schema = writers.PLAIN.set(writers.PLAIN.get_field_index(name), pa.field(name, kind))
    rows: dict[str, list[Any]] = {field: [None] * len(values) for field in schema.names}
    items = list(range(first, first + len(values)))
    rows |= {"item": items, "stamp": [0] * len(values), name: list(values)}
    table = pa.table([pa.array(rows[field.name], field.type) for field in schema], schema=schema)
    return writers.written(table, **options)


@pytest.mark.parametrize("times", ["int64", "int96"])
def test_no_time_stored_as_one_is_rejected(deployed: Deployed, tmp_path: Path, times: str) -> None:
    """As ``newest`` it would win over everything."""
    table = without(writers.NOT_FASTPARQUETS)
    rows: writers.Rows = {name: [None] * 3 for name in writers.PLAIN.names}
    rows |= {"item": [1, 1, 2], "stamp": [datetime(2026, 1, 31)] * 3}  # noqa: DTZ001
    rows["moment"] = [None, datetime(2026, 1, 31), datetime(2026, 2, 1)]  # noqa: DTZ001
    optional = sorted({*rows} - {"moment"} - writers.NOT_FASTPARQUETS)
    answers = iter(["SNAPPY", times, optional])
    writers.by_fastparquet(rows, lambda _options: next(answers), tmp_path / "a")
    lake = Lake(deployed, table, {"a": (tmp_path / "a").read_bytes()})
    answer = compare(lake)
    assert not answer.error
    assert (answer.profile["good"], answer.profile["rejected"]) == ("2", "1")
    (reject,) = (line for line in answer.lines if line[0] == "reject")
    assert "\tmoment is NaT, no time, stored as one: write NULL\t" in reject[2]


def test_texts_of_a_megabyte(deployed: Deployed) -> None:
    texts = ["x" * 2**20, "\u00e9" * 2**19, "\t\\" * 2**19, "\U0001f355" * 2**18]
    for name, count in (("label", "good"), ("code", "rejected")):
        answer = compare(Lake(deployed, EVERYTHING, {"a": one(pa.string(), *texts, name=name)}))
        assert answer.profile[count] == "4"


UNREADABLE: dict[str, dict[str, Any]] = {
    "brotli": {"compression": "brotli"},
    "lz4": {"compression": "lz4"},
    "split integers": {"use_dictionary": False, "column_encoding": {"large": "BYTE_STREAM_SPLIT"}},
    "split decimals": {"use_dictionary": False, "column_encoding": {"exact": "BYTE_STREAM_SPLIT"}},
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_trino_can_t_decode_neither_can_decode(deployed: Deployed, name: str) -> None:
    content = one(pa.int64(), 1, 2, name="large", **UNREADABLE[name])
    answer = compare(Lake(deployed, EVERYTHING, {"a": content}))
    assert "GENERIC_INTERNAL_ERROR" in answer.error


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        (pa.null(), None, "moment"),
        (pa.null(), None, "flag"),
        (pa.null(), None, "exact"),
        (pa.float64(), 1.0, "large"),
        (pa.string(), "1", "number"),
        (pa.int64(), 1, "moment"),
        (pa.timestamp("us"), 1, "day"),
    ],
    ids=str,
)
def test_types_that_trino_can_t_read_neither_reads(
    deployed: Deployed, kind: Any, value: Any, name: str
) -> None:
    assert compare(Lake(deployed, EVERYTHING, {"a": one(kind, value, name=name)})).error


def test_a_file_without_rows_is_looked_at_by_neither(deployed: Deployed) -> None:
    anything = pa.schema([(name, pa.uint64()) for name in writers.PLAIN.names])
    empty = writers.written(anything.empty_table(), compression="brotli")
    files = {"empty": empty, "rows": one(pa.string(), "a", name="code")}
    assert compare(Lake(deployed, EVERYTHING, files)).profile["good"] == "1"
    nested = pa.schema([(name, pa.list_(pa.uint64())) for name in writers.PLAIN.names])
    files["empty"] = writers.written(nested.empty_table())
    assert compare(Lake(deployed, EVERYTHING, files)).error


def test_exception_of_duckdbs_deltas(deployed: Deployed) -> None:
    """It writes deltas of 33 bits between 32-bit integers, which fail on Trino; no footer tells."""
    rows: dict[str, list[Any]] = {name: [None] * 40 for name in writers.PLAIN.names}
    # Different values, or it would write a dictionary.
    edges = [edge for n in range(20) for edge in (-(2**31) + n, 2**31 - 1 - n)]
    rows |= {"item": list(range(40)), "stamp": [0] * 40, "whole": edges}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.parquet"
        answers = iter(["V2", "snappy"])
        writers.by_duckdb(rows, lambda _options: next(answers), path)
        lake = Lake(deployed, EVERYTHING, {"a": path.read_bytes()})
    assert "Index 33 out of bounds" in lake.on_trino().error
    assert not lake.on_the_embedded_engine().error


def test_exception_of_comparisons_with_nan(deployed: Deployed) -> None:
    lake = Lake(deployed, FILTERED, {"a": one(pa.float64(), math.nan, name="number")})
    trino, embedded = lake.on_trino(), lake.on_the_embedded_engine()
    assert (trino.error, embedded.error) == ("", "")
    assert (len(trino.lines), len(embedded.lines)) == (0, 1)


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        (pa.int32(), 1, "number"),
        (pa.int32(), 1, "code"),
        (pa.float64(), 1.5, "code"),
        (pa.decimal128(5, 0), 1, "large"),
        (pa.timestamp("us"), 1, "large"),
    ],
    ids=[
        "an integer as a double",
        "an integer as text",
        "a double as text",
        "a decimal as an integer",
        "a timestamp as an integer",
    ],
)
def test_exceptions(deployed: Deployed, kind: Any, value: Any, name: str) -> None:
    """Trino reads these, and the embedded engine fails the query or reads another value."""
    lake = Lake(deployed, EVERYTHING, {"a": one(kind, value, name=name)})
    trino, embedded = lake.on_trino(), lake.on_the_embedded_engine()
    assert not trino.error
    assert embedded.error or embedded.lines != trino.lines
