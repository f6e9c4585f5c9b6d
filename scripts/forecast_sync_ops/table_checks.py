"""What can be said of a table file before a deployment: its SQL parses and knows its columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import sqlglot
from forecast_sync.errors import ConfigurationInvalid
from forecast_sync.schema import define_target
from forecast_sync.tables import Table, known_tables, load_table, parse_table
from forecast_sync.tables.lines import Location, find_line
from sqlglot import exp

from forecast_sync_ops.problems import UserError

HIDDEN = {"$path", "$file_modified_time", "$file_size", "$bucket", "$partition"}

GLUE_FORMAT = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    },
}


def read_checked(name_or_path: str) -> Table:
    """A table file by its name or path; raises ``UserError`` with file, line and key of a fault."""
    path = Path(name_or_path)
    try:
        if path.suffix != ".toml":
            return load_table(name_or_path)
        text = path.read_text("utf-8")
        table = parse_table(text, str(path))
    except OSError as error:
        known = ", ".join(known_tables())
        raise UserError(f"{path}: {error.strerror}; the known tables are {known}") from None
    except ConfigurationInvalid as error:
        raise UserError(str(error)) from None
    faults = [
        f"{path}, line {find_line(text, location)}, {'.'.join(map(str, location))}: {message}"
        for location, message in find_sql_faults(table)
    ]
    if faults:
        raise UserError("; ".join(faults))
    return table


def find_sql_faults(table: Table) -> Iterator[tuple[Location, str]]:
    """Expressions that Athena can't parse, or that name a column that isn't there."""
    lake = {*table.source.columns, *HIDDEN}
    target = {*table.names, *HIDDEN}
    expressions: list[tuple[Location, str | None, set[str]]] = [
        (("source", "path"), table.source.path, lake),
        (("source", "modified"), table.source.modified, lake),
        (("source", "newest"), table.source.newest, lake),
        (("source", "filter"), table.source.filter, lake),
        *((("column", n, "source"), item.source, lake) for n, item in enumerate(table.column)),
        *((("reject", n, "when"), rule.when, target) for n, rule in enumerate(table.reject)),
        *((("expect", n, "that"), rule.that, target) for n, rule in enumerate(table.expect)),
    ]
    for location, expression, known in expressions:
        if expression is None:
            continue
        try:
            tree = sqlglot.parse_one(expression, read="athena")
        except sqlglot.ParseError as error:
            yield location, f"{expression!r} isn't Athena SQL: {error.errors[0]['description']}"
            continue
        named = {column.name for column in tree.find_all(exp.Column)}
        if unknown := sorted(named - known):
            yield location, f"{expression!r} names {', '.join(unknown)}, which isn't there"


def write_ddl(table: Table) -> str:
    """The statements that the first run makes the target with."""
    return ";\n\n".join(part.as_string().strip() for part in define_target(table)) + ";\n"


def glue_input(table: Table, name: str, location: str) -> dict[str, object]:
    """The Glue table that declares what the file reads."""
    columns = [{"Name": column, "Type": kind} for column, kind in table.source.columns.items()]
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
        "StorageDescriptor": {**GLUE_FORMAT, "Columns": columns, "Location": location},
    }
