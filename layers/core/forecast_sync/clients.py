"""Wiring: the adapters that a handler hands to its use case, each made once per process.

Imports stand inside the functions, so that a function pays only for what it touches.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from forecast_sync.config import Settings

if TYPE_CHECKING:
    from botocore.session import Session

    from forecast_sync.adapters.athena import Athena
    from forecast_sync.adapters.glue import Catalog
    from forecast_sync.adapters.neon import NeonClient
    from forecast_sync.adapters.postgres import Connection
    from forecast_sync.adapters.s3 import Storage
    from forecast_sync.adapters.sns import Topic
    from forecast_sync.adapters.stepfunctions import Workflow
    from forecast_sync.contracts.run import Run
    from forecast_sync.load.loader import SaveChanges
    from forecast_sync.tables import Table

RENEWAL_SECONDS = 60

_connections: dict[str | None, Connection] = {}
_database_urls: dict[str | None, str] = {}
_looked_up: dict[str, tuple[str | None, float]] = {}
"""By what was looked up: the run for which, and when by the clock."""


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


def changes_writer(run: Run) -> SaveChanges | None:
    """What saves the changes of a dry run; None for any other run."""
    if not run.dry_run:
        return None
    from forecast_sync.dry_run.changes import ChangesWriter

    return ChangesWriter(storage(), settings(), table(), run).save


def neon(run_id: str | None = None) -> NeonClient | None:
    """The Neon API with the key of now, see ``connection``; None when one database overrides it."""
    return None if settings().has_database_url else _current_neon(run_id)


def connection(neon_branch_id: str | None, run_id: str | None = None) -> Connection:
    """The container's connection to a branch's database, made anew when it no longer answers.

    Whether the connection string is still the same is looked up for each run, a secret's a minute
    later again: one that was replaced is used although the old database still answers. In the
    middle of a run that leads to a database where the run doesn't hold the lease, which refuses it.
    """
    from forecast_sync.adapters.postgres import is_healthy

    kept = _connections.get(neon_branch_id)
    if kept is not None and not is_healthy(kept):
        kept = None
    if kept is not None and _is_replaced(neon_branch_id, run_id):
        kept.close()
        kept = None
    if kept is None:
        kept = _connections[neon_branch_id] = _connect(neon_branch_id, run_id)
    return kept


def served_refs() -> list[str]:
    """The git refs that this deployment serves: the environment's own, and Neon's previews."""
    from forecast_sync.resolve.git_refs import DEFAULT_REFS, PREVIEW_ENVIRONMENT, PREVIEWS

    environment, found = settings().environment, neon()
    previews = found.names_under(PREVIEWS) if found and environment == PREVIEW_ENVIRONMENT else []
    return [DEFAULT_REFS[environment], *previews]


def connection_of(git_ref: str | None, run_id: str | None = None) -> Connection:
    """The connection to the database of a git ref's branch; None is the environment's own."""
    from forecast_sync.resolve.git_refs import map_git_ref

    branch = map_git_ref(git_ref, settings().environment).neon_branch
    found = neon(run_id)
    return connection(found.find_branch(branch) if found else None, run_id)


def _is_due(what: str, run_id: str | None) -> bool:
    """Whether to look something up again: for each run once, and whenever a minute has passed.

    During a run Neon's limited API is asked only once: a branch's id says which database it is.
    """
    last_run, at = _looked_up.get(what, (None, 0.0))
    # The wall clock: a monotonic one may stand still while the container is frozen.
    is_fresh = 0 <= time.time() - at < RENEWAL_SECONDS
    lasts = run_id is not None and not settings().has_database_url
    return run_id != last_run or not (is_fresh or lasts)


def _note_look_up(what: str, run_id: str | None) -> None:
    _looked_up[what] = (run_id, time.time())


def _is_replaced(neon_branch_id: str | None, run_id: str | None) -> bool:
    """Whether the connection string isn't any more the one that the kept connection was made by."""
    from forecast_sync.errors import NeonUnavailable

    what = f"url of {neon_branch_id}"
    if not _is_due(what, run_id):
        return False
    try:
        url = _find_database_url(neon_branch_id, run_id)
    except NeonUnavailable:
        # The kept connection leads to the branch all the same; only its password may be old.
        return False
    known, _database_urls[neon_branch_id] = _database_urls.get(neon_branch_id), url
    _note_look_up(what, run_id)
    return url != known


def _connect(neon_branch_id: str | None, run_id: str | None) -> Connection:
    """By the known connection string, or by a new one: a password may have been rotated."""
    from forecast_sync.adapters.postgres import connect
    from forecast_sync.errors import DatabaseRefused, DatabaseUnavailable

    what = f"url of {neon_branch_id}"
    known = _database_urls.get(neon_branch_id)
    if known and not _is_due(what, run_id):
        with suppress(DatabaseRefused, DatabaseUnavailable):
            return connect(known)
    url = _database_urls[neon_branch_id] = _find_database_url(neon_branch_id, run_id)
    _note_look_up(what, run_id)
    return connect(url)


def _find_database_url(neon_branch_id: str | None, run_id: str | None) -> str:
    configured = settings()
    if configured.has_database_url:
        arn = configured.database_url_secret_arn
        return configured.database_url.get_secret_value() or _secret(arn)
    if neon_branch_id is None:
        from forecast_sync.errors import ConfigurationInvalid

        raise ConfigurationInvalid(
            "The run has no Neon branch, and DATABASE_URL isn't set; start a new run."
        )
    return _current_neon(run_id).connection_uri(
        neon_branch_id,
        database=configured.neon_database_name or None,
        role=configured.neon_role_name or None,
        pooled=True,
    )


def _current_neon(run_id: str | None) -> NeonClient:
    is_made = bool(_neon_client.cache_info().currsize)
    client = _neon_client()
    if _is_due("key", run_id):
        if is_made:
            client.renew_key()
        _note_look_up("key", run_id)
    return client


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
