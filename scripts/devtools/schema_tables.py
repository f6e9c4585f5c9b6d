"""Markdown tables of a JSON Schema's objects: key, type, optionally default, description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

TYPES = {"integer": "number", "number": "number", "boolean": "true or false"}


def summary_of(schema: dict[str, Any]) -> str:
    """The first line of an object's description, in Markdown."""
    return str(schema["description"]).splitlines()[0].replace("``", "`")


def write_table(schema: dict[str, Any], *, defaults: bool = False) -> Iterator[str]:
    """The lines of a table of an object's keys; ``defaults`` adds a column for these."""
    headings = ("key", "type", "default", "description")
    shown = [heading for heading in headings if defaults or heading != "default"]
    yield f"| {' | '.join(shown)} |"
    yield "|---" * len(shown) + "|"
    required = schema.get("required", [])
    for key, value in schema["properties"].items():
        cells = {
            "key": f"`{key}`",
            "type": describe_type(value),
            "default": "*required*" if key in required else _default(value.get("default")),
            "description": value.get("description", ""),
        }
        yield f"| {' | '.join(cells[heading] for heading in shown)} |"


def describe_type(schema: dict[str, Any]) -> str:
    """A type in words; objects are links, and ``?`` marks what may be null."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        kinds = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
        optional = "?" if len(kinds) < len(schema["anyOf"]) else ""
        return " or ".join(map(describe_type, kinds)) + optional
    kind = schema.get("type")
    if kind == "array":
        return f"list of {describe_type(schema.get('items', {}))}"
    if kind == "object":
        values = next(iter(schema.get("patternProperties", {}).values()), None)
        values = values or schema.get("additionalProperties")
        return f"object of {describe_type(values)}" if isinstance(values, dict) else "object"
    if kind == "string":
        return "time" if schema.get("format") == "date-time" else "text"
    return TYPES.get(str(kind), "any")


def _default(value: Any) -> str:
    if value in (None, [], {}):
        return "none"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
