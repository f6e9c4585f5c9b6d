"""Athena: submits queries, asks how they are doing, reads what they returned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from forecast_sync.errors import AthenaUnavailable, QueryFailed, QueryRetryable, ResultInvalid

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_athena.type_defs import QueryExecutionTypeDef

TRANSIENT_CODES = frozenset(
    {
        "TooManyRequestsException",
        "ThrottlingException",
        "InternalServerException",
        "ServiceUnavailable",
    }
)


class Cost(NamedTuple):
    """What a query that has succeeded took."""

    bytes_scanned: int
    milliseconds: int


class Athena:
    """Athena's API, with its failures sorted by what the workflow does about them."""

    def __init__(self, client: AthenaClient, workgroup: str, output_location: str) -> None:
        self._client = client
        self._workgroup = workgroup
        self._output_location = output_location

    def start(self, sql: str, token: str) -> str:
        """Submit ``sql``; the same token (32 to 128 characters) returns the same execution id."""
        with _translated("start a query"):
            answer = self._client.start_query_execution(
                QueryString=sql,
                ClientRequestToken=token,
                WorkGroup=self._workgroup,
                ResultConfiguration={"OutputLocation": self._output_location},
            )
        return answer["QueryExecutionId"]

    def poll(self, query_execution_id: str) -> Cost | None:
        """What the query took, once it has succeeded; None while it is queued or runs.

        Raises ``QueryRetryable`` when Athena says that another submission may succeed, else
        ``QueryFailed`` for a failed or cancelled query.
        """
        described = self._describe(query_execution_id)
        status, statistics = described["Status"], described.get("Statistics", {})
        state = status["State"]
        if state == "SUCCEEDED":
            scanned = statistics.get("DataScannedInBytes", 0)
            return Cost(scanned, statistics.get("TotalExecutionTimeInMillis", 0))
        if state in ("QUEUED", "RUNNING"):
            return None
        reason = status.get("StateChangeReason", "no reason given")
        message = f"Athena query {query_execution_id} is {state}: {reason}"
        if status.get("AthenaError", {}).get("Retryable", False):
            raise QueryRetryable(message)
        raise QueryFailed(f"{message} Repair the cause and redrive.")

    def read_row(self, query_execution_id: str) -> dict[str, str]:
        """The only row that a query returned, as text by column; NULL columns are left out."""
        with _translated("read a query's result"):
            answer = self._client.get_query_results(QueryExecutionId=query_execution_id)
        rows = answer["ResultSet"]["Rows"]
        if len(rows) != 2:
            raise ResultInvalid(
                f"Athena query {query_execution_id} returned {len(rows) - 1} rows, expected 1."
            )
        header, row = (line.get("Data", []) for line in rows)
        return {
            name["VarCharValue"]: cell["VarCharValue"]
            for name, cell in zip(header, row, strict=True)
            if "VarCharValue" in cell
        }

    def read_rows(self, query_execution_id: str) -> Iterator[dict[str, str]]:
        """All rows that a query returned, as text by column; NULL columns are left out."""
        names: list[str] = []
        with _translated("read a query's result"):
            pages = self._client.get_paginator("get_query_results").paginate(
                QueryExecutionId=query_execution_id
            )
            for page in pages:
                for line in page["ResultSet"]["Rows"]:
                    cells = [cell.get("VarCharValue") for cell in line.get("Data", [])]
                    if not names:
                        names = [name or "" for name in cells]
                        continue
                    pairs = zip(names, cells, strict=True)
                    yield {name: cell for name, cell in pairs if cell is not None}

    def manifest_location(self, query_execution_id: str) -> str | None:
        """The ``s3://`` location of the file that lists what an UNLOAD wrote; None without one."""
        return self._describe(query_execution_id).get("Statistics", {}).get("DataManifestLocation")

    def scanned_bytes(self, query_execution_id: str) -> int:
        """How much a query has read."""
        return self._describe(query_execution_id).get("Statistics", {}).get("DataScannedInBytes", 0)

    def _describe(self, query_execution_id: str) -> QueryExecutionTypeDef:
        with _translated("describe a query"):
            answer = self._client.get_query_execution(QueryExecutionId=query_execution_id)
        return answer["QueryExecution"]


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        message = f"Athena wouldn't {what}: {code}."
        if code in TRANSIENT_CODES or status >= 500:
            raise AthenaUnavailable(message) from error
        detail = error.response.get("Error", {}).get("Message", "")
        raise QueryFailed(f"{message} {detail}") from error
    except BotoCoreError as error:
        raise AthenaUnavailable(f"Athena didn't answer: {type(error).__name__}.") from error
