"""The policies that docs/deploy.md hands out, against what the templates and its commands need."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.contract.iam import Request, Statement, is_allowed, permissions
from tests.contract.rendering import ACCOUNT, REGION, render
from tests.contract.stack import ROOT, load_template
from tests.contract.test_cloudformation_role import (
    ARNS,
    AWS,
    BUCKET,
    HANDLERS,
    STACK,
    calls,
    is_known,
    knows_resources,
    request,
)
from tests.contract.test_perimeter import ROLES

LAKE = "arn:aws:s3:::forecast-sync-datalake-dev-35315550"
SAM = "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1"
SAM_STACK = f"arn:aws:cloudformation:{AWS}:stack/aws-sam-cli-managed-default/1b"
OWN_STACK = f"arn:aws:cloudformation:{AWS}:stack/{STACK}/1b"
KEY = f"arn:aws:kms:{AWS}:key/1b2c"
MACHINE = f"arn:aws:states:{AWS}:stateMachine:{STACK}"
RUN = f"arn:aws:states:{AWS}:execution:{STACK}:sync-5f0c2a"
# What the stacks beside the main one make: templates/github.yaml and templates/key.yaml.
BESIDE = {
    "AWS::IAM::OIDCProvider": {
        "iam": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    },
    "AWS::IAM::Role": {"iam": f"arn:aws:iam::{ACCOUNT}:role/forecast-sync-github-dev-SyncRole-1A"},
    "AWS::IAM::ManagedPolicy": {
        "iam": f"arn:aws:iam::{ACCOUNT}:policy/forecast-sync-github-dev-ChangeSetPolicy-1A"
    },
    "AWS::KMS::Key": {"kms": KEY},
    "AWS::KMS::Alias": {"kms": f"arn:aws:kms:{AWS}:alias/{STACK}"},
}
# A command of docs/deploy.md, and what it calls beside CloudFormation's resources.
COMMANDS: dict[str, list[tuple[str, str]]] = {
    "aws lambda get-account-settings": [("lambda:GetAccountSettings", "*")],
    "aws secretsmanager create-secret": [
        (
            "secretsmanager:CreateSecret",
            f"arn:aws:secretsmanager:{AWS}:secret:forecast-sync-dev-neon-api-key-Ab12Cd",
        )
    ],
    "aws secretsmanager delete-secret": [
        (
            "secretsmanager:DeleteSecret",
            f"arn:aws:secretsmanager:{AWS}:secret:forecast-sync-dev-neon-api-key-Ab12Cd",
        )
    ],
    "sam deploy": [
        ("cloudformation:DescribeStacks", SAM_STACK),
        ("cloudformation:CreateChangeSet", SAM_STACK),
        ("cloudformation:ExecuteChangeSet", SAM_STACK),
        ("cloudformation:CreateChangeSet", OWN_STACK),
        (
            "cloudformation:CreateChangeSet",
            f"arn:aws:cloudformation:{REGION}:aws:transform/Serverless-2016-10-31",
        ),
        ("cloudformation:DescribeChangeSet", OWN_STACK),
        ("cloudformation:ExecuteChangeSet", OWN_STACK),
        ("cloudformation:DescribeStackEvents", OWN_STACK),
        ("cloudformation:GetTemplateSummary", "*"),
        ("s3:CreateBucket", SAM),
        ("s3:PutEncryptionConfiguration", SAM),
        ("s3:PutBucketVersioning", SAM),
        ("s3:PutBucketPublicAccessBlock", SAM),
        ("s3:PutBucketPolicy", SAM),
        ("s3:PutBucketTagging", SAM),
        ("s3:ListBucket", SAM),
        ("s3:PutObject", f"{SAM}/{STACK}/a1b2"),
        ("s3:GetObject", f"{SAM}/{STACK}/a1b2"),
    ],
    "sam delete": [
        ("cloudformation:DeleteStack", OWN_STACK),
        ("cloudformation:GetTemplate", OWN_STACK),
        ("cloudformation:ListChangeSets", OWN_STACK),
        ("s3:DeleteObject", f"{SAM}/{STACK}/a1b2"),
    ],
    "aws cloudformation deploy": [
        ("cloudformation:CreateChangeSet", OWN_STACK.replace("sync-dev", "sync-github-dev")),
        ("cloudformation:ExecuteChangeSet", OWN_STACK.replace("sync-dev", "sync-key-dev")),
    ],
    "aws cloudformation describe-stacks": [("cloudformation:DescribeStacks", OWN_STACK)],
    "aws cloudformation delete-stack": [("cloudformation:DeleteStack", OWN_STACK)],
    "aws s3 cp": [("s3:PutObject", f"{LAKE}/forecast/forecast.parquet")],
    "aws s3 rm": [("s3:ListBucket", BUCKET), ("s3:DeleteObject", f"{BUCKET}/athena/x")],
    "aws s3 rb": [("s3:DeleteBucket", LAKE), ("s3:DeleteObject", f"{LAKE}/forecast/x")],
    "aws kms schedule-key-deletion": [("kms:ScheduleKeyDeletion", KEY)],
    "forecast-sync status": [
        ("states:ListStateMachines", "*"),
        ("apigateway:GET", f"arn:aws:apigateway:{REGION}::/apis"),
        ("execute-api:Invoke", f"arn:aws:execute-api:{AWS}:a1b2/$default/GET/status"),
    ],
    "forecast-sync tables": [
        ("states:ListStateMachines", "*"),
        ("lambda:GetFunctionConfiguration", f"arn:aws:lambda:{AWS}:function:{STACK}-notify"),
        ("glue:CreateTable", f"arn:aws:glue:{AWS}:database/forecast_dev_price_watch"),
        ("glue:CreateTable", f"arn:aws:glue:{AWS}:table/forecast_dev_price_watch/price"),
        ("glue:UpdateTable", f"arn:aws:glue:{AWS}:table/forecast_dev_price_watch/price"),
    ],
    "forecast-sync start": [
        ("execute-api:Invoke", f"arn:aws:execute-api:{AWS}:a1b2/$default/POST/syncs"),
        ("states:StartExecution", MACHINE),
        ("states:DescribeExecution", RUN),
        ("states:GetExecutionHistory", RUN),
        ("states:StopExecution", RUN),
        ("states:RedriveExecution", RUN),
    ],
    "forecast-sync doctor": [
        ("states:DescribeStateMachine", MACHINE),
        ("lambda:GetFunctionConfiguration", f"arn:aws:lambda:{AWS}:function:{STACK}-notify"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{AWS}:function:{STACK}-inspect-database"),
        ("cloudformation:DescribeStacks", OWN_STACK),
        ("cloudformation:DescribeStackEvents", OWN_STACK),
        ("cloudformation:ListStacks", "*"),
        ("lambda:GetAccountSettings", "*"),
        (
            "lambda:GetFunctionConcurrency",
            f"arn:aws:lambda:{AWS}:function:{STACK}-upsert-batches",
        ),
        (
            "secretsmanager:DescribeSecret",
            f"arn:aws:secretsmanager:{AWS}:secret:forecast-sync-dev-neon-api-key-Ab12Cd",
        ),
        ("s3:GetEncryptionConfiguration", LAKE),
        ("cloudwatch:DescribeAlarms", "*"),
        ("lambda:ListEventSourceMappings", "*"),
        ("events:DescribeRule", f"arn:aws:events:{AWS}:rule/{STACK}-uploads"),
        ("scheduler:GetSchedule", f"arn:aws:scheduler:{AWS}:schedule/default/{STACK}"),
        ("sqs:GetQueueUrl", f"arn:aws:sqs:{AWS}:{STACK}-uploads-dlq"),
        ("sqs:GetQueueAttributes", f"arn:aws:sqs:{AWS}:{STACK}-uploads-dlq"),
        ("sns:ListSubscriptionsByTopic", f"arn:aws:sns:{AWS}:{STACK}"),
        ("s3:GetBucketNotification", LAKE),
        ("s3:ListBucket", LAKE),
        ("s3:GetObject", f"{LAKE}/forecast/forecast.parquet"),
        ("athena:GetWorkGroup", f"arn:aws:athena:{AWS}:workgroup/{STACK}"),
        ("athena:StartQueryExecution", f"arn:aws:athena:{AWS}:workgroup/{STACK}"),
        ("athena:GetQueryExecution", f"arn:aws:athena:{AWS}:workgroup/{STACK}"),
        ("athena:GetQueryResults", f"arn:aws:athena:{AWS}:workgroup/{STACK}"),
        ("glue:GetTable", f"arn:aws:glue:{AWS}:table/forecast_dev/forecast"),
        ("glue:GetDatabase", f"arn:aws:glue:{AWS}:database/default"),
        ("s3:GetBucketLocation", BUCKET),
        ("s3:PutObject", f"{BUCKET}/athena/doctor/x"),
        ("logs:FilterLogEvents", f"arn:aws:logs:{AWS}:log-group:/aws/lambda/{STACK}"),
    ],
}
# Commands that need nothing of this policy.
FREE = {
    "forecast-sync example": "it writes a file",
    "aws sts get-caller-identity": "everybody may ask who he is",
    "aws s3api get-bucket-notification": "of a bucket of one's own, whose owner allows it",
    "aws s3api put-bucket-notification": "of a bucket of one's own, whose owner allows it",
}


def document(name: str) -> list[Statement]:
    loaded: dict[str, list[Statement]] = json.loads((ROOT / "docs" / name).read_text())
    return loaded["Statement"]


DEPLOYER = document("deployer-policy.json")
BOUNDARY = document("permissions-boundary.json")
CONTEXT = {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": ACCOUNT}


def with_account(found: Request) -> Request:
    return Request(found.action, found.resource, {**CONTEXT, **found.context})


@pytest.mark.parametrize("kind", sorted(ARNS))
def test_the_deployer_may_make_change_and_remove_the_stack(kind: str) -> None:
    missing = [
        action
        for action in sorted(calls(kind))
        if not is_allowed(DEPLOYER, with_account(request(kind, action)))
    ]
    assert missing == [], f"docs/deployer-policy.json lacks what {kind} needs"


def test_the_deployer_may_make_change_and_remove_the_stacks_beside_it() -> None:
    types = {
        item["Type"]
        for path in ("templates/github.yaml", "templates/key.yaml")
        for item in load_template(path)["Resources"].values()
    }
    assert types == set(BESIDE)
    for kind, arns in BESIDE.items():
        for action in {item for actions in HANDLERS[kind].values() for item in actions}:
            if not is_known(action) or re.search("(Group|User)Policy$", action):
                continue
            service = action.partition(":")[0]
            arn = arns[service] if knows_resources(action) else "*"
            assert is_allowed(DEPLOYER, Request(action, arn, CONTEXT)), f"{kind}: {action}"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_deployer_may_follow_the_document(command: str) -> None:
    missing = [
        action
        for action, arn in COMMANDS[command]
        if not is_allowed(DEPLOYER, Request(action, arn, CONTEXT))
    ]
    assert missing == []


def test_every_command_of_the_document_is_looked_up() -> None:
    text = (ROOT / "docs/deploy.md").read_text()
    named = set(re.findall(r"\baws [a-z0-9]+ [a-z-]+", text))
    named |= {f"sam {verb}" for verb in re.findall(r"bin/sam ([a-z]+)", text)}
    named |= {f"forecast-sync {verb}" for verb in re.findall(r"bin/forecast-sync ([a-z]+)", text)}
    known = {*COMMANDS, *FREE}
    unknown = [item for item in named if not any(item.startswith(name) for name in known)]
    assert unknown == []


@pytest.mark.parametrize(
    ("action", "resource", "account"),
    [
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/x", ACCOUNT),
        ("iam:AttachRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/Admin", ACCOUNT),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/Admin", ACCOUNT),
        ("s3:GetObject", "arn:aws:s3:::payroll/x", ACCOUNT),
        ("s3:PutObject", f"{SAM}/x", "999999999999"),
        ("s3:PutObject", f"{LAKE}/forecast/x", "999999999999"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{AWS}:function:payroll", ACCOUNT),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{AWS}:secret:p", ACCOUNT),
    ],
)
def test_the_deployer_may_touch_nothing_else(action: str, resource: str, account: str) -> None:
    context = {**CONTEXT, "aws:ResourceAccount": account}
    assert not is_allowed(DEPLOYER, Request(action, resource, context))


def test_the_deployer_s_policy_is_one_managed_policy() -> None:
    for name in ("deployer-policy.json", "permissions-boundary.json"):
        text = json.dumps(json.loads((ROOT / "docs" / name).read_text()), separators=(",", ":"))
        assert len(text) <= 6_144


def _roles_of_the_stack() -> dict[str, list[Statement]]:
    everything: dict[str, Any] = {
        **ROLES,
        "ExistingDataBucket": "lake",
        "ExistingDataBucketKeyArn": f"arn:aws:kms:{AWS}:key/2",
    }
    rendered = render("templates/roles.yaml", **everything)
    observability = render("templates/observability.yaml", **_observability())
    return {
        **{role: rendered.statements(role) for role in rendered.of_type("AWS::IAM::Role")},
        "SlackRole": observability.statements("SlackRole"),
    }


def _observability() -> dict[str, Any]:
    names = load_template("templates/observability.yaml")["Parameters"]
    return {**dict.fromkeys(names, "x"), "Environment": "dev"}


def test_the_boundary_allows_what_the_stack_s_roles_do() -> None:
    for role, statements in _roles_of_the_stack().items():
        for _, action, resource in permissions(statements):
            assert is_allowed(BOUNDARY, Request(action, resource)), f"{role}: {action}"


BOUNDED = {"iam:PermissionsBoundary": "arn:aws:iam::123456789012:policy/boundary"}


@pytest.mark.parametrize("kind", sorted(ARNS))
def test_the_boundary_allows_what_cloudformation_s_role_does(kind: str) -> None:
    role = render(
        "templates/github.yaml",
        Repository="o/n",
        Environment="dev",
        PermissionsBoundary=BOUNDED["iam:PermissionsBoundary"],
    ).statements("CloudFormationRole")
    for action in calls(kind) - {"iam:DeleteRolePermissionsBoundary"}:
        call = request(kind, action)
        call = Request(call.action, call.resource, {**call.context, **BOUNDED})
        assert is_allowed(role, call), action
        assert is_allowed(BOUNDARY, call), action


def test_the_boundary_makes_no_role_without_one_and_stays() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/{STACK}-x"
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"):
        assert not is_allowed(BOUNDARY, Request(action, role))
        assert is_allowed(BOUNDARY, Request(action, role, BOUNDED))
    removal = Request("iam:DeleteRolePermissionsBoundary", role, BOUNDED)
    assert not is_allowed(BOUNDARY, removal)
    assert not is_allowed(BOUNDARY, Request("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/Admin"))
