"""Every code that Postgres, AWS and Neon can answer with is decided once, in a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import psycopg.errors
import pytest
from botocore.retries import standard
from botocore.session import Session
from botocore.stub import Stubber
from forecast_sync import errors
from forecast_sync.adapters import athena, aws_errors, glue, neon, s3, secrets, sqlstates
from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.postgres import translated
from forecast_sync.adapters.s3 import ObjectArchived, Storage
from forecast_sync.adapters.secrets import read_secret
from forecast_sync.errors import (
    AthenaUnavailable,
    BatchConflict,
    BatchRefused,
    ConfigurationInvalid,
    DatabaseRefused,
    DatabaseUnavailable,
    NeonRefused,
    NeonUnavailable,
    QueryFailed,
    QueryRetryable,
    ResultInvalid,
    SchemaMismatch,
    SecretUnavailable,
    SourceInvalid,
    StorageUnavailable,
)

SQLSTATES: dict[str, type[psycopg.Error]] = {
    error.sqlstate: error
    for error in vars(psycopg.errors).values()
    if isinstance(error, type) and issubclass(error, psycopg.Error) and error.sqlstate
}
"""All that psycopg knows, which it generates from Postgres' errcodes.txt."""

CALLS = {
    "athena": ["StartQueryExecution", "GetQueryExecution", "GetQueryResults"],
    "glue": [
        "GetTable",
        "CreateTable",
        "UpdateTable",
        "BatchCreatePartition",
        "GetPartitions",
        "DeletePartition",
    ],
    "s3": ["GetObject", "PutObject", "ListObjectsV2"],
    "secretsmanager": ["GetSecretValue"],
}
DECIDED = {
    "athena": athena.PASSING_CODES | athena.REFUSING_CODES,
    "glue": glue.PASSING_CODES | glue.REFUSING_CODES,
    "s3": s3.PASSING_CODES | s3.REFUSING_CODES | s3.HANDLED_CODES,
    "secretsmanager": secrets.PASSING_CODES | secrets.REFUSING_CODES,
}
COMMON = aws_errors.PASSING_CODES | aws_errors.REFUSING_CODES

CATALOG = {
    *range(9),
    100,
    *range(200, 241),
    *range(300, 304),
    *range(400, 403),
    *range(1000, 1015),
    *range(1100, 1111),
    *range(1200, 1203),
    *range(1300, 1309),
    *range(1400, 1407),
    1500,
    1501,
    1602,
    9999,
}
"""The types in Athena's error catalog."""


def test_every_class_of_sqlstates_is_decided_with_a_source() -> None:
    assert {code[:2] for code in SQLSTATES} == set(sqlstates.BY_CLASS)
    for code, decision in {**sqlstates.BY_CLASS, **sqlstates.BY_CODE}.items():
        assert decision.error is vars(errors)[decision.error.__name__], code
        assert decision.reason.endswith("."), code
    assert set(sqlstates.BY_CODE) <= set(SQLSTATES)
    assert set(sqlstates.LASTING_LOGIN_CODES) <= set(SQLSTATES)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("08006", DatabaseUnavailable),
        ("0A000", SchemaMismatch),
        ("22003", BatchRefused),
        ("22P04", ResultInvalid),
        ("23502", BatchRefused),
        ("23505", BatchConflict),
        ("23P01", BatchRefused),
        ("25006", DatabaseUnavailable),
        ("25P02", BatchRefused),
        ("25P03", DatabaseUnavailable),
        ("25P04", DatabaseUnavailable),
        ("28P01", DatabaseRefused),
        ("3D000", DatabaseRefused),
        ("3F000", DatabaseRefused),
        ("40000", BatchConflict),
        ("40001", BatchConflict),
        ("40002", BatchRefused),
        ("40003", BatchConflict),
        ("40P01", BatchConflict),
        ("42501", DatabaseRefused),
        ("42601", ConfigurationInvalid),
        ("42703", SchemaMismatch),
        ("42883", SchemaMismatch),
        ("428C9", SchemaMismatch),
        ("42P01", SchemaMismatch),
        ("53100", DatabaseUnavailable),
        ("53400", BatchRefused),
        ("54000", BatchRefused),
        ("55000", BatchRefused),
        ("55006", BatchConflict),
        ("55P03", BatchConflict),
        ("57014", BatchConflict),
        ("57P01", DatabaseUnavailable),
        ("57P05", DatabaseUnavailable),
        ("58030", DatabaseUnavailable),
        ("P0001", BatchRefused),
        ("XX000", DatabaseUnavailable),
        ("XX001", BatchRefused),
    ],
)
def test_a_sqlstate_becomes_its_error(code: str, expected: type[Exception]) -> None:
    with pytest.raises(expected, match=f"Postgres answered {code}") as raised, translated():
        raise SQLSTATES[code]("said the server")
    assert type(raised.value) is expected


