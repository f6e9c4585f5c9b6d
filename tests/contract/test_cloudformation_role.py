"""CloudFormation's role of templates/github.yaml: enough for a stack's whole life, no more."""

from __future__ import annotations

import copy
import json
from functools import cache
from importlib import resources
from typing import Any

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from tests.contract.iam import Request, Statement, is_allowed, like, permissions
from tests.contract.rendering import ACCOUNT, REGION, render
from tests.contract.stack import ROOT, load_template

# Of each resource type, what its handlers call: CloudFormation's public resource schemas, of
# 2026-08. Glue's table has no published handlers; these are its API's calls.
HANDLERS: dict[str, dict[str, list[str]]] = json.loads(
    (ROOT / "tests/contract/cloudformation-handlers.json").read_text()
)
STACK = "forecast-sync-dev"
AWS = f"{REGION}:{ACCOUNT}"
BUCKET = "arn:aws:s3:::forecast-sync-results-dev-35315550"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{STACK}/cut-NotifyRole-2B"
API = f"arn:aws:apigateway:{REGION}::/apis/a1b2c3"
# The services whose actions each resource type of the templates needs.
ARNS = {
    "AWS::ApiGatewayV2::Api": {"apigateway": API},
    "AWS::ApiGatewayV2::Stage": {"apigateway": f"{API}/stages/$default"},
    "AWS::Athena::WorkGroup": {"athena": f"arn:aws:athena:{AWS}:workgroup/{STACK}", "s3": BUCKET},
    "AWS::Chatbot::SlackChannelConfiguration": {
        "chatbot": f"arn:aws:chatbot::{ACCOUNT}:chat-configuration/slack-channel/{STACK}",
        "iam": ROLE,
    },
    "AWS::CloudFormation::Stack": {
        "cloudformation": f"arn:aws:cloudformation:{AWS}:stack/{STACK}-Roles-1A/2b3c"
    },
    "AWS::CloudWatch::Alarm": {"cloudwatch": f"arn:aws:cloudwatch:{AWS}:alarm:{STACK}-freshness"},
    "AWS::CloudWatch::Dashboard": {
        "cloudwatch": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{STACK}"
    },
    "AWS::Events::Rule": {"events": f"arn:aws:events:{AWS}:rule/{STACK}-uploads"},
    "AWS::Glue::Database": {"glue": f"arn:aws:glue:{AWS}:database/forecast_dev"},
    "AWS::Glue::Table": {"glue": f"arn:aws:glue:{AWS}:table/forecast_dev/forecast"},
    "AWS::IAM::ManagedPolicy": {"iam": f"arn:aws:iam::{ACCOUNT}:policy/{STACK}/cut-RunsPolicy-2B"},
    "AWS::IAM::Role": {"iam": ROLE},
    "AWS::Lambda::EventSourceMapping": {
        "lambda": f"arn:aws:lambda:{AWS}:event-source-mapping:1b2c"
    },
    "AWS::Lambda::Function": {
        "lambda": f"arn:aws:lambda:{AWS}:function:{STACK}-notify",
        "iam": ROLE,
        "s3": f"arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1/{STACK}/a1b2",
    },
    "AWS::Lambda::LayerVersion": {
        "lambda": f"arn:aws:lambda:{AWS}:layer:{STACK}-core:7",
        "s3": f"arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1/{STACK}/a1b2",
    },
    "AWS::Lambda::Permission": {"lambda": f"arn:aws:lambda:{AWS}:function:{STACK}-notify"},
    "AWS::Logs::LogGroup": {"logs": f"arn:aws:logs:{AWS}:log-group:/aws/lambda/{STACK}"},
    "AWS::Logs::MetricFilter": {"logs": f"arn:aws:logs:{AWS}:log-group:/aws/lambda/{STACK}"},
    "AWS::S3::Bucket": {"s3": BUCKET},
    "AWS::S3::BucketPolicy": {"s3": BUCKET},
    "AWS::SNS::Subscription": {"sns": f"arn:aws:sns:{AWS}:{STACK}:1b2c"},
    "AWS::SNS::Topic": {"sns": f"arn:aws:sns:{AWS}:{STACK}"},
    "AWS::SNS::TopicPolicy": {"sns": f"arn:aws:sns:{AWS}:{STACK}"},
    "AWS::SQS::Queue": {"sqs": f"arn:aws:sqs:{AWS}:{STACK}-uploads"},
    "AWS::SQS::QueuePolicy": {"sqs": f"arn:aws:sqs:{AWS}:{STACK}-uploads-dlq"},
    "AWS::Scheduler::Schedule": {
        "scheduler": f"arn:aws:scheduler:{AWS}:schedule/default/{STACK}-freshness",
        "iam": ROLE,
    },
    "AWS::SecretsManager::Secret": {
        "secretsmanager": f"arn:aws:secretsmanager:{AWS}:secret:{STACK}/neon-api-key-Ab12Cd"
    },
    "AWS::StepFunctions::StateMachine": {
        "states": f"arn:aws:states:{AWS}:stateMachine:{STACK}",
        "iam": ROLE,
        "s3": f"arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1/{STACK}/a1b2",
    },
}
# What a handler calls for a property that the templates don't use, by pattern.
UNUSED = {
    "elasticfilesystem:*": "no function mounts a file system",
    "s3files:*": "no function mounts a file system",
    "lambda:GetCodeSigningConfig": "no code is signed",
    "lambda:PassCapacityProvider": "no function has a capacity provider",
    "kms:Encrypt": "no function has a key for its variables",
    "s3:GetObjectVersion": "code is named by its key alone",
    "s3:getObject": "the API isn't imported from a file",
    "firehose:*": "no log group is delivered to Firehose",
    "logs:PutBearerTokenAuthentication": "logs are written with signatures",
    "logs:PutDataProtectionPolicy": "logs have no data protection policy",
    "logs:*IndexPolicy": "logs have no field indexes",
    "logs:PutLogGroupDeletionProtection": "log groups go with the stack",
    "logs:DeleteResourcePolicy": "the resource policy is the account's",
    "s3tables:*": "no bucket has metadata tables",
    "s3:*Metadata*TableConfiguration": "no bucket has metadata tables",
    "s3:DeleteBucketWebsite": "no bucket is a website",
    "s3:DeleteObject": "the handler never empties a bucket",
    "s3:PutObjectAcl": "access lists are off",
    "glue:*Connection": "the database is no federated one",
    "secretsmanager:GetRandomPassword": "secrets are given, not generated",
    "secretsmanager:*Replicat*": "secrets aren't replicated",
    "sns:PutDataProtectionPolicy": "the topic has no data protection policy",
    "iam:*GroupPolicy": "policies are attached by roles alone",
    "iam:*UserPolicy": "policies are attached by roles alone",
    "kms:*": "only with a key, see test_a_key_is_used_by_its_alias",
}
# Handlers name these without calling them on the resource that they make.
NOT_OF_THE_TYPE = {
    ("AWS::IAM::ManagedPolicy", "iam:AttachRolePolicy"): "the roles name their policies",
    ("AWS::IAM::ManagedPolicy", "iam:DetachRolePolicy"): "the roles name their policies",
    ("AWS::S3::Bucket", "iam:PassRole"): "no bucket is replicated",
    ("AWS::Events::Rule", "iam:PassRole"): "targets are allowed by their own policies",
    ("AWS::SNS::Topic", "iam:PassRole"): "deliveries aren't logged",
    ("AWS::SNS::Topic", "iam:GetRole"): "deliveries aren't logged",
    ("AWS::SNS::Subscription", "iam:PassRole"): "nothing goes to Firehose",
    ("AWS::SNS::Subscription", "iam:GetRole"): "nothing goes to Firehose",
    ("AWS::CloudFormation::Stack", "iam:PassRole"): "nested stacks take the parent's role",
    ("AWS::Athena::WorkGroup", "iam:PassRole"): "the workgroup has no role",
    ("AWS::Athena::WorkGroup", "iam:CreateServiceLinkedRole"): "the workgroup is no Spark one",
}
PASSED = {
    "AWS::Lambda::Function": "lambda.amazonaws.com",
    "AWS::StepFunctions::StateMachine": "states.amazonaws.com",
    "AWS::Scheduler::Schedule": "scheduler.amazonaws.com",
    "AWS::Chatbot::SlackChannelConfiguration": "chatbot.amazonaws.com",
}


