"""A first deployment that fails leaves nothing that the second one would meet.

Each resource of each template, as SAM expands it: its name is CloudFormation's own, or somebody has
looked at what becomes of the name when a rollback deletes it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from localcloud.build import package
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from tests.contract.stack import ROOT

TEMPLATES = ["template.yaml", *(f"templates/{path.name}" for path in ROOT.glob("templates/*.yaml"))]

NAMES = {
    "AWS::ApiGatewayV2::Api": (),
    "AWS::ApiGatewayV2::Stage": ("StageName",),
    "AWS::Athena::WorkGroup": ("Name",),
    "AWS::Chatbot::SlackChannelConfiguration": ("ConfigurationName",),
    "AWS::CloudFormation::Stack": (),
    "AWS::CloudWatch::Alarm": ("AlarmName",),
    "AWS::CloudWatch::Dashboard": ("DashboardName",),
    "AWS::Events::Rule": ("Name",),
    "AWS::Glue::Database": ("DatabaseInput", "Name"),
    "AWS::Glue::Table": ("TableInput", "Name"),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName",),
    "AWS::IAM::OIDCProvider": ("Url",),
    "AWS::IAM::Role": ("RoleName",),
    "AWS::KMS::Alias": ("AliasName",),
    "AWS::KMS::Key": (),
    "AWS::Lambda::EventSourceMapping": (),
    "AWS::Lambda::Function": ("FunctionName",),
    "AWS::Lambda::Permission": (),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::Logs::MetricFilter": ("FilterName",),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::S3::BucketPolicy": (),
    "AWS::SNS::Subscription": (),
    "AWS::SNS::Topic": ("TopicName",),
    "AWS::SNS::TopicPolicy": (),
    "AWS::SQS::Queue": ("QueueName",),
    "AWS::SQS::QueuePolicy": (),
    "AWS::Scheduler::Schedule": ("Name",),
    "AWS::SecretsManager::Secret": ("Name",),
    "AWS::Serverless::LayerVersion": ("LayerName",),
    "AWS::StepFunctions::StateMachine": ("StateMachineName",),
}
"""Where a resource's name stands, by its type; empty for what can't be named."""

GOES = {
    "AWS::ApiGatewayV2::Stage": "with its API, whose id AWS makes",
    "AWS::Athena::WorkGroup": "with its history, by RecursiveDeleteOption",
    "AWS::Chatbot::SlackChannelConfiguration": "at once",
    "AWS::CloudWatch::Alarm": "at once",
    "AWS::CloudWatch::Dashboard": "at once",
    "AWS::Events::Rule": "with its targets, which are the resource's own",
    "AWS::Glue::Database": "with every table in it",
    "AWS::Glue::Table": "with its database",
    "AWS::IAM::OIDCProvider": "at once: retained, except on creation",
    "AWS::KMS::Alias": "at once; the key waits for its end under an id of its own",
    "AWS::Lambda::Function": "at once",
    "AWS::Logs::LogGroup": "with its lines, and nobody may create it but CloudFormation",
    "AWS::S3::Bucket": "when it is empty: no run begins before everything else is there",
    "AWS::SNS::Topic": "at once",
    "AWS::SQS::Queue": "and the name is free after 60 s",
    "AWS::Scheduler::Schedule": "at once",
    "AWS::SecretsManager::Secret": "without a recovery window, as CloudFormation deletes secrets",
    "AWS::Serverless::LayerVersion": "at once, and the next version has another number",
    "AWS::StepFunctions::StateMachine": "at once: the last to come, it has no execution",
}
"""How a rollback frees the name of a type."""

RETAINED = {"DataBucket", "Key", "OidcProvider"}


class NoManagedPolicies:
    """SAM's short names of policies, of which the templates use none."""

    def load(self) -> dict[str, str]:
        return {}


@cache
def resources(path: str) -> dict[str, dict[str, Any]]:
    """The resources that CloudFormation gets, those that SAM makes included."""
    if path != "template.yaml":
        found: dict[str, dict[str, Any]] = yaml_parse((ROOT / path).read_text())["Resources"]
        return found
    layers = {
        name: resource
        for name, resource in yaml_parse((ROOT / path).read_text())["Resources"].items()
        if resource["Type"] == "AWS::Serverless::LayerVersion"
    }
    built = package(ROOT / path, "https://artifacts").template
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-2")
        expanded: dict[str, dict[str, Any]] = transform(
            built, {"Environment": "dev"}, NoManagedPolicies()
        )["Resources"]
    return {**expanded, **layers}


