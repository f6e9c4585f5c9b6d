"""SQLSTATEs: what each of Postgres' error codes means for a run, with the source of each decision.

Sources are chapters and commands of Postgres' documentation, unless another one is named. Appendix
A is https://www.postgresql.org/docs/current/errcodes-appendix.html. A code without an entry of its
own goes with its class.
"""

from __future__ import annotations

from typing import NamedTuple

from forecast_sync.errors import (
    BatchConflict,
    BatchRefused,
    ConfigurationInvalid,
    DatabaseRefused,
    DatabaseUnavailable,
    ForecastSyncError,
    ResultInvalid,
    SchemaMismatch,
)


class Decision(NamedTuple):
    """The error that a SQLSTATE becomes, and why."""

    error: type[ForecastSyncError]
    reason: str


BY_CLASS = {
    "02": Decision(BatchRefused, "A warning (Appendix A), so no statement of ours fails with it."),
    "03": Decision(BatchRefused, "Only asynchronous embedded SQL has it (Appendix A)."),
    "08": Decision(
        DatabaseUnavailable,
        "The connection failed. Poolers answer 08P01 to whatever they can't serve, "
        "a full or restarting server included (PgBouncer's source, disconnect_client).",
    ),
    "09": Decision(BatchRefused, "A trigger of the target failed (Appendix A)."),
    "0A": Decision(
        SchemaMismatch,
        "The target is of a kind that can't be written this way, as with rules (MERGE, Notes).",
    ),
    "0B": Decision(BatchRefused, "A procedure that a trigger calls began a transaction."),
    "0F": Decision(BatchRefused, "Locators are embedded SQL's (Appendix A)."),
    "0L": Decision(DatabaseRefused, "A grant is missing or was revoked (GRANT)."),
    "0P": Decision(DatabaseRefused, "The role doesn't exist or may not be assumed (SET ROLE)."),
    "0Z": Decision(BatchRefused, "A trigger's PL/pgSQL used GET DIAGNOSTICS wrongly."),
    "10": Decision(BatchRefused, "XQuery, which only a trigger could use (Appendix A)."),
    "20": Decision(BatchRefused, "A CASE of a trigger's PL/pgSQL has no branch for the row."),
    "21": Decision(BatchRefused, "A subquery of a trigger or rule returned several rows."),
    "22": Decision(
        BatchRefused,
        "A value doesn't fit its column's type, or a trigger, CHECK or generated column can't "
        "compute with it. The same row fails again (Appendix A).",
    ),
    "23": Decision(BatchRefused, "A constraint refused the row (Appendix A)."),
    "24": Decision(BatchRefused, "A trigger's cursor; this package opens none."),
    "25": Decision(BatchRefused, "The transaction was used wrongly, by a trigger's function."),
    "26": Decision(
        BatchRefused, "A prepared statement is missing, and none is prepared (psycopg's settings)."
    ),
    "27": Decision(
        BatchRefused, "A BEFORE trigger changed the row that is written (CREATE TRIGGER)."
    ),
    "28": Decision(DatabaseRefused, "The login was refused (Appendix A)."),
    "2B": Decision(BatchRefused, "Something depends on an object that a trigger drops."),
    "2D": Decision(BatchRefused, "A procedure that a trigger calls ended the transaction."),
    "2F": Decision(BatchRefused, "A trigger's function failed (Appendix A)."),
    "34": Decision(BatchRefused, "A trigger's cursor; this package opens none."),
    "38": Decision(BatchRefused, "A trigger's function in another language failed (Appendix A)."),
    "39": Decision(BatchRefused, "A trigger's function broke the trigger protocol (Appendix A)."),
    "3B": Decision(BatchRefused, "A savepoint, which only a trigger's function could name."),
    "3D": Decision(DatabaseRefused, "The database doesn't exist (Appendix A)."),
    "3F": Decision(
        DatabaseRefused,
        "No schema of the search path exists or may be used (Schemas, The Schema Search Path).",
    ),
    "40": Decision(
        BatchConflict,
        "The transaction was rolled back because of another one, and may be retried "
        "(Concurrency Control, Serialization Failure Handling).",
    ),
    "42": Decision(
        SchemaMismatch,
        "The target, or one of its columns or operators, isn't what the statements were composed "
        "for (Appendix A).",
    ),
    "44": Decision(BatchRefused, "The target is a view whose check option refused the row."),
    "53": Decision(
        DatabaseUnavailable,
        "The server is out of memory, disk or connections, which passes or is freed (Appendix A).",
    ),
    "54": Decision(
        BatchRefused, "A row or statement exceeds one of Postgres' limits (Appendix A)."
    ),
    "55": Decision(
        BatchRefused,
        "The target can't be written in its present state, as when it is published without a "
        "replica identity (Logical Replication, Publication).",
    ),
    "57": Decision(DatabaseUnavailable, "An operator or a shutdown intervened (Appendix A)."),
    "58": Decision(
        DatabaseUnavailable,
        "The server's storage failed. Neon's compute answers so while its page server doesn't "
        "(neondatabase/neon, issues 1615 and 2340).",
    ),
    "72": Decision(BatchConflict, "The snapshot is too old, and a new transaction has a new one."),
    "F0": Decision(DatabaseUnavailable, "The server is starting or reconfigured (Appendix A)."),
    "HV": Decision(
        BatchRefused, "The target, or a trigger of it, uses a foreign table (Appendix A)."
    ),
    "P0": Decision(BatchRefused, "A trigger's PL/pgSQL raised an exception (Appendix A)."),
    "XX": Decision(
        DatabaseUnavailable,
        "An internal error: the server's concurrent DDL ('tuple concurrently updated'), or Neon's "
        "proxy, which has no other code (neondatabase/neon, proxy/src/stream.rs).",
    ),
}

