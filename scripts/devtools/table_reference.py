"""The JSON Schema of table files, for editors, and the reference that is made from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from forecast_sync.tables.model import Table

from devtools.schema_tables import summary_of, write_table

ENTRY = {"anyOf": [{"type": "string"}, {"type": "object"}]}
"""A plain value, or a table that has a section of its own."""


def write_schema() -> str:
    """The JSON Schema that editors complete and check table files with."""
    return json.dumps(Table.model_json_schema(), indent=2) + "\n"


def write_reference() -> str:
    """A Markdown section for each table of a table file."""
    schema = Table.model_json_schema()
    return "\n".join(_sections(schema, schema["$defs"], ()))


def _sections(
    schema: dict[str, Any], definitions: dict[str, Any], path: tuple[str, ...]
) -> Iterator[str]:
    """The sections of the tables within a table, each followed by those within it."""
    for key, value in schema["properties"].items():
        is_array = value.get("type") == "array"
        name = ".".join((*path, key))
        if entry := _table_of_entry(value):
            table = definitions[entry]
            yield from (f"### `[{name}]`, an entry as a table", "", summary_of(table), "")
            yield from (*write_table(table, defaults=True), "")
        reference = (value["items"] if is_array else value).get("$ref")
        if reference is None:
            continue
        table = definitions[reference.rpartition("/")[2]]
        yield f"### `[[{name}]]`" if is_array else f"### `[{name}]`"
        yield from ("", summary_of(table), "")
        yield from write_table(_without_tables(table), defaults=True)
        yield ""
        yield from _sections(table, definitions, (*path, key))


def _table_of_entry(value: dict[str, Any]) -> str | None:
    """The name of the schema that an entry may have instead of a plain value, if any."""
    for entry in value.get("patternProperties", {}).values():
        for kind in entry.get("oneOf", ()):
            if reference := kind.get("$ref"):
                return str(reference.rpartition("/")[2])
    return None


def _without_tables(table: dict[str, Any]) -> dict[str, Any]:
    """A table without the keys that have sections of their own."""
    keys = {
        key: {**value, "patternProperties": {"": ENTRY}} if _table_of_entry(value) else value
        for key, value in table["properties"].items()
        if "$ref" not in value and "$ref" not in value.get("items", {})
    }
    return {**table, "properties": keys}
