"""Declares a table file's columns in Glue, and compares an existing table with them."""

from __future__ import annotations

from typing import Any, Literal

from forecast_sync.tables import Table, is_declared

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError

Action = Literal["created", "updated", "unchanged", "used as it is"]

GLUE_FORMAT = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    },
}

OUR_PARAMETERS = frozenset({"EXTERNAL", "classification"})
"""The only parameters that tables declared by this project have."""


def declare_table(deployed: Deployment) -> Action:
    """Declare in Glue what the deployed table file reads.

    A table of this project is created, or updated to the file. A table made by something else, such
    as a crawler, is left as it is: raises ``UserError`` if runs can't use it.
    """
    settings, table = deployed.settings, deployed.table
    database, name = settings.athena_db_name, settings.forecast_table_name
    wanted = glue_input(table, name, settings.data_location)
    glue = deployed.client("glue")
    try:
        glue.create_table(DatabaseName=database, TableInput=wanted)
    except glue.exceptions.AlreadyExistsException:
        existing = glue.get_table(DatabaseName=database, Name=name)["Table"]
    else:
        return "created"
    differences = find_differences(table, existing, settings.data_location)
    if not _is_ours(existing, wanted):
        if differences:
            raise UserError(
                f"{database}.{name} exists in Glue, was made by something else, and doesn't match "
                f"tables/{settings.table_file}.toml: {'; '.join(differences)}. Change the "
                "file, or delete that table and run this command again"
            )
        return "used as it is"
    if not differences and _described(existing) == _described(wanted):
        return "unchanged"
    glue.update_table(DatabaseName=database, TableInput=wanted)
    return "updated"


def find_differences(table: Table, existing: dict[str, Any], location: str) -> list[str]:
    """Why runs can't use a Glue table as it is: its columns, and where it looks for objects."""
    storage = existing.get("StorageDescriptor", {})
    columns = {
        item["Name"]: item.get("Type")
        for item in (*storage.get("Columns", []), *existing.get("PartitionKeys", []))
    }
    differences = [
        f"{name} is {columns.get(name) or 'missing'}, expected {table.source.declared[name]}"
        for name, kind in table.source.types.items()
        if not is_declared(kind, columns.get(name))
    ]
    if str(storage.get("Location", "")).rstrip("/") != location.rstrip("/"):
        differences.append(f"it is located at {storage.get('Location')}, expected {location}")
    return differences


def _is_ours(existing: dict[str, Any], wanted: dict[str, Any]) -> bool:
    keys = _named(existing.get("PartitionKeys", []))
    has_our_keys = not keys or keys == _named(wanted.get("PartitionKeys", []))
    return has_our_keys and set(existing.get("Parameters", {})) <= OUR_PARAMETERS


def _described(table: dict[str, Any]) -> tuple[list[tuple[str, str]], ...]:
    """The columns and the partition keys in their order."""
    columns = table["StorageDescriptor"]["Columns"]
    return _named(columns), _named(table.get("PartitionKeys", []))


def _named(columns: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(item["Name"], item["Type"]) for item in columns]


def glue_input(table: Table, name: str, location: str) -> dict[str, Any]:
    """The Glue table that declares what the file reads."""
    source = table.source
    declared = {column: {"Name": column, "Type": kind} for column, kind in source.declared.items()}
    columns = [declared[column] for column in source.stored]
    keys = [declared[column] for column in source.partitions]
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
        **({"PartitionKeys": keys} if keys else {}),
        "StorageDescriptor": {**GLUE_FORMAT, "Columns": columns, "Location": location},
    }
