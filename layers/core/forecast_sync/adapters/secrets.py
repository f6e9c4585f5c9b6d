"""Secrets Manager: reads the API key and the connection string of a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecast_sync.adapters.aws_errors import translate_errors
from forecast_sync.errors import ConfigurationInvalid, SecretUnavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

PASSING_CODES = frozenset({"InternalServiceError"})
REFUSING_CODES = frozenset(
    {
        "DecryptionFailure",
        "InvalidParameterException",
        "InvalidRequestException",
        "ResourceNotFoundException",
    }
)
"""The errors that Secrets Manager's API reference lists for GetSecretValue."""

ADVICE = "Check that it exists, holds text, and that the function's role may read it."


def read_secret(client: SecretsManagerClient, arn: str) -> str:
    """The secret's current text.

    Raises ``SecretUnavailable`` while Secrets Manager is throttling or not answering, and
    ``ConfigurationInvalid`` otherwise. Messages name the secret, never its value.
    """
    failure = f"The secret {arn} can't be read"
    with translate_errors(
        failure,
        unavailable=SecretUnavailable,
        refused=ConfigurationInvalid,
        passing=PASSING_CODES,
        advice=ADVICE,
    ):
        answer = client.get_secret_value(SecretId=arn)
    if "SecretString" not in answer:
        raise ConfigurationInvalid(f"{failure}: it holds no text. {ADVICE}")
    return answer["SecretString"]
