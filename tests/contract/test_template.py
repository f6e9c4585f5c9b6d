"""The template against the code and the table file."""

from __future__ import annotations

import re

import pytest
from forecast_sync.settings import Settings
from forecast_sync.tables import load_table

from tests.contract.stack import FUNCTIONS, ROOT, template


def test_every_function_folder_is_deployed_under_its_name() -> None:
    resources = template()["Resources"]
    deployed = {
        properties["CodeUri"]: properties["FunctionName"]["Sub"]
        for properties in (resource["Properties"] for resource in resources.values())
        if "CodeUri" in properties
    }
    assert deployed == {
        f"functions/{name}": f"forecast-sync-${{Environment}}-{name.replace('_', '-')}"
        for name in FUNCTIONS
    }


def test_every_environment_variable_is_a_setting() -> None:
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    ours = {name for name in variables if not name.startswith("POWERTOOLS_")}
    assert ours <= {name.upper() for name in Settings.model_fields}


def test_the_glue_table_declares_what_the_table_file_reads() -> None:
    table = template()["Resources"]["GlueTable"]["Properties"]["TableInput"]
    declared = {item["Name"]: item["Type"] for item in table["StorageDescriptor"]["Columns"]}
    assert declared == load_table().source.columns


def test_uploads_are_matched_by_prefix_and_suffix_together() -> None:
    pattern = template()["Resources"]["UploadRule"]["Properties"]["EventPattern"]
    assert pattern["source"] == ["aws.s3"]
    assert pattern["detail-type"] == ["Object Created"]
    assert pattern["detail"]["object"]["key"] == [{"wildcard": "forecast/*.parquet"}]


def test_the_queue_hides_messages_long_enough() -> None:
    resources = template()["Resources"]
    timeout = template()["Globals"]["Function"]["Timeout"]
    window = template()["Parameters"]["BatchingWindowSeconds"]["MaxValue"]
    visibility = resources["UploadQueue"]["Properties"]["VisibilityTimeout"]
    assert visibility >= 6 * timeout + window


def test_the_contract_names_are_kept() -> None:
    resources = template()["Resources"]
    assert resources["DataBucket"]["Properties"]["BucketName"] == {
        "Sub": "${ProjectName}-datalake-${Environment}-35315550"
    }
    assert resources["LogGroup"]["Properties"]["LogGroupName"] == {
        "Sub": "/aws/lambda/forecast-sync-${Environment}"
    }
    assert resources["StateMachine"]["Properties"]["Name"] == {
        "Sub": "forecast-sync-${Environment}"
    }


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("functions/*/handler.py")), ids=lambda p: p.parent.name
)
def test_a_handler_is_at_most_25_lines(path: object) -> None:
    text = (ROOT / str(path)).read_text()
    assert re.match(r'"""[A-Z].*\."""\n', text)
    assert len(text.splitlines()) <= 25
