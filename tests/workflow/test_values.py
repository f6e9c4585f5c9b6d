"""Values arrive exactly, whatever they are: compared row by row with the Parquet file."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.lake import Row, make_row, reference
from tests.workflow.deployed import Deployed

TEXTS = [
    "",
    "\\N",
    "\\",
    "\\t",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "'",
    '"',
    "🍕",
    "é",
    " ",
    "NULL",
    "{}",
    "%s",
]
# Decimals at both ends, ties that binary floating point hides, negative zero.
NUMBERS = [
    *(99_999_999.99, -99_999_999.99, 0.0, -0.0, 0.005, -0.005, 1.005, 2.675, 1e-9, 0.1 + 0.2),
    *(99_999_999.994, 1e-320, 123456.785, -0.001, 8.5, 1e7),
]
REFUSED = [math.nan, math.inf, -math.inf, 1e8, 99_999_999.995, -1e300]
DAYS = [date(1, 1, 1), date(1582, 10, 4), date(1969, 12, 31), date(1900, 2, 28), date(9999, 12, 31)]

texts = st.one_of(
    st.none(),
    st.sampled_from(TEXTS),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50),
)
numbers = st.one_of(
    st.sampled_from(NUMBERS),
    st.floats(-1e8, 1e8),
    st.integers(-(10**10), 10**10).map(lambda number: (number + 0.5) / 1000),
)
whole = st.integers(-(2**31), 2**31 - 1)
rows = st.fixed_dictionaries(
    {
        "restaurant_id": whole,
        "inventory_item_id": whole,
        "business_date": st.one_of(st.sampled_from(DAYS), st.dates()),
        "dma_id": texts,
        "dc_id": st.one_of(st.none(), whole),
        "state": st.one_of(
            st.sampled_from(["OH", "", "\\N", "\t\n", "é🍕"]), st.text("AZ", max_size=2)
        ),
        "y_05": st.one_of(st.none(), numbers),
        "y_50": numbers,
        "y_95": st.one_of(st.none(), numbers),
        "updated_at": st.one_of(
            st.none(),
            st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001
        ),
    }
)


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(rows, min_size=40, max_size=120))
def test_any_values_arrive_as_they_are(deployed: Deployed, lake: list[Row]) -> None:
    deployed.reset()
    for number in range(3):
        deployed.upload(f"part-{number}", lake[number::3])
    ended = deployed.run(sync_type="full", batch_size=17)
    expected = reference(deployed.files)
    assert ended.status == "SUCCEEDED", ended.cause
    assert deployed.table() == expected
    assert ended.counts["good"] == len(expected)
    assert ended.counts["window_rows"] == len(lake)


@pytest.mark.parametrize("column", ["y_05", "y_50", "y_95"])
def test_numbers_are_rounded_half_up_and_what_doesn_t_fit_is_kept_aside(
    deployed: Deployed, column: str
) -> None:
    lake = [make_row(n, **{column: value}) for n, value in enumerate([*NUMBERS, *REFUSED])]
    deployed.upload("numbers", lake)
    ended = deployed.succeed(sync_type="full")
    assert deployed.table() == reference(deployed.files)
    assert ended.counts["rejected"] == len(REFUSED)
    kept = deployed.query("SELECT (row_json ->> 'restaurant_id')::int FROM forecast_sync_rejects")
    assert sorted(n for (n,) in kept) == list(range(len(NUMBERS), len(lake)))


@pytest.mark.parametrize(
    "changes",
    [
        {"restaurant_id": None},
        {"inventory_item_id": None},
        {"business_date": None},
        {"state": None},
        {"y_50": None},
        {"state": "OHI"},
        {"dma_id": "x" * 51},
        {"dma_id": "a\0b"},
        {"state": "\0"},
    ],
    ids=str,
)
def test_a_row_that_the_target_can_t_hold_is_kept_whole(
    deployed: Deployed, changes: dict[str, Any]
) -> None:
    deployed.upload("rows", [make_row(1), make_row(2, **changes), make_row(3, dma_id="é" * 50)])
    ended = deployed.succeed(sync_type="full")
    assert ended.counts["rejected"] == 1
    assert deployed.table() == reference(deployed.files)
    ((source, reason, row),) = deployed.query(
        "SELECT source_file, reason, row_json::text FROM forecast_sync_rejects"
    )
    assert source.endswith("forecast/rows.parquet")
    assert next(iter(changes)) in reason
    assert '"y_95"' in row


def test_the_total_order_decides_between_rows_of_one_key(deployed: Deployed) -> None:
    same = datetime.fromisoformat("2026-11-23T06:00:00")
    deployed.upload("a", [make_row(1, y_50=1.0, updated_at=None), make_row(2, y_50=1.0)])
    deployed.upload("b", [make_row(1, y_50=2.0, updated_at=same), make_row(2, y_50=2.0)])
    deployed.upload("c", [make_row(1, y_50=3.0, updated_at=None), make_row(3, y_50=3.0)])
    ended = deployed.succeed(sync_type="full")
    assert deployed.table() == reference(deployed.files)
    assert (ended.counts["candidates"], ended.counts["superseded"]) == (6, 3)
