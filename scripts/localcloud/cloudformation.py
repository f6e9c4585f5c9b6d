# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Adds to CloudFormation what ``sam deploy``, ``sam delete`` and templates/github.yaml need."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from ministack.services import iam
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

from localcloud.protocol import ACCOUNT, REGION
from localcloud.yaml_files import load_yaml

TEXT_FUNCTIONS = {"Fn::Join", "Fn::Select", "Fn::Split", "Fn::Sub"}


def install(endpoint_url: str) -> None:
    """Give ministack's CloudFormation what it lacks.

    - Conditions may join, split and substitute, as in CloudFormation.
    - The definition of a state machine may be YAML in S3.
    - It knows ``AWS::IAM::OIDCProvider``.
    - A template names objects by S3's own address, wherever they were uploaded: ``sam delete``
      accepts no other.
    """
    read_definition = provisioners._sfn_definition
    get_template = handlers._get_template
    evaluate = engine._evaluate_conditions

    def definition_as_json(properties: dict[str, Any]) -> str:
        definition: str = read_definition(properties)
        return json.dumps(load_yaml(definition)) if _is_yaml(definition) else definition

    def evaluate_conditions(
        template: dict[str, Any], parameters: dict[str, Any]
    ) -> dict[str, bool]:
        conditions = _resolve(template.get("Conditions", {}), template, parameters)
        decided: dict[str, bool] = evaluate({**template, "Conditions": conditions}, parameters)
        return decided

    def get_template_of_s3(params: Any) -> Any:
        status, headers, body = get_template(params)
        inside, outside = f"{endpoint_url}/", f"https://s3.{REGION}.amazonaws.com/"
        return status, headers, body.replace(inside.encode(), outside.encode())

    provisioners._sfn_definition = definition_as_json
    provisioners._RESOURCE_HANDLERS["AWS::IAM::OIDCProvider"] = {
        "create": _create_provider,
        "delete": _delete_provider,
    }
    handlers._ACTION_HANDLERS["GetTemplate"] = get_template_of_s3
    for module in (changesets, engine, handlers, stacks):
        module._evaluate_conditions = evaluate_conditions


def _resolve(expression: Any, template: dict[str, Any], parameters: dict[str, Any]) -> Any:
    """A condition whose texts are made already: the rest of it is compared and combined."""
    if isinstance(expression, list):
        return [_resolve(item, template, parameters) for item in expression]
    if not isinstance(expression, dict):
        return expression
    if expression.keys() & TEXT_FUNCTIONS:
        mappings = template.get("Mappings", {})
        return engine._resolve_refs(expression, {}, parameters, {}, mappings, "", "")
    return {name: _resolve(value, template, parameters) for name, value in expression.items()}


def _is_yaml(definition: str) -> bool:
    return not definition.lstrip().startswith("{")


def _create_provider(
    _logical_id: str, properties: dict[str, Any], _stack_name: str
) -> tuple[str, dict[str, str]]:
    url = properties["Url"]
    clients = enumerate(properties.get("ClientIdList", []), 1)
    request = {
        "Url": [url],
        **{f"ClientIDList.member.{number}": [client] for number, client in clients},
    }
    status, _, _ = iam._create_oidc_provider(request)
    if status != HTTPStatus.OK:
        raise ValueError(f"the account has a provider for {url} already")
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{url.removeprefix('https://')}"
    return arn, {"Arn": arn}


def _delete_provider(arn: str, _properties: dict[str, Any]) -> None:
    iam._oidc_providers.pop(arn, None)
