"""Every type of the source and of the target, whatever the values: read back, and their sums agree.

The reference is of Python's own floats, times and UUIDs. A run succeeds only if both sides have the
same checksum, so each type has one form in Athena and in Postgres.
"""

from __future__ import annotations

import io
import math
import struct
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forecast_sync.tables import parse_table
from forecast_sync_cli.glue_tables import glue_input
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from localcloud import cloud
from localcloud.protocol import Athena

from tests.e2e.cli import as_json
from tests.workflow.deployed import PARAMETERS, PREFIX, Deployed

TABLE_FILE = Path(__file__).with_name("every_type.toml").read_text()
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001

FLOATS = [
    *(0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-45),
    *(0.1, 0.1 + 0.2, -1.005, 1e22, 2.0**53, 16777217.0, 1.7976931348623157e308, 1.5, -2.0),
    *(3.4028234663852886e38, 3.4028235677973362e38, 3.4028235677973366e38, -3.5e38, 1.2e-38),
]
UUIDS = [
    "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "6F9619FF-8B86-D011-B42D-00C04FC964FF",
    "{6F9619ff-8b86-d011-b42d-00c04fc964ff}",
    "6f9619ff-8b86-d011-b42d-00c04fc964ff".replace("-", ""),
    "00000000-0000-0000-0000-000000000000",
]
NO_UUIDS = ["", "6f9619ff", "6f9619ff-8b86-d011-b42d-00c04fc964fg", "{6f9619ff8b86d011", "\\N", "é"]
MOMENTS = [
    EPOCH,
    datetime(1, 1, 1),  # noqa: DTZ001
    datetime(9999, 12, 31, 23, 59, 59, 999_000),  # noqa: DTZ001
    datetime(1969, 12, 31, 23, 59, 59, 999_500),  # noqa: DTZ001
]

