"""Everything that can go wrong in a run, sorted by what the workflow does about it.

The class *name* is the contract with the state machine, because ``ErrorEquals`` compares names: a
*transient* error is named in a Retry there, a *route* error in a Catch, and a *permanent* one
stays uncaught, so that a redrive re-runs the state that raised it::

    ForecastSyncError
    ├── TransientError            the same call may succeed later: Retry
    │   ├── AthenaUnavailable     throttled or not answering
    │   ├── BatchConflict         unique violation by another writer, deadlock, serialization
    │   ├── DatabaseUnavailable   no connection, connection lost, server starting or full
    │   ├── LeaseHeld             another run works on the table, or the call is left over
    │   ├── NeonUnavailable       429, 5xx or no answer from the Neon API
    │   ├── SecretUnavailable     Secrets Manager throttled or not answering
    │   └── StorageUnavailable    S3 throttled or not answering
    ├── RouteError                the run takes another route: Catch
    │   ├── BadFilesSuspected     Athena failed the query for good, maybe because of a file
    │   ├── InputsOutdated        the inputs no longer fit: make new ones
    │   ├── QueryRetryable        Athena failed the query and marked the failure as retryable
    │   └── SourceChanged         objects of the window came, went or were overwritten
    └── PermanentError            somebody has to act, then redrive
        ├── BatchRefused          a constraint, trigger or type of the table refused a row
        ├── BranchNotFound        Neon has no branch of exactly this name
        ├── BranchNotMapped       the git ref belongs to no environment, or to another one
        ├── ConfigurationInvalid  a setting, secret, table file or bucket is missing or malformed
        ├── DatabaseAmbiguous     the Neon branch has several databases or roles, none configured
        ├── DatabaseRefused       the server refused the login, database, permission or TLS
        ├── FullRunNeeded         the whole lake has to be read, and that isn't done unasked
        ├── InvalidInput          the execution input doesn't fit
        ├── NeonRefused           the Neon API refused the key or the request
        ├── QueryFailed           Athena failed or cancelled the query
        ├── ResultInvalid         a result file is missing, truncated or malformed
        ├── SchemaMismatch        the target table isn't what the table file says
        ├── ServerTooOld          Postgres before 17
        ├── SourceInvalid         an object can't be read, or not as the table file says
        ├── SourceUnstable        objects of the window changed in each attempt to read them
        ├── Superseded            a later run has written since, so this one must not
        ├── TooManyRejects        more rejects than the threshold; nothing was loaded
        └── VerificationFailed    what arrived isn't what was sent
"""

from __future__ import annotations

import json
import re
from typing import ClassVar, Literal

from forecast_sync.text.size_limits import MESSAGE_CHARACTERS, shorten

MAP_FAILED = "States.ExceedToleratedFailureThreshold"
"""Step Functions' name for the failure of a Map; the reason is in its failed children."""


def message_of(cause: str) -> str:
    """The message in the cause of a failed Lambda, which is JSON; any other cause as it is."""
    try:
        parsed = json.loads(cause)
    except (ValueError, RecursionError):
        return cause
    return str(parsed.get("errorMessage", cause)) if isinstance(parsed, dict) else cause


class ForecastSyncError(Exception):
    """Base of every error this package raises on purpose.

    A message may quote values of any length. It is shortened here, because Step Functions would
    cut the cause in the middle of its JSON.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(shorten(message, MESSAGE_CHARACTERS))

    redrive_helps: ClassVar[bool] = True
    """Whether a redrive, which runs with the same input, can succeed once the cause is fixed."""


class TransientError(ForecastSyncError):
    """The same call may succeed later."""


class AthenaUnavailable(TransientError):
    """Athena is throttling or not answering."""


class BatchConflict(TransientError):
    """Another writer's transaction conflicted with a batch; the batch was rolled back."""

    def __init__(self, message: str = "", *, index: tuple[str, str, str] | None = None) -> None:
        super().__init__(message)
        self.index = index
        """Schema, table and name of the unique index that refused a row, if one did."""


class DatabaseUnavailable(TransientError):
    """Postgres couldn't be reached, or the connection was lost."""


class LeaseHeld(TransientError):
    """Another run works on the table, or this call is left over from before its run ended."""


class NeonUnavailable(TransientError):
    """The Neon API is throttling, failing or not answering."""


class SecretUnavailable(TransientError):
    """Secrets Manager is throttling, failing or not answering."""