def stack_types() -> frozenset[str]:
    """The types of everything that a deployment makes, as SAM generates it, nested stacks too."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri", "DefinitionUri"):
            if name in resource["Properties"]:
                resource["Properties"][name] = "s3://bucket/key"
    generated = transform(copy.deepcopy(template), {}, _NoManagedPolicies())["Resources"]
    nested = [
        resource
        for item in template["Resources"].values()
        if item["Type"] == "AWS::CloudFormation::Stack"
        for resource in yaml_parse((ROOT / item["Properties"]["TemplateURL"]).read_text())[
            "Resources"
        ].values()
    ]
    return frozenset(item["Type"] for item in [*generated.values(), *nested])


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


@cache
def resource_types() -> dict[str, dict[str, Any]]:
    """Each service's actions, in lower case, with the resource types that each knows."""
    text = resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text()
    loaded: dict[str, dict[str, Any]] = json.loads(text)
    return loaded


@cache
def statements(**parameters: str) -> list[Statement]:
    given = {"Repository": "o/n", "Environment": "dev", **parameters}
    return render("templates/github.yaml", **given).statements("CloudFormationRole")


def is_known(action: str) -> bool:
    """Whether IAM knows an action: schemas name an API's calls and misspellings too."""
    service, name = action.split(":")
    return name.lower() in resource_types()[service]["Actions"]