moments = st.one_of(
    st.sampled_from(MOMENTS),
    st.datetimes(datetime(1600, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001
)
floats = st.one_of(st.sampled_from(FLOATS), st.floats())
narrow_floats = st.one_of(
    st.sampled_from([value for value in FLOATS if value != value or abs(value) <= 3.4e38]).map(
        lambda value: float(struct.unpack("f", struct.pack("f", value))[0])
    ),
    st.floats(width=32),
)
row = st.fixed_dictionaries(
    {
        "day": st.one_of(st.sampled_from([date(1, 1, 1), date(9999, 12, 31)]), st.dates()),
        "sensor": st.sampled_from([*UUIDS, *NO_UUIDS[:2]]),
        "tiny": st.one_of(st.none(), st.integers(-(2**15) - 1, 2**15)),
        "small": st.one_of(st.none(), st.sampled_from([2**15 - 1, 2**15, -(2**15), -(2**15) - 1])),
        "whole": st.one_of(st.none(), st.sampled_from([2**31 - 1, 2**31, -(2**31)])),
        "large": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        "narrow": st.one_of(st.none(), narrow_floats),
        "wide": floats,
        "exact": st.one_of(
            st.none(),
            st.integers(-(10**20) + 1, 10**20 - 1).map(lambda digits: Decimal(digits).scaleb(-5)),
        ),
        "label": st.one_of(
            st.none(),
            st.just(""),
            st.sampled_from([*UUIDS, *NO_UUIDS]),
            st.uuids().map(str),
        ),
        "moment": moments,
        "flag": st.one_of(st.none(), st.booleans()),
    }
)

Row = dict[str, Any]
COLUMNS = (
    "sensor, wide, moment, day, tiny, small, whole, large, narrow::double precision,"
    " narrowed::double precision, widened, converted, exact, label, code, reading, zoned, flag"
)
BASE = {
    **dict.fromkeys(("tiny", "small", "whole", "large", "exact", "label", "flag")),
    "day": date(2026, 1, 1),
    "moment": EPOCH,
    "sensor": UUIDS[0],
    "wide": 1.0,
}


@pytest.fixture(scope="module")
def typed(athena: Athena) -> Iterator[Deployed]:
    with running_table("every_type", TABLE_FILE, athena) as deployed:
        yield deployed


@contextmanager
def running_table(name: str, text: str, athena: Athena) -> Iterator[Deployed]:
    """A cloud that syncs another table, as ``local up --table`` starts it."""
    parameters = {**PARAMETERS, "TableFile": name, "DataPrefix": PREFIX}
    layer = {f"{name}.toml": text}
    with cloud.running(
        wait_scale=0.02, parameters=parameters, layer_files=layer, athena=athena
    ) as started:
        deployed = Deployed(started)
        deployed.react_to_uploads(False)
        location = f"s3://{started.bucket}/{PREFIX}"
        declared = glue_input(parse_table(text, f"{name}.toml"), name, location)
        deployed.client("glue").create_table(DatabaseName="forecast_dev", TableInput=declared)
        yield deployed


def as_real(value: float) -> float:
    """The nearest real; infinite when there is none."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def write(rows: Sequence[Row], *, wide: bool) -> bytes:
    """A file; ``wide`` in which integers have 64 bits and floats are doubles."""
    integer = pa.int64() if wide else pa.int32()
    schema = pa.schema(
        [
            ("day", pa.date32()),
            ("sensor", pa.string()),
            ("tiny", integer),
            ("small", integer),
            ("whole", pa.int64()),
            ("large", pa.int64()),
            ("narrow", pa.float64() if wide else pa.float32()),
            ("wide", pa.float64()),
            ("exact", pa.decimal128(20, 5)),
            ("label", pa.string()),
            ("moment", pa.timestamp("us")),
            ("flag", pa.bool_()),
            ("version", pa.int64()),
        ]
    )
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), buffer)
    return buffer.getvalue()


def as_uuid(text: str | None) -> uuid.UUID | None:
    """A UUID; raises ``ValueError`` for a text that isn't one."""
    return uuid.UUID(text) if text else None


def expected(rows: Sequence[Row]) -> tuple[dict[Any, Any], int]:
    """By key the values of the newest valid row, and how many rows are rejected."""
    newest: dict[Any, tuple[int, Any]] = {}
    rejected = 0
    for item in rows:
        values = _values(item)
        if values is None:
            rejected += 1
            continue
        key = comparable(values[:4])
        if key not in newest or item["version"] > newest[key][0]:
            newest[key] = (item["version"], comparable(values[4:]))
    return {key: values for key, (_, values) in newest.items()}, rejected


def _values(item: Row) -> tuple[Any, ...] | None:
    try:
        sensor, code = as_uuid(item["sensor"]), as_uuid(item["label"])
    except ValueError:
        return None
    moment = rounded(item["moment"])
    if sensor is None or moment is None:
        return None
    ranges = {"tiny": 15, "small": 15, "whole": 31}
    for name, bits in ranges.items():
        if item[name] is not None and not -(2**bits) <= item[name] < 2**bits:
            return None
    narrowed = as_real(item["wide"])
    if math.isinf(narrowed) and not math.isinf(item["wide"]):
        return None
    exact = item["exact"]
    instant = moment.replace(tzinfo=UTC)
    return (
        *(sensor, item["wide"], instant, item["day"], item["tiny"], item["small"], item["whole"]),
        *(item["large"], item["narrow"], narrowed, item["narrow"]),
        *(None if exact is None else float(exact), exact, item["label"], code),
        *(moment, instant, item["flag"]),
    )


def rounded(moment: datetime) -> datetime | None:
    """Half up to milliseconds."""
    return EPOCH + ((moment - EPOCH + timedelta(microseconds=500)) // timedelta(milliseconds=1)) * (
        timedelta(milliseconds=1)
    )


def comparable(values: Sequence[Any]) -> tuple[Any, ...]:
    """NaN equals itself, and -0 is 0, as in Postgres."""
    return tuple(
        ("NaN" if value != value else value + 0.0) if isinstance(value, float) else value
        for value in values
    )


def read(deployed: Deployed) -> dict[Any, Any]:
    rows = [comparable(row) for row in deployed.query(f"SELECT {COLUMNS} FROM every_type")]
    found = {row[:4]: row[4:] for row in rows}
    assert len(found) == len(rows)
    return found


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(row, min_size=20, max_size=36))
def test_values_of_every_type_arrive_as_they_are(typed: Deployed, rows: list[Row]) -> None:
    typed.reset()
    numbered = [{**item, "version": number} for number, item in enumerate(rows)]
    parts = [numbered[number::3] for number in range(3)]
    for number, part in enumerate(parts):
        typed.upload(f"part-{number}", write(part, wide=number == 1))
    ended = typed.succeed(batch_size=7)
    values, rejected = expected(numbered)
    assert read(typed) == values
    assert ended.counts["rejected"] == rejected
    again = typed.succeed(sync_type="full")
    assert again.changed == (0, 0, len(values))


def test_a_zero_of_either_sign_is_the_same_row_and_the_same_sum(typed: Deployed) -> None:
    typed.reset()
    rows = [
        {**BASE, "wide": -0.0, "narrow": -0.0, "version": 1},
        {**BASE, "wide": 0.0, "narrow": 0.0, "version": 0},
    ]
    typed.upload("zeros", write(rows, wide=False))
    assert typed.succeed().changed == (1, 0, 0)
    typed.execute("UPDATE every_type SET narrow = '-0', widened = '-0'")
    assert typed.succeed(sync_type="full").changed == (0, 0, 1)


def test_plan_shows_changes_of_floats_of_any_size(typed: Deployed) -> None:
    typed.reset()
    typed.upload("first", write([{**BASE, "narrow": -3.4e38, "version": 1}], wide=False))
    typed.succeed()
    typed.upload("second", write([{**BASE, "narrow": math.nan, "version": 2}], wide=False))
    assert typed.succeed(dry_run=True).counts["updated"] == 1


def test_doctor_sends_a_value_of_every_type_all_the_way(typed: Deployed) -> None:
    typed.reset()
    checks = as_json("doctor", code=1, **typed.cloud.variables)["checks"]
    found = {item["check"]: item["status"] for item in checks}
    assert (found["unload"], found["copy"]) == ("ok", "ok"), checks
