"""Secrets Manager: reads the two secrets that a deployment may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from forecast_sync.errors import ConfigurationInvalid, SecretUnavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


PASSING_CODES = frozenset(
    {"InternalServiceError", "ThrottlingException", "TooManyRequestsException"}
)


def read_secret(client: SecretsManagerClient, arn: str) -> str:
    """The secret's text of now.

    Raises ``SecretUnavailable`` while Secrets Manager throttles or doesn't answer, and
    ``ConfigurationInvalid`` otherwise, naming the secret, never its value.
    """
    try:
        return client.get_secret_value(SecretId=arn)["SecretString"]
    except (ClientError, BotoCoreError, KeyError) as error:
        reason = type(error).__name__
        if isinstance(error, ClientError):
            reason = error.response.get("Error", {}).get("Code", reason)
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            passes = reason in PASSING_CODES or status >= 500
        else:
            passes = isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)
        if passes:
            raise SecretUnavailable(f"The secret {arn} can't be read now: {reason}.") from None
        raise ConfigurationInvalid(
            f"The secret {arn} can't be read ({reason}); "
            "check that it exists, holds text, and that the function's role may read it."
        ) from None
