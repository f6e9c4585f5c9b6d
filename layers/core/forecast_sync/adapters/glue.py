"""Glue: which columns a table of the lake declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from forecast_sync.errors import AthenaUnavailable, QueryFailed

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

TRANSIENT_CODES = frozenset({"ThrottlingException", "InternalServiceException"})


class Catalog:
    """Glue's Data Catalog, which is where Athena looks up tables."""

    def __init__(self, client: GlueClient) -> None:
        self._client = client

    def columns(self, database: str, table: str) -> dict[str, str]:
        """The declared columns and their types."""
        try:
            found = self._client.get_table(DatabaseName=database, Name=table)["Table"]
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            message = f"Glue wouldn't describe {database}.{table}: {code}."
            if code in TRANSIENT_CODES:
                raise AthenaUnavailable(message) from error
            raise QueryFailed(f"{message} Declare the table, or let the role read it.") from error
        except BotoCoreError as error:
            raise AthenaUnavailable(f"Glue didn't answer: {type(error).__name__}.") from error
        columns = found.get("StorageDescriptor", {}).get("Columns", [])
        return {item["Name"]: item.get("Type", "") for item in columns}
