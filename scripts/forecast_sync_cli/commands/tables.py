"""``forecast-sync tables``: the table files, checked, and declared in a deployment."""

from __future__ import annotations

from typing import Annotated

import typer
from forecast_sync.stack_names import DEFAULT_PROJECT
from forecast_sync.tables import load_table

from forecast_sync_cli.client import deployment
from forecast_sync_cli.client.athena import read_settings
from forecast_sync_cli.commands.common import (
    EnvironmentOption,
    JsonOption,
    ProjectOption,
    out,
    print_json,
)
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.table_lint import glue_input, read_checked, write_ddl

app = typer.Typer(no_args_is_help=True, help="Table files: check them, show their DDL, declare.")

TableArgument = Annotated[
    str, typer.Argument(help="A path that ends with .toml, or the name of a known table.")
]


@app.command()
def check(table: TableArgument, as_json: JsonOption = False) -> None:
    """Check a table file: its keys, its SQL, and the columns that it names.

    A fault is told with file, line and key; exit code 1.
    """
    found = read_checked(table)
    document = {
        "target": found.target.table,
        "columns": len(found.column),
        "reject_rules": len(found.reject),
        "expectations": len(found.expect),
    }
    if as_json:
        print_json(document)
    else:
        out().line(
            f"sound: {document['target']}, {document['columns']} columns, "
            f"{document['reject_rules']} reject rules, {document['expectations']} expectations"
        )


@app.command()
def ddl(table: TableArgument) -> None:
    """Print the statements that the first run makes the target with."""
    out().document(write_ddl(read_checked(table)), f"the DDL of {table}")


@app.command()
def declare(
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Declare the deployment's table in Glue, from its table file; may run again.

    The template does it for `forecast`; a stack with another TableFile needs it once, and after
    each change of the file's [source.columns].
    """
    found = deployment.find(environment, project)
    settings = read_settings(found)
    if settings.table_file == "forecast":
        raise UserError("the template declares the table forecast: `sam deploy` keeps it right")
    name = settings.forecast_table_name
    glue = found.client("glue")
    table = glue_input(load_table(settings.table_file), name, settings.data_location)
    try:
        glue.create_table(DatabaseName=settings.athena_db_name, TableInput=table)
        action = "created"
    except glue.exceptions.AlreadyExistsException:
        glue.update_table(DatabaseName=settings.athena_db_name, TableInput=table)
        action = "updated"
    if as_json:
        print_json({"database": settings.athena_db_name, "table": name, "action": action})
    else:
        out().line(f"{action} {settings.athena_db_name}.{name}")
