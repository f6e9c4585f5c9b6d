"""``forecast-sync tables``: checks table files, and declares them in a deployment."""

from __future__ import annotations

from typing import Annotated

import typer
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli.client import deployment
from forecast_sync_cli.commands.common import (
    EnvironmentOption,
    JsonOption,
    ProjectOption,
    out,
    print_json,
)
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.table_lint import glue_input, read_checked, write_ddl

app = typer.Typer(
    no_args_is_help=True, help="Table files: check them, print their DDL, declare them in Glue."
)

TableArgument = Annotated[
    str,
    typer.Argument(metavar="TABLE", help="The path of a .toml file, or a known table's name."),
]


@app.command()
def check(table: TableArgument, as_json: JsonOption = False) -> None:
    """Check a table file: its keys, its SQL and its columns.

    Reports each mistake with file, line and key, and exits with 1.
    """
    checked = read_checked(table)
    document = {
        "target": checked.target.table,
        "columns": len(checked.column),
        "reject_rules": len(checked.reject),
        "expectations": len(checked.expect),
    }
    if as_json:
        print_json(document)
    else:
        out().line(
            f"valid: {document['target']}, {document['columns']} columns, "
            f"{document['reject_rules']} reject rules, {document['expectations']} expectations"
        )


@app.command()
def ddl(table: TableArgument) -> None:
    """Print the statements with which the first run creates the target."""
    out().document(write_ddl(read_checked(table)), f"the DDL of {table}")


@app.command()
def declare(
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Declare the deployment's table in Glue, from its table file.

    Safe to repeat. The template declares `forecast` itself. A stack with another TableFile
    needs this command once, and again whenever the file's [source.columns] change.
    """
    deployed = deployment.find(environment, project)
    settings = deployed.settings
    if settings.table_file == "forecast":
        raise UserError("the template declares the table forecast: `sam deploy` updates it")
    name = settings.forecast_table_name
    glue = deployed.client("glue")
    table = glue_input(deployed.table, name, settings.data_location)
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
