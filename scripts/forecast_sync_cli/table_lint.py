"""Checks a table file before it is deployed: its SQL parses and names existing columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import sqlglot
from forecast_sync.errors import ConfigurationInvalid
from forecast_sync.tables import Table, known_tables, load_table, parse_table
from forecast_sync.tables.expressions import Expression, find_fault
from forecast_sync.tables.lines import Location, find_line
from forecast_sync.tables.model import OWN_COLUMNS
from forecast_sync.target.schema import define_target
from sqlglot import exp

from forecast_sync_cli.errors import UserError

HIDDEN = {"$path", "$file_modified_time", "$file_size", "$bucket", "$partition"}

LANGUAGES = {"athena": "Athena SQL", "postgres": "Postgres SQL"}

GLUE_FORMAT = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    },
}


def read_checked(name_or_path: str) -> Table:
    """Read a table file by name or path; raises ``UserError`` with line and key of each mistake."""
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
    mistakes = [
        f"{path}, line {find_line(text, location)}, {'.'.join(map(str, location))}: {message}"
        for location, message in find_sql_mistakes(table)
    ]
    if mistakes:
        raise UserError("; ".join(mistakes))
    return table


def find_sql_mistakes(table: Table) -> Iterator[tuple[Location, str]]:
    """Texts that aren't exactly one SQL expression, or that name a missing column."""
    known = {
        "source": {*table.source.columns, *HIDDEN},
        "target": {*table.names, *HIDDEN},
    }
    indexed = {*table.names, *OWN_COLUMNS, table.target.written_at}
    for expression in table.expressions():
        location, text, dialect, over = expression
        tree = _parse(expression)
        if isinstance(tree, str):
            yield location, f"{text!r} isn't {LANGUAGES[dialect]}: {tree}"
            continue
        named = {column.name for column in tree.find_all(exp.Column)}
        if unknown := sorted(named - (indexed if dialect == "postgres" else known[over])):
            yield location, f"{text!r} names {', '.join(unknown)}, which doesn't exist"


def _parse(expression: Expression) -> exp.Expression | str:
    """The syntax tree of an expression, or what is wrong with it."""
    if fault := find_fault(expression):
        return fault
    try:
        trees = sqlglot.parse(f"SELECT ({expression.text})", read=expression.dialect)
    except sqlglot.ParseError as error:
        return str(error.errors[0]["description"])
    except sqlglot.errors.SqlglotError as error:
        return str(error).partition("\n")[0]
    values = trees[0].expressions if trees[0] else []
    if len(trees) != 1 or len(values) != 1 or not isinstance(values[0], exp.Paren):
        return "expected one value"
    if isinstance(values[0].this, exp.Alias) or values[0].find(exp.Query):
        return "expected a value without an alias and without a subquery"
    return values[0]


def write_ddl(table: Table) -> str:
    """The statements with which the first run creates the target."""
    return ";\n\n".join(part.as_string().strip() for part in define_target(table)) + ";\n"


def glue_input(table: Table, name: str, location: str) -> dict[str, object]:
    """The Glue table that declares what the file reads."""
    columns = [{"Name": column, "Type": kind} for column, kind in table.source.declared.items()]
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet"},
        "StorageDescriptor": {**GLUE_FORMAT, "Columns": columns, "Location": location},
    }
