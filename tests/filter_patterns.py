"""Metric filters as CloudWatch applies them to JSON lines, as far as our pattern goes."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

from devtools.cloudwatch_queries import parse_filter
from lark import Token, Tree

ABSENT = object()


def matches(pattern: str, line: str) -> bool:
    """Whether a filter counts a line; a comparison with a field that isn't there is false."""
    try:
        event = json.loads(line)
    except ValueError:
        return False
    return _holds(parse_filter(pattern).children[0], event)


def _holds(node: Any, event: Any) -> bool:
    assert isinstance(node, Tree)
    if node.data == "any":
        return any(_holds(child, event) for child in node.children)
    if node.data == "all":
        return all(_holds(child, event) for child in node.children)
    assert node.data == "compared"
    selector, operator, value = node.children
    assert isinstance(value, Tree)
    field = event
    for name in str(selector).removeprefix("$.").split("."):
        field = field.get(name, ABSENT) if isinstance(field, dict) else ABSENT
    if not isinstance(field, str):
        return False
    [wanted] = value.children
    assert isinstance(wanted, Token)
    assert wanted.type == "STRING"
    is_like = fnmatchcase(field, str(wanted)[1:-1])
    return is_like if operator == "=" else not is_like
