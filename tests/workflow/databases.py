"""The Neon branches of a local cloud and their databases, as tests read and change them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from localcloud.cloud import Cloud

from tests.lake import KEY, VALUES, Table
from tests.waiting import eventually

BRANCHES = {"main", "dev", "preview/pr-7"}
"""What the Neon stand-in begins with."""
EMPTIED = ("dev", "preview/pr-7")
"""Where tests load."""


def superuser_url(cloud: Cloud, branch: str = "dev") -> str:
    """For changes to the server, for which a branch's own URL has no rights."""
    url = urlsplit(cloud.database_urls[branch])
    password = (Path(cloud.state_dir) / "postgres.password").read_text()
    return url._replace(netloc=f"postgres:{password}@{url.hostname}:{url.port}").geturl()


@dataclass
class Databases:
    """One database for each Neon branch."""

    cloud: Cloud

    def query(
        self, statement: str, parameters: Sequence[Any] = (), *, branch: str = "dev"
    ) -> list[tuple[Any, ...]]:
        """Rows of a statement in a branch's database."""
        with psycopg.connect(self.cloud.database_urls[branch]) as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()

    def execute(self, statement: str, *, branch: str = "dev") -> None:
        """Run a statement in a branch's database."""
        with psycopg.connect(self.cloud.database_urls[branch]) as connection:
            connection.execute(statement.encode())

    def table(self, branch: str = "dev") -> Table:
        """The target's rows."""
        columns = ", ".join((*KEY, *VALUES))
        rows = self.query(f"SELECT {columns} FROM forecast_data", branch=branch)
        return {row[: len(KEY)]: row[len(KEY) :] for row in rows}

    def versions(self) -> dict[int, str]:
        """The transaction that wrote each row, by id."""
        return dict(self.query("SELECT id, xmin::text FROM forecast_data"))

    def status(self, run: str) -> dict[str, Any] | None:
        """A run's row in the status table; None before either is there."""
        with (
            suppress(psycopg.errors.UndefinedTable),
            psycopg.connect(
                self.cloud.database_urls["dev"], row_factory=psycopg.rows.dict_row
            ) as connection,
        ):
            return connection.execute(
                "SELECT * FROM forecast_sync_status WHERE run_id = %s", [run]
            ).fetchone()
        return None

    def make_branch(self, name: str, parent: str) -> None:
        """A branch with its parent's rows."""
        listed = self.neon("GET", f"/branches?search={parent}")["branches"]
        (parent_id,) = (branch["id"] for branch in listed if branch["name"] == parent)
        made = self.neon("POST", "/branches", {"branch": {"name": name, "parent_id": parent_id}})
        names = f"database_name={made['databases'][0]['name']}&role_name={made['roles'][0]['name']}"
        answer = self.neon("GET", f"/connection_uri?branch_id={made['branch']['id']}&{names}")
        self.cloud.database_urls[name] = answer["uri"]

    def reset_branches(self) -> None:
        """Only the branches that the Neon stand-in begins with, without rows where tests load."""
        for branch in self.neon("GET", "/branches")["branches"]:
            if branch["name"] not in BRANCHES:
                self.neon("DELETE", f"/branches/{branch['id']}")
        for name in EMPTIED:
            eventually(partial(self._is_emptied, name), what="an empty database")

    def _has_running(self, branch: str) -> bool:
        """Whether a branch's status table says that a run works."""
        if branch not in self.cloud.database_urls:
            return False
        running = "SELECT FROM forecast_sync_status WHERE status = 'running'"
        try:
            return bool(self.query(running, branch=branch))
        except psycopg.Error:
            return False

    def _is_emptied(self, branch: str) -> bool:
        """False when a batch of a run that was stopped is still going on."""
        try:
            self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", branch=branch)
        except psycopg.errors.DeadlockDetected:
            return False
        return True

    def neon(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A request to the Neon stand-in; a ``path`` that begins with ``/_`` is for itself."""
        base = self.cloud.neon_api_url
        url = (
            base.removesuffix("/api/v2") + path
            if path.startswith("/_")
            else (f"{base}/projects/{self.cloud.neon_project_id}{path}")
        )
        request = urllib.request.Request(
            url,
            json.dumps(body or {}).encode() if method == "POST" else None,
            {"Authorization": f"Bearer {self.cloud.neon_api_key}"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            decoded: dict[str, Any] = json.loads(answer.read() or b"{}")
            return decoded

    def neon_fault(self, **fault: Any) -> None:
        """What the next requests to Neon get."""
        self.neon("POST", "/_faults", fault)
