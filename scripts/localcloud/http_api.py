# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Creates an HTTP API's routes from its OpenAPI body, where SAM puts them; ministack ignores it."""

from __future__ import annotations

from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS


def install() -> None:
    """Make ministack's CloudFormation import ``Body`` when it creates or updates an API."""
    handlers = _RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    create, update = handlers["create"], handlers["update"]

    def create_with_body(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        created = create(logical_id, properties, stack_name)
        _import_body(created[0], properties.get("Body") or {})
        return created

    def update_with_body(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any, **named: Any
    ) -> Any:
        updated = update(physical_id, old, new, *rest, **named)
        _import_body(updated[0], new.get("Body") or {})
        return updated

    handlers.update(create=create_with_body, update=update_with_body)


def _import_body(api_id: str, body: dict[str, Any]) -> None:
    """Replace the existing routes, as API Gateway's own import does."""
    apigateway._routes[api_id] = {}
    apigateway._integrations[api_id] = {}
    if title := body.get("info", {}).get("title"):
        apigateway._apis[api_id]["name"] = title
    schemes = body.get("components", {}).get("securitySchemes", {})
    for path, methods in body.get("paths", {}).items():
        for method, operation in methods.items():
            integration = operation["x-amazon-apigateway-integration"]
            apigateway._create_integration(
                api_id,
                {
                    "integrationType": integration["type"].upper(),
                    "integrationUri": integration["uri"],
                    "integrationMethod": integration.get("httpMethod", "POST"),
                    "payloadFormatVersion": integration.get("payloadFormatVersion", "2.0"),
                },
            )
            integration_id = list(apigateway._integrations[api_id])[-1]
            signed = any(
                name in schemes and _is_iam(schemes[name])
                for requirement in operation.get("security", [])
                for name in requirement
            )
            apigateway._create_route(
                api_id,
                {
                    "routeKey": f"{'ANY' if method.startswith('x-') else method.upper()} {path}",
                    "target": f"integrations/{integration_id}",
                    "authorizationType": "AWS_IAM" if signed else "NONE",
                },
            )


def _is_iam(scheme: dict[str, Any]) -> bool:
    return bool(scheme.get("x-amazon-apigateway-authtype") == "awsSigv4")
