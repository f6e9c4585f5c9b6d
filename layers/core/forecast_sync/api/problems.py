"""Every error of the API as RFC 9457 problem details, without traces or secrets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from botocore.exceptions import ClientError
from pydantic import Field

from forecast_sync import clients, deployed_tables, errors
from forecast_sync.adapters.aws_errors import error_code
from forecast_sync.api.requests import UNREADABLE, RequestTooLarge
from forecast_sync.contracts.base import Model, words_of
from forecast_sync.errors import (
    BranchNotFound,
    BranchNotMapped,
    DatabaseRefused,
    ForecastSyncError,
    InvalidInput,
    TransientError,
)
from forecast_sync.links import runbook_url
from forecast_sync.runs.control import RunConflict, RunNotFound, TableNotFound
from forecast_sync.runs.files import FileConflict
from forecast_sync.runs.rejects import RejectNotFound
from forecast_sync.telemetry.logging import logger
from forecast_sync.text.sentences import end_sentence
from forecast_sync.text.size_limits import MESSAGE_CHARACTERS, shorten

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = "5"
MAX_MISTAKES = 20
SERVED_NAMED = 20
WHERE_CHARACTERS = 200
DETAIL_CHARACTERS = 1000
INSTANCE_CHARACTERS = 1000

STATUS: dict[type[ForecastSyncError], HTTPStatus] = {
    BranchNotMapped: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    BranchNotFound: HTTPStatus.NOT_FOUND,
    RunNotFound: HTTPStatus.NOT_FOUND,
    TableNotFound: HTTPStatus.NOT_FOUND,
    RejectNotFound: HTTPStatus.NOT_FOUND,
    RunConflict: HTTPStatus.CONFLICT,
    FileConflict: HTTPStatus.CONFLICT,
    RequestTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
THROTTLED = frozenset({"ThrottlingException", "TooManyRequestsException"})


class Mistake(Model):
    """One invalid part of a request."""

    where: str = Field(
        description="The place in the request: query, path, header or body, then names."
    )
    detail: str


class Problem(Model):
    """RFC 9457 problem details."""

    type: str = Field(description="The runbook's section about the error, or about:blank.")
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Mistake] | None = None


def problem(
    status: HTTPStatus,
    detail: str,
    instance: str,
    *,
    error: str | None = None,
    mistakes: list[Mistake] | None = None,
    headers: dict[str, str] | None = None,
) -> Response[str]:
    """A response of problem details; ``error`` names an error that the runbook explains."""
    body = Problem(
        type=runbook_url(deployed_tables.settings().runbook_url, error) if error else "about:blank",
        title=error or status.phrase,
        status=status,
        detail=shorten(detail, MESSAGE_CHARACTERS),
        instance=shorten(instance, INSTANCE_CHARACTERS),
        errors=mistakes,
    )
    return Response(
        status_code=status,
        content_type=PROBLEM_JSON,
        headers=dict(headers or {}),
        body=body.model_dump_json(exclude_none=True),
    )


def install(app: APIGatewayHttpResolver) -> None:
    """Make ``app`` answer every error with problem details."""
    handlers: dict[type[Exception], Callable[[Any, str], Response[str]]] = {
        RequestValidationError: _invalid,
        RequestUnsupportedContentType: _unsupported,
        NotFoundError: _not_found,
        ForecastSyncError: _refused,
        ClientError: _refused_by_aws,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.exception_handler(kind)(_at_its_path(app, handler))


def refusal(error: Exception, path: str) -> dict[str, Any]:
    """The whole answer to a request that is refused before routing."""
    if isinstance(error, RequestValidationError):
        return answered(_invalid(error, path))
    return answered(_unsupported(error, path))


def answered(response: Response[str]) -> dict[str, Any]:
    """A response in the gateway's format."""
    headers = {**response.headers, "Content-Type": PROBLEM_JSON}
    return {"statusCode": response.status_code, "headers": headers, "body": response.body}


