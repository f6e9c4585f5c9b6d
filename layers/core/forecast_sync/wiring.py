"""Wiring: the adapters that a handler hands to its use case, each made once per process.

Imports stand inside the functions, so that a function pays only for what it touches.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from forecast_sync.settings import Settings

if TYPE_CHECKING:
    from botocore.session import Session

    from forecast_sync.adapters.athena import Athena
    from forecast_sync.adapters.glue import Catalog
    from forecast_sync.adapters.neon import NeonClient
    from forecast_sync.adapters.postgres import Connection
    from forecast_sync.adapters.s3 import Storage
    from forecast_sync.adapters.sns import Topic
    from forecast_sync.adapters.stepfunctions import Workflow
    from forecast_sync.contracts import Run
    from forecast_sync.loading import Keeper
    from forecast_sync.tables import Table

_connections: dict[str | None, Connection] = {}
_database_urls: dict[str | None, str] = {}


@cache
def settings() -> Settings:
    """The function's settings."""
    return Settings.from_environment()


def table() -> Table:
    """The table that this deployment syncs."""
    from forecast_sync.tables import load_table

    return load_table(settings().table_file)


@cache
def athena() -> Athena:
    """Athena in this deployment's workgroup."""
    from forecast_sync.adapters.athena import Athena

    configured = settings()
    return Athena(_client("athena"), configured.athena_workgroup, configured.athena_output_location)


@cache
def catalog() -> Catalog:
    """Glue's Data Catalog."""
    from forecast_sync.adapters.glue import Catalog

    return Catalog(_client("glue"))


@cache
def storage() -> Storage:
    """S3."""
    from forecast_sync.adapters.s3 import Storage

    return Storage(_client("s3"))


@cache
def topic() -> Topic:
    """The deployment's topic."""
    from forecast_sync.adapters.sns import Topic

    return Topic(_client("sns"), settings().topic_arn)


@cache
def workflow() -> Workflow:
    """The deployment's state machine."""
    from forecast_sync.adapters.stepfunctions import Workflow

    return Workflow(_client("stepfunctions"), settings().state_machine_arn)


@cache
def told_failures() -> set[tuple[str, int]]:
    """The executions, with their redrive counts, whose failure this container has announced."""
    return set()


def changes_keeper(run: Run) -> Keeper | None:
    """What keeps the changes of a dry run; None for any other."""
    if not run.dry_run:
        return None
    from forecast_sync.changes import keeper

    return keeper(storage(), settings(), table(), run)


def neon() -> NeonClient | None:
    """The Neon API; None when one database overrides every branch."""
    return None if settings().has_database_url else _neon_client()


def connection(neon_branch_id: str | None) -> Connection:
    """The container's connection to a branch's database, made anew when it no longer answers."""
    from forecast_sync.adapters.postgres import is_healthy

    kept = _connections.get(neon_branch_id)
    if kept is None or not is_healthy(kept):
        kept = _connections[neon_branch_id] = _connect(neon_branch_id)
    return kept


def served_refs() -> list[str]:
    """The git refs that this deployment serves: the environment's own, and Neon's previews."""
    from forecast_sync.branches import DEFAULT_REFS, PREVIEW_ENVIRONMENT, PREVIEWS

    environment, found = settings().environment, neon()
    previews = found.names_under(PREVIEWS) if found and environment == PREVIEW_ENVIRONMENT else []
    return [DEFAULT_REFS[environment], *previews]


def connection_of(git_ref: str | None) -> Connection:
    """The connection to the database of a git ref's branch; None is the environment's own."""
    from forecast_sync.branches import map_git_ref

    branch = map_git_ref(git_ref, settings().environment).neon_branch
    found = neon()
    return connection(found.find_branch(branch) if found else None)


def _connect(neon_branch_id: str | None) -> Connection:
    """By the known connection string, or by a new one: a password may have been rotated."""
    from forecast_sync.adapters.postgres import connect
    from forecast_sync.errors import DatabaseRefused, DatabaseUnavailable

    if known := _database_urls.get(neon_branch_id):
        with suppress(DatabaseRefused, DatabaseUnavailable):
            return connect(known)
    url = _database_urls[neon_branch_id] = _find_database_url(neon_branch_id)
    return connect(url)


def _find_database_url(neon_branch_id: str | None) -> str:
    configured = settings()
    if configured.has_database_url:
        arn = configured.database_url_secret_arn
        return configured.database_url.get_secret_value() or _secret(arn)
    if neon_branch_id is None:
        from forecast_sync.errors import ConfigurationInvalid

        raise ConfigurationInvalid(
            "The run has no Neon branch, and DATABASE_URL isn't set; start a new run."
        )
    return _neon_client().connection_uri(
        neon_branch_id,
        database=configured.neon_database_name or None,
        role=configured.neon_role_name or None,
        pooled=True,
    )


@cache
def _neon_client() -> NeonClient:
    from forecast_sync.adapters.neon import NeonClient

    configured = settings()

    def read_key() -> str:
        arn = configured.neon_api_key_secret_arn
        return configured.neon_api_key.get_secret_value() or _secret(arn)

    return NeonClient(read_key, configured.neon_project_id, base_url=configured.neon_api_url)


def _secret(arn: str) -> str:
    from forecast_sync.adapters.secrets import read_secret

    return read_secret(_client("secretsmanager"), arn)


@cache
def session() -> Session:
    """What clients are made of: botocore's session, to which boto3's adds what nothing here uses.

    Without boto3's resources and transfers a function starts a twentieth faster.
    """
    from botocore.session import Session

    return Session()


def _client(service: str) -> Any:
    from botocore.config import Config

    retries = Config(
        connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 4}
    )
    return session().create_client(service, config=retries)
