"""Says what is wrong in a table file: which line and key, what is allowed, what may be meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from forecast_sync.tables.lines import Location, find_line

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

EXPECTED = {
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list, like [...]",
    "dict_type": "a table of columns and their types",
    "model_type": "a table of keys",
}
LONGEST_SHOWN = 40
MARKS = ("[key]", "[type]", "[column]")
"""What pydantic puts into the location of a fault: that a key is wrong rather than its value, and
which of the two forms of a column it has found.
"""


def describe(text: str, file: str, faults: Iterable[tuple[Location, str]]) -> list[str]:
    """The faults in the order of their lines, each with file, line and key."""
    placed = sorted(
        (find_line(text, location), ".".join(map(str, location)), message)
        for location, message in faults
    )
    return [f"{file}, line {line}, {key}: {message}" for line, key, message in placed]


def find_faults(
    error: ValidationError, schema: Mapping[str, Any]
) -> Iterator[tuple[Location, str]]:
    """What pydantic found, in the words of a table file; ``schema`` is the file's JSON Schema."""
    found = [
        (tuple(part for part in item["loc"] if part not in MARKS), item) for item in error.errors()
    ]
    for location, item in found:
        # It calls a list empty too if none of its items is valid.
        within = (other for other, _ in found if other[:-1][: len(location)] == location)
        if item["type"] != "too_short" or not any(within):
            yield location, _message(item, location, schema)


def suggest(name: str, known: Iterable[str]) -> str:
    """`. Did you mean NAME?` if one of the known names is near; else nothing."""
    near = find_near(name, known)
    return f". Did you mean {near}?" if near else ""


def find_near(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest, if one is near at all."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), 1)), None)


def _message(item: ErrorDetails, location: Location, schema: Mapping[str, Any]) -> str:
    kind, value = item["type"], item["input"]
    name = str(location[-1]) if location else ""
    if kind == "missing":
        return f"{name} is missing: {_description(schema, location)}"
    if kind == "extra_forbidden":
        known = list(_keys(schema, location[:-1]))
        return f"no such key: expected one of {', '.join(known)}{suggest(name, known)}"
    if kind == "model_type" or (kind == "tuple_type" and isinstance(value, dict)):
        table, many = (
            ".".join(str(part) for part in location if isinstance(part, str)),
            "tuple" in kind,
        )
        expected = f"[[{table}]]" if many else f"[{table}]"
        return f"found {_shown(value)}, expected a table {expected}"
    if kind == "tuple_type" and isinstance(value, str):
        return f"found {_shown(value)}, expected a list, like [{_shown(value)}]"
    if kind in EXPECTED:
        return f"found {_shown(value)}, expected {EXPECTED[kind]}"
    if kind in ("too_short", "string_too_short"):
        return f"it is empty: {_description(schema, location)}"
    if kind == "string_too_long":
        limit = item["ctx"]["max_length"]
        return f"it has {len(str(value))} characters, expected at most {limit}"
    # "Input should be" less than something, or one of some words.
    _, begins, expected = item["msg"].partition("Input should be ")
    return f"found {_shown(value)}, expected {expected}" if begins else item["msg"]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _keys(schema: Mapping[str, Any], location: Location) -> Iterable[str]:
    """The keys that the table at ``location`` may have."""
    keys: Iterable[str] = _find(schema, location).get("properties", {})
    return keys


def _description(schema: Mapping[str, Any], location: Location) -> str:
    found = _find(schema, location)
    return str(found.get("description", "expected a value")).replace("`", "")


def _find(schema: Mapping[str, Any], location: Location) -> Mapping[str, Any]:
    """The part of the schema that describes what is at ``location``."""
    part: Mapping[str, Any] = schema
    for name in location:
        if isinstance(name, int):
            part = part["items"]
        else:
            named = part.get("properties", {}).get(name)
            part = named or next(iter(part.get("patternProperties", {}).values()), {})
        part = next((kind for kind in part.get("oneOf", ()) if "$ref" in kind), part)
        reference = part.get("$ref") or part.get("items", {}).get("$ref")
        if reference:
            found = schema["$defs"][reference.rpartition("/")[2]]
            part = {"items": found, **part} if "items" in part else {**found, **part}
    return part
