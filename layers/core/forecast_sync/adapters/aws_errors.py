"""AWS errors: one translation into this package's errors, by code and status, never by text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from forecast_sync.errors import ForecastSyncError

TRANSIENT_CODES = frozenset(
    {
        "InternalServerException",
        "InternalServiceError",
        "InternalServiceException",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Throttling and faults of a service, as Athena, Glue, S3 and Secrets Manager name them."""

LASTING = (
    exceptions.NoCredentialsError,
    exceptions.NoRegionError,
    exceptions.ParamValidationError,
    exceptions.PartialCredentialsError,
)
"""What botocore refuses before it asks a service: the same call would be refused again."""


@contextmanager
def translate_errors(
    failure: str,
    *,
    unavailable: type[ForecastSyncError],
    refused: type[ForecastSyncError],
    advice: str = "",
) -> Iterator[None]:
    """Raise ``unavailable`` for what may pass, ``refused`` for what won't.

    Messages begin with ``failure`` ("Athena couldn't start the query") and name the service's code
    or botocore's class. A refusal ends with ``advice``, or without any with the service's message.
    """
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in TRANSIENT_CODES or status == 429 or status >= 500:
            raise unavailable(f"{failure}: {code}.") from error
        detail = advice or error.response.get("Error", {}).get("Message", "")
        raise refused(f"{failure}: {code}. {detail}".strip()) from error
    except LASTING as error:
        raise refused(f"{failure}: {type(error).__name__}. {advice}".strip()) from error
    except BotoCoreError as error:
        raise unavailable(f"{failure}, no complete answer: {type(error).__name__}.") from error


def error_code(error: ClientError) -> str:
    """The code of a service's error, ``unknown`` for an error without one."""
    return error.response.get("Error", {}).get("Code", "unknown")
