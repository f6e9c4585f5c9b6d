"""A first deployment that fails at its very end, and the second one with the same names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from forecast_sync_cli.main import make_app
from localcloud import deploy as local_deploy
from localcloud.build import ARTIFACTS_BUCKET, package
from localcloud.cloud import TEMPLATE
from typer.testing import CliRunner

from tests.waiting import eventually
from tests.workflow.deployed import Deployed

PROJECT = "first-try"
STACK = f"{PROJECT}-dev"
LAKE = f"{PROJECT}-datalake-dev-35315550"
PARAMETERS = {
    "ProjectName": PROJECT,
    "Environment": "dev",
    "DatabaseUrl": "postgresql://nowhere/db",
}
BROKEN = {
    "Type": "AWS::CloudWatch::Alarm",
    "DependsOn": ["StateMachine"],
    "Properties": {
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Metrics": [{"Id": "it", "Expression": "1 +"}],
    },
}
"""What the emulator refuses, after all the rest has been made."""


@pytest.fixture
def rolled_back(deployed: Deployed) -> Iterator[Deployed]:
    """The first deployment, with one alarm too many, as CloudFormation has rolled it back."""
    cloudformation = deployed.client("cloudformation")
    artifacts_url = f"{deployed.cloud.endpoint_url}/{ARTIFACTS_BUCKET}"
    built = package(TEMPLATE, artifacts_url)
    built.template["Resources"]["Broken"] = BROKEN
    key = built.add(json.dumps(built.template).encode(), ".template.json")
    for name, content in built.artifacts.items():
        deployed.client("s3").put_object(Bucket=ARTIFACTS_BUCKET, Key=name, Body=content)
    cloudformation.create_stack(
        StackName=STACK,
        TemplateURL=f"{artifacts_url}/{key}",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()
        ],
        OnFailure="ROLLBACK",
    )

    def status() -> bool:
        [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        return str(stack["StackStatus"]) == "ROLLBACK_COMPLETE"

    eventually(status, 60, "the rollback")
    yield deployed
    deployed.forget(STACK)
    eventually(lambda: len(left(deployed)) <= 1, what="the deletion")
    with suppress(ClientError):
        deployed.client("s3").delete_bucket(Bucket=LAKE)


def created(deployed: Deployed) -> set[str]:
    """What had been made when it failed."""
    pages = deployed.client("cloudformation").get_paginator("describe_stack_events")
    return {
        event["LogicalResourceId"]
        for page in pages.paginate(StackName=STACK)
        for event in page["StackEvents"]
        if event["ResourceStatus"] == "CREATE_COMPLETE"
    }


def left(deployed: Deployed) -> list[str]:
    """Everything in the account that has the project's name."""
    client = deployed.client
    listed: list[Any] = [
        client("s3").list_buckets()["Buckets"],
        client("logs").describe_log_groups()["logGroups"],
        client("lambda").list_functions()["Functions"],
        client("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"],
        client("sqs").list_queues().get("QueueUrls", []),
        client("sns").list_topics()["Topics"],
        client("events").list_rules()["Rules"],
        client("scheduler").list_schedules()["Schedules"],
        client("stepfunctions").list_state_machines()["stateMachines"],
        client("athena").list_work_groups()["WorkGroups"],
        client("cloudwatch").describe_alarms()["MetricAlarms"],
        client("glue").get_databases()["DatabaseList"],
        client("apigatewayv2").get_apis()["Items"],
        client("iam").list_roles()["Roles"],
        client("iam").list_policies(Scope="Local")["Policies"],
    ]
    texts = [json.dumps(item, default=str) for items in listed for item in items]
    return [text for text in texts if PROJECT in text or PROJECT.replace("-", "_") in text]


def test_the_rollback_leaves_no_name_behind_and_the_second_try_succeeds(
    rolled_back: Deployed,
) -> None:
    assert {"DataBucket", "ResultsBucket", "StateMachine", "Observability"} <= created(rolled_back)
    assert left(rolled_back) == []
    cloudformation = rolled_back.client("cloudformation")
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE"):
        cloudformation.update_stack(StackName=STACK, UsePreviousTemplate=True)
    cloudformation.delete_stack(StackName=STACK)
    cloud = rolled_back.cloud
    outputs = local_deploy.deploy(cloud.session(), cloud.endpoint_url, TEMPLATE, PARAMETERS, STACK)
    assert outputs["DataBucketName"] == LAKE


def test_doctor_says_why_it_was_rolled_back_and_what_is_in_the_way(
    rolled_back: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in rolled_back.cloud.variables.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(make_app(), ["doctor", "--project", PROJECT, "--json"])
    checks = {item["check"]: item for item in json.loads(done.stdout)["checks"]}
    assert checks["stack"]["status"] == "finding"
    assert "ROLLBACK_COMPLETE: Broken (AWS::CloudWatch::Alarm)" in checks["stack"]["found"]
    assert f"delete-stack --stack-name {STACK}" in checks["stack"]["advice"]
    assert checks["state machine"]["status"] == "skipped"


def test_the_lake_stays_when_the_stack_is_deleted(rolled_back: Deployed) -> None:
    cloudformation = rolled_back.client("cloudformation")
    cloudformation.delete_stack(StackName=STACK)
    cloud = rolled_back.cloud
    local_deploy.deploy(cloud.session(), cloud.endpoint_url, TEMPLATE, PARAMETERS, STACK)
    cloudformation.delete_stack(StackName=STACK)
    eventually(lambda: len(left(rolled_back)) == 1, what="the deletion")
    assert LAKE in left(rolled_back)[0]
