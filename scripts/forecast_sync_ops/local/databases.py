"""One database for each Neon branch, all on the local cloud's Postgres."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from urllib.parse import urlsplit
from zlib import crc32

import psycopg
from forecast_sync.adapters.postgres import Connection, connect
from psycopg import sql

BRANCHES = ("main", "dev", "preview/pr-7")
COPY_TIMEOUT_SECONDS = 30.0
_PREFIX = "forecast_"


class Databases:
    """The databases of a server, by the Neon branch that each one is; the branch is its comment."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        with connect(admin_url) as connection:
            rows = connection.execute(
                "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
            )
            self.urls = {
                branch: self._url(name)
                for name, branch in rows
                if branch and name.startswith(_PREFIX)
            }

    def ensure(self, branches: Iterable[str]) -> dict[str, str]:
        """Empty databases for those of ``branches`` that have none; all URLs, by branch."""
        for branch in branches:
            if branch not in self.urls:
                self.create(branch)
        return self.urls

    def create(self, branch: str, parent: str | None = None) -> str:
        """A new database for ``branch``, with all rows of ``parent``; returns its URL.

        Postgres copies a database only while nobody is connected to it, so idle connections to the
        parent are ended. Raises ``psycopg.errors.ObjectInUse`` when others stay busy for too long.
        """
        name = self._free_name(branch)
        template = _name(self.urls[parent]) if parent else "template1"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        with connect(self._admin_url) as connection:
            # One without its comment was left by a server that died between the two statements.
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            deadline = time.monotonic() + COPY_TIMEOUT_SECONDS
            while True:
                _end_idle_connections(connection, template)
                try:
                    connection.execute(create)
                    break
                except psycopg.errors.ObjectInUse:
                    if time.monotonic() > deadline:
                        raise
            comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
            connection.execute(comment.format(sql.Identifier(name), sql.Literal(branch)))
        self.urls[branch] = self._url(name)
        return self.urls[branch]

    def _free_name(self, branch: str) -> str:
        """Readable; two branches that differ only in punctuation get different ones."""
        name = _PREFIX + re.sub(r"\W+", "_", branch).lower()
        taken = {_name(url) for url in self.urls.values()}
        return f"{name}_{crc32(branch.encode()):x}" if name in taken else name

    def _url(self, database: str) -> str:
        return urlsplit(self._admin_url)._replace(path=f"/{database}").geturl()


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


def _end_idle_connections(connection: Connection, database: str) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = %s AND state = 'idle'",
        [database],
    )
