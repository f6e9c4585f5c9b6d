"""Everything that can go wrong in a run, sorted by what the workflow does about it.

The class *name* is the contract with the state machine: ``ErrorEquals`` compares names, so
a class listed under *transient* stands in a Retry there, one under *route* in a Catch, and a
permanent one stays uncaught, which is what lets a redrive re-run the state that raised it::

    ForecastSyncError
    ├── TransientError            the same call may succeed later: Retry
    │   ├── AthenaUnavailable     throttled or not answering
    │   ├── BatchConflict         unique violation by a foreign insert, deadlock, serialization
    │   ├── DatabaseUnavailable   no connection, connection lost, server starting or full
    │   ├── LeaseHeld             another run works on this database
    │   ├── NeonUnavailable       429, 5xx or no answer from the Neon API
    │   ├── SecretUnavailable     Secrets Manager throttled or not answering
    │   └── StorageUnavailable    S3 throttled or not answering
    ├── RouteError                the run goes another way: Catch
    │   ├── InputsOutdated        the inputs were made before the redrive: make them anew
    │   ├── QueryRetryable        Athena failed the query and says that a resubmission may help
    │   └── SourceChanged         an object was overwritten between the two queries
    └── PermanentError            somebody has to act, then redrive
        ├── BatchRefused          a constraint, trigger or type of the table refused a row
        ├── BranchNotFound        Neon has no branch of exactly this name
        ├── BranchNotMapped       the git ref belongs to no environment, or to another one
        ├── ConfigurationInvalid  a setting, secret or table file is missing or malformed
        ├── DatabaseAmbiguous     the Neon branch has several databases or roles, none chosen
        ├── DatabaseRefused       login, database, permission or TLS: the server said no
        ├── InvalidInput          the execution input doesn't fit
        ├── NeonRefused           the Neon API refused the key or the request
        ├── QueryFailed           Athena failed or cancelled the query
        ├── ResultInvalid         a result file is missing, truncated or malformed
        ├── SchemaMismatch        the target table isn't what the table file says
        ├── ServerTooOld          Postgres before 17
        ├── SourceInvalid         an object isn't Parquet, lacks a column or has a wrong type
        ├── Superseded            a later run has written since: this one must not
        ├── TooManyRejects        the threshold is exceeded; nothing was loaded
        └── VerificationFailed    what arrived isn't what was sent
"""

from __future__ import annotations

import json
from typing import ClassVar

from forecast_sync.text.size_limits import MESSAGE_CHARACTERS, shorten

MAP_FAILED = "States.ExceedToleratedFailureThreshold"
"""What Step Functions calls the failure of a Map; why is told by its failed children."""


def message_of(cause: str) -> str:
    """The message in a Lambda's cause, which is JSON, or the cause as it is."""
    try:
        parsed = json.loads(cause)
    except (ValueError, RecursionError):
        return cause
    return str(parsed.get("errorMessage", cause)) if isinstance(parsed, dict) else cause


class ForecastSyncError(Exception):
    """Base of every error this package raises on purpose.

    Its message may hold values: it is cut where Step Functions would cut the cause, amid JSON.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(shorten(message, MESSAGE_CHARACTERS))

    redrive_helps: ClassVar[bool] = True
    """Whether a redrive can succeed once the cause is removed: it takes the same input again."""


class TransientError(ForecastSyncError):
    """The same call may succeed later."""


class AthenaUnavailable(TransientError):
    """Athena throttles or doesn't answer."""


class BatchConflict(TransientError):
    """A foreign transaction got in the way of a batch; the batch was rolled back."""


class DatabaseUnavailable(TransientError):
    """No connection to Postgres could be made or kept."""


class LeaseHeld(TransientError):
    """Another live run works on this database."""


class NeonUnavailable(TransientError):
    """The Neon API throttles, fails or doesn't answer."""


class SecretUnavailable(TransientError):
    """Secrets Manager throttles, fails or doesn't answer."""


class StorageUnavailable(TransientError):
    """S3 throttles, fails or doesn't answer."""


class RouteError(ForecastSyncError):
    """The run must go another way; the state machine catches it."""


class InputsOutdated(RouteError):
    """The state was redriven, but its inputs were made before: they must be renewed."""


class QueryRetryable(RouteError):
    """Athena failed the query and marked the failure as retryable."""


class SourceChanged(RouteError):
    """An object changed between the two queries of a run."""


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
    """A setting, secret or table file is missing or malformed."""


class DatabaseAmbiguous(PermanentError):
    """The Neon branch has several databases or roles and none was chosen."""


class DatabaseRefused(PermanentError):
    """Postgres refused the login, the database, the permission or TLS."""


class InvalidInput(PermanentError):
    """The execution input has unknown keys or impossible values."""

    redrive_helps = False


class NeonRefused(PermanentError):
    """The Neon API refused the key or the request."""


class QueryFailed(PermanentError):
    """Athena failed or cancelled a query for good."""


class ResultInvalid(PermanentError):
    """A query's result is missing, truncated or malformed."""


class SchemaMismatch(PermanentError):
    """The target table lacks a column or has it with another type."""


class ServerTooOld(PermanentError):
    """The Postgres server is older than 17."""


class SourceInvalid(PermanentError):
    """An object of the lake isn't Parquet, lacks a column or has one of a wrong type."""


class Superseded(PermanentError):
    """A later run has written to the database since this one lost the lease."""

    redrive_helps = False


class TooManyRejects(PermanentError):
    """More rows were rejected than the threshold allows; nothing was loaded."""


class VerificationFailed(PermanentError):
    """The ledger and the profile of the sources disagree."""
