"""Glue: which columns a table of the lake declares, and the tables of listed objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from forecast_sync.adapters.aws_errors import translate_errors
from forecast_sync.errors import AthenaUnavailable, QueryFailed

PASSING_CODES = frozenset(
    {
        "ConcurrentModificationException",
        "FederationSourceRetryableException",
        "InternalServiceException",
        "OperationTimeoutException",
        "ResourceNotReadyException",
    }
)
REFUSING_CODES = frozenset(
    {
        "AlreadyExistsException",
        "EntityNotFoundException",
        "FederationSourceException",
        "GlueEncryptionException",
        "InvalidInputException",
        "InvalidStateException",
        "ResourceNumberLimitExceededException",
    }
)
"""The errors that Glue's API reference lists for the calls made here."""

PASSING_DETAILS = PASSING_CODES | {"ThrottlingException"}
"""The codes with which a batch of partitions reports that one of them may succeed later."""

BATCH_PARTITIONS = 100
"""The most that a call of BatchCreatePartition takes."""

CALLS_AT_ONCE = 4

SYMLINKS = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    },
}
"""A table whose location holds text files with the locations of its Parquet files, one a line."""

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import PartitionInputTypeDef, TableInputTypeDef


class Partition(NamedTuple):
    """A partition of a table of listed objects, and the ``s3://`` location of its lists."""

    values: tuple[str, ...]
    location: str


class Catalog:
    """Glue's Data Catalog, where Athena looks up its tables."""

    def __init__(self, client: GlueClient) -> None:
        self._client = client

    def columns(self, database: str, table: str) -> dict[str, str]:
        """The declared columns, partition keys too, and their types in Glue's spelling."""
        with _translated(f"describe {database}.{table}"):
            declared = self._client.get_table(DatabaseName=database, Name=table)["Table"]
        return _columns_of(declared) | _keys_of(declared)

    def keep_listed_table(
        self,
        database: str,
        table: str,
        columns: dict[str, str],
        keys: Mapping[str, str],
        location: str,
    ) -> None:
        """Create a table of listed objects, partitioned by ``keys`` and their types, or update it.

        May run twice, and by several callers at once: each declares the same. ``location`` is a
        folder without lists: only the partitions have some.
        """
        declared: TableInputTypeDef = {
            "Name": table,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE"},
            "PartitionKeys": [{"Name": name, "Type": kind} for name, kind in keys.items()],
            "StorageDescriptor": _stored(columns, location),
        }
        with _translated(f"declare {database}.{table}"):
            try:
                present = self._client.get_table(DatabaseName=database, Name=table)["Table"]
            except self._client.exceptions.EntityNotFoundException:
                try:
                    self._client.create_table(DatabaseName=database, TableInput=declared)
                except self._client.exceptions.AlreadyExistsException:
                    return
            else:
                if _columns_of(present) != columns:
                    self._client.update_table(DatabaseName=database, TableInput=declared)

    def add_partitions(
        self, database: str, table: str, columns: dict[str, str], partitions: Sequence[Partition]
    ) -> None:
        """Register partitions of a table of listed objects; those that exist are left alone."""
        inputs: list[PartitionInputTypeDef] = [
            {
                "Values": [*partition.values],
                "StorageDescriptor": _stored(columns, partition.location),
            }
            for partition in partitions
        ]
        batches = [
            inputs[n : n + BATCH_PARTITIONS] for n in range(0, len(inputs), BATCH_PARTITIONS)
        ]

        def add(batch: list[PartitionInputTypeDef]) -> None:
            self._add_batch(database, table, batch)

        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            list(pool.map(add, batches))

    def _add_batch(self, database: str, table: str, batch: list[PartitionInputTypeDef]) -> None:
        task = f"add partitions to {database}.{table}"
        with _translated(task):
            answer = self._client.batch_create_partition(
                DatabaseName=database, TableName=table, PartitionInputList=batch
            )
        for error in answer.get("Errors", []):
            detail = error.get("ErrorDetail", {})
            code = detail.get("ErrorCode", "")
            if code == "AlreadyExistsException":
                continue
            kind = AthenaUnavailable if code in PASSING_DETAILS else QueryFailed
            raise kind(f"Glue couldn't {task}: {code}: {detail.get('ErrorMessage', '')}")

    def delete_partitions(self, database: str, table: str, before: datetime) -> int:
        """Delete a table's partitions that were made before a moment; how many these were."""
        with _translated(f"delete partitions of {database}.{table}"):
            pages = self._client.get_paginator("get_partitions").paginate(
                DatabaseName=database, TableName=table, ExcludeColumnSchema=True
            )
            try:
                old = [
                    partition["Values"]
                    for page in pages
                    for partition in page["Partitions"]
                    if partition["CreationTime"] < before
                ]
            except self._client.exceptions.EntityNotFoundException:
                return 0

            def delete(values: list[str]) -> None:
                with suppress(self._client.exceptions.EntityNotFoundException):
                    self._client.delete_partition(
                        DatabaseName=database, TableName=table, PartitionValues=values
                    )

            with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
                list(pool.map(delete, old))
        return len(old)


def _stored(columns: dict[str, str], location: str) -> Any:
    declared = [{"Name": name, "Type": kind} for name, kind in columns.items()]
    return {**SYMLINKS, "Columns": declared, "Location": location}


def _keys_of(table: Any) -> dict[str, str]:
    return {column["Name"]: column.get("Type", "") for column in table.get("PartitionKeys", [])}


def _columns_of(table: Any) -> dict[str, str]:
    columns = table.get("StorageDescriptor", {}).get("Columns", [])
    return {column["Name"]: column.get("Type", "") for column in columns}


def _translated(task: str) -> AbstractContextManager[None]:
    return translate_errors(
        f"Glue couldn't {task}",
        unavailable=AthenaUnavailable,
        refused=QueryFailed,
        passing=PASSING_CODES,
        advice="Declare the table, or let the role read and declare it.",
    )
