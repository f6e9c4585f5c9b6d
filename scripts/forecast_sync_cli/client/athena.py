"""Queries of the lake with the operator's own credentials, in the deployment's workgroup."""

from __future__ import annotations

import secrets
import time

from forecast_sync.adapters.athena import Athena
from forecast_sync.config import Settings

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError

QUERY_SECONDS = 600.0
POLL_SECONDS = 0.5


def make_athena(deployed: Deployment, settings: Settings) -> Athena:
    """Athena with the workgroup and output location that the deployment uses."""
    client = deployed.client("athena")
    return Athena(client, settings.athena_workgroup, settings.athena_output_location)


def run_query(athena: Athena, query: str) -> str:
    """Run a query to its end and return its id; raises ``UserError`` after ten minutes."""
    query_id = athena.start(query, secrets.token_hex(32))
    deadline = time.monotonic() + QUERY_SECONDS
    while not athena.poll(query_id):
        if time.monotonic() > deadline:
            raise UserError(f"Athena query {query_id} didn't end within {QUERY_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    return query_id
