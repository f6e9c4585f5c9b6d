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


def read_settings(found: Deployment) -> Settings:
    """The settings of a deployed function, as its configuration holds them; no secret is in it."""
    configuration = found.client("lambda").get_function_configuration(
        FunctionName=found.function_name("read_watermark")
    )
    return Settings.from_environment(configuration["Environment"]["Variables"])


def athena_of(found: Deployment, settings: Settings) -> Athena:
    """Athena as the deployment uses it."""
    client = found.client("athena")
    return Athena(client, settings.athena_workgroup, settings.athena_output_location)


def finish(athena: Athena, query: str) -> str:
    """Run a query to its end; its id. Raises ``UserError`` when that takes too long."""
    query_id = athena.start(query, secrets.token_hex(32))
    deadline = time.monotonic() + QUERY_SECONDS
    while not athena.poll(query_id):
        if time.monotonic() > deadline:
            raise UserError(f"Athena query {query_id} didn't end within {QUERY_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    return query_id
