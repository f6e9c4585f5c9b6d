"""A template as CloudFormation renders it for given parameters, and the policies of its roles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tests.contract.iam import Statement
from tests.contract.stack import load_template

ACCOUNT = "123456789012"
REGION = "us-east-2"
_NOTHING = object()


@dataclass(frozen=True)
class Rendered:
    """A template's resources, without those whose condition isn't met."""

    resources: dict[str, dict[str, Any]]
    account: str

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of each resource of a type, by logical name."""
        return {
            name: resource["Properties"]
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def statements(self, role: str) -> list[Statement]:
        """What a role may do: its own policies and the template's managed ones."""
        properties = self.resources[role]["Properties"]
        documents = [item["PolicyDocument"] for item in properties.get("Policies", [])]
        documents += [
            self.resources[arn.rpartition("/")[2]]["Properties"]["PolicyDocument"]
            for arn in properties.get("ManagedPolicyArns", [])
        ]
        return [statement for document in documents for statement in document["Statement"]]

    def trust(self, role: str) -> list[Statement]:
        """Who may become a role."""
        document = self.resources[role]["Properties"]["AssumeRolePolicyDocument"]
        statements: list[Statement] = document["Statement"]
        return statements


def render(path: str, account: str = ACCOUNT, **parameters: Any) -> Rendered:
    """Render a template; a parameter that isn't given has its default."""
    template = load_template(path)
    known = {name: item.get("Default") for name, item in template["Parameters"].items()}
    assert set(parameters) <= set(known), set(parameters) - set(known)
    renderer = _Renderer(template, {**known, **parameters}, account)
    resources = {
        name: {"Type": item["Type"], **renderer.value({"Properties": item.get("Properties", {})})}
        for name, item in template["Resources"].items()
        if renderer.is_met(item.get("Condition"))
    }
    return Rendered(resources, account)


def broken_rules(path: str, **parameters: Any) -> list[str]:
    """The descriptions of a template's assertions that parameters don't meet."""
    template = load_template(path)
    known = {name: item.get("Default") for name, item in template["Parameters"].items()}
    renderer = _Renderer(template, {**known, **parameters}, ACCOUNT)
    return [
        item["AssertDescription"]
        for rule in template["Rules"].values()
        for item in rule["Assertions"]
        if not renderer.value(item["Assert"])
    ]


@dataclass(frozen=True)
class _Renderer:
    template: dict[str, Any]
    parameters: dict[str, Any]
    account: str

    def is_met(self, name: str | None) -> bool:
        return name is None or bool(self.value(self.template["Conditions"][name]))

    def value(self, node: Any) -> Any:
        """A node without intrinsic functions; what is ``AWS::NoValue`` is left out."""
        if isinstance(node, list):
            return [item for item in map(self.value, node) if item is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(name, argument)] = node.items()
            if (function := getattr(self, f"_{name.lower()}", None)) is not None:
                return function(argument)
        rendered = {name: self.value(item) for name, item in node.items()}
        return {name: item for name, item in rendered.items() if item is not _NOTHING}

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::AccountId": self.account,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": "stack",
            "AWS::NoValue": _NOTHING,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        kind = self.template["Resources"][name]["Type"].rpartition("::")[2]
        return f"arn:aws:iam::{self.account}:{kind.lower()}/{name}"

    def _getatt(self, name: str | list[str]) -> str:
        logical, _, attribute = (name if isinstance(name, str) else ".".join(name)).partition(".")
        assert attribute
        return str(self._ref(logical))

    def _sub(self, argument: str | list[Any]) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument
        variables = self.value(given)

        def replace(match: re.Match[str]) -> str:
            name = match[1]
            return str(variables[name] if name in variables else self._ref(name.split(".")[0]))

        return re.sub(r"\$\{([\w:.]+)\}", replace, text)

    def _if(self, argument: list[Any]) -> Any:
        condition, then, otherwise = argument
        return self.value(then if self.is_met(condition) else otherwise)

    def _condition(self, argument: Any) -> Any:
        """The function ``!Condition``, or the element of a policy's statement."""
        return self.is_met(argument) if isinstance(argument, str) else {"Condition": argument}

    def _equals(self, argument: list[Any]) -> bool:
        first, second = self.value(argument)
        return bool(first == second)

    def _not(self, argument: list[Any]) -> bool:
        return not self.value(argument)[0]

    def _and(self, argument: list[Any]) -> bool:
        return all(self.value(argument))

    def _or(self, argument: list[Any]) -> bool:
        return any(self.value(argument))

    def _join(self, argument: list[Any]) -> str:
        separator, parts = argument
        return str(separator).join(self.value(parts))

    def _split(self, argument: list[Any]) -> list[str]:
        separator, text = argument
        return str(self.value(text)).split(separator)

    def _select(self, argument: list[Any]) -> Any:
        index, items = argument
        return self.value(items)[int(index)]

    def _findinmap(self, argument: list[Any]) -> Any:
        name, first, second = self.value(argument)
        return self.template["Mappings"][name][first][second]
