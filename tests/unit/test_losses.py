"""What ``tables check`` and ``plan`` say that a table file's types lose."""

from __future__ import annotations

import pytest
from forecast_sync.tables import parse_table
from forecast_sync.tables.losses import find_losses

TABLE_FILE = """
[target]
table = "prices"
key = ["item", "day"]
written_at = "synced_at"

[source]
date = "day"
newest = "changed_at"

[source.columns]
item = "int"
day = "date"
price = "{source}"
changed_at = "timestamp"

[[column]]
name = "item"
type = "integer"
required = true

[[column]]
name = "day"
type = "date"
required = true

[[column]]
name = "price"
type = "{target}"
"""


@pytest.mark.parametrize(
    ("source", "target", "losses"),
    [
        ("decimal(12,4)", "numeric(10,2)", ["price: rounded half up to 2 places"]),
        ("decimal(12,2)", "numeric(10,2)", []),
        ("bigint", "numeric(10,2)", []),
        ("double", "numeric(10,2)", ["price: rounded half up to 2 places"]),
        ("double", "real", ["price: rounded to the nearest real, of about 7 digits"]),
        ("float", "real", []),
        ("float", "double", []),
        ("timestamp", "timestamptz", ["price: finer than a millisecond is rounded half up"]),
        ("date", "timestamp", []),
    ],
)
def test_what_is_rounded_is_said(source: str, target: str, losses: list[str]) -> None:
    text = TABLE_FILE.format(source=source, target=target)
    assert find_losses(parse_table(text, "prices.toml")) == losses
