"""The template and the state machine as Python values, for contract tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))


class _Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short tags as {tag: value}."""


def _tagged(loader: yaml.CSafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {tag.lstrip("!"): loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {tag.lstrip("!"): loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {tag.lstrip("!"): loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _tagged)


@cache
def load_template(path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / path).read_text(), _Loader)
    return loaded


def template() -> dict[str, Any]:
    return load_template("template.yaml")


@cache
def machine() -> dict[str, Any]:
    text = (ROOT / "statemachine/sync.asl.yaml").read_text()
    loaded: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)
    return loaded


def states(scope: dict[str, Any] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every state, those inside of Maps included."""
    for name, state in (scope or machine())["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def tasks() -> list[tuple[str, dict[str, Any]]]:
    return [(name, state) for name, state in states() if state["Type"] == "Task"]


def function_of(state: dict[str, Any]) -> str:
    """The folder of the function that a Task calls."""
    match = re.fullmatch(r"\$\{(\w+)FunctionArn\}", state["Parameters"]["FunctionName"])
    assert match is not None
    return re.sub(r"(?<!^)(?=[A-Z])", "_", match[1]).lower()
