"""What the target loses between two runs, or in the middle of one, is filled by itself, and why."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.lake import MORNING, make_row, make_rows, reference
from tests.workflow.breakages import refuse_a_row, refuse_success
from tests.workflow.deployed import Deployed

LOSSES = {
    "dropped": ("DROP TABLE forecast_data", "is another table than the one"),
    "truncated": (
        "TRUNCATE forecast_data",
        "was truncated or filled again: it has 0 rows, and had 105",
    ),
    "replaced": (
        (
            "CREATE TABLE other (LIKE forecast_data INCLUDING ALL);"
            "ALTER TABLE forecast_data RENAME TO old; ALTER TABLE other RENAME TO forecast_data"
        ),
        "is another table than the one",
    ),
    "rounded": (
        (
            "ALTER TABLE forecast_data ALTER y_95 TYPE numeric(10,0);"
            "ALTER TABLE forecast_data ALTER y_95 TYPE numeric(10,2)"
        ),
        "was rewritten and columns of it were altered: y_95",
    ),
    "column": (
        "ALTER TABLE forecast_data DROP COLUMN y_95, ADD COLUMN y_95 numeric(10,2)",
        "columns of forecast_data were added or replaced: y_95",
    ),
}


@pytest.mark.parametrize(("loss", "why"), LOSSES.values(), ids=LOSSES)
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


@pytest.mark.parametrize(("loss", "why"), LOSSES.values(), ids=LOSSES)
def test_a_run_fills_what_the_target_loses_after_its_first_pages(
    deployed: Deployed, loss: str, why: str
) -> None:
    """The ledger says that these are loaded, and the redrive loads only the page that failed."""
    deployed.upload("many", make_rows(range(105)))
    refuse_a_row(deployed)
    failed = deployed.run()
    assert failed.error == "States.ExceedToleratedFailureThreshold", failed
    deployed.execute(loss)
    deployed.execute("ALTER TABLE IF EXISTS forecast_data DROP CONSTRAINT IF EXISTS small")
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    assert deployed.table() == reference(deployed.files)
    assert why.partition(":")[0] in ended.output["window_reason"]
    assert deployed.succeed().output["window_reason"] is None


@pytest.mark.parametrize("rows", [0, 50], ids=["the first rows", "later rows"])
def test_a_run_fills_what_the_target_loses_just_before_its_end(
    deployed: Deployed, rows: int
) -> None:
    deployed.upload("many", make_rows(range(rows)))
    refuse_success(deployed)
    deployed.upload("more", make_rows(range(40, 60), y_50=9.0))
    failed = deployed.run()
    assert failed.error == "BatchRefused", failed
    deployed.execute("TRUNCATE forecast_data; DROP TRIGGER refuse ON forecast_sync_status")
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    assert deployed.table() == reference(deployed.files)
    # What the run had inserted before isn't expected twice: a rewrite loses nothing.
    deployed.execute("CLUSTER forecast_data USING forecast_data_pkey")
    assert deployed.succeed().output["window_reason"] is None