class StorageUnavailable(TransientError):
    """S3 is throttling, failing or not answering."""


class RouteError(ForecastSyncError):
    """The run must take another route; the state machine catches it."""


class BadFilesSuspected(RouteError):
    """Athena failed a query for good, and a file that it read may be the cause."""


class InputsOutdated(RouteError):
    """The inputs predate a redrive, or table file or target have changed since; make new ones."""


class QueryRetryable(RouteError):
    """Athena failed the query and marked the failure as retryable."""


class SourceChanged(RouteError):
    """Objects that the run reads changed before its queries had finished."""


class PermanentError(ForecastSyncError):
    """Trying again doesn't help until somebody acts."""


class BatchRefused(PermanentError):
    """A constraint, trigger or type of the target refused a row; the batch was rolled back."""


class BranchNotFound(PermanentError):
    """Neon has no branch of exactly the name that the git ref maps to."""


class BranchNotMapped(PermanentError):
    """The git ref belongs to no environment, or to another stack's."""

    redrive_helps = False


class ConfigurationInvalid(PermanentError):
    """A setting, secret, table file or bucket is missing or malformed."""


class DatabaseAmbiguous(PermanentError):
    """The Neon branch has several databases or roles, and none is configured."""


class DatabaseRefused(PermanentError):
    """Postgres refused the login, the database, the permission or TLS.

    ``while_connecting`` tells whether it has refused the connection itself.
    """

    def __init__(self, message: str = "", *, while_connecting: bool = False) -> None:
        super().__init__(message)
        self.while_connecting = while_connecting


class FullRunNeeded(PermanentError):
    """The whole lake has to be read again, which costs too much to be done unasked."""

    redrive_helps = False


class InvalidInput(PermanentError):
    """The execution input has unknown keys or impossible values."""

    redrive_helps = False


class NeonRefused(PermanentError):
    """The Neon API refused the key or the request."""


class QueryFailed(PermanentError):
    """Athena failed or cancelled a query for good."""

    def __init__(
        self,
        message: str = "",
        *,
        ended_by: Literal["cancellation", "content", "engine"] | None = None,
    ) -> None:
        super().__init__(message)
        self.ended_by = ended_by
        """What ended the query: a cancellation; the statement or what it read; or the engine, which
        may not recur. None if Athena refused a request.
        """


class ResultInvalid(PermanentError):
    """A query's result is missing, truncated or malformed."""


class SchemaMismatch(PermanentError):
    """The target table, or its database, isn't what the table file says."""


class ServerTooOld(PermanentError):
    """The Postgres server is older than 17."""


class SourceInvalid(PermanentError):
    """An object of the lake can't be read, isn't Parquet, or isn't what the table file says."""


class SourceUnstable(PermanentError):
    """Objects that the queries could read changed each time they ran; nothing was loaded."""


class Superseded(PermanentError):
    """A later run has written to the database or succeeded since this one lost the lease."""

    redrive_helps = False


class TooManyRejects(PermanentError):
    """More rows were rejected than the threshold allows; nothing was loaded."""


class VerificationFailed(PermanentError):
    """Two independent counts of the same rows disagree."""


OTHER_MEANINGS = {
    "States.Timeout": "A state or the whole run took longer than it may.",
    "StoppedByHand": "Somebody stopped the run; what it had committed stays.",
    "Lambda.Unknown": "A function ended without an answer: out of memory, or out of time.",
}
"""The meanings of failures' names that are no class of ours."""


def error_name(message: str) -> str:
    """The error's name at the beginning of a failure's line; empty when there is none."""
    name, colon, _ = message.partition(":")
    return name if colon and re.fullmatch(r"[A-Za-z][\w.]*", name) else ""


def meaning_of(name: str) -> str:
    """What an error of this name means, in a sentence; empty for an unknown name."""
    error = _find_class(name)
    return (error.__doc__ or "").strip() if error else OTHER_MEANINGS.get(name, "")


def redrive_helps(name: str) -> bool:
    """Whether to redrive a run that failed with this error; otherwise only a new run helps."""
    error = _find_class(name)
    return error is None or error.redrive_helps


def _find_class(name: str) -> type[ForecastSyncError] | None:
    error = globals().get(name)
    is_ours = isinstance(error, type) and issubclass(error, ForecastSyncError)
    return error if is_ours else None
