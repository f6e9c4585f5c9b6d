"""The template against the code and the table file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from forecast_sync.config import Settings
from forecast_sync.tables import load_table

from tests.contract.stack import FUNCTIONS, ROOT, load_template, template


def test_every_function_folder_is_deployed_under_its_name() -> None:
    resources = template()["Resources"]
    deployed = {
        properties["CodeUri"]: properties["FunctionName"]["Sub"]
        for properties in (resource["Properties"] for resource in resources.values())
        if "CodeUri" in properties
    }
    assert deployed == {
        f"functions/{name}": f"${{ProjectName}}-${{Environment}}-{name.replace('_', '-')}"
        for name in FUNCTIONS
    }


def test_every_environment_variable_is_a_setting() -> None:
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    ours = {name for name in variables if not name.startswith("POWERTOOLS_")}
    assert ours <= {name.upper() for name in Settings.model_fields}


def test_the_glue_table_declares_what_the_table_file_reads() -> None:
    table = template()["Resources"]["GlueTable"]["Properties"]["TableInput"]
    declared = {item["Name"]: item["Type"] for item in table["StorageDescriptor"]["Columns"]}
    assert declared == load_table().source.declared


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


def test_a_template_that_no_build_expands_has_no_aliases() -> None:
    """`aws cloudformation deploy` sends the file as it is, and CloudFormation takes no aliases."""
    raw = set(re.findall(r"--template-file (\S+)", (ROOT / "docs/deploy.md").read_text()))
    nested = {
        resource["Properties"]["TemplateURL"]
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::CloudFormation::Stack"
    }
    assert raw | nested == {f"templates/{path.name}" for path in ROOT.glob("templates/*.yaml")}
    for path in raw:
        tokens = yaml.scan((ROOT / path).read_text())
        assert not any(isinstance(token, yaml.AliasToken) for token in tokens), path


def test_the_contract_names_are_kept() -> None:
    resources = template()["Resources"]
    assert resources["DataBucket"]["Properties"]["BucketName"] == {
        "Sub": "${ProjectName}-datalake-${Environment}-${BucketSuffix}"
    }
    assert resources["LogGroup"]["Properties"]["LogGroupName"] == {
        "Sub": "/aws/lambda/${ProjectName}-${Environment}"
    }
    assert resources["StateMachine"]["Properties"]["Name"] == {
        "Sub": "${ProjectName}-${Environment}"
    }


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("functions/*/handler.py")), ids=lambda p: p.parent.name
)
def test_a_handler_opens_with_its_state_s_name(path: Path) -> None:
    """The docstring names the state, or the function, as the folder does."""
    name = path.parent.name.replace("_", " ").capitalize()
    names = {name, name.replace("api", "API").replace("athena", "Athena")}
    assert path.read_text().split(":")[0].removeprefix('"""') in names


SCHEDULES = ("SyncSchedule", "FreshnessSchedule", "CleanHistorySchedule")


def functions() -> dict[str, dict[str, Any]]:
    """The properties of each function by its logical name, without ``Function``."""
    return {
        name.removesuffix("Function"): resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def test_each_function_has_a_role_of_its_own() -> None:
    roles = {name: properties["Role"] for name, properties in functions().items()}
    assert roles == {name: {"GetAtt": f"Roles.Outputs.{name}Role"} for name in roles}
    # Beside a Role, SAM ignores Policies without a word.
    assert not [name for name, properties in functions().items() if "Policies" in properties]
    outputs = load_template("templates/roles.yaml")["Outputs"]
    assert outputs == {
        f"{name}Role": {"Value": {"GetAtt": f"{name}Role.Arn"}}
        for name in [*roles, "StateMachine", *SCHEDULES]
    }


def test_the_functions_in_the_vpc_are_those_that_may_join_it() -> None:
    roles = load_template("templates/roles.yaml")["Resources"]
    joining = {name for name, properties in functions().items() if "VpcConfig" in properties}
    allowed = {name for name in functions() if "VpcPolicy" in str(roles[f"{name}Role"])}
    assert joining == allowed
    assert {"UpsertBatches", "ReadWatermark", "VerifyLoad", "RecordStatus"} <= joining
    assert not {"StartAthenaQuery", "PlanPages", "StartSync"} & joining


@pytest.mark.parametrize("name", ["DataBucket", "ResultsBucket"])
def test_a_bucket_is_private_and_encrypted(name: str) -> None:
    properties = template()["Resources"][name]["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["If"] == [
        "HasKey",
        {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Ref": "KmsKeyArn"}},
        {"SSEAlgorithm": "AES256"},
    ]


def test_logs_secrets_and_announcements_are_encrypted_with_the_key_if_there_is_one() -> None:
    fields = {
        "AWS::Logs::LogGroup": "KmsKeyId",
        "AWS::SecretsManager::Secret": "KmsKeyId",
        "AWS::SNS::Topic": "KmsMasterKeyId",
    }
    found = {
        name: resource["Properties"].get(fields[resource["Type"]])
        for name, resource in template()["Resources"].items()
        if resource["Type"] in fields
    }
    key = {"If": ["HasKey", {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}]}
    assert found == dict.fromkeys(
        ["LogGroup", "VendedLogGroup", "NeonApiKeySecret", "DatabaseUrlSecret", "Topic"], key
    )


def test_the_lake_is_never_deleted() -> None:
    bucket = template()["Resources"]["DataBucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == (
        "RetainExceptOnCreate",
        "Retain",
    )


def test_only_the_loader_is_reserved_and_only_if_asked() -> None:
    reserved = {
        name: properties["ReservedConcurrentExecutions"]
        for name, properties in functions().items()
        if "ReservedConcurrentExecutions" in properties
    }
    assert reserved == {
        "UpsertBatches": {
            "If": ["ReservesLoaders", {"Ref": "ReservedLoaders"}, {"Ref": "AWS::NoValue"}]
        }
    }
