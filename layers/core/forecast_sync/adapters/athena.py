"""Athena: submits queries, polls them and reads their results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

from forecast_sync.adapters.aws_errors import translate_errors
from forecast_sync.errors import AthenaUnavailable, QueryFailed, QueryRetryable, ResultInvalid
from forecast_sync.text.sentences import end_sentence

PASSING_CODES = frozenset({"InternalServerException"})
REFUSING_CODES = frozenset({"InvalidRequestException"})
"""The errors that Athena's API reference lists for the calls made here, besides throttling."""

RESUBMITTED_TYPES = frozenset(
    {
        100,  # Internal service error; so are 300 to 400, 1010 and 9999.
        240,  # Failed to submit query
        *(300, 301, 302, 303, 400, 1010, 9999),
        1400,  # Throttling error
        1401,  # Query failed due to AWS Glue throttling
        1403,  # Query failed due to Amazon S3 throttling
        *(1404, 1405, 1406),  # Query failed due to Amazon Athena throttling
        1602,  # Exceeded reserved capacity limit
    }
)
"""``AthenaError.ErrorType`` of failures that pass, whether or not Athena marks them as retryable.

Source: Athena's error catalog, https://docs.aws.amazon.com/athena/latest/ug/error-reference.html. A
failed query costs nothing but time.
"""

AS_MARKED_TYPES = frozenset(
    {
        *range(9),  # Query exhausted resources at this scale factor
        # Query engine had an internal error, which a file that it can't decode causes too.
        *(200, 201, 202, 205, 207, 208, *range(211, 233), 235, 236),
        *(1012, 1013, 1102, 1104, 1105, 1304, 1305, 1308),
        203,  # Driver error
        204,  # The metastore had an error
        *(206, 210),  # Query timed out
        209,  # Failed to cancel query
        *(233, 234),  # Iceberg error; Lake Formation error
        237,  # Serialization error
        238,  # Failed to upload metadata to Amazon S3
        239,  # General persistence error
        *(401, 402),  # Failed to write query results to Amazon S3
        *range(1000, 1010),  # Errors of the user, the data, the schema, the syntax
        *(1100, 1101, 1103, *range(1106, 1111)),  # Invalid arguments, properties, views, paths
        *(1200, 1201, 1202),  # Not supported
        *(1300, 1301, 1302, 1303, 1306, 1307),  # Not found
        1402,  # Query failed due to too many table versions in AWS Glue
        *(1500, 1501),  # Permission errors
    }
)
"""The catalog's other types: submitted again only if ``AthenaError.Retryable`` says so."""

CANCELLED_TYPES = frozenset({1011, 1014})  # Query canceled by user
"""Never submitted again by itself, and no fault of what the query has read."""

USER_CATEGORY = 2
"""``AthenaError.ErrorCategory`` of what the statement or its data cause; others are Athena's."""

_CANCELLED_BY = (
    "Somebody stopped it, or it read more than the workgroup lets a query read. Redrive to submit "
    "it again."
)

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_athena.type_defs import QueryExecutionTypeDef


class Cost(NamedTuple):
    """What a finished query has cost."""

    bytes_scanned: int
    milliseconds: int


class Athena:
    """Athena's API; its failures are raised as the errors that the workflow knows."""

    def __init__(self, client: AthenaClient, workgroup: str, output_location: str) -> None:
        self._client = client
        self._workgroup = workgroup
        self._output_location = output_location

    def start(self, sql: str, token: str) -> str:
        """Submit ``sql``; the same token (32 to 128 characters) returns the same execution id."""
        with _translated("start the query"):
            answer = self._client.start_query_execution(
                QueryString=sql,
                ClientRequestToken=token,
                WorkGroup=self._workgroup,
                ResultConfiguration={"OutputLocation": self._output_location},
            )
        return answer["QueryExecutionId"]

    def poll(self, query_execution_id: str) -> Cost | None:
        """The query's cost once it has succeeded; None while it is queued or running.

        A failed query raises ``QueryRetryable`` when Athena marks the failure as retryable or its
        type is one that passes. Any other failed query, and a cancelled one, raises
        ``QueryFailed``.
        """
        execution = self._describe(query_execution_id)
        status, statistics = execution["Status"], execution.get("Statistics", {})
        state = status["State"]
        if state == "SUCCEEDED":
            scanned = statistics.get("DataScannedInBytes", 0)
            return Cost(scanned, statistics.get("TotalExecutionTimeInMillis", 0))
        if state in ("QUEUED", "RUNNING"):
            return None
        reason = status.get("StateChangeReason", "no reason given")
        error = status.get("AthenaError", {})
        if state == "CANCELLED" or error.get("ErrorType") in CANCELLED_TYPES:
            message = f"Athena query {query_execution_id} was cancelled: {reason}"
            raise QueryFailed(f"{end_sentence(message)} {_CANCELLED_BY}", ended_by="cancellation")
        message = f"Athena query {query_execution_id} is {state}: {reason}"
        if error.get("Retryable", False) or error.get("ErrorType") in RESUBMITTED_TYPES:
            raise QueryRetryable(message)
        by_content = error.get("ErrorCategory") == USER_CATEGORY
        raise QueryFailed(
            f"{end_sentence(message)} Repair the cause and redrive.",
            ended_by="content" if by_content else "engine",
        )

    def find_failure(self, query_execution_id: str) -> str:
        """Why a query has failed, in Athena's words."""
        status = self._describe(query_execution_id)["Status"]
        return status.get("StateChangeReason", "no reason given")

    def read_row(self, query_execution_id: str) -> dict[str, str]:
        """The one row of a query's result, as text by column; NULL columns are left out."""
        with _translated("read the query's result"):
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
        """All rows of a query's result, as text by column; NULL columns are left out."""
        names: list[str] = []
        with _translated("read the query's result"):
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
        """How many bytes a query has read."""
        return self._describe(query_execution_id).get("Statistics", {}).get("DataScannedInBytes", 0)

    def _describe(self, query_execution_id: str) -> QueryExecutionTypeDef:
        with _translated("describe the query"):
            answer = self._client.get_query_execution(QueryExecutionId=query_execution_id)
        return answer["QueryExecution"]


def _translated(task: str) -> AbstractContextManager[None]:
    return translate_errors(
        f"Athena couldn't {task}",
        unavailable=AthenaUnavailable,
        refused=QueryFailed,
        passing=PASSING_CODES,
    )
