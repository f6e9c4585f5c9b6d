"""A second table, deployed by its file alone; and expectations, counted in every run."""

from __future__ import annotations

import io
import string
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forecast_sync.tables import load_table
from forecast_sync.tables.index_limits import find_text_limits
from forecast_sync_cli.commands.tables import declare
from localcloud import cloud
from localcloud.protocol import Athena

from tests.lake import make_row
from tests.workflow.deployed import PREFIX, Deployed

SCHEMA = pa.schema(
    [
        ("store_no", pa.int64()),
        ("sku", pa.string()),
        ("valid_from", pa.timestamp("us")),
        ("price_cents", pa.int32()),
        ("tax_rate", pa.float64()),
        ("promo", pa.bool_()),
        ("kind", pa.string()),
        ("exported_at", pa.timestamp("us")),
    ]
)


def price(store: int, sku: str, cents: int, hour: int = 6, **changes: Any) -> dict[str, Any]:
    return {
        "store_no": store,
        "sku": sku,
        "valid_from": datetime.fromisoformat("2026-12-01T05:00:00"),
        "price_cents": cents,
        "tax_rate": 0.07,
        "promo": None,
        "kind": "export",
        "exported_at": datetime.fromisoformat(f"2026-11-23T{hour:02}:30:00.123"),
        **changes,
    }


@pytest.fixture(scope="module")
def prices(athena: Athena) -> Iterator[Deployed]:
    parameters = {"TableFile": "price", "DataPrefix": PREFIX, "BatchingWindowSeconds": "1"}
    with cloud.running(wait_scale=0.02, parameters=parameters, athena=athena) as running:
        yield Deployed(running)


def test_a_second_table_needs_nothing_but_its_file(
    prices: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices.react_to_uploads(False)
    for name, value in prices.cloud.variables.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):
        declare(environment="dev", as_json=True)
    rows = [
        price(1, " Soup ", 1000),
        price(1, "soup", 900, hour=5, kind="correction"),
        price(1, "soup", 1200, hour=9),
        price(2, "TAB\tBACK\\", 333, promo=True),
        price(3, "wine", 123456),
        price(3, "test", 1, kind="test"),
        price(4, "bread", -5),
        price(2**31, "far", 100),
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer)
    prices.upload("prices", buffer.getvalue())
    ended = prices.succeed()
    assert ended.changed == (3, 0, 0)
    assert (ended.counts["window_rows"], ended.counts["rejected"]) == (7, 2)
    assert ended.counts["warnings"] == {"a menu item costs less than 1000": 1}
    day, correction = date(2026, 12, 1), datetime.fromisoformat("2026-11-23T05:30:00.123")
    prices_read = prices.query(
        "SELECT restaurant, item, valid_on, net, gross, promotion, exported_at FROM menu_price"
        " WHERE restaurant < 3 ORDER BY 1"
    )
    assert prices_read[0] == (1, "soup", day, Decimal("9.00"), Decimal("9.63"), False, correction)
    assert prices_read[1][1:6] == ("tab\tback\\", day, Decimal("3.33"), Decimal("3.56"), True)
    reasons = prices.query("SELECT reason FROM forecast_sync_rejects ORDER BY 1")
    assert reasons == [("restaurant doesn't fit integer",), ("the price is negative",)]
    assert prices.succeed().changed == (0, 0, 0)
    assert prices.query("SELECT to_regclass('forecast_data')") == [(None,)]


def test_a_key_too_long_for_its_index_is_rejected_and_the_rest_loads(prices: Deployed) -> None:
    random = Random(7)
    long = "".join(random.choices(string.ascii_lowercase, k=2700))
    longest = find_text_limits(load_table("price"))
    (limit,) = (limit.most_bytes for limit in longest)
    rows = [price(50, long, 100), price(50, long[:limit], 100), price(50, "short", 100)]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer)
    prices.upload("long", buffer.getvalue())
    ended = prices.succeed()
    assert ended.changed[:2] == (2, 0)
    assert ended.counts["rejected"] >= 1
    kept = prices.query("SELECT item FROM menu_price WHERE restaurant = 50 ORDER BY length(item)")
    assert kept == [("short",), (long[:limit],)]
    assert prices.query(
        "SELECT reason FROM forecast_sync_rejects WHERE row_json ->> 'restaurant' = '50'"
    ) == [(f"item is longer than {limit:,} bytes, the most of the key",)]


def test_what_breaks_an_expectation_is_loaded_and_counted(deployed: Deployed) -> None:
    odd = [make_row(1, y_05=9.0, y_50=1.0), make_row(2, y_95=0.0), make_row(3, y_05=None)]
    deployed.upload("odd", odd)
    ended = deployed.succeed()
    assert ended.changed == (3, 0, 0)
    assert ended.counts["warnings"] == {"y_05 <= y_50 <= y_95": 2}
    status = deployed.status(ended.name)
    assert status is not None
    assert status["warnings"] == ended.counts["warnings"]
