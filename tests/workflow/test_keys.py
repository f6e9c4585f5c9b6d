"""Keys are what the target holds: rows whose keys only differ before rounding are one row."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forecast_sync.tables import parse_table
from forecast_sync_cli.glue_tables import glue_input
from localcloud import cloud
from localcloud.protocol import Athena

from tests.workflow.deployed import PREFIX, Deployed
from tests.workflow.project import copy_project

TABLE_FILE = Path(__file__).with_name("measured.toml")
NOON = datetime.fromisoformat("2026-12-01T12:00:00")
SELECT = "SELECT weight, day, reading FROM measured ORDER BY weight"
SCHEMA = pa.schema(
    [
        ("weight", pa.float64()),
        ("moment", pa.timestamp("us")),
        ("exported_at", pa.timestamp("us")),
        ("reading", pa.int32()),
    ]
)


@pytest.fixture(scope="module")
def measured(athena: Athena, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A deployment of a copy of the project that has one table more."""
    project = tmp_path_factory.mktemp("project")
    template = copy_project(project)
    shutil.copy(TABLE_FILE, project / "tables")
    parameters = {"TableFile": "measured", "DataPrefix": PREFIX, "BatchSize": "1"}
    with cloud.running(
        wait_scale=0.02, template=template, parameters=parameters, athena=athena
    ) as running:
        deployed = Deployed(running)
        deployed.react_to_uploads(False)
        table = parse_table(TABLE_FILE.read_text(), TABLE_FILE.name)
        declared = glue_input(table, "measured", f"s3://{running.bucket}/{PREFIX}")
        deployed.client("glue").create_table(DatabaseName="forecast_dev", TableInput=declared)
        yield deployed


def reading(value: int, weight: float, minutes: int = 0, exported: int = 0) -> dict[str, Any]:
    return {
        "weight": weight,
        "moment": NOON + timedelta(minutes=minutes),
        "exported_at": NOON + timedelta(days=1, minutes=exported),
        "reading": value,
    }


def to_file(*rows: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), buffer)
    return buffer.getvalue()


def test_the_newest_of_the_rows_that_the_target_takes_for_one_wins(
    measured: Deployed,
) -> None:
    first = [
        reading(1, 1.001, exported=1),
        reading(2, 1.004, exported=2),
        reading(3, 1.005, exported=0),
        reading(4, 2.0, minutes=5, exported=4),
        reading(5, 1.9999, minutes=-5, exported=3),
        reading(6, -0.001, exported=1),
        reading(7, 0.001, exported=2),
    ]
    measured.upload("first", to_file(*first))
    ended = measured.succeed()
    assert ended.changed == (4, 0, 0)
    assert (ended.counts["candidates"], ended.counts["superseded"]) == (7, 3)
    day = date(2026, 12, 1)
    stands = [
        (Decimal("0.00"), day, 7),
        (Decimal("1.00"), day, 2),
        (Decimal("1.01"), day, 3),
        (Decimal("2.00"), day, 4),
    ]
    assert measured.query(SELECT) == stands

    # An incremental run finds the newest of a touched key in a file outside of its window.
    versions = measured.query("SELECT xmin::text FROM measured ORDER BY weight")
    measured.upload("older", to_file(reading(8, 0.999, minutes=30, exported=0)))
    again = measured.succeed()
    assert again.changed[:2] == (0, 0)
    assert measured.query("SELECT xmin::text FROM measured ORDER BY weight") == versions
    measured.upload("newer", to_file(reading(9, 1.0049, minutes=-60, exported=9)))
    assert measured.succeed().changed[:2] == (0, 1)
    stands[1] = (Decimal("1.00"), day, 9)
    assert measured.query(SELECT) == stands
    assert measured.succeed(sync_type="full").changed == (0, 0, 4)
    bounds = {"date_from": str(day), "date_to": str(day)}
    assert measured.succeed(sync_type="full", **bounds).changed == (0, 0, 4)
