"""The template against the code and the table file."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from forecast_sync.config import Settings
from forecast_sync.tables import load_table

from tests.contract.rendering import render
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


def test_an_upload_starts_a_run_if_athena_would_read_the_file() -> None:
    """The rule's pattern against the lake's location: prefix and suffix must both match."""
    resources = template()["Resources"]
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    location, parts = variables["DATA_LOCATION"]["Sub"]
    assert location == "s3://${Bucket}/${Prefix}"
    described = resources["GlueTable"]["Properties"]["TableInput"]["StorageDescriptor"]
    assert described["Location"]["Sub"][0] == location
    detail = resources["UploadRule"]["Properties"]["EventPattern"]["detail"]
    [(pattern, same)] = [item["wildcard"]["Sub"] for item in detail["object"]["key"]]
    assert (
        parts["Prefix"]
        == same["Prefix"]
        == resources["Roles"]["Properties"]["Parameters"]["DataPrefix"]
    )
    prefix, pattern = "sales/", pattern.replace("${Prefix}", "sales/")
    assert fnmatchcase(f"{prefix}2026/a.parquet", pattern)
    assert not fnmatchcase(f"{prefix}2026/a.csv", pattern)
    assert not fnmatchcase("elsewhere/a.parquet", pattern)


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


def test_each_function_has_its_own_role() -> None:
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


KEY = "arn:aws:kms:us-east-2:123456789012:key/1"


@pytest.mark.parametrize(
    "kind",
    [
        "AWS::Athena::WorkGroup",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SecretsManager::Secret",
    ],
)
def test_what_can_be_encrypted_with_the_key_is_if_there_is_one(kind: str) -> None:
    given = {"Environment": "dev", "DatabaseUrl": "postgresql://host/db"}
    with_key = render("template.yaml", KmsKeyArn=KEY, **given).of_type(kind)
    assert [name for name, properties in with_key.items() if KEY not in str(properties)] == []
    without = render("template.yaml", **given).of_type(kind)
    assert without.keys() == with_key.keys()
    assert "Kms" not in str(without)
    assert "aws:kms" not in str(without)


def test_a_parameter_that_a_secret_keeps_is_not_echoed() -> None:
    kept = {
        resource["Properties"]["SecretString"]["Ref"]
        for resource in template()["Resources"].values()
        if resource["Type"] == "AWS::SecretsManager::Secret"
    }
    hidden = {name for name, item in template()["Parameters"].items() if item.get("NoEcho")}
    assert kept == hidden
