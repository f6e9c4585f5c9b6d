"""A deployment with every option, as the local cloud deploys it.

It knows no VPC, no reservations, no encryption of buckets and topics: contract tests look at these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from forecast_sync.config import Settings
from localcloud import cloud
from localcloud.protocol import Athena

from tests.workflow.deployed import Deployed

KEY = "arn:aws:kms:us-east-2:000000000000:key/11111111-2222-3333-4444-555555555555"
SECRET = "arn:aws:secretsmanager:us-east-2:000000000000:secret:kept-elsewhere-AbCdEf"
OPTIONS = {
    "ExistingDataBucket": "lake-of-others",
    "NeonApiKeySecretArn": SECRET,
    "KmsKeyArn": KEY,
    "SubnetIds": "subnet-0a1b2c3d,subnet-0a1b2c3e",
    "SecurityGroupIds": "sg-0a1b2c3d",
    "ReservedLoaders": "7",
    "ScheduleState": "DISABLED",
    "NotificationEmail": "data@example.com",
    "HistoryDays": "400",
    "VerifyChecksum": "false",
}


@pytest.fixture(scope="module")
def optioned(athena: Athena) -> Iterator[Deployed]:
    with cloud.running(parameters=OPTIONS, athena=athena) as running:
        yield Deployed(running)


@pytest.fixture(scope="module")
def functions(optioned: Deployed) -> dict[str, dict[str, Any]]:
    listed = optioned.client("lambda").list_functions()["Functions"]
    return {item["FunctionName"].removeprefix("forecast-sync-dev-"): item for item in listed}


def test_the_lake_is_the_bucket_that_exists(
    optioned: Deployed, functions: dict[str, dict[str, Any]]
) -> None:
    assert optioned.cloud.bucket == "lake-of-others"
    buckets = {item["Name"] for item in optioned.client("s3").list_buckets()["Buckets"]}
    assert "forecast-sync-datalake-dev-35315550" not in buckets
    variables = functions["verify-load"]["Environment"]["Variables"]
    assert variables["DATA_LOCATION"] == "s3://lake-of-others/forecast/"
    rule = optioned.client("events").describe_rule(Name="forecast-sync-dev-uploads")
    assert json.loads(rule["EventPattern"])["detail"]["bucket"] == {"name": ["lake-of-others"]}


def test_the_existing_secret_is_read_and_none_is_created(
    optioned: Deployed, functions: dict[str, dict[str, Any]]
) -> None:
    variables = functions["resolve-branch"]["Environment"]["Variables"]
    assert variables["NEON_API_KEY_SECRET_ARN"] == SECRET
    assert optioned.client("secretsmanager").list_secrets()["SecretList"] == []
    assert variables["HISTORY_DAYS"] == "400"


def test_contents_are_not_compared(functions: dict[str, dict[str, Any]]) -> None:
    variables = functions["resolve-branch"]["Environment"]["Variables"]
    assert not Settings.from_environment(variables).verify_checksum


def test_the_key_encrypts_results(optioned: Deployed) -> None:
    workgroup = optioned.client("athena").get_work_group(WorkGroup="forecast-sync-dev")
    results = workgroup["WorkGroup"]["Configuration"]["ResultConfiguration"]
    assert results["EncryptionConfiguration"]["KmsKey"] == KEY


def test_the_key_is_used_through_named_services_only(optioned: Deployed) -> None:
    iam = optioned.client("iam")
    uses = []
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        version = iam.get_policy_version(
            PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"]
        )
        statements = version["PolicyVersion"]["Document"]["Statement"]
        uses += [item for item in statements if "kms" in str(item["Action"])]
    services = {item["Condition"]["StringEquals"]["kms:ViaService"] for item in uses}
    assert services == {
        f"{name}.us-east-2.amazonaws.com" for name in ("s3", "sns", "secretsmanager")
    }
    assert {item["Resource"] for item in uses} == {KEY}


def test_the_schedule_is_off(optioned: Deployed) -> None:
    schedule = optioned.client("scheduler").get_schedule(Name="forecast-sync-dev")
    assert schedule["State"] == "DISABLED"


def test_buckets_take_tls_only_and_the_one_of_others_keeps_its_policy(optioned: Deployed) -> None:
    s3 = optioned.client("s3")
    policy = json.loads(s3.get_bucket_policy(Bucket=optioned.cloud.results_bucket)["Policy"])
    [statement] = policy["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_mailbox_is_subscribed(optioned: Deployed) -> None:
    [subscription] = optioned.client("sns").list_subscriptions()["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "data@example.com")