def refuse_unknown_parameters(
    app: APIGatewayHttpResolver, next_middleware: Callable[..., Response[Any]]
) -> Response[Any]:
    """Refuse misspelt filters, which would silently not filter: ``RequestValidationError``."""
    known = [field.alias for field in app.context["_route"].dependant.query_params]
    unknown = sorted(set(app.current_event.query_string_parameters) - set(known))
    if unknown:
        message = f"Unknown parameter; known here: {', '.join(known) or 'none'}"
        raise RequestValidationError(
            [
                {"type": "extra_forbidden", "loc": ("query", name), "msg": message}
                for name in unknown
            ]
        )
    return next_middleware(app)


def _at_its_path(
    app: APIGatewayHttpResolver, handler: Callable[[Any, str], Response[str]]
) -> Callable[[Exception], Response[str]]:
    return lambda error: handler(error, app.current_event.path)


def _invalid(error: RequestValidationError, path: str) -> Response[str]:
    is_readable = all(item["type"] not in UNREADABLE for item in error.errors())
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY if is_readable else HTTPStatus.BAD_REQUEST,
        "The request is invalid; `errors` says where. GET /openapi.json is the reference.",
        path,
        mistakes=[_mistake(item) for item in error.errors()[:MAX_MISTAKES]],
    )


def _unsupported(_: Exception, path: str) -> Response[str]:
    return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.", path)


def _not_found(_: NotFoundError, path: str) -> Response[str]:
    detail = f"There is no {path}; GET /openapi.json lists the paths."
    return problem(HTTPStatus.NOT_FOUND, detail, path)


def _refused(error: ForecastSyncError, path: str) -> Response[str]:
    name, message = type(error).__name__, str(error)
    logger.warning("%s: %s", name, message)
    is_cut_off = isinstance(error, DatabaseRefused) and error.while_connecting
    if is_cut_off or isinstance(error, TransientError):
        return _unavailable(message, path, name)
    if isinstance(error, BranchNotFound) and (served := _served()):
        message = f"{end_sentence(message)} {served}"
    status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    is_in_runbook = hasattr(errors, name)
    return problem(status, message, path, error=name if is_in_runbook else None)


def _served() -> str:
    """The git refs that would have been found, for a message; empty when Neon doesn't say."""
    with suppress(ForecastSyncError):
        if clients.neon() is None:
            return ""
        return f"Found are: {', '.join(clients.served_refs()[:SERVED_NAMED])}."
    return ""


def _refused_by_aws(error: ClientError, path: str) -> Response[str]:
    code = error_code(error)
    logger.error("AWS refused %s with %s", error.operation_name, code)
    if code in THROTTLED:
        return _unavailable(f"AWS is throttling {error.operation_name}; try again.", path, None)
    detail = f"AWS refused {error.operation_name}: {code}."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, path)


def _unexpected(error: Exception, path: str) -> Response[str]:
    # The text of a foreign error may contain anything, so only its class is shown.
    logger.error("%s, unexpected", type(error).__name__)
    detail = f"{type(error).__name__}, unexpected: see the function's log."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, path)


def _unavailable(message: str, instance: str, error: str | None) -> Response[str]:
    headers = {"Retry-After": RETRY_AFTER_SECONDS}
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, message, instance, error=error, headers=headers)


def _words(item: dict[str, Any]) -> str:
    """What was expected; of an unknown parameter the message names the known ones."""
    is_ours = item["type"] == "extra_forbidden" and item["msg"].startswith("Unknown")
    return str(item["msg"]) if is_ours else words_of(item)


def _capitalized(text: str) -> str:
    """A text that begins like a sentence, unless it begins with a key."""
    is_key = "_" in text.partition(" ")[0]
    return text if is_key else text[:1].upper() + text[1:]


def _mistake(item: dict[str, Any]) -> Mistake:
    is_ref = item["loc"][-1] == "git_ref" and item["type"] == "string_pattern_mismatch"
    return Mistake(
        where=shorten(".".join(map(str, item["loc"])), WHERE_CHARACTERS),
        detail=(
            "Expected main, dev, feature/NAME or preview/pr-NUMBER"
            if is_ref
            else shorten(_capitalized(_words(item)), DETAIL_CHARACTERS)
        ),
    )
