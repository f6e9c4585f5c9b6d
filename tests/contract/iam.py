"""AWS's evaluation of policies: actions, resources, conditions, and a Deny that wins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """What IAM sees of a call; a context key that the call doesn't send is absent."""

    action: str
    resource: str
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


def is_allowed(statements: Iterable[Statement], request: Request) -> bool:
    """Whether identity policies of these statements allow a request."""
    effects = {item["Effect"] for item in statements if matches(item, request)}
    return effects == {"Allow"}


def matches(statement: Statement, request: Request) -> bool:
    """Whether a statement speaks of the request, by action, resource and every condition."""
    return (
        _speaks_of(statement, "Action", request.action, _like_in_any_case)
        and _speaks_of(statement, "Resource", request.resource, like)
        and meets_conditions(statement.get("Condition", {}), request.context)
    )


def meets_conditions(
    condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str | tuple[str, ...]]
) -> bool:
    """Whether a request's context meets every operator and key of a ``Condition``."""
    sent = {name.lower(): listed(value) for name, value in context.items()}
    return all(
        _meets(operator, sent.get(key.lower()), [_filled(item, sent) for item in listed(wanted)])
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _filled(wanted: object, sent: Mapping[str, list[str]]) -> str:
    """A wanted value with its policy variables, ``${aws:PrincipalAccount}`` and the like."""
    return re.sub(r"\$\{([\w:]+)\}", lambda match: sent[match[1].lower()][0], str(wanted))


def like(pattern: str, text: str) -> bool:
    """IAM's wildcards: ``*`` for any characters, ``?`` for one; nothing else is special."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def listed(value: Any) -> list[Any]:
    """A value that may stand alone, as a list."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def permissions(statements: Iterable[Statement]) -> Iterator[tuple[Statement, str, str]]:
    """Each statement that allows, with each pair of its actions and resources."""
    for statement in statements:
        if statement["Effect"] == "Allow":
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    yield statement, action, resource


def _speaks_of(
    statement: Statement, element: str, text: str, alike: Callable[[str, str], bool]
) -> bool:
    """An element or its negation; a trust policy has no Resource, which is the role itself."""
    if f"Not{element}" in statement:
        return not any(alike(item, text) for item in listed(statement[f"Not{element}"]))
    return any(alike(item, text) for item in listed(statement.get(element, "*")))


def _like_in_any_case(pattern: str, text: str) -> bool:
    return like(pattern.lower(), text.lower())


def _arn_like(pattern: str, text: str) -> bool:
    """Wildcards that don't reach over a colon in an ARN's first five parts."""
    patterns, parts = pattern.split(":", 5), text.split(":", 5)
    return len(patterns) == len(parts) and all(map(like, patterns, parts))


def _equal(wanted: str, held: str) -> bool:
    return wanted == held


def _same(wanted: str, held: str) -> bool:
    return wanted.lower() == held.lower()


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _same,
    "StringLike": like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": _same,
}
NEGATIONS = {
    "StringNotEquals": _equal,
    "StringNotEqualsIgnoreCase": _same,
    "StringNotLike": like,
    "ArnNotEquals": _arn_like,
    "ArnNotLike": _arn_like,
}


def _meets(operator: str, held: list[str] | None, wanted: list[str]) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if name == "Null":
        return (held is None) == (wanted[0].lower() == "true")
    name, if_exists = name.removesuffix("IfExists"), name.endswith("IfExists")
    if held is None:
        return if_exists or name in NEGATIONS or quantifier == "ForAllValues"
    if name in NEGATIONS:
        met = [not any(NEGATIONS[name](item, text) for item in wanted) for text in held]
    else:
        met = [any(OPERATORS[name](item, text) for item in wanted) for text in held]
    return any(met) if quantifier == "ForAnyValue" else all(met)
