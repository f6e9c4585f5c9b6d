"""The reference of the command line: Typer's own documentation, and the schemas of its JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from forecast_sync_cli.commands.help_examples import EXAMPLES
from forecast_sync_cli.main import make_app
from forecast_sync_cli.schemas import SHAPES
from pydantic import TypeAdapter
from typer.cli import get_docs_for_click

from devtools.schema_tables import describe_type, summary_of, write_table


def write_reference() -> str:
    """What ``typer utils docs`` writes about the commands, then a section for each JSON object."""
    schemas, definitions = TypeAdapter.json_schemas(
        (name, "serialization", TypeAdapter(shape)) for name, shape in SHAPES.items()
    )
    types = {name: describe_type(schema) for (name, _), schema in schemas.items()}
    app = typer.main.get_command(make_app())
    for name, command in _walk("", app):
        command.short_help = (command.help or "").splitlines()[0]
        command.epilog = "\n".join(_epilog(name, types))
    commands = get_docs_for_click(
        obj=app, ctx=typer.Context(app), indent=1, name="forecast-sync", title="Commands"
    )
    lines = ["## JSON", "", "Times are ISO 8601. `?` marks values that may be null.", ""]
    for name, schema in definitions["$defs"].items():
        lines += [f"### {name}", "", summary_of(schema), ""]
        lines += [*write_table(schema), ""]
    return f"{commands.strip()}\n\n" + "\n".join(lines)


def find_commands() -> list[tuple[str, Any]]:
    """Every command by its full name, including groups that are commands themselves."""
    return [
        (name, command)
        for name, command in _walk("", typer.main.get_command(make_app()))
        if not getattr(command, "commands", {}) or (name and command.invoke_without_command)
    ]


def _walk(prefix: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield prefix, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(f"{prefix} {name}".strip(), child)


def _epilog(name: str, types: dict[str, str]) -> Iterator[str]:
    """The JSON that a command prints, and its examples."""
    if name in types:
        yield from (f"`--json` prints: {types[name]}", "")
    if f"{name} RUN" in types:
        yield from (f"`--json` with a run prints: {types[f'{name} RUN']}", "")
    if f"{name} --table" in types:
        yield from (f"`--json` with `--table` prints: {types[f'{name} --table']}", "")
    if name in EXAMPLES:
        yield from ("**Examples**:", "", "```console")
        yield from (f"$ {example}" for example in EXAMPLES[name])
        yield "```"
