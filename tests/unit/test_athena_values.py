"""Values in Athena's results look as Java writes them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from localcloud.athena.values import as_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (True, "true"),
        (7, "7"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (1e7, "1.0E7"),
        (9999999.0, "9999999.0"),
        (-1.25e-10, "-1.25E-10"),
        (5e-324, "5.0E-324"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (Decimal("2.50"), "2.50"),
        (date(1581, 12, 31), "1581-12-31"),
        (datetime.fromisoformat("2026-11-23 06:00:00.125"), "2026-11-23 06:00:00.125"),
        (datetime(2026, 11, 23, 6, tzinfo=UTC), "2026-11-23 06:00:00.000 UTC"),
        (b"\x01\xff", "01 ff"),
        ([1, None, "a"], "[1, null, a]"),
        ({"x": 1.5}, "{x=1.5}"),
    ],
)
def test_it_is_written_as_athena_does(value: Any, text: str | None) -> None:
    assert as_text(value) == text
