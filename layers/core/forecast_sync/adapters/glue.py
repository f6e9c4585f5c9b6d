"""Glue: which columns a table of the lake declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecast_sync.adapters.aws_errors import translate_errors
from forecast_sync.errors import AthenaUnavailable, QueryFailed

PASSING_CODES = frozenset(
    {
        "FederationSourceRetryableException",
        "InternalServiceException",
        "OperationTimeoutException",
        "ResourceNotReadyException",
    }
)
REFUSING_CODES = frozenset(
    {
        "EntityNotFoundException",
        "FederationSourceException",
        "GlueEncryptionException",
        "InvalidInputException",
    }
)
"""The errors that Glue's API reference lists for GetTable."""

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient


class Catalog:
    """Glue's Data Catalog, where Athena looks up its tables."""

    def __init__(self, client: GlueClient) -> None:
        self._client = client

    def columns(self, database: str, table: str) -> dict[str, str]:
        """The declared columns and their types, in Glue's spelling."""
        with translate_errors(
            f"Glue couldn't describe {database}.{table}",
            unavailable=AthenaUnavailable,
            refused=QueryFailed,
            passing=PASSING_CODES,
            advice="Declare the table, or let the role read it.",
        ):
            declared = self._client.get_table(DatabaseName=database, Name=table)["Table"]
        columns = declared.get("StorageDescriptor", {}).get("Columns", [])
        return {column["Name"]: column.get("Type", "") for column in columns}
