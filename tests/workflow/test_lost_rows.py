"""What happens to the target between two runs: the next one fills it by itself, and says why."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.lake import MORNING, make_row, make_rows, reference
from tests.workflow.deployed import Deployed


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        ("DROP TABLE forecast_data", "is another table than the one"),
        ("TRUNCATE forecast_data", "was truncated or filled again: it has 0 rows, and had 105"),
        (
            "ALTER TABLE forecast_data DROP COLUMN y_95, ADD COLUMN y_95 numeric(10,2)",
            "columns of forecast_data were added or replaced: y_95",
        ),
    ],
    ids=["dropped", "truncated", "column"],
)
def test_the_next_run_fills_a_target_that_lost_its_rows(
    deployed: Deployed, loss: str, why: str
) -> None:
    deployed.upload("many", make_rows(range(105)))
    first = deployed.succeed()
    assert first.output["window_reason"] is None
    deployed.execute(loss)
    deployed.upload("one", [make_row(1, y_50=7.0, updated_at=MORNING + timedelta(hours=1))])
    ended = deployed.succeed()
    assert deployed.table() == reference(deployed.files)
    assert why in ended.output["window_reason"]
    status = deployed.status(ended.name) or {}
    assert (status["window_low"], status["window_reason"]) == (None, ended.output["window_reason"])
    after = deployed.succeed()
    assert after.output["window_reason"] is None
    assert (deployed.status(after.name) or {})["window_low"] is not None
