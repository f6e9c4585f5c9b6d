"""The status API: its routes, each a question to the database of a git ref's branch."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import BadRequestError, NotFoundError

from forecast_sync import reporting, wiring
from forecast_sync.contracts import parse_payload
from forecast_sync.errors import InvalidInput

app = APIGatewayHttpResolver()


@app.get("/syncs")
def list_syncs() -> dict[str, Any]:
    """The newest runs of a branch."""
    connection = wiring.connection_of(app.current_event.get_query_string_value("git_ref"))
    return {"syncs": reporting.list_runs(connection)}


@app.get("/syncs/<run_id>")
def describe_sync(run_id: str) -> dict[str, Any]:
    """One run, and what its batches have committed so far."""
    connection = wiring.connection_of(app.current_event.get_query_string_value("git_ref"))
    if found := reporting.describe_run(connection, run_id):
        return found
    raise NotFoundError(f"There is no run {run_id}.")


@app.get("/rejects")
def list_rejects() -> dict[str, Any]:
    """A page of rejects, and all of them by reason."""
    asked = dict(app.current_event.query_string_parameters)
    connection = wiring.connection_of(asked.pop("git_ref", None))
    try:
        query = parse_payload(reporting.RejectQuery, asked)
    except InvalidInput as error:
        raise BadRequestError(str(error)) from None
    return reporting.list_rejects(connection, wiring.table(), query)