def knows_resources(action: str) -> bool:
    service, name = action.split(":")
    return bool(resource_types()[service]["Actions"][name.lower()].get("Resources"))


def request(kind: str, action: str) -> Request:
    """A handler's call, as CloudFormation makes it with the role."""
    service = action.partition(":")[0]
    context = {"aws:ResourceAccount": ACCOUNT}
    arn = ARNS[kind].get(service, "*") if knows_resources(action) else "*"
    if action == "iam:PassRole":
        context["iam:PassedToService"] = PASSED[kind]
    if action == "iam:CreateServiceLinkedRole":
        service_name = "management.chatbot.amazonaws.com"
        arn = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{service_name}/AWSServiceRoleForX"
        context["iam:AWSServiceName"] = service_name
    if action.endswith("EventSourceMapping"):
        context["lambda:FunctionArn"] = f"arn:aws:lambda:{AWS}:function:{STACK}-start-sync"
    if kind == "AWS::Athena::WorkGroup" and action in {
        "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts",
    }:  # fmt: skip
        arn = f"{BUCKET}/athena/run/"
    return Request(action, arn, context)


def calls(kind: str) -> set[str]:
    """What the handlers of a type call for what the templates use of it."""
    named = {action for actions in HANDLERS[kind].values() for action in actions}
    return {
        action
        for action in named
        if is_known(action)
        and not any(like(pattern, action) for pattern in UNUSED)
        and (kind, action) not in NOT_OF_THE_TYPE
    }


def test_every_type_of_the_templates_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    types = stack_types()
    assert types == set(ARNS)
    assert types <= set(HANDLERS)


@pytest.mark.parametrize("kind", sorted(ARNS))
def test_a_resource_can_be_made_changed_rolled_back_and_removed(kind: str) -> None:
    role = statements()
    missing = [
        f"{operation}: {action}"
        for operation, actions in HANDLERS[kind].items()
        for action in actions
        if action in calls(kind) and not is_allowed(role, request(kind, action))
    ]
    assert missing == [], f"templates/github.yaml doesn't let CloudFormation manage {kind}"


