"""A warm function outlives what is rotated, cut or moved under it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import psycopg
import pytest
from forecast_sync import wiring
from forecast_sync.adapters.postgres import Connection
from forecast_sync.errors import DatabaseRefused
from moto import mock_aws

PASSWORDS = ("canary-one", "canary-two")


class Application:
    """A role with a password, and the secret that tells functions the connection string."""

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
        wiring.settings.cache_clear()
        wiring.session.cache_clear()
        kept: dict[str | None, Connection] = {}
        monkeypatch.setattr(wiring, "_connections", kept)
        monkeypatch.setattr(wiring, "_database_urls", {})
        yield made
        for connection in kept.values():
            connection.close()
        wiring.settings.cache_clear()
        wiring.session.cache_clear()


def test_a_connection_is_kept_while_it_is_healthy(application: Application) -> None:
    first = wiring.connection(None)
    assert wiring.connection(None) is first
    application.cut()
    second = wiring.connection(None)
    assert second is not first
    assert second.execute("SELECT current_user").fetchone() == (application.role,)


def test_a_rotated_password_is_read_anew(application: Application) -> None:
    wiring.connection(None)
    application.rotate_password()
    application.secrets.put_secret_value(
        SecretId=application.arn, SecretString=application.url(PASSWORDS[1])
    )
    application.cut()
    assert wiring.connection(None).execute("SELECT 1").fetchone() == (1,)


def test_a_wrong_password_is_told_without_it(application: Application) -> None:
    wiring.connection(None)
    application.rotate_password()
    application.cut()
    with pytest.raises(DatabaseRefused, match="password authentication failed") as raised:
        wiring.connection(None)
    assert "canary" not in str(raised.value)
