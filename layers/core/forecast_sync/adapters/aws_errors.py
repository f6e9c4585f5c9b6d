"""AWS errors: one translation into this package's errors, by code and status, never by text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from forecast_sync.errors import ForecastSyncError

PASSING_CODES = frozenset(
    {
        # What every AWS SDK retries (SDKs and Tools Reference Guide, Retry behavior; botocore's
        # retries/standard.py has the same list).
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        # Faults that any service may have (Common Errors, in each service's API reference).
        "InternalError",
        "InternalFailure",
        "ServiceUnavailable",
        # A signature or session that is too old: the next call signs again, with new credentials.
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "TokenRefreshRequired",
    }
)
"""What passes, whichever service answers it; each adapter adds its service's own codes."""

REFUSING_CODES = frozenset(
    {
        # Common Errors again: the same call would be refused again.
        "AccessDenied",
        "AccessDeniedException",
        "IncompleteSignature",
        "InvalidAction",
        "InvalidClientTokenId",
        "MalformedHttpRequestException",
        "MissingAuthenticationToken",
        "NotAuthorized",
        "OptInRequired",
        "RequestAbortedException",
        "RequestEntityTooLargeException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "ValidationError",
        "ValidationException",
    }
)
"""What lasts until somebody acts, whichever service answers it; so does a code in no list."""

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
    passing: Collection[str] = (),
    advice: str = "",
) -> Iterator[None]:
    """Raise ``unavailable`` for what may pass, ``refused`` for what won't.

    ``passing`` are the service's own codes that pass. A server's error (5xx) and 429 always do.

    Messages begin with ``failure`` ("Athena couldn't start the query") and name the service's code
    or botocore's class. A refusal ends with ``advice``, or without any with the service's message.
    """
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in PASSING_CODES or code in passing or status == 429 or status >= 500:
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