def test_a_code_of_a_newer_server_is_refused() -> None:
    assert sqlstates.decide("ZZ999").error is BatchRefused


@pytest.mark.parametrize("service", sorted(CALLS))
def test_every_code_that_a_service_lists_for_our_calls_is_decided(service: str) -> None:
    model = Session().get_service_model(service)
    listed = {
        shape.metadata.get("error", {}).get("code", shape.name)
        for call in CALLS[service]
        for shape in model.operation_model(call).error_shapes
    }
    assert listed
    assert listed <= DECIDED[service] | COMMON


def test_no_code_is_decided_twice() -> None:
    assert not aws_errors.PASSING_CODES & aws_errors.REFUSING_CODES
    for module in (athena, glue, s3, secrets):
        assert not module.PASSING_CODES & module.REFUSING_CODES
        assert not (module.PASSING_CODES | module.REFUSING_CODES) & COMMON


def test_whatever_the_sdk_retries_passes() -> None:
    transient: Any = standard.TransientRetryableChecker
    throttled: Any = standard.ThrottledRetryableChecker
    retried = {*transient._TRANSIENT_ERROR_CODES, *throttled._THROTTLED_ERROR_CODES}
    assert retried <= aws_errors.PASSING_CODES


def test_every_type_of_athena_s_catalog_is_decided_once() -> None:
    decided = [athena.RESUBMITTED_TYPES, athena.AS_MARKED_TYPES, athena.CANCELLED_TYPES]
    assert sum(map(len, decided)) == len(CATALOG)
    assert frozenset().union(*decided) == CATALOG


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"ErrorType": 1403, "Retryable": False}, QueryRetryable),
        ({"ErrorType": 9999}, QueryRetryable),
        ({"ErrorType": 233, "Retryable": True}, QueryRetryable),
        ({"ErrorType": 200, "Retryable": False}, QueryFailed),
        ({"ErrorType": 1501}, QueryFailed),
        ({}, QueryFailed),
    ],
)
def test_a_failed_query_is_submitted_again_if_its_type_passes(
    error: dict[str, Any], expected: type[Exception]
) -> None:
    client = _client("athena")
    with Stubber(client) as stubber:
        status = {"State": "FAILED", "StateChangeReason": "because", "AthenaError": error}
        stubber.add_response("get_query_execution", {"QueryExecution": {"Status": status}})
        with pytest.raises(expected, match=r"q-1 is FAILED: because(\. Repair|$)"):
            Athena(client, "primary", "s3://results/").poll("q-1")


@pytest.mark.parametrize(
    ("status", "ended_by"),
    [
        ({"State": "CANCELLED"}, "cancellation"),
        ({"State": "CANCELLED", "AthenaError": {"Retryable": True}}, "cancellation"),
        ({"State": "FAILED", "AthenaError": {"ErrorType": 1011}}, "cancellation"),
        (
            {"State": "FAILED", "AthenaError": {"ErrorType": 1014, "Retryable": True}},
            "cancellation",
        ),
        ({"State": "FAILED", "AthenaError": {"ErrorType": 1001, "ErrorCategory": 2}}, "content"),
        ({"State": "FAILED", "AthenaError": {"ErrorType": 200, "ErrorCategory": 1}}, "engine"),
        ({"State": "FAILED", "AthenaError": {"ErrorType": 0, "ErrorCategory": 3}}, "engine"),
        ({"State": "FAILED"}, "engine"),
    ],
)
def test_a_failed_query_says_what_ended_it(status: dict[str, Any], ended_by: str) -> None:
    client = _client("athena")
    with Stubber(client) as stubber:
        execution = {"Status": {**status, "StateChangeReason": "because"}}
        stubber.add_response("get_query_execution", {"QueryExecution": execution})
        with pytest.raises(QueryFailed) as failed:
            Athena(client, "primary", "s3://results/").poll("q-1")
    assert failed.value.ended_by == ended_by
    is_cancelled = str(failed.value).startswith("Athena query q-1 was cancelled: because. Somebody")
    assert is_cancelled is (ended_by == "cancellation")


