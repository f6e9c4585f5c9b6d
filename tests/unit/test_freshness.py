"""How old a branch is, the same for everyone who says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from forecast_sync.runs.freshness import age_of


@pytest.mark.parametrize(
    ("listed", "uploaded", "expected"),
    [
        pytest.param(5, None, 5, id="no file waits"),
        pytest.param(5, 9, 9, id="a file of before the listing waits"),
        pytest.param(5, 2, 2, id="a file of after it waits"),
        pytest.param(None, 2, 2, id="no run has ended well"),
        pytest.param(None, None, None, id="nothing is known"),
    ],
)
def test_the_oldest_waiting_file_decides_or_else_the_last_listing(
    listed: int | None, uploaded: int | None, expected: int | None
) -> None:
    now = datetime.now(UTC)
    watermark, waiting_since = (
        None if hours is None else now - timedelta(hours=hours) for hours in (listed, uploaded)
    )
    age = age_of(watermark, waiting_since)
    assert (age and round(age / timedelta(hours=1))) == expected