# Beside the handlers: what CloudFormation itself and API Gateway's vended logs call.
BESIDE = {
    "cloudformation:CreateChangeSet": "nested stacks in a change set",
    "cloudformation:ExecuteChangeSet": "nested stacks in a change set",
    "cloudformation:DeleteChangeSet": "nested stacks in a change set",
    "cloudformation:TagResource": "a stack's tags are its nested stacks' too",
    "cloudformation:UntagResource": "a stack's tags are its nested stacks' too",
    "iam:ListRoleTags": "the stack's tags",
    "iam:ListPolicyTags": "the stack's tags",
    "iam:TagPolicy": "the stack's tags",
    "iam:UntagPolicy": "the stack's tags",
    "logs:GetLogDelivery": "access logs of the API and the machine",
    "logs:UpdateLogDelivery": "access logs of the API and the machine",
    "logs:DeleteLogDelivery": "access logs of the API and the machine",
    "logs:ListLogDeliveries": "access logs of the API and the machine",
    "states:ValidateStateMachineDefinition": "CreateStateMachine checks the definition",
    "kms:Decrypt": "a key of one's own",
    "kms:GenerateDataKey": "a key of one's own",
    "kms:DescribeKey": "a key of one's own",
    "kms:CreateGrant": "a key of one's own",
}


def test_nothing_is_allowed_that_no_handler_calls() -> None:
    needed = {action for kind in ARNS for action in calls(kind)} | set(BESIDE)
    allowed = {action for _, action, _ in permissions(statements())}
    assert [
        pattern
        for pattern in sorted(allowed)
        if not any(like(pattern.lower(), action.lower()) for action in needed)
    ] == []
    # A wildcard stands for reading or for one verb, never for a service.
    assert [
        pattern for pattern in allowed if like("*:[*]", pattern) or pattern.endswith(":*")
    ] == []


def test_every_exception_is_still_one() -> None:
    named = {action for kind in ARNS for items in HANDLERS[kind].values() for action in items}
    assert [item for item in UNUSED if not any(like(item, action) for action in named)] == []
    pairs = {
        (kind, action) for kind in ARNS for items in HANDLERS[kind].values() for action in items
    }
    assert set(NOT_OF_THE_TYPE) <= pairs


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("lambda:InvokeFunction", f"arn:aws:lambda:{AWS}:function:{STACK}-inspect-database"),
        ("states:StartExecution", f"arn:aws:states:{AWS}:stateMachine:{STACK}"),
        ("sqs:ReceiveMessage", f"arn:aws:sqs:{AWS}:{STACK}-uploads"),
        ("sns:Publish", f"arn:aws:sns:{AWS}:{STACK}"),
        ("athena:StartQueryExecution", f"arn:aws:athena:{AWS}:workgroup/{STACK}"),
        ("s3:GetObject", "arn:aws:s3:::forecast-sync-datalake-dev-35315550/forecast/a.parquet"),
        ("s3:PutObject", "arn:aws:s3:::forecast-sync-datalake-dev-35315550/forecast/a.parquet"),
        ("s3:DeleteObject", f"{BUCKET}/athena/x"),
        ("logs:GetLogEvents", f"arn:aws:logs:{AWS}:log-group:/aws/lambda/{STACK}"),
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/{STACK}-x"),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/Admin"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/Admin"),
        ("lambda:UpdateFunctionCode", f"arn:aws:lambda:{AWS}:function:other"),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{AWS}:stack/{STACK}er/1b"),
    ],
)
def test_what_no_deployment_does_is_refused(action: str, resource: str) -> None:
    context = {"aws:ResourceAccount": ACCOUNT, "iam:PassedToService": "lambda.amazonaws.com"}
    assert not is_allowed(statements(), Request(action, resource, context))


@pytest.mark.parametrize("service", ["ec2.amazonaws.com", "glue.amazonaws.com"])
def test_a_role_is_passed_to_the_services_of_the_stack_only(service: str) -> None:
    context = {"iam:PassedToService": service}
    assert not is_allowed(statements(), Request("iam:PassRole", ROLE, context))