BY_CODE = {
    "22P04": Decision(ResultInvalid, "COPY got lines that aren't the table's (COPY, Text Format)."),
    "23505": Decision(
        BatchConflict,
        "Another session inserted the key (Serialization Failure Handling names 23505). The loader "
        "tells it from a unique constraint on other columns.",
    ),
    "25006": Decision(
        DatabaseUnavailable, "The server is a standby or in recovery, as during a failover."
    ),
    "25P03": Decision(
        DatabaseUnavailable,
        "idle_in_transaction_session_timeout ends the session (Client Connection Defaults).",
    ),
    "25P04": Decision(
        DatabaseUnavailable, "transaction_timeout ends the session (Client Connection Defaults)."
    ),
    "40002": Decision(BatchRefused, "A constraint that is checked at COMMIT (Appendix A)."),
    "42501": Decision(DatabaseRefused, "The role lacks a privilege (Appendix A)."),
    "42601": Decision(
        ConfigurationInvalid, "SQL of the table file, such as an index's WHERE, isn't Postgres'."
    ),
    "53400": Decision(
        BatchRefused, "A configured limit such as temp_file_limit, which the same batch hits again."
    ),
    "55006": Decision(BatchConflict, "Another session uses the object (Appendix A)."),
    "55P03": Decision(BatchConflict, "lock_timeout: another session holds the lock."),
    "57014": Decision(BatchConflict, "statement_timeout, or somebody cancelled the statement."),
    "HV00N": Decision(DatabaseUnavailable, "A foreign server couldn't be reached (Appendix A)."),
    "XX001": Decision(BatchRefused, "Data are corrupted: somebody has to act (Appendix A)."),
    "XX002": Decision(BatchRefused, "An index is corrupted: REINDEX it (Appendix A)."),
}

UNKNOWN = Decision(BatchRefused, "A class of a newer server or an extension.")

LASTING_LOGIN_CODES = frozenset(
    {
        "22023",  # A parameter's value, such as options=-c timezone=nowhere, is invalid.
        "3D000",  # There is no such database.
        "42501",  # The role may not connect.
        "42704",  # There is no such parameter, as in options=-c nothing=1.
        "55000",  # The database doesn't accept connections (ALTER DATABASE, ALLOW_CONNECTIONS).
    }
)
"""Besides class 28: what refuses a connection until somebody acts.

Any other code passes, because Neon's proxy answers XX000 and poolers 08P01 to what they can't serve
for the moment (https://neon.com/docs/connect/connection-errors).
"""


def decide(code: str) -> Decision:
    """What a statement's SQLSTATE means."""
    return BY_CODE.get(code) or BY_CLASS.get(code[:2]) or UNKNOWN


def refuses_login(code: str) -> bool:
    """Whether a connection that was refused with this SQLSTATE would be refused again."""
    return code in LASTING_LOGIN_CODES or code[:2] == "28"
