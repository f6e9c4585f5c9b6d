"""The survey table: Athena reads exactly the objects of a run's lists, on every engine."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date

import pytest
from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.s3 import Storage
from forecast_sync.config import Settings
from forecast_sync.errors import QueryFailed
from forecast_sync.survey.lists import (
    OTHER,
    WINDOW,
    Folders,
    ListWriter,
    register_lists,
    survey_table,
)
from forecast_sync.tables import load_table
from forecast_sync_cli.client.athena import run_query

from tests.lake import make_row
from tests.workflow.deployed import Deployed

NAMES = [
    "plain",
    "a space",
    "percent%41",
    "plus+plus",
    "equals=sign/in a folder",
    'it\'s "quoted"',
    "für/Äpfel-é",
    "tilde~(1)!",
]


class SurveyTable:
    """Lists written and registered as *Survey lake* does, and queries over them."""

    def __init__(self, deployed: Deployed) -> None:
        cloud = deployed.cloud
        self.deployed, self.table = deployed, load_table()
        self.settings = Settings(
            environment="dev",
            athena_db_name="forecast_dev",
            athena_output_location=f"s3://{cloud.results_bucket}/athena/",
            data_location=f"s3://{cloud.bucket}/forecast/",
        )

    def path(self, name: str) -> str:
        return f"{self.settings.data_location}{name}.parquet"

    def register(self, window: Sequence[str], other: Sequence[str] = ()) -> str:
        survey_id = f"survey-{uuid.uuid4().hex[:12]}.0.0"
        location = f"{self.settings.athena_output_location}{survey_id}/"
        storage = Storage(self.deployed.client("s3"))
        folders = {part: f"{location}{part}/" for part in (WINDOW, OTHER)}
        for part, names in ((WINDOW, window), (OTHER, other)):
            writer = ListWriter(storage, folders[part])
            for name in names:
                writer.add(self.path(name))
            writer.close()
        catalog = Catalog(self.deployed.client("glue"))
        for _ in range(2):
            lists: list[Folders] = [{(): folders[part]} for part in (WINDOW, OTHER)]
            register_lists(catalog, self.settings, self.table, survey_id, *lists)
        return survey_id

    def query(self, survey_id: str, select: str, more: str = "") -> list[dict[str, str]]:
        athena = Athena(
            self.deployed.client("athena"),
            self.settings.athena_workgroup,
            self.settings.athena_output_location,
        )
        name = f'"forecast_dev"."{survey_table(self.settings, self.table)}"'
        text = f"SELECT {select} FROM {name} WHERE run = '{survey_id}'{more}"
        return list(athena.read_rows(run_query(athena, text)))


@pytest.fixture
def surveyed(deployed: Deployed) -> SurveyTable:
    return SurveyTable(deployed)


def test_exactly_the_listed_objects_are_read_whatever_their_names(surveyed: SurveyTable) -> None:
    for number, name in enumerate(NAMES):
        surveyed.deployed.upload(name, [make_row(number)])
    surveyed.deployed.upload("unlisted", [make_row(99)])
    survey_id = surveyed.register(NAMES[::2], NAMES[1::2])
    select = 'restaurant_id AS number, part, "$path" AS path'
    rows = surveyed.query(survey_id, select)
    expected = {
        (str(number), OTHER if number % 2 else WINDOW, surveyed.path(name))
        for number, name in enumerate(NAMES)
    }
    assert {(row["number"], row["part"], row["path"]) for row in rows} == expected
    assert len(rows) == len(NAMES)
    again = surveyed.query(survey_id, "count(*) AS rows", f" AND part = '{OTHER}'")
    assert again == [{"rows": str(len(NAMES) // 2)}]


def test_the_hidden_columns_are_the_objects_own(surveyed: SurveyTable) -> None:
    surveyed.deployed.upload(NAMES[1], [make_row(1)])
    survey_id = surveyed.register([NAMES[1]])
    (row,) = surveyed.query(survey_id, 'to_iso8601("$file_modified_time") AS modified')
    modified, _ = surveyed.deployed.files[surveyed.path(NAMES[1])]
    assert row["modified"][:19] == f"{modified:%Y-%m-%dT%H:%M:%S}"


def test_an_empty_list_is_an_empty_result(surveyed: SurveyTable) -> None:
    surveyed.deployed.upload("unlisted", [make_row(1)])
    survey_id = surveyed.register([])
    assert surveyed.query(survey_id, "count(*) AS rows") == [{"rows": "0"}]


def test_a_listed_object_that_is_gone_fails_the_query_by_name(surveyed: SurveyTable) -> None:
    surveyed.deployed.upload("here", [make_row(1)])
    survey_id = surveyed.register(["here", "gone"])
    with pytest.raises(QueryFailed, match=r"non-existent path: s3://.*/forecast/gone\.parquet"):
        surveyed.query(survey_id, "count(*) AS rows")


def test_a_date_bounds_what_is_read_of_the_others(surveyed: SurveyTable) -> None:
    for number in range(3):
        surveyed.deployed.upload(
            str(number), [make_row(number, business_date=date(2026, 1, 1 + number))]
        )
    survey_id = surveyed.register(["0"], ["1", "2"])
    bounds = " AND (part = 'window' OR business_date >= DATE '2026-01-03')"
    rows = surveyed.query(survey_id, "restaurant_id AS number", bounds)
    assert sorted(row["number"] for row in rows) == ["0", "2"]
