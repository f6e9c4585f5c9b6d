"""The routes: each parses, calls the use case and answers; OpenAPI is generated from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from forecast_sync import clients, deployed_tables
from forecast_sync.api import problems, requests, schemas
from forecast_sync.api.openapi import INFORMATION, answers
from forecast_sync.api.parameters import (
    AfterFile,
    AfterReject,
    AfterRun,
    ContentHash,
    GitRef,
    GoalHours,
    IdempotencyKey,
    Limit,
    Offset,
    OneTable,
    Prefix,
    Reason,
    RejectsOf,
    Resolved,
    RunId,
    TableName,
    TakenInBy,
    Trigger,
)
from forecast_sync.config import Settings
from forecast_sync.contracts.run import SyncRequest, SyncType
from forecast_sync.runs import control, detail, files, freshness, model, queries, rejects
from forecast_sync.tables import definition_of
from forecast_sync.tables.files import read_table_file
from forecast_sync.telemetry.logging import about_event, logger, name_run

OK, ACCEPTED = HTTPStatus.OK, HTTPStatus.ACCEPTED
CONFLICT = HTTPStatus.CONFLICT
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=requests.read_body)
STRICT = [problems.refuse_unknown_parameters]
problems.install(app)


@app.get(
    "/status",
    summary="How fresh every branch is",
    middlewares=STRICT,
    responses=answers(OK, "By branch"),
)
def read_status(
    git_ref: GitRef = None, goal_hours: GoalHours = None, table: OneTable = None
) -> model.StatusReport:
    """Age, the file that holds it back, last success and running run of each branch, or of one.

    Where the stack has several tables, of each table too.
    """
    settings = deployed_tables.settings()
    changed = {} if goal_hours is None else {"freshness_goal_hours": goal_hours}
    names = settings.table_names if table is None else (_require_table(table),)
    tables = [deployed_tables.settings_named(name).model_copy(update=changed) for name in names]
    git_refs = [git_ref] if git_ref else clients.served_refs()
    return model.StatusReport(
        environment=settings.environment,
        goal_seconds=round(tables[0].freshness_goal_hours * 3600),
        branches=[
            freshness.judge_branch(git_ref, each, clients.connection_of)
            for git_ref in git_refs
            for each in tables
        ],
    )


@app.get(
    "/syncs", summary="The runs of a branch", middlewares=STRICT, responses=answers(OK, "A page")
)
def list_syncs(
    git_ref: GitRef = None,
    status: Annotated[model.Status | None, Query()] = None,
    sync_type: Annotated[SyncType | None, Query()] = None,
    trigger: Trigger = None,
    after: AfterRun = None,
    limit: Limit = queries.HISTORY_LIMIT,
    table: OneTable = None,
) -> model.Syncs:
    """A page of runs, newest first."""
    query = queries.RunQuery(
        status=status, sync_type=sync_type, trigger=trigger, after=after, limit=limit, table=table
    )
    return queries.list_runs(clients.connection_of(git_ref), query)


@app.get("/syncs/<run_id>", summary="One run", middlewares=STRICT, responses=answers(OK, "The run"))
def describe_sync(run_id: RunId, git_ref: GitRef = None) -> model.SyncDetail:
    """States, pages, rows, counts, error and links of a run; the run knows its own git ref."""
    runbook = deployed_tables.settings().runbook_url
    described = detail.describe_sync(
        clients.workflow(), clients.connection_of, run_id, git_ref=git_ref, runbook=runbook
    )
    name_run(run_id, described.table)
    return described


@app.post(
    "/syncs",
    summary="Start a run",
    status_code=ACCEPTED,
    middlewares=STRICT,
    responses=answers(
        ACCEPTED,
        "Started",
        CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ),
)
def start_sync(
    request: Annotated[schemas.StartRequest, Body(description="As the execution input.")],
    idempotency_key: IdempotencyKey = None,
) -> Response[schemas.Accepted]:
    """Start a run; `GET /syncs/{run_id}` shows its progress."""
    named = request if "trigger" in request.model_fields_set else _by_api(request)
    settings = deployed_tables.settings()
    _require_table(request.table)
    run_id = control.start_run(
        clients.workflow(), settings.environment, named, idempotency_key, clients.require_branch
    )
    return _accepted(run_id, request.table)


@app.post(
    "/syncs/<run_id>/redrive",
    summary="Redrive a run",
    status_code=ACCEPTED,
    middlewares=STRICT,
    responses=answers(ACCEPTED, "Redriven", CONFLICT),
)
def redrive_sync(run_id: RunId) -> Response[schemas.Accepted]:
    """Resume a failed, stopped or timed-out run where it ended; 409 when that can't work."""

    def find_later(git_ref: str | None) -> str | None:
        return queries.find_later_run(clients.connection_of(git_ref), run_id)

    execution = control.redrive_run(clients.workflow(), run_id, find_later)
    return _accepted(run_id, control.table_of(execution))


