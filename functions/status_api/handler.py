"""Status API: which runs there are, how they ended, and how far the present one is."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from forecast_sync import reporting, wiring

app = APIGatewayHttpResolver()
handler = app.resolve


@app.get("/syncs")
def list_syncs() -> dict[str, Any]:
    connection = wiring.connection_of(app.current_event.get_query_string_value("git_ref"))
    return {"syncs": reporting.list_runs(connection)}


@app.get("/syncs/<run_id>")
def describe_sync(run_id: str) -> dict[str, Any]:
    connection = wiring.connection_of(app.current_event.get_query_string_value("git_ref"))
    if found := reporting.describe_run(connection, run_id):
        return found
    raise NotFoundError(f"There is no run {run_id}.")
