"""A replaced connection string leads the next run to the new database, warm functions too."""

from __future__ import annotations

import socket
import struct
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from localcloud import cloud
from localcloud.postgres import Postgres
from localcloud.protocol import Athena

from tests.lake import make_rows
from tests.waiting import eventually
from tests.workflow.deployed import PARAMETERS, Deployed

KEPT_AS = "forecast-sync-dev/database-url"


@dataclass
class Moving:
    """A deployment whose secret leads to one of two databases, both of which answer."""

    deployed: Deployed
    urls: list[str]

    def lead_to(self, number: int) -> None:
        self.keep(self.urls[number])

    def keep(self, url: str) -> None:
        secrets = self.deployed.client("secretsmanager")
        secrets.put_secret_value(SecretId=KEPT_AS, SecretString=url)

    def rows(self, number: int, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.urls[number]) as connection:
            return connection.execute(query.encode()).fetchall()

    def count(self, number: int) -> int:
        [(count,)] = self.rows(number, "SELECT count(*) FROM forecast_data")
        return int(count)


@pytest.fixture(scope="module")
def moving(postgres: Postgres, athena: Athena) -> Iterator[Moving]:
    names = [f"moving_{uuid.uuid4().hex[:8]}" for _ in range(2)]
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        for name in names:
            admin.execute(f"CREATE DATABASE {name}".encode())
    urls = [postgres.url(name) for name in names]
    with cloud.running(
        database_url=urls[0], wait_scale=0.04, parameters=PARAMETERS, athena=athena
    ) as running:
        deployed = Deployed(running)
        deployed.react_to_uploads(False)
        yield Moving(deployed, urls)


def test_warm_functions_follow_the_secret_and_no_run_is_split(moving: Moving) -> None:
    deployed = moving.deployed
    deployed.upload("first", make_rows(range(10)))
    deployed.succeed()
    deployed.upload("second", make_rows(range(10, 30)))
    moving.lead_to(1)
    assert deployed.succeed().changed == (30, 0, 0)
    assert (moving.count(0), moving.count(1)) == (10, 30)

    # In the middle of a run: its lease is in the second database, its loaders see the first.
    deployed.upload("third", make_rows(range(30, 50)))
    with deployed.held_query():
        arn = deployed.start()
        eventually(lambda: "Poll Athena query" in deployed.entered(arn))
        moving.lead_to(0)
    ended = deployed.wait(arn)
    assert ended.status == "FAILED"
    children = [deployed.describe(child) for child in deployed.children(arn)]
    assert {child["error"] for child in children if "error" in child} == {"Superseded"}
    assert (moving.count(0), moving.count(1)) == (10, 30)
    assert deployed.succeed().changed == (40, 0, 0)
    assert (moving.count(0), moving.count(1)) == (50, 30)


def test_a_server_that_was_too_old_is_upgraded(moving: Moving) -> None:
    """A warm function looks again at a connection string that has just led to a refusal."""
    deployed = moving.deployed
    deployed.upload("before", make_rows(range(60, 70)))
    with answering_as("16.9") as url:
        moving.keep(url)
        failed = deployed.run()
    assert (failed.status, failed.error) == ("FAILED", "ServerTooOld"), failed.cause
    assert "Postgres 16" in failed.cause
    moving.lead_to(1)
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    assert moving.rows(1, "SELECT count(*) FROM forecast_data WHERE restaurant_id >= 60") == [(10,)]


@contextmanager
def answering_as(version: str) -> Iterator[str]:
    """The URL of a server that lets everybody in, as this version of Postgres."""
    parameters = {"server_version": version, "client_encoding": "UTF8"}
    welcome = b"".join(
        [
            _message(b"R", struct.pack("!i", 0)),
            *(_message(b"S", f"{name}\0{value}\0".encode()) for name, value in parameters.items()),
            _message(b"K", bytes(8)),
            _message(b"Z", b"I"),
        ]
    )
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    client.recv(1024)
                    client.sendall(welcome)
                    client.recv(1024)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"postgresql://app@127.0.0.1:{listener.getsockname()[1]}/app?sslmode=disable"
    finally:
        listener.close()


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body