@pytest.mark.parametrize(
    ("service", "code", "status", "expected"),
    [
        ("athena", "InternalServerException", 500, AthenaUnavailable),
        ("athena", "InvalidRequestException", 400, QueryFailed),
        ("glue", "OperationTimeoutException", 400, AthenaUnavailable),
        ("glue", "ResourceNotReadyException", 400, AthenaUnavailable),
        ("glue", "EntityNotFoundException", 400, QueryFailed),
        ("s3", "OperationAborted", 409, StorageUnavailable),
        ("s3", "ExpiredToken", 400, StorageUnavailable),
        ("s3", "RequestTimeTooSkewed", 403, StorageUnavailable),
        ("s3", "InternalError", 500, StorageUnavailable),
        ("s3", "AccessDenied", 403, ResultInvalid),
        ("s3", "KMS.DisabledException", 400, ResultInvalid),
        ("s3", "OfTomorrow", 400, ResultInvalid),
        ("secretsmanager", "InternalServiceError", 400, SecretUnavailable),
        ("secretsmanager", "DecryptionFailure", 400, ConfigurationInvalid),
    ],
)
def test_a_code_of_aws_becomes_its_error(
    service: str, code: str, status: int, expected: type[Exception]
) -> None:
    client = _client(service)
    requests: dict[str, Callable[[], object]] = {
        "athena": lambda: Athena(client, "primary", "s3://results/").start("SELECT 1", "t" * 32),
        "glue": lambda: Catalog(client).columns("lake", "forecast"),
        "s3": lambda: Storage(client).read("results", "a.gz"),
        "secretsmanager": lambda: read_secret(client, "arn:key"),
    }
    call = {
        "athena": "start_query_execution",
        "glue": "get_table",
        "s3": "get_object",
        "secretsmanager": "get_secret_value",  # pragma: allowlist secret
    }
    with Stubber(client) as stubber:
        stubber.add_client_error(call[service], code, http_status_code=status)
        with pytest.raises(expected, match=code):
            requests[service]()


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("AccessDenied", 403, r"s3://lake/a\.parquet: AccessDenied\. Let the functions' role"),
    ],
)
def test_an_object_of_the_lake_that_may_not_be_read_is_no_invalid_result(
    code: str, status: int, message: str
) -> None:
    client = _client("s3")
    with Stubber(client) as stubber:
        stubber.add_client_error("get_object", code, http_status_code=status)
        with pytest.raises(SourceInvalid, match=message):
            Storage(client).read_tail("lake", "a.parquet", 8)


def test_an_archived_object_of_the_lake_is_told_apart() -> None:
    client = _client("s3")
    with Stubber(client) as stubber:
        stubber.add_client_error("get_object", "InvalidObjectState", http_status_code=403)
        with pytest.raises(ObjectArchived, match=r"s3://lake/a\.parquet is archived"):
            Storage(client).read_tail("lake", "a.parquet", 8)


def test_an_object_of_the_lake_that_is_gone_is_no_error() -> None:
    client = _client("s3")
    with Stubber(client) as stubber:
        stubber.add_client_error("get_object", "NoSuchKey", http_status_code=404)
        assert Storage(client).read_tail("lake", "a.parquet", 8) is None


def test_a_bucket_that_can_t_be_listed_is_named() -> None:
    client = _client("s3")
    with Stubber(client) as stubber:
        stubber.add_client_error("list_objects_v2", "NoSuchBucket", http_status_code=404)
        with pytest.raises(ConfigurationInvalid, match="NoSuchBucket"):
            list(Storage(client).list("lake", "forecast/"))


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_of_neon_s_api_is_decided(status: int) -> None:
    passes = status in neon.TRANSIENT_STATUS or status >= 500
    error = neon._refusal(status, "/branches")
    assert type(error) is (NeonUnavailable if passes else NeonRefused)
    assert str(status) in str(error)


def _client(service: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name="us-east-2",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
