"""A warm function copes with rotated secrets, dropped connections and moved databases."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import psycopg
import pytest
from forecast_sync import clients, deployed_tables
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.contracts.counts import Profile
from forecast_sync.contracts.page import Plan
from forecast_sync.contracts.query import Queries
from forecast_sync.contracts.result import RecordRequest, RunResult
from forecast_sync.contracts.run import Run, Window
from forecast_sync.errors import (
    ConfigurationInvalid,
    DatabaseRefused,
    InputsOutdated,
    NeonUnavailable,
    Superseded,
)
from forecast_sync.record.outcome import record_success
from forecast_sync.tables import load_table
from forecast_sync.target.schema import ensure_schema
from localcloud.postgres import Postgres
from moto import mock_aws

from tests.builders import DEFINITION, make_row, make_run, make_started
from tests.integration.loads import SETTINGS, Starts, begin, load, stored

PASSWORDS = ("canary-one", "canary-two")


class Application:
    """A role with a password, and the secret from which functions read the connection string."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        self.role = f"app_{urlsplit(admin_url).path[-6:]}"
        self.secrets: Any = boto3.client("secretsmanager", region_name="us-east-2")
        self.execute(f"CREATE ROLE {self.role} LOGIN PASSWORD '{PASSWORDS[0]}'")
        self.arn = self.secrets.create_secret(Name="url", SecretString=self.url(PASSWORDS[0]))[
            "ARN"
        ]

    def url(self, password: str) -> str:
        admin = urlsplit(self.admin_url)
        return admin._replace(netloc=f"{self.role}:{password}@127.0.0.1:{admin.port}").geturl()

    def lead_to(self, url: str) -> None:
        """Put another connection string into the secret."""
        self.secrets.put_secret_value(SecretId=self.arn, SecretString=url)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.admin_url) as connection:
            connection.execute(statement.encode())

    def rotate_password(self) -> None:
        self.execute(f"ALTER ROLE {self.role} PASSWORD '{PASSWORDS[1]}'")

    def cut(self) -> None:
        self.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{self.role}'"
        )