def every_resource() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in TEMPLATES:
        for name, resource in resources(path).items():
            yield path, name, resource


def name_of(resource: dict[str, Any]) -> Any:
    """The name that a template gives a resource; None for one that CloudFormation generates."""
    found: Any = resource.get("Properties", {})
    keys = NAMES[resource["Type"]]
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if keys else None


def test_every_name_is_generated_or_goes_with_the_rollback() -> None:
    for path, name, resource in every_resource():
        assert resource["Type"] in NAMES, f"{path}: {name}: where does its name stand?"
        if name_of(resource) is not None:
            assert resource["Type"] in GOES, f"{path}: {name}: what frees its name?"


def test_every_name_is_the_project_s_and_the_environment_s() -> None:
    inside = {"AWS::Glue::Table", "AWS::ApiGatewayV2::Stage", "AWS::IAM::OIDCProvider"}
    for path, name, resource in every_resource():
        given = json.dumps(name_of(resource))
        if given == "null" or resource["Type"] in inside:
            continue
        assert "ProjectName" in given, f"{path}: {name}"
        assert "Environment" in given, f"{path}: {name}"
        if resource["Type"] == "AWS::S3::Bucket":
            assert "BucketSuffix" in given


def test_github_s_role_knows_the_database_by_the_template_s_name() -> None:
    name = resources("template.yaml")["GlueDatabase"]["Properties"]["DatabaseInput"]["Name"]
    # A project called `forecast` isn't the default's neighbour by accident: the name goes on.
    assert name["Fn::If"][1] == {"Fn::Sub": "forecast_${Environment}"}
    assert name["Fn::If"][2]["Fn::Sub"][0] == "forecast_${Environment}_${Project}"
    github = json.dumps(resources("templates/github.yaml")["CloudFormationRole"])
    assert github.count(json.dumps({"Database": name})) == len(["database", "table", "function"])


def test_what_is_retained_is_retained_except_on_creation() -> None:
    policies = {
        name: (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        for _, name, resource in every_resource()
        if {"DeletionPolicy", "UpdateReplacePolicy"} & set(resource)
    }
    assert policies == dict.fromkeys(RETAINED, ("RetainExceptOnCreate", "Retain"))
    layer = resources("template.yaml")["CoreLayer"]
    assert layer["Properties"]["RetentionPolicy"] == "Delete"


def test_the_workgroup_goes_with_its_history() -> None:
    groups = [item for _, _, item in every_resource() if item["Type"] == "AWS::Athena::WorkGroup"]
    assert [item["Properties"]["RecursiveDeleteOption"] for item in groups] == [True]


def test_no_role_may_create_a_log_group() -> None:
    for path, name, resource in every_resource():
        if name != "CloudFormationRole":
            assert "logs:CreateLogGroup" not in json.dumps(resource), f"{path}: {name}"
            assert "logs:*" not in json.dumps(resource), f"{path}: {name}"


def test_the_machine_comes_last() -> None:
    found = resources("template.yaml")
    needed: set[str] = set()
    waiting = ["StateMachine"]
    while waiting:
        name = waiting.pop()
        if name in found and name not in needed:
            needed.add(name)
            waiting += references(found[name])
    # A permission is one call of a function that is there.
    later = {name for name in set(found) - needed if not is_permission(found[name])}
    assert later == {"CoreLayer"}, "functions need it, which the local cloud's don't"


def is_permission(resource: dict[str, Any]) -> bool:
    return bool(resource["Type"] == "AWS::Lambda::Permission")


def references(value: Any) -> list[str]:
    """The logical names that a resource refers to, or depends on."""
    if isinstance(value, list):
        return [name for item in value for name in references(item)]
    if not isinstance(value, dict):
        return []
    found = []
    for key, item in value.items():
        if key == "Ref":
            found.append(item)
        elif key == "Fn::GetAtt":
            found.append(item.split(".")[0] if isinstance(item, str) else item[0])
        elif key == "DependsOn":
            found += [item] if isinstance(item, str) else item
        elif key == "Fn::Sub":
            text = item if isinstance(item, str) else item[0]
            found += [part.split("}")[0].split(".")[0] for part in text.split("${")[1:]]
            found += [] if isinstance(item, str) else references(item[1])
        else:
            found += references(item)
    return found


@pytest.mark.parametrize("environment", ["dev", "production"])
def test_sam_deletes_the_stack_of_a_first_deployment_that_failed(environment: str) -> None:
    configured = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]
    assert configured["deploy"]["parameters"]["on_failure"] == "DELETE"
    assert configured["global"]["parameters"]["stack_name"] == f"forecast-sync-{environment}"
