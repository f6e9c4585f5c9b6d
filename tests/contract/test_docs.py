"""The documents that are made from the code are what the code makes."""

from __future__ import annotations

import re

import pytest
from devtools.cli_reference import find_commands
from devtools.docs import PARTS, ROOT, renew
from forecast_sync_cli.commands.examples import EXAMPLES
from forecast_sync_cli.schemas import SHAPES

from tests.contract.stack import load_template


@pytest.mark.parametrize("name", PARTS)
def test_a_document_says_what_the_code_does(name: str) -> None:
    text = (ROOT / name).read_text()
    assert text == renew(text, PARTS[name]()), f"{name} is outdated: make docs"


def test_every_command_has_examples_and_its_json_a_shape() -> None:
    commands = dict(find_commands())
    assert set(EXAMPLES) == set(commands) - {"rejects"}
    with_json = {
        name
        for name, command in commands.items()
        if any("--json" in option.opts for option in command.params)
    }
    assert {name.removesuffix(" RUN") for name in SHAPES} == with_json


def test_the_functions_that_join_a_vpc_are_named() -> None:
    joins = {
        logical_id.removesuffix("Function")
        for logical_id, resource in load_template("template.yaml")["Resources"].items()
        if "VpcConfig" in resource.get("Properties", {})
    }
    text = (ROOT / "docs/deploy.md").read_text()
    named = text[text.index("**A VPC**") : text.index("The others reach AWS and Neon")]
    listed = re.findall(r"`([a-z-]+)`", named)
    assert {name.title().replace("-", "") for name in listed} == joins


@pytest.mark.parametrize("name", [name for name, _ in find_commands()])
def test_an_example_is_of_its_command(name: str) -> None:
    assert all(example.startswith(f"forecast-sync {name}") for example in EXAMPLES.get(name, ()))
