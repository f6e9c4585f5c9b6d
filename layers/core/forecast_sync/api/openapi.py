"""What the OpenAPI document says besides the routes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.openapi.models import APIKey

from forecast_sync.api import problems

VERSION = "1.0.0"
DESCRIPTION = (
    "Starts, shows, redrives and stops the runs of one deployment. Every call is signed with "
    "AWS Signature Version 4 for the service `execute-api`; errors are RFC 9457 problem details, "
    "but for those of the gateway itself: 403 without a valid signature, 429 above the throttle."
)
SIGNED = APIKey.model_validate(
    {
        "name": "Authorization",
        "in": "header",
        "description": "AWS Signature Version 4, service execute-api.",
    }
)
INFORMATION: dict[str, Any] = {
    "title": "Forecast Data Sync",
    "version": VERSION,
    "description": DESCRIPTION,
    "security_schemes": {"sigv4": SIGNED},
    "security": [{"sigv4": []}],
}
EVERYWHERE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
BY_GATEWAY = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)


def answers(success: HTTPStatus, description: str, *errors: HTTPStatus) -> dict[int, Any]:
    """The responses of a route: success, its own errors, and those that every route has."""
    problem = {problems.PROBLEM_JSON: {"model": problems.Problem}}
    gateway = {"application/json": {"schema": {"type": "object"}}}
    responses: dict[int, Any] = {int(success): {"description": description}}
    for status in sorted({*EVERYWHERE, *errors}):
        content = gateway if status in BY_GATEWAY else problem
        responses[int(status)] = {"description": status.phrase, "content": content}
    return responses