@app.post(
    "/syncs/<run_id>/stop",
    summary="Stop a run",
    status_code=ACCEPTED,
    middlewares=STRICT,
    responses=answers(ACCEPTED, "Stopped", CONFLICT),
)
def stop_sync(run_id: RunId) -> Response[schemas.Accepted]:
    """Stop a running run; what it has committed stays, and a redrive resumes from there."""
    execution = control.stop_run(clients.workflow(), run_id, "Stopped through the API.")
    return _accepted(run_id, control.table_of(execution))


@app.get("/rejects", summary="Rejected rows", middlewares=STRICT, responses=answers(OK, "A page"))
def list_rejects(
    git_ref: GitRef = None,
    run_id: RejectsOf = None,
    reason: Reason = None,
    all: Resolved = False,  # noqa: A002  # the parameter's name in the query
    after: AfterReject = None,
    limit: Limit = 100,
    table: OneTable = None,
) -> model.Rejects:
    """A page of the rows that the table can't hold, and the totals of all of them by reason."""
    settings = deployed_tables.settings()
    names = settings.table_names if table is None else (_require_table(table),)
    one = deployed_tables.settings_named(table) if table and settings.has_several_tables else None
    query = rejects.RejectQuery(run_id=run_id, reason=reason, all=all, after=after, limit=limit)
    tables = [deployed_tables.table_named(name) for name in names]
    return rejects.list_rejects(clients.connection_of(git_ref), tables, query, one)


@app.get(
    "/rejects/<content_hash>",
    summary="One rejected row, whole",
    middlewares=STRICT,
    responses=answers(OK, "A part of the row"),
)
def read_reject(
    content_hash: ContentHash, git_ref: GitRef = None, offset: Offset = 0
) -> model.RejectRow:
    """The row as it is kept, in parts, because a row may be larger than an answer."""
    return rejects.read_reject(clients.connection_of(git_ref), content_hash, offset)


@app.get("/files", summary="Files of the lake", middlewares=STRICT, responses=answers(OK, "A page"))
def list_files(
    git_ref: GitRef = None,
    prefix: Prefix = None,
    state: Annotated[model.FileState | None, Query()] = None,
    run_id: TakenInBy = None,
    after: AfterFile = None,
    limit: Limit = 100,
    table: TableName = None,
) -> model.Files:
    """A page of the lake's files, and what became of each."""
    settings = _settings_named(table)
    query = files.FileQuery(prefix=prefix, state=state, run_id=run_id, after=after, limit=limit)
    return files.list_files(clients.connection_of(git_ref), settings, query)


@app.post(
    "/files/accept",
    summary="Accept that bad files are left out",
    middlewares=STRICT,
    responses=answers(OK, "Accepted", CONFLICT),
)
def accept_files(request: Annotated[schemas.FilesRequest, Body()]) -> schemas.FilesRequest:
    """Quarantined files no longer count as missing, and what they have left no longer stops a run.

    409, and none is accepted, unless all are quarantined.
    """
    settings = _settings_named(request.table)
    connection = clients.connection_of(request.git_ref)
    files.accept_files(connection, settings, request.keys, _caller())
    return request


@app.post(
    "/files/retry",
    summary="Judge bad files again",
    middlewares=STRICT,
    responses=answers(OK, "Noted", CONFLICT),
)
def retry_files(request: Annotated[schemas.FilesRequest, Body()]) -> schemas.FilesRequest:
    """The next run judges quarantined files again; 409 unless all are quarantined."""
    settings = _settings_named(request.table)
    connection = clients.connection_of(request.git_ref)
    files.retry_files(connection, settings, request.keys, _caller())
    return request


