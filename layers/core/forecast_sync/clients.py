"""The adapters that a handler hands to its use case, each created once per process.

Modules are imported inside the functions, so that a Lambda function loads only what it uses. A
warm process outlives what it was started with: connection strings and API keys are looked up again
for each run, see ``connection``.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from forecast_sync import deployed_tables

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

RENEWAL_SECONDS = 60
"""How long a value that was looked up counts as current."""

_connections: dict[str | None, Connection] = {}
"""By Neon branch id; None is the key when ``DATABASE_URL`` serves every branch."""

_database_urls: dict[str | None, str] = {}
"""The connection string of each connection, by the same key."""

_looked_up: dict[str, tuple[str | None, float]] = {}
"""When a key or connection string was last looked up: the run's id and the Unix time."""


@cache
def athena() -> Athena:
    """Athena in this deployment's workgroup."""
    from forecast_sync.adapters.athena import Athena

    configured = deployed_tables.settings()
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

    return Topic(_client("sns"), deployed_tables.settings().topic_arn)


@cache
def workflow() -> Workflow:
    """The deployment's state machine."""
    from forecast_sync.adapters.stepfunctions import Workflow

    return Workflow(_client("stepfunctions"), deployed_tables.settings().state_machine_arn)


def changes_writer(run: Run) -> SaveChanges | None:
    """What saves the changes of a dry run; None for any other run."""
    if not run.dry_run:
        return None
    from forecast_sync.dry_run.changes import ChangesWriter

    settings, table = deployed_tables.settings(), deployed_tables.table_named(run.table)
    return ChangesWriter(storage(), settings, table, run).save


def neon(run_id: str | None = None) -> NeonClient | None:
    """The Neon API with a current key; None when ``DATABASE_URL`` serves every branch."""
    return None if deployed_tables.settings().has_database_url else _current_neon(run_id)


def connection(neon_branch_id: str | None, run_id: str | None = None) -> Connection:
    """The process's connection to a branch's database, replaced when it no longer answers.

    The connection string is looked up again for each run and, when it is a secret, every minute: a
    changed one is used even while the old database still answers. If it changes during a run, the
    new database refuses the run, which doesn't hold the lease there.
    """
    from forecast_sync.adapters.postgres import is_healthy

    current = _connections.get(neon_branch_id)
    if current is not None and is_healthy(current):
        if not _is_url_changed(neon_branch_id, run_id):
            return current
        current.close()
    connected = _connections[neon_branch_id] = _connect(neon_branch_id, run_id)
    return connected


def served_refs() -> list[str]:
    """The git refs that this deployment serves: the environment's own, and the preview branches."""
    from forecast_sync.resolve.git_refs import DEFAULT_REFS, PREVIEW_ENVIRONMENT, PREVIEWS

    environment, api = deployed_tables.settings().environment, neon()
    previews = api.names_under(PREVIEWS) if api and environment == PREVIEW_ENVIRONMENT else []
    return [DEFAULT_REFS[environment], *previews]


def require_branch(git_ref: str | None) -> None:
    """Raise ``BranchNotFound`` when Neon has no branch for a git ref."""
    from forecast_sync.resolve.git_refs import map_git_ref

    if api := neon():
        api.find_branch(map_git_ref(git_ref, deployed_tables.settings().environment).neon_branch)


def connection_of(git_ref: str | None, run_id: str | None = None) -> Connection:
    """A connection to the database of a git ref's branch; None is the environment's own."""
    from forecast_sync.resolve.git_refs import map_git_ref

    branch = map_git_ref(git_ref, deployed_tables.settings().environment).neon_branch
    api = neon(run_id)
    return connection(api.find_branch(branch) if api else None, run_id)


def _is_due(name: str, run_id: str | None) -> bool:
    """Whether to look a value up again: once per run, and after ``RENEWAL_SECONDS``.

    Neon's API, which is rate-limited, is asked only once per run: a branch id always leads to the
    same database.
    """
    last_run, looked_up_at = _looked_up.get(name, (None, 0.0))
    # Wall-clock time, because a monotonic clock may stop while the process is frozen.
    is_current = 0 <= time.time() - looked_up_at < RENEWAL_SECONDS
    is_fixed_per_run = run_id is not None and not deployed_tables.settings().has_database_url
    return run_id != last_run or not (is_current or is_fixed_per_run)


def _note_look_up(name: str, run_id: str | None) -> None:
    _looked_up[name] = (run_id, time.time())


def _is_url_changed(neon_branch_id: str | None, run_id: str | None) -> bool:
    """Whether the connection string is another than the current connection was opened with."""
    from forecast_sync.errors import NeonUnavailable

    if not _is_due(_url_name(neon_branch_id), run_id):
        return False
    previous = _database_urls.get(neon_branch_id)
    try:
        return _look_up_url(neon_branch_id, run_id) != previous
    except NeonUnavailable:
        # The connection still leads to the branch; at worst its password has been rotated.
        return False


def _connect(neon_branch_id: str | None, run_id: str | None) -> Connection:
    """Connect with the known connection string while it is current, else with a new one."""
    from forecast_sync.errors import ForecastSyncError

    known = _database_urls.get(neon_branch_id)
    if known and not _is_due(_url_name(neon_branch_id), run_id):
        # Whatever is wrong with it may have been corrected meanwhile: its password, its server.
        with suppress(ForecastSyncError):
            return _open(known)
    return _open(_look_up_url(neon_branch_id, run_id))


def _open(url: str) -> Connection:
    """A connection to a database whose tables are those of this release, if it has any."""
    from forecast_sync.adapters.postgres import connect
    from forecast_sync.errors import ForecastSyncError
    from forecast_sync.target.own_tables import extend_own_tables

    opened = connect(url)
    try:
        extend_own_tables(opened)
    except ForecastSyncError:
        opened.close()
        raise
    return opened


def _url_name(neon_branch_id: str | None) -> str:
    return f"url of {neon_branch_id}"


def _look_up_url(neon_branch_id: str | None, run_id: str | None) -> str:
    url = _database_urls[neon_branch_id] = _find_database_url(neon_branch_id, run_id)
    _note_look_up(_url_name(neon_branch_id), run_id)
    return url


def _find_database_url(neon_branch_id: str | None, run_id: str | None) -> str:
    configured = deployed_tables.settings()
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
    is_new = not _neon_client.cache_info().currsize
    client = _neon_client()
    if _is_due("key", run_id):
        if not is_new:
            client.renew_key()
        _note_look_up("key", run_id)
    return client


@cache
def _neon_client() -> NeonClient:
    from forecast_sync.adapters.neon import NeonClient

    configured = deployed_tables.settings()

    def read_key() -> str:
        arn = configured.neon_api_key_secret_arn
        return configured.neon_api_key.get_secret_value() or _secret(arn)

    return NeonClient(read_key, configured.neon_project_id, base_url=configured.neon_api_url)


def _secret(arn: str) -> str:
    from forecast_sync.adapters.secrets import read_secret

    return read_secret(_client("secretsmanager"), arn)


@cache
def session() -> Session:
    """The session that AWS clients are created from.

    It is botocore's: boto3 adds resources and transfers, which nothing here uses, and without them
    a function starts 5% faster.
    """
    from botocore.session import Session

    return Session()


def _client(service: str) -> Any:
    from botocore.config import Config

    retries = Config(
        connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 4}
    )
    return session().create_client(service, config=retries)