@pytest.fixture
def application(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    monkeypatch.setenv("ENVIRONMENT", "dev")
    with mock_aws():
        made = Application(database_url)
        monkeypatch.setenv("DATABASE_URL_SECRET_ARN", made.arn)
        deployed_tables.settings.cache_clear()
        clients.session.cache_clear()
        kept: dict[str | None, Connection] = {}
        monkeypatch.setattr(clients, "_connections", kept)
        monkeypatch.setattr(clients, "_database_urls", {})
        monkeypatch.setattr(clients, "_looked_up", {})
        yield made
        for connection in kept.values():
            connection.close()
        deployed_tables.settings.cache_clear()
        clients.session.cache_clear()


def test_a_connection_is_kept_while_it_is_healthy(application: Application) -> None:
    first = clients.connection(None)
    assert clients.connection(None) is first
    application.cut()
    second = clients.connection(None)
    assert second is not first
    assert second.execute("SELECT current_user").fetchone() == (application.role,)


def test_a_rotated_password_is_read_again(application: Application) -> None:
    clients.connection(None)
    application.rotate_password()
    application.secrets.put_secret_value(
        SecretId=application.arn, SecretString=application.url(PASSWORDS[1])
    )
    application.cut()
    assert clients.connection(None).execute("SELECT 1").fetchone() == (1,)


def test_a_wrong_password_isn_t_in_the_error(application: Application) -> None:
    clients.connection(None)
    application.rotate_password()
    application.cut()
    with pytest.raises(DatabaseRefused, match="password authentication failed") as raised:
        clients.connection(None)
    assert "canary" not in str(raised.value)


@pytest.fixture
def other_url(postgres: Postgres) -> Iterator[str]:
    """Another database of the same server."""
    name = f"other_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield postgres.url(name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def database_of(connection: Connection) -> str:
    return f"/{connection.info.dbname}"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that were read."""
    read: list[str] = []
    original = clients._secret

    def note(arn: str) -> str:
        read.append(arn)
        return original(arn)

    monkeypatch.setattr(clients, "_secret", note)
    return read


def test_the_next_run_takes_a_replaced_string_while_the_old_database_still_answers(
    application: Application, other_url: str
) -> None:
    before = clients.connection(None, "run-1")
    application.lead_to(other_url)
    after = clients.connection(None, "run-2")
    assert database_of(after) == urlsplit(other_url).path
    assert before.closed, "the old database is let go"


def test_a_rotated_password_is_taken_while_the_old_session_still_answers(
    application: Application,
) -> None:
    before = clients.connection(None, "run-1")
    application.rotate_password()
    application.lead_to(application.url(PASSWORDS[1]))
    after = clients.connection(None, "run-2")
    assert after is not before
    assert after.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("run_id", ["run-1", None])
def test_the_secret_is_read_again_at_most_once_a_minute(
    application: Application, reads: list[str], run_id: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = clients.connection(None, run_id)
    assert clients.connection(None, run_id) is first
    assert reads == [application.arn]
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert clients.connection(None, run_id) is first
    assert reads == [application.arn] * 2


def test_each_run_reads_the_secret_once(application: Application, reads: list[str]) -> None:
    first = clients.connection(None, "run-1")
    assert clients.connection(None, "run-2") is first
    assert clients.connection(None, "run-2") is first
    assert reads == [application.arn] * 2


def test_a_secret_that_is_gone_stops_a_warm_function(application: Application) -> None:
    clients.connection(None, "run-1")
    application.secrets.delete_secret(SecretId=application.arn, ForceDeleteWithoutRecovery=True)
    with pytest.raises(ConfigurationInvalid, match="ResourceNotFoundException"):
        clients.connection(None, "run-2")


def test_a_run_is_refused_by_a_database_that_takes_the_others_place(
    application: Application, database_url: str, other_url: str
) -> None:
    """Read watermark has the lease in one database, a loader's container comes upon the other."""
    run = make_run(neon_branch_id=None)
    application.lead_to(database_url)
    begun = clients.connection(None, run.run_id)
    ensure_schema(begun, load_table())
    begin(begun, run)
    with connect(other_url) as other:
        ensure_schema(other, load_table())
    application.lead_to(other_url)
    clients._connections.clear()
    clients._looked_up.clear()
    loader = clients.connection(None, run.run_id)
    assert database_of(loader) == urlsplit(other_url).path
    with pytest.raises(Superseded, match="replaced since"):
        load(loader, run, [make_row(1)])
    assert stored(loader) == []
    begun.close()


@pytest.fixture
def copied(postgres: Postgres, database_url: str) -> Iterator[tuple[Run, Connection, Connection]]:
    """A run with two rows loaded, its database, and a copy of that from before they were."""
    run, name = make_run(neon_branch_id=None), f"copy_{uuid.uuid4().hex[:12]}"
    with connect(database_url) as connection:
        ensure_schema(connection, load_table())
        begin(connection, run)
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        template = urlsplit(database_url).path[1:]
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        with connect(database_url) as connection, connect(postgres.url(name)) as copy:
            load(connection, run, [make_row(1), make_row(2)])
            yield run, connection, copy
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def make_record_request(run: Run, definition: str | None = DEFINITION) -> RecordRequest:
    """What *Record status* gets after two rows were loaded and verified."""
    profile = Profile(window_rows=2, rejected=0, candidates=2, good=2, checksum=0)
    started = [make_started(query=name, definition=definition) for name in ("extract", "profile")]
    return RecordRequest(
        run=run,
        window=Window(high=run.started_at),
        queries=Queries(extract=started[0], profile=started[1]),
        plan=Plan(pages=1, concurrency=1, pages_bucket="b", pages_key="k", profile=profile),
    )


def test_a_copy_with_the_runs_own_row_earns_no_watermark(
    copied: tuple[Run, Connection, Connection],
) -> None:
    """It was made after the lease was taken, and took the other's place after Verify load."""
    run, connection, copy = copied
    request = make_record_request(run)
    with pytest.raises(Superseded, match="verified in another database"):
        record_success(copy, Starts(), load_table(), SETTINGS, request)
    assert copy.execute("SELECT status FROM forecast_sync_status").fetchall() == [("running",)]
    record_success(connection, Starts(), load_table(), SETTINGS, request)
    rows = connection.execute("SELECT status FROM forecast_sync_status").fetchall()
    assert rows == [("succeeded",)]


def test_what_was_loaded_with_another_table_file_is_not_recorded(
    copied: tuple[Run, Connection, Connection],
) -> None:
    """But what an older release has loaded and verified is: it recorded no definition."""
    run, connection, _ = copied

    def record(definition: str | None) -> RunResult:
        request = make_record_request(run, definition)
        return record_success(connection, Starts(), load_table(), SETTINGS, request)

    with pytest.raises(InputsOutdated, match="definition another"):
        record("another")
    assert record(None).status == "succeeded"


def test_a_target_that_lost_its_rows_is_not_recorded_and_one_that_loses_them_later_is(
    copied: tuple[Run, Connection, Connection],
) -> None:
    """Record status is called again when its answer was lost; the run has ended by then."""
    run, connection, _ = copied
    request = make_record_request(run)
    connection.execute("CREATE TABLE kept AS SELECT * FROM forecast_data")
    connection.execute("TRUNCATE forecast_data")
    with pytest.raises(InputsOutdated, match=r"has 0 rows, and had 2\. So the window"):
        record_success(connection, Starts(), load_table(), SETTINGS, request)
    connection.execute("INSERT INTO forecast_data SELECT * FROM kept")
    recorded = record_success(connection, Starts(), load_table(), SETTINGS, request)
    connection.execute("TRUNCATE forecast_data")
    again = record_success(connection, Starts(), load_table(), SETTINGS, request)
    assert again == recorded


class Neon:
    """The Neon API, as long as it answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers = True

    def connection_uri(self, _branch: str, **_: Any) -> str:
        if not self.answers:
            raise NeonUnavailable("429")
        return self.url


def test_while_neon_is_out_of_reach_a_branchs_connection_is_kept(
    application: Application, other_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The branch's id says which database it is; a password that is outdated is refused."""
    monkeypatch.delenv("DATABASE_URL_SECRET_ARN")
    deployed_tables.settings.cache_clear()
    neon = Neon(application.url(PASSWORDS[0]))
    monkeypatch.setattr(clients, "_current_neon", lambda _run_id: neon)
    first = clients.connection("br-1", "run-1")
    neon.answers = False
    assert clients.connection("br-1", "run-2") is first
    neon.answers, neon.url = True, other_url
    assert database_of(clients.connection("br-1", "run-2")) == urlsplit(other_url).path
    neon.answers = False
    clients._connections["br-1"].close()
    with pytest.raises(NeonUnavailable):
        clients.connection("br-1", "run-3")