def _require_table(table: str | None) -> str:
    """The table that a request names, or the only one.

    Raises ``InvalidInput`` with the list where it has to name one, and ``TableNotFound``.
    """
    settings = deployed_tables.settings()
    if table is not None and table not in settings.table_names:
        known = ", ".join(settings.table_names)
        raise control.TableNotFound(f"This stack doesn't sync {table}: its tables are {known}.")
    return settings.require_table(table)


def _settings_named(table: str | None) -> Settings:
    """The settings of the table that a request names; raises what ``_require_table`` does."""
    return deployed_tables.settings_named(_require_table(table))


def _caller() -> str:
    identity = app.current_event.raw_event["requestContext"]["authorizer"]["iam"]
    return str(identity.get("userArn") or "unknown")


@app.get(
    "/table",
    summary="The table file",
    middlewares=STRICT,
    responses=answers(OK, "As deployed"),
)
def read_table(table: TableName = None) -> schemas.DeployedTable:
    """A table that this deployment syncs: its names, its definition and the text of its file."""
    settings, deployed = _settings_named(table), deployed_tables.table_named(table)
    return schemas.DeployedTable(
        name=settings.table_file,
        target=deployed.target.table,
        definition=definition_of(deployed),
        location=settings.data_location,
        file=read_table_file(settings.table_file),
    )


@app.get(
    "/openapi.json", summary="This document", middlewares=STRICT, responses=answers(OK, "OpenAPI")
)
def openapi() -> dict[str, Any]:
    """The API's own description, OpenAPI 3.1."""
    return document()


def _refuse_other_methods() -> None:
    """Answer 405 to each path and method without a route; not part of the OpenAPI document."""
    for path, item in document()["paths"].items():
        allowed = sorted(method.upper() for method in item)
        others = [method for method in METHODS if method not in allowed]
        rule = path.replace("{", "<").replace("}", ">")
        app.route(rule, method=others, include_in_schema=False)(_method_not_allowed(allowed))


def _method_not_allowed(allowed: list[str]) -> Callable[..., Response[str]]:
    def refuse(run_id: str = "", content_hash: str = "") -> Response[str]:  # noqa: ARG001
        allow = ", ".join(allowed)
        return problems.problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"Allowed here: {allow}.",
            app.current_event.path,
            headers={"Allow": allow},
        )

    return refuse


def document() -> dict[str, Any]:
    """The OpenAPI document, made from the routes."""
    decoded: dict[str, Any] = json.loads(app.get_openapi_json_schema(**INFORMATION))
    return decoded


def answer(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request; 401 when the gateway passes no caller's identity.

    The gateway itself refuses unsigned requests; this is for a deployment without its authorizer.
    """
    caller = event.get("requestContext", {}).get("authorizer", {}).get("iam")
    if not caller:
        refused = problems.problem(
            HTTPStatus.UNAUTHORIZED,
            "The request carries no identity: sign it with AWS Signature Version 4.",
            event.get("rawPath", "/"),
            headers={"WWW-Authenticate": "AWS4-HMAC-SHA256"},
        )
        return problems.answered(refused)
    with about_event(event):
        response = _answer_within_limits(event, context)
        fields = {
            "caller": caller.get("userArn"),
            "method": event["requestContext"]["http"]["method"],
            "path": event["rawPath"],
            "status": int(response["statusCode"]),
        }
        logger.info("answered", extra=fields)
    return response


def _answer_within_limits(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    try:
        response = app.resolve(requests.readable(event), context)
    except (RequestValidationError, RequestUnsupportedContentType) as error:
        return problems.refusal(error, event["rawPath"])
    if requests.fits(response):
        return response
    return problems.answered(
        problems.problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "The answer is larger than the 6 MB that Lambda can give; ask for less with limit.",
            event["rawPath"],
        )
    )


def _by_api(request: SyncRequest) -> SyncRequest:
    return SyncRequest(**request.model_dump(exclude_unset=True), trigger="api")


def _accepted(run_id: str, table: str | None) -> Response[schemas.Accepted]:
    name_run(run_id, table)
    execution_arn = clients.workflow().arn_of(run_id)
    links = detail.links_of(execution_arn, "", deployed_tables.settings().runbook_url)
    return Response(
        status_code=ACCEPTED,
        content_type="application/json",
        headers={"Location": f"/syncs/{run_id}"},
        body=schemas.Accepted(run_id=run_id, execution_arn=execution_arn, links=links),
    )


_refuse_other_methods()
