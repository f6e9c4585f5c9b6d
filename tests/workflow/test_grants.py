"""A role with exactly the rights that docs/deploy.md gives runs everything on an existing table."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from forecast_sync.tables import load_table
from forecast_sync_cli.table_lint import write_ddl
from localcloud import cloud
from localcloud.postgres import Postgres
from localcloud.protocol import Athena

from tests.lake import make_row, make_rows
from tests.workflow.deployed import PARAMETERS, Deployed

PAGE = (Path(__file__).parents[2] / "docs/deploy.md").read_text()
PASSWORD = "secret"


@dataclass
class Granted:
    """A deployment that connects as the role, and a superuser who looks."""

    deployed: Deployed
    observer: psycopg.Connection[tuple[int | str, ...]]

    def rows(self, query: str) -> list[tuple[int | str, ...]]:
        return self.observer.execute(query.encode()).fetchall()


@pytest.fixture
def granted(postgres: Postgres, athena: Athena) -> Iterator[Granted]:
    database, role = (f"{name}_{uuid.uuid4().hex[:8]}" for name in ("shop", "syncer"))
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {database}".encode())
        admin.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC".encode())
        admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'".encode())
    url = urlsplit(postgres.url(database))
    as_role = url._replace(netloc=f"{role}:{PASSWORD}@{url.hostname}:{url.port}").geturl()
    with psycopg.connect(url.geturl(), autocommit=True) as observer:
        observer.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        observer.execute(write_ddl(load_table()).encode())
        (grants,) = re.findall(r"```sql\n(GRANT .*?)```", PAGE, re.DOTALL)
        grants = grants.replace(" shop ", f" {database} ").replace(" forecast_sync;", f" {role};")
        observer.execute(grants.encode())
        with cloud.running(
            database_url=as_role, wait_scale=0.04, parameters=PARAMETERS, athena=athena
        ) as running:
            deployed = Deployed(running)
            deployed.react_to_uploads(False)
            yield Granted(deployed, observer)


def test_the_documented_grants_are_enough_and_the_table_stays_its_owner_s(granted: Granted) -> None:
    deployed = granted.deployed
    deployed.upload("a", make_rows(range(20)))
    assert deployed.succeed(dry_run=True).changed == (20, 0, 0)
    assert deployed.succeed().changed == (20, 0, 0)
    deployed.upload("b", [make_row(3, y_50=4.0), make_row(30), make_row(31, state=None)])
    assert deployed.succeed().changed[:2] == (1, 1)
    assert deployed.succeed(sync_type="full").changed[:2] == (0, 0)
    deployed.invoke("clean-history", {})
    answer = deployed.invoke("inspect-database", {"question": {"about": "database"}})
    assert answer["differences"] == []
    owned = granted.rows(
        "SELECT relname FROM pg_class WHERE relowner <> 10 AND relkind = 'r' ORDER BY 1"
    )
    assert ("forecast_sync_status",) in owned
    assert [name for (name,) in owned if not str(name).startswith("forecast_sync_")] == []
    assert granted.rows("SELECT count(*) FROM forecast_data") == [(21,)]


def test_what_a_grant_less_is_named(granted: Granted) -> None:
    role = granted.rows("SELECT rolname FROM pg_roles WHERE rolname ~ '^syncer' ORDER BY oid")[-1]
    granted.observer.execute(
        f"REVOKE USAGE ON SEQUENCE forecast_data_id_seq FROM {role[0]}".encode()
    )
    granted.deployed.upload("a", make_rows(range(5)))
    ended = granted.deployed.run()
    errors = [
        granted.deployed.describe(child).get("error")
        for child in granted.deployed.children(ended.arn)
    ]
    assert (ended.status, set(errors)) == ("FAILED", {"DatabaseRefused"})
    granted.observer.execute(f"GRANT USAGE ON SEQUENCE forecast_data_id_seq TO {role[0]}".encode())
    assert granted.deployed.redrive(ended).status == "SUCCEEDED"
