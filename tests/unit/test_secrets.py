"""A secret that is unavailable for now is retried; one that can't be read at all fails the run."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from forecast_sync.adapters.secrets import read_secret
from forecast_sync.errors import ConfigurationInvalid, SecretUnavailable

ARN = "arn:aws:secretsmanager:us-east-2:000000000000:secret:url"


class Secrets:
    """Secrets Manager, which answers with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_secret_value(self, **_: Any) -> Any:
        raise self.error


def refusal(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetSecretValue")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refusal("ThrottlingException", 400), SecretUnavailable),
        (refusal("InternalServiceError", 500), SecretUnavailable),
        (refusal("ServiceUnavailable", 503), SecretUnavailable),
        (EndpointConnectionError(endpoint_url="https://x"), SecretUnavailable),
        (ReadTimeoutError(endpoint_url="https://x"), SecretUnavailable),
        (refusal("AccessDeniedException", 400), ConfigurationInvalid),
        (refusal("ResourceNotFoundException", 400), ConfigurationInvalid),
        (refusal("DecryptionFailure", 400), ConfigurationInvalid),
        (NoCredentialsError(), ConfigurationInvalid),
    ],
    ids=str,
)
def test_each_failure_has_its_error(error: BotoCoreError | ClientError, expected: Any) -> None:
    with pytest.raises(expected, match=ARN):
        read_secret(Secrets(error), ARN)  # type: ignore[arg-type]  # a stand-in
