"""A refused connection is distinguished at once from one that is unavailable for now.

Directly, through PgBouncer, and, for the codes that neither gives here, from a server that is made
up: it answers the startup with one error.
"""

from __future__ import annotations

import socket
import struct
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from forecast_sync.adapters.postgres import connect
from forecast_sync.errors import DatabaseRefused, DatabaseUnavailable
from localcloud.ports import free_port
from localcloud.postgres import Postgres

MADE_UP = "canary-of-a-role"


@pytest.fixture
def role(postgres: Postgres, database_url: str) -> Iterator[str]:
    """A role of the test's own that may log in, with MADE_UP."""
    name = f"app_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{MADE_UP}'".encode())
        yield name
        database = urlsplit(database_url).path[1:]
        admin.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())
        admin.execute(f"DROP ROLE {name}".encode())


def administer(postgres: Postgres, statement: str) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(statement.encode())


def changed(url: str, user: str | None, password: str | None, database: str | None = None) -> str:
    parts = urlsplit(url)
    who = ":".join(part for part in (user or parts.username, password) if part is not None)
    path = parts.path if database is None else f"/{database}"
    return parts._replace(netloc=f"{who}@{parts.hostname}:{parts.port}", path=path).geturl()


@pytest.fixture(params=["direct", "pooled"])
def server(request: pytest.FixtureRequest, database_url: str) -> str:
    """A database's URL, directly and through PgBouncer."""
    if request.param == "direct":
        return database_url
    pooler: str = request.getfixturevalue("pooler")
    return urlsplit(pooler)._replace(path=urlsplit(database_url).path).geturl()


def test_a_wrong_password_is_refused(server: str) -> None:
    with pytest.raises(DatabaseRefused, match="28P01") as raised:
        connect(changed(server, None, "canary-wrong"))
    assert "canary" not in str(raised.value)


def test_no_password_is_refused(server: str) -> None:
    with pytest.raises(DatabaseRefused, match="28P01"):
        connect(changed(server, None, None))


def test_a_missing_role_is_refused(server: str) -> None:
    with pytest.raises(DatabaseRefused, match="28P01") as raised:
        connect(changed(server, "nobody_here", MADE_UP))
    assert MADE_UP not in str(raised.value)


def test_a_missing_database_is_refused(server: str) -> None:
    with pytest.raises(DatabaseRefused, match=r"3D000.*no_such_database"):
        connect(changed(server, None, urlsplit(server).password, "no_such_database"))


def test_a_role_that_may_not_log_in_is_refused(
    postgres: Postgres, database_url: str, role: str
) -> None:
    administer(postgres, f"ALTER ROLE {role} NOLOGIN")
    with pytest.raises(DatabaseRefused, match="28000"):
        connect(changed(database_url, role, MADE_UP))


def test_a_role_that_has_expired_is_refused(
    postgres: Postgres, database_url: str, role: str
) -> None:
    administer(postgres, f"ALTER ROLE {role} VALID UNTIL '2001-01-01'")
    with pytest.raises(DatabaseRefused, match="28P01"):
        connect(changed(database_url, role, MADE_UP))


def test_a_role_without_the_right_to_connect_is_refused(
    postgres: Postgres, database_url: str, role: str
) -> None:
    administer(
        postgres, f"REVOKE CONNECT ON DATABASE {urlsplit(database_url).path[1:]} FROM public"
    )
    with pytest.raises(DatabaseRefused, match="42501"):
        connect(changed(database_url, role, MADE_UP))


def test_a_database_that_allows_no_connections_is_refused(
    postgres: Postgres, server: str, database_url: str
) -> None:
    name = urlsplit(database_url).path[1:]
    administer(postgres, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    with pytest.raises(DatabaseRefused):
        connect(server)


def test_a_role_with_too_many_connections_is_waited_for(
    postgres: Postgres, database_url: str, role: str
) -> None:
    administer(postgres, f"ALTER ROLE {role} CONNECTION LIMIT 0")
    with pytest.raises(DatabaseUnavailable, match="too many connections"):
        connect(changed(database_url, role, MADE_UP))


def test_a_port_without_a_listener_is_retried() -> None:
    with pytest.raises(DatabaseUnavailable):
        connect(f"postgresql://app:{MADE_UP}@127.0.0.1:{free_port()}/app")


@contextmanager
def answering(code: str, before: bytes = b"") -> Iterator[str]:
    """A server that answers each startup with ``before`` and an error of this code."""
    fields = b"SFATAL\0VFATAL\0C" + code.encode() + b"\0Mmade up\0\0"
    error = b"E" + struct.pack("!i", 4 + len(fields)) + fields
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(client: socket.socket) -> None:
        with closing(client):
            while (size := client.recv(4)) and len(size) == 4:
                body = client.recv(struct.unpack("!i", size)[0] - 4)
                if body == struct.pack("!i", 80877103):
                    client.sendall(b"N")
                    continue
                client.sendall(before + error)
                return

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            answer(client)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"postgresql://app:{MADE_UP}@127.0.0.1:{listener.getsockname()[1]}/app"
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("28000", DatabaseRefused),
        ("28P01", DatabaseRefused),
        ("28XYZ", DatabaseRefused),
        ("3D000", DatabaseRefused),
        ("42501", DatabaseRefused),
        ("53300", DatabaseUnavailable),
        ("57P03", DatabaseUnavailable),
        ("57P01", DatabaseUnavailable),
        ("58000", DatabaseUnavailable),
        ("08006", DatabaseUnavailable),
        ("08P01", DatabaseUnavailable),
        ("XX000", DatabaseUnavailable),
    ],
)
def test_each_code_has_its_error(code: str, error: Any) -> None:
    with answering(code) as url, pytest.raises(error, match="made up") as raised:
        connect(url)
    assert MADE_UP not in str(raised.value)
