"""Doctor names each fault that AWS's answers show, and says what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from forecast_sync_cli.doctor import account, stack
from forecast_sync_cli.doctor.runner import Check, Context, Result, run_checks
from forecast_sync_cli.errors import UserError

from tests.contract.stack import load_template

NAME = "forecast-sync-dev"
SECRET = f"arn:aws:secretsmanager:us-east-2:123456789012:secret:{NAME}-key-Ab12Cd"
KEY = "arn:aws:kms:us-east-2:123456789012:key/1b2c3d4e"


class NotFound(ClientError):
    def __init__(self) -> None:
        super().__init__(error("NotFound"), "Describe")


def error(code: str) -> Any:
    return {"Error": {"Code": code, "Message": ""}}


def failing(code: str) -> Callable[..., Any]:
    def fail(**_: Any) -> Any:
        raise ClientError(error(code), "Operation")

    return fail


class Clients(SimpleNamespace):
    """Answers by operation; a list becomes the pages of its paginator."""

    exceptions = SimpleNamespace(ResourceNotFoundException=NotFound, NoSuchBucket=NotFound)

    def get_paginator(self, operation: str) -> Any:
        answer = getattr(self, operation)
        return SimpleNamespace(
            paginate=lambda **parameters: answer(**parameters) if callable(answer) else answer
        )


def context(clients: Clients, *, deployed: bool = True, **settings: Any) -> Context:
    class Stub(Context):
        @property
        def deployment(self) -> Any:
            if not deployed:
                raise UserError(f"no state machine {NAME} at AWS: deploy the stack there")
            return SimpleNamespace(
                name=NAME,
                state_machine_arn=f"arn:aws:states:us-east-2:1:stateMachine:{NAME}",
                function_name=lambda verb: f"{NAME}-{verb.replace('_', '-')}",
            )

        @property
        def settings(self) -> Any:
            return SimpleNamespace(**settings)

        def client(self, service: str) -> Any:
            assert service
            return clients

        early_client = client

    return Stub("dev", None)


def ask(check: Callable[[Context], str], examined: Context) -> Result:
    [result] = run_checks(examined, [Check("it", check)])
    return result


def stacks(status: str, *, name: str = NAME, **parameters: str) -> Callable[..., Any]:
    given = [{"ParameterKey": key, "ParameterValue": text} for key, text in parameters.items()]
    described = {"StackName": name, "StackId": "id", "StackStatus": status, "Parameters": given}
    return lambda **_: {"Stacks": [described]}


def events(kind: str, reason: str) -> Callable[..., Any]:
    """Newest first, as CloudFormation answers: what failed because of it, it, the beginning."""
    stack = "AWS::CloudFormation::Stack"
    rows = [
        ("Other", "AWS::SNS::Topic", "CREATE_FAILED", "Resource creation cancelled"),
        ("It", kind, "CREATE_FAILED", reason),
        (NAME, stack, "CREATE_IN_PROGRESS", "User Initiated"),
    ]
    names = ("LogicalResourceId", "ResourceType", "ResourceStatus", "ResourceStatusReason")
    listed = [dict(zip(names, row, strict=True)) for row in rows]
    return lambda **_: [{"StackEvents": listed[:1]}, {"StackEvents": listed[1:]}]


REASONS = [
    ("AWS::S3::Bucket", "lake already exists", "BucketSuffix"),
    ("AWS::IAM::OIDCProvider", "Provider with url x already exists.", "OidcProviderArn"),
    ("AWS::StepFunctions::StateMachine", f"{NAME} already exists", "ProjectName"),
    (
        "AWS::Lambda::Function",
        "decreases account's UnreservedConcurrentExecution below its minimum value of [100]",
        "ReservedLoaders=0",
    ),
    ("AWS::SQS::Queue", "User x is not authorized to perform: sqs:CreateQueue", "deployer-policy"),
]


@pytest.mark.parametrize(("kind", "reason", "advice"), REASONS)
def test_a_stack_that_was_rolled_back_is_in_the_way(kind: str, reason: str, advice: str) -> None:
    clients = Clients(
        describe_stacks=stacks("ROLLBACK_COMPLETE"), describe_stack_events=events(kind, reason)
    )
    outcome = ask(stack.stack_status, context(clients))
    assert outcome.status == "finding"
    assert f"ROLLBACK_COMPLETE: It ({kind}): {reason}" in outcome.found
    assert advice in str(outcome.advice)
    assert f"delete-stack --stack-name {NAME}" in str(outcome.advice)


@pytest.mark.parametrize(("kind", "reason", "advice"), REASONS)
def test_the_last_try_of_a_stack_that_is_gone_is_explained(
    kind: str, reason: str, advice: str
) -> None:
    deleted = [
        {"StackName": NAME, "StackId": "old", "CreationTime": 1},
        {"StackName": NAME, "StackId": "new", "CreationTime": 2},
        {"StackName": "another", "StackId": "no", "CreationTime": 3},
    ]
    calls = []

    def describe(StackName: str) -> Any:  # noqa: N803
        calls.append(StackName)
        return events(kind, reason)()

    clients = Clients(
        describe_stacks=failing("ValidationError"),
        list_stacks=[{"StackSummaries": deleted}],
        describe_stack_events=describe,
    )
    outcome = ask(stack.stack_status, context(clients, deployed=False))
    assert (outcome.status, calls) == ("finding", ["new"])
    assert "its last deployment failed" in outcome.found
    assert advice in str(outcome.advice)


@pytest.mark.parametrize(
    ("status", "result", "advice"),
    [
        ("DELETE_FAILED", "finding", "delete-stack"),
        ("UPDATE_ROLLBACK_FAILED", "finding", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "advice", "Wait"),
        ("UPDATE_ROLLBACK_COMPLETE", "ok", "None"),
    ],
)
def test_what_a_stack_s_status_means(status: str, result: str, advice: str) -> None:
    clients = Clients(
        describe_stacks=stacks(status),
        describe_stack_events=events("AWS::S3::Bucket", "The bucket is not empty"),
    )
    outcome = ask(stack.stack_status, context(clients))
    assert outcome.status == result
    assert advice in str(outcome.advice)


def test_a_machine_of_another_stack_is_named() -> None:
    outcome = ask(stack.stack_status, context(Clients(describe_stacks=failing("ValidationError"))))
    assert outcome.status == "advice"
    assert "doesn't belong to a stack" in outcome.found
    assert "ProjectName" in str(outcome.advice)


def test_an_account_that_was_never_deployed_to() -> None:
    clients = Clients(
        describe_stacks=failing("ValidationError"), list_stacks=[{"StackSummaries": []}]
    )
    outcome = ask(stack.stack_status, context(clients, deployed=False))
    assert (outcome.status, outcome.advice) == ("finding", "Deploy the stack there.")


def test_without_permission_to_describe_the_stack_the_permission_is_named() -> None:
    outcome = ask(stack.stack_status, context(Clients(describe_stacks=failing("AccessDenied"))))
    assert (outcome.status, "DescribeStacks" in str(outcome.advice)) == ("advice", True)


@pytest.mark.parametrize(
    ("limit", "reserved", "status", "advice"),
    [
        (1000, None, "ok", "None"),
        (10, None, "advice", "LoadConcurrency=4"),
        (1000, 20, "advice", "ReservedLoaders=100"),
        (1000, 100, "ok", "None"),
        (1000, 0, "finding", "delete-function-concurrency"),
    ],
)
def test_the_loaders_have_room(limit: int, reserved: int | None, status: str, advice: str) -> None:
    answer = {} if reserved is None else {"ReservedConcurrentExecutions": reserved}
    clients = Clients(
        get_account_settings=lambda: {"AccountLimit": {"ConcurrentExecutions": limit}},
        get_function_concurrency=lambda **_: answer,
    )
    outcome = ask(stack.concurrency, context(clients, load_concurrency=100))
    assert outcome.status == status
    assert advice in str(outcome.advice)


def no_secret(**_: Any) -> Any:
    raise NotFound


@pytest.mark.parametrize(
    ("describe", "status", "advice"),
    [
        (no_secret, "finding", "new ARN"),
        (lambda **_: {"Name": "x", "DeletedDate": 1}, "finding", "restore-secret"),
        (lambda **_: {"Name": "x"}, "ok", "None"),
        (failing("AccessDeniedException"), "ok", "None"),
    ],
)
def test_a_secret_that_a_run_can_t_read(
    describe: Callable[..., Any], status: str, advice: str
) -> None:
    examined = context(
        Clients(describe_secret=describe),
        database_url_secret_arn="",
        neon_api_key_secret_arn=SECRET,
    )
    outcome = ask(stack.stored_secret, examined)
    assert outcome.status == status
    assert advice in str(outcome.advice)


@pytest.mark.parametrize(
    ("key", "known", "status"),
    [
        (None, {}, "ok"),
        ("arn:aws:kms:us-east-2:1:alias/aws/s3", {}, "ok"),
        (KEY, {}, "finding"),
        (KEY, {"ExistingDataBucketKeyArn": KEY}, "ok"),
        ("1b2c3d4e", {"KmsKeyArn": KEY}, "ok"),
        (KEY, {"ExistingDataBucketKeyArn": KEY.replace("1b", "2b")}, "finding"),
        ("arn:aws:kms:us-east-2:1:alias/lake", {}, "finding"),
        ("arn:aws:kms:us-east-2:1:alias/lake", {"ExistingDataBucketKeyArn": KEY}, "ok"),
    ],
)
def test_the_key_of_an_existing_bucket(key: str | None, known: dict[str, str], status: str) -> None:
    default = {"SSEAlgorithm": "aws:kms", **({"KMSMasterKeyID": key} if key else {})}
    rules = [{"ApplyServerSideEncryptionByDefault": default}]
    clients = Clients(
        get_bucket_encryption=lambda **_: {"ServerSideEncryptionConfiguration": {"Rules": rules}},
        describe_stacks=stacks("CREATE_COMPLETE", **known),
    )
    outcome = ask(stack.lake_key, context(clients, data_location="s3://lake/forecast/"))
    assert outcome.status == status
    assert ("ExistingDataBucketKeyArn" in str(outcome.advice)) == (status == "finding")


def alarms(*without: str, **changed: Any) -> Clients:
    names = [name for name in stack.ALARMS if name not in without]
    listed = [{"AlarmName": f"{NAME}-{name}", "ActionsEnabled": True, **changed} for name in names]
    return Clients(describe_alarms=lambda **_: {"MetricAlarms": listed})


def test_the_alarms_are_the_templates() -> None:
    resources = load_template("templates/observability.yaml")["Resources"].values()
    names = {
        str(item["Properties"]["AlarmName"]).rpartition("Environment}-")[2].rstrip("'}")
        for item in resources
        if item["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert names == set(stack.ALARMS)


def test_an_alarm_that_is_gone_or_silent_is_named() -> None:
    outcome = ask(stack.alarms, context(alarms("freshness", "rejects")))
    assert "forecast-sync-dev-{freshness,rejects}" in outcome.found
    outcome = ask(stack.alarms, context(alarms(ActionsEnabled=False)))
    assert "enable-alarm-actions" in str(outcome.advice)
    outcome = ask(stack.alarms, context(alarms(StateValue="INSUFFICIENT_DATA")))
    assert (outcome.status, f"{len(stack.ALARMS)} without data" in outcome.found) == ("ok", True)


def test_github_s_roles_that_trust_the_classic_name_only() -> None:
    repository = {"Repository": "Owner/name"}
    classic = {**repository, "RepositoryOwnerId": "", "RepositoryId": ""}
    outcome = ask(
        stack.github, context(Clients(describe_stacks=stacks("CREATE_COMPLETE", **classic)))
    )
    assert outcome.status == "advice"
    assert "gh api repos/Owner/name" in str(outcome.advice)
    both = {**repository, "RepositoryOwnerId": "1", "RepositoryId": "2"}
    outcome = ask(stack.github, context(Clients(describe_stacks=stacks("CREATE_COMPLETE", **both))))
    assert outcome.status == "ok"
    none = Clients(describe_stacks=failing("ValidationError"))
    assert ask(stack.github, context(none)).status == "ok"


@pytest.mark.parametrize(
    ("configuration", "status", "words"),
    [
        ({"State": "Inactive"}, "advice", "wait a minute"),
        ({"State": "Pending", "StateReasonCode": "Creating"}, "advice", "wait a minute"),
        ({"State": "Failed", "StateReason": "no free address"}, "finding", "no free address"),
        (
            {"State": "Active", "LastUpdateStatus": "Failed", "LastUpdateStatusReason": "no key"},
            "finding",
            "no key",
        ),
    ],
)
def test_functions_in_a_vpc_sleep_and_wake(
    configuration: dict[str, str], status: str, words: str
) -> None:
    clients = Clients(get_function_configuration=lambda **_: configuration)
    outcome = ask(account.functions, context(clients))
    assert outcome.status == status
    assert words in f"{outcome.found} {outcome.advice}"


def test_a_bucket_that_is_gone_is_named() -> None:
    def gone(**_: Any) -> Any:
        raise NotFound

    outcome = ask(
        account.lake, context(Clients(list_objects_v2=gone), data_location="s3://lake/forecast/")
    )
    assert "There is no bucket lake" in outcome.found