@pytest.mark.parametrize("role", ["CloudFormationRole", "ChangeSetRole", "DeployRole"])
def test_a_bucket_of_sams_name_in_another_account_is_no_ones(role: str) -> None:
    template = render("templates/github.yaml", Repository="o/n", Environment="dev")
    folder = f"{STACK}-preview" if role == "ChangeSetRole" else STACK
    key = f"arn:aws:s3:::aws-sam-cli-managed-default-evil/{folder}/code"
    for action in ("s3:GetObject", "s3:PutObject"):
        own, other = (
            is_allowed(
                template.statements(role), Request(action, key, {"aws:ResourceAccount": who})
            )
            for who in (ACCOUNT, "999999999999")
        )
        assert own == (action == "s3:GetObject" or role != "CloudFormationRole")
        assert not other


def test_a_key_is_used_by_its_alias() -> None:
    key = f"arn:aws:kms:{AWS}:key/1b2c"
    for alias, allowed in (("alias/forecast-sync-dev", True), ("alias/payroll", False)):
        context = {"kms:ResourceAliases": (alias, "alias/other")}
        for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:CreateGrant"):
            assert is_allowed(statements(), Request(action, key, context)) == allowed


BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/{STACK}-boundary"
GIVING = (
    "iam:CreateRole",
    "iam:PutRolePolicy",
    "iam:AttachRolePolicy",
    "iam:PutRolePermissionsBoundary",
)


@pytest.mark.parametrize("action", GIVING)
def test_with_a_boundary_a_role_is_made_with_it_or_not_at_all(action: str) -> None:
    bounded = statements(PermissionsBoundary=BOUNDARY)
    assert is_allowed(bounded, Request(action, ROLE, {"iam:PermissionsBoundary": BOUNDARY}))
    assert not is_allowed(bounded, Request(action, ROLE))
    assert not is_allowed(
        bounded,
        Request(
            action, ROLE, {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}
        ),
    )
    assert is_allowed(statements(), Request(action, ROLE))


def test_a_boundary_can_neither_be_taken_off_nor_changed() -> None:
    bounded = statements(PermissionsBoundary=BOUNDARY)
    context = {"iam:PermissionsBoundary": BOUNDARY}
    assert not is_allowed(bounded, Request("iam:DeleteRolePermissionsBoundary", ROLE, context))
    for action in ("iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion"):
        assert not is_allowed(bounded, Request(action, BOUNDARY))
        assert is_allowed(bounded, Request(action, f"{BOUNDARY}-of-another"))


@pytest.mark.parametrize("action", GIVING)
def test_a_role_of_an_older_version_is_still_the_stack_s(action: str) -> None:
    older = f"arn:aws:iam::{ACCOUNT}:role/{STACK}-Roles-1A-NotifyRole-2B"
    assert is_allowed(statements(), Request(action, older))
    assert not is_allowed(statements(), Request(action, older.replace("dev", "developer")))


def test_every_role_and_policy_has_the_stack_s_path() -> None:
    """Generated names keep only 24 characters of the stack's name, so they don't identify it."""
    for path in ("templates/roles.yaml", "templates/observability.yaml"):
        for name, item in load_template(path)["Resources"].items():
            if item["Type"] in {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy"}:
                path_given = item["Properties"]["Path"]
                assert path_given == {"Sub": "/${ProjectName}-${Environment}/"}, name


def test_the_role_itself_has_the_boundary() -> None:
    template = render(
        "templates/github.yaml", Repository="o/n", Environment="dev", PermissionsBoundary=BOUNDARY
    )
    roles = template.of_type("AWS::IAM::Role")
    assert roles["CloudFormationRole"]["PermissionsBoundary"] == BOUNDARY


def test_the_policies_fit() -> None:
    """A role's own policies have at most 10,240 characters, blanks not counted."""
    properties = render(
        "templates/github.yaml",
        Repository="o/n",
        Environment="production",
        ProjectName="a" * 26,
        BucketSuffix="b" * 16,
        PermissionsBoundary=BOUNDARY,
    ).of_type("AWS::IAM::Role")["CloudFormationRole"]
    documents = [item["PolicyDocument"] for item in properties["Policies"]]
    assert sum(len(json.dumps(item, separators=(",", ":"))) for item in documents) <= 10_240
