"""Secrets Manager: reads the two secrets that a deployment may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from forecast_sync.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def read_secret(client: SecretsManagerClient, arn: str) -> str:
    """The secret's text; raises ``ConfigurationInvalid`` naming the secret, never its value."""
    try:
        return client.get_secret_value(SecretId=arn)["SecretString"]
    except (ClientError, BotoCoreError, KeyError) as error:
        raise ConfigurationInvalid(
            f"The secret {arn} can't be read ({type(error).__name__}); "
            "check that it exists, holds text, and that the function's role may read it."
        ) from None
