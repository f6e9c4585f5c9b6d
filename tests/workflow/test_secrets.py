"""A replaced connection string leads the next run to the new database, warm functions too."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from localcloud import cloud
from localcloud.postgres import Postgres
from localcloud.protocol import Athena

from tests.conftest import PARAMETERS
from tests.lake import make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

KEPT_AS = "forecast-sync-dev/database-url"


@dataclass
class Moving:
    """A deployment whose secret leads to one of two databases, both of which answer."""

    deployed: Deployed
    urls: list[str]

    def lead_to(self, number: int) -> None:
        secrets = self.deployed.client("secretsmanager")
        secrets.put_secret_value(SecretId=KEPT_AS, SecretString=self.urls[number])

    def rows(self, number: int, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.urls[number]) as connection:
            return connection.execute(query.encode()).fetchall()

    def count(self, number: int) -> int:
        [(count,)] = self.rows(number, "SELECT count(*) FROM forecast_data")
        return int(count)


@pytest.fixture
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
    assert deployed.succeed().changed == (40, 0, 10)
    assert (moving.count(0), moving.count(1)) == (50, 30)
