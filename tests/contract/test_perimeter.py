"""Who the stack's roles, queues and topic answer to, in every template."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.iam import Request, is_allowed, matches, permissions
from tests.contract.rendering import ACCOUNT, REGION, render
from tests.contract.stack import load_template, template

SCHEDULES = ("SyncScheduleRole", "FreshnessScheduleRole", "CleanHistoryScheduleRole")
GROUP = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/default"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
ROLES: dict[str, Any] = {
    "ProjectName": "forecast-sync",
    "Environment": "dev",
    "DataBucket": "lake",
    "DataPrefix": "forecast/",
    "ResultsBucket": "results",
    "Secrets": ["arn:aws:secretsmanager:us-east-2:123456789012:secret:x"],
    "Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:forecast-sync-dev",
    "UploadQueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:forecast-sync-dev-uploads",
    "SubnetIds": "subnet-1",
    "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1",
}


@pytest.mark.parametrize("role", SCHEDULES)
def test_a_schedule_of_another_account_can_t_become_a_role(role: str) -> None:
    rendered = render("templates/roles.yaml", **ROLES)
    assert _trusts(rendered.trust(role), ACCOUNT, GROUP)
    assert not _trusts(rendered.trust(role), "999999999999", GROUP)
    assert not _trusts(rendered.trust(role), ACCOUNT, GROUP.replace("default", "other"))


def _trusts(statements: list[Any], account: str, source: str) -> bool:
    context = {"aws:SourceAccount": account, "aws:SourceArn": source}
    return any(matches(item, Request("sts:AssumeRole", "*", context)) for item in statements)


def test_a_schedule_may_do_what_it_is_for_and_nothing_else() -> None:
    """Each schedule's target against what its role allows."""
    targets = {}
    for resource in template()["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::Scheduler::Schedule":
            target = properties["Target"]
            condition, function, machine = target["Arn"]["If"]
            targets[_role(target["RoleArn"])] = ("states:StartExecution", machine)
            several = {condition: function["GetAtt"]}
        for event in properties.get("Events", {}).values():
            if event["Type"] == "ScheduleV2":
                name = properties["FunctionName"]
                targets[_role(event["Properties"]["RoleArn"])] = ("lambda:InvokeFunction", name)
    wanted = {role: (action, _last_part(arn)) for role, (action, arn) in targets.items()}
    rendered = render("templates/roles.yaml", **ROLES)
    assert set(wanted) == set(SCHEDULES)
    for role in SCHEDULES:
        allowed = permissions(rendered.statements(role))
        assert [(action, arn.rpartition(":")[2]) for _, action, arn in allowed] == [wanted[role]]
    assert several == {"HasSeveralTables": "StartSyncFunction.Arn"}
    [(_, action, arn)] = permissions(
        render("templates/roles.yaml", **ROLES, SeveralTables="true").statements(SCHEDULES[0])
    )
    assert (action, arn.rpartition(":")[2]) == (
        "lambda:InvokeFunction",
        "forecast-sync-dev-start-sync",
    )


def _role(value: dict[str, str]) -> str:
    return value["GetAtt"].removeprefix("Roles.Outputs.")


def _last_part(value: dict[str, str]) -> str:
    name = value["Sub"].rpartition(":")[2]
    return name.replace("${ProjectName}", "forecast-sync").replace("${Environment}", "dev")


def test_sam_generates_no_role() -> None:
    """Neither the boundary nor a source account could be given to one."""
    for name, resource in template()["Resources"].items():
        if resource["Type"] in {"AWS::Serverless::Function", "AWS::Serverless::StateMachine"}:
            assert "Role" in resource["Properties"], name
            for event in resource["Properties"].get("Events", {}).values():
                if event["Type"] in {"Schedule", "ScheduleV2"}:
                    assert "RoleArn" in event["Properties"], name


def test_every_role_of_the_stack_has_the_boundary() -> None:
    observability = {
        name: item.get("Default", "x")
        for name, item in load_template("templates/observability.yaml")["Parameters"].items()
    }
    observability |= {"Environment": "dev", "PermissionsBoundary": BOUNDARY}
    for path, given in (
        ("templates/roles.yaml", {**ROLES, "PermissionsBoundary": BOUNDARY}),
        ("templates/observability.yaml", observability),
    ):
        roles = render(path, **given).of_type("AWS::IAM::Role")
        assert roles
        assert {item["PermissionsBoundary"] for item in roles.values()} == {BOUNDARY}, path
        unbounded = render(path, **{**given, "PermissionsBoundary": ""})
        assert "PermissionsBoundary" not in str(unbounded.of_type("AWS::IAM::Role"))
    nested = [
        item["Properties"]["Parameters"]
        for item in template()["Resources"].values()
        if item["Type"] == "AWS::CloudFormation::Stack"
        and "AWS::IAM::Role" in str(load_template(item["Properties"]["TemplateURL"]))
    ]
    assert len(nested) == 2
    for parameters in nested:
        assert parameters["PermissionsBoundary"] == {"Ref": "PermissionsBoundary"}


def test_every_queue_and_topic_and_bucket_is_reached_by_tls_only() -> None:
    names = load_template("templates/perimeter.yaml")["Parameters"]
    given = {name: f"arn:aws:x:::{name}" for name in names} | {"ExistingDataBucket": ""}
    rendered = render("templates/perimeter.yaml", **given)
    guarded = set()
    for kind in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy"):
        for name, properties in rendered.of_type(kind).items():
            for statement in properties["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Deny":
                    resource = statement["Resource"]
                    arn = resource if isinstance(resource, str) else resource[0]
                    action = {"AWS::SQS::QueuePolicy": "sqs:SendMessage"}.get(kind, "sns:Publish")
                    action = "s3:GetObject" if kind == "AWS::S3::BucketPolicy" else action
                    assert matches(
                        statement, Request(action, arn, {"aws:SecureTransport": "false"})
                    )
                    assert not matches(
                        statement, Request(action, arn, {"aws:SecureTransport": "true"})
                    )
                    guarded.add(name)
    made = {
        name
        for name, resource in template()["Resources"].items()
        if resource["Type"] in {"AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::S3::Bucket"}
    }
    assert guarded == {f"{name}Policy" for name in made}


PREFIXES = {"lake": "forecast/x", "results": "athena/x"}


def test_a_missing_object_is_404_to_all_who_read_objects() -> None:
    """S3 reports it only to callers that may list the bucket, and checks that without a prefix."""
    rendered = render("templates/roles.yaml", **ROLES)
    for role in set(rendered.of_type("AWS::IAM::Role")) - {"StateMachineRole"}:
        statements = rendered.statements(role)
        read = {
            arn.partition("/")[0]
            for _, action, arn in permissions(statements)
            if action == "s3:GetObject"
        }
        for bucket in read:
            own = PREFIXES[bucket.rpartition(":")[2]]
            request = Request("s3:ListBucket", bucket, {"aws:ResourceAccount": ACCOUNT})
            assert is_allowed(statements, request), role
            for prefix in PREFIXES.values():
                listing = {**request.context, "s3:prefix": prefix}
                asked_with = Request("s3:ListBucket", bucket, listing)
                assert is_allowed(statements, asked_with) == (prefix == own), role
