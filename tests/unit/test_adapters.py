"""The errors that adapters raise when a call fails."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.aws_errors import PASSING_CODES
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.postgres import connect
from forecast_sync.adapters.s3 import Storage
from forecast_sync.adapters.stepfunctions import Execution, Workflow
from forecast_sync.errors import (
    AthenaUnavailable,
    ConfigurationInvalid,
    LeaseHeld,
    QueryFailed,
    ResultInvalid,
    StorageUnavailable,
)
from forecast_sync.text.size_limits import MESSAGE_CHARACTERS

MACHINE = "arn:aws:states:us-east-2:000000000000:stateMachine:forecast-sync-dev"
RUN = "arn:aws:states:us-east-2:000000000000:execution:forecast-sync-dev:r"


@pytest.fixture
def client() -> Any:
    return boto3.client(
        "stepfunctions", "us-east-2", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:canary@a@127.0.0.1/db",
        "postgresql://user:canary/a@127.0.0.1/db",
        "postgresql://user:12/canary@127.0.0.1/db",
        "postgresql://user:12/can:ary@127.0.0.1/db",
    ],
)
def test_a_password_that_isn_t_encoded_is_refused_and_in_no_message(url: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="percent-encode the password") as refused:
        connect(url)
    assert "can" not in str(refused.value).replace("can't", "")


def test_a_holder_of_another_account_is_waited_for_and_named(client: Any) -> None:
    foreign = RUN.replace("000000000000", "123456789012")
    with Stubber(client), pytest.raises(LeaseHeld, match=f"{foreign}.*run_id = 'r'"):
        Workflow(client, MACHINE).is_alive(foreign)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_a_holder_that_can_t_be_described_is_waited_for(client: Any, code: str) -> None:
    with Stubber(client) as stubber:
        stubber.add_client_error("describe_execution", code)
        with pytest.raises(LeaseHeld, match=code):
            Workflow(client, MACHINE).is_alive(RUN)


@pytest.mark.parametrize("code", ["InvalidArn", "ValidationException", "ExecutionDoesNotExist"])
def test_a_holder_that_can_t_be_there_is_dead(client: Any, code: str) -> None:
    with Stubber(client) as stubber:
        stubber.add_client_error("describe_execution", code)
        assert not Workflow(client, MACHINE).is_alive(RUN)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchKey", 404, None),
        ("AccessDenied", 403, ResultInvalid),
        ("SlowDown", 503, StorageUnavailable),
    ],
)
def test_only_a_missing_object_is_none(code: str, status: int, expected: Any) -> None:
    s3 = boto3.client("s3", "us-east-2", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(s3) as stubber:
        stubber.add_client_error("get_object", code, http_status_code=status)
        if expected is None:
            assert Storage(s3).find("b", "k") is None
        else:
            with pytest.raises(expected, match="s3://b/k"):
                Storage(s3).find("b", "k")


def test_the_cause_of_a_failure_has_an_end_and_can_be_stored(client: Any) -> None:
    """Whoever may stop a run writes its cause, and Postgres takes no NUL."""
    failed = Execution("ABORTED", 0, "2026-01-01", "{}", "By\0hand", "a\0b\ud800" + "x" * 30_000)
    message = Workflow(client, MACHINE).failure_of(RUN, failed)
    assert len(message) == MESSAGE_CHARACTERS
    assert message.startswith("By\\0hand: a\\0b\\ud800x")


def test_an_object_without_bytes_has_no_last_ones() -> None:
    """S3 answers 416 for the end of an empty object, which is a bad file and no failure of S3."""
    s3 = boto3.client("s3", "us-east-2", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(s3) as stubber:
        stubber.add_client_error("get_object", "InvalidRange", http_status_code=416)
        assert Storage(s3).read_tail("lake", "forecast/empty.parquet", 8) == b""


@pytest.mark.parametrize("code", sorted(PASSING_CODES))
@pytest.mark.parametrize("service", ["athena", "glue"])
def test_throttling_and_faults_pass_whatever_a_service_calls_them(service: str, code: str) -> None:
    with pytest.raises(AthenaUnavailable, match=code):
        ask(service, code)


@pytest.mark.parametrize(
    ("service", "advice"), [("athena", "the service's own words"), ("glue", "Declare the table")]
)
def test_a_refusal_says_what_to_do(service: str, advice: str) -> None:
    with pytest.raises(QueryFailed, match=f"couldn't .*: AccessDeniedException. {advice}"):
        ask(service, "AccessDeniedException")


def ask(service: str, code: str) -> None:
    client: Any = boto3.client(
        service,  # type: ignore[call-overload]
        region_name="us-east-2",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    with Stubber(client) as stubber:
        call = {"athena": "start_query_execution", "glue": "get_table"}[service]
        stubber.add_client_error(call, code, service_message="the service's own words")
        if service == "athena":
            Athena(client, "primary", "s3://results/").start("SELECT 1", "t" * 32)
        else:
            Catalog(client).columns("lake", "forecast")
