"""``forecast-sync tables``: checks table files, and declares them in a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from forecast_sync.stack_names import DEFAULT_PROJECT
from forecast_sync.tables import Table
from forecast_sync.tables.losses import find_losses

from forecast_sync_cli.client import deployment
from forecast_sync_cli.commands.common import (
    EnvironmentOption,
    JsonOption,
    ProjectOption,
    err,
    out,
    print_json,
)
from forecast_sync_cli.errors import Faults, UserError
from forecast_sync_cli.glue_tables import declare_table
from forecast_sync_cli.table_lint import (
    TableFile,
    find_clashes_with_known,
    read_checked,
    read_together,
    write_ddl,
)
from forecast_sync_cli.table_proposal import Answers, propose
from forecast_sync_cli.terminal import find_stdout_file, is_interactive

app = typer.Typer(
    no_args_is_help=True, help="Table files: write, check and declare them, print their DDL."
)

TableArgument = Annotated[
    str,
    typer.Argument(metavar="TABLE", help="The path of a .toml file, or a known table's name."),
]


TableArguments = Annotated[
    list[str],
    typer.Argument(metavar="TABLE...", help="Paths of .toml files, or known tables' names."),
]


@app.command()
def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A Parquet file of the table to sync.")
    ],
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="a,b", help="The columns that identify a row."),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", metavar="NAME", help="The key's date. Default: its only date."),
    ] = None,
    newest: Annotated[
        str | None,
        typer.Option(
            "--newest",
            metavar="SQL",
            help="A column, or Athena SQL: of rows with the same key, the greatest wins."
            " Default: a column with a name like updated_at.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="NAME",
            help="The Postgres table. Default: the name of the file that stdout is written to, or"
            " of FILE's folder.",
        ),
    ] = None,
) -> None:
    """Write a table file from a Parquet file to stdout.

    Infers the types, proposes what makes a row newer, and comments each line. In a terminal it
    asks for what it can't know; elsewhere it fails and names the option.
    """
    answers = Answers(key, date, newest, target or _redirected_to())
    out().document(propose(file, answers, _ask).write(), f"the table file of {file}")


def _ask(question: str, option: str, default: str | None) -> str:
    """Ask on stderr, because stdout is most likely a file."""
    if is_interactive():
        return err().ask(question, default)
    if default is None:
        raise UserError(f"pass {option}, because there is no terminal to ask on: {question}")
    return default


def _redirected_to() -> str | None:
    """The name of the table file that stdout is redirected to, where the system can tell."""
    path = find_stdout_file()
    return path.stem if path and path.suffix == ".toml" else None


@app.command()
def check(table: TableArguments, as_json: JsonOption = False) -> None:
    """Check table files: their keys, their SQL, their columns.

    Reports each mistake on its own line with file, line and key, and exits with 1. For a valid
    file, it says which columns are rounded, and when rows leave the target. All given files, and
    those in tables/, must fit into one stack: no table's folder of the lake may contain another's.
    """
    read = read_together(table)
    if clashes := find_clashes_with_known(read):
        raise Faults(clashes)
    documents = [_describe(table_file.table) for table_file in read]
    if as_json:
        print_json(documents[0] if len(documents) == 1 else {"tables": documents})
        return
    for table_file, document in zip(read, documents, strict=True):
        out().line(
            f"valid: {_called(table_file)}, {_counted(document['columns'], 'column')}, "
            f"{_counted(document['reject_rules'], 'reject rule')}, "
            f"{_counted(document['expectations'], 'expectation')}"
        )
        for line in filter(None, (document["leaves"], *document["losses"])):
            out().line(f"  {line}")


def _called(table_file: TableFile) -> str:
    """A table by its name, and by its target's name if that is different."""
    target = table_file.table.target.table
    return table_file.name if target == table_file.name else f"{table_file.name} ({target})"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _describe(table: Table) -> dict[str, Any]:
    return {
        "target": table.target.table,
        "columns": len(table.column),
        "reject_rules": len(table.reject),
        "expectations": len(table.expect),
        "leaves": table.leaves,
        "losses": find_losses(table),
    }


@app.command()
def ddl(table: TableArgument) -> None:
    """Print the statements that the first run creates the target with."""
    out().document(write_ddl(read_checked(table).table), f"the DDL of {table}")


@app.command()
def declare(
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    as_json: JsonOption = False,
) -> None:
    """Declare the deployment's tables in Glue, as their table files say.

    Safe to repeat: run it after adding a table to a stack, and whenever a file's [source.columns]
    change. A table made by something else, such as a crawler, is compared and used as it is.
    """
    deployed = deployment.find(environment, project)
    declared = []
    for table in map(deployed.of_table, deployed.tables):
        settings = table.settings
        action = declare_table(table)
        database, name = settings.athena_db_name, settings.forecast_table_name
        declared.append({"database": database, "table": name, "action": action})
        if not as_json:
            out().line(f"{action}: {database}.{name} at {settings.data_location}")
    if as_json:
        print_json(declared[0] if len(declared) == 1 else {"tables": declared})
