"""One database for each Neon branch, all on the local cloud's Postgres, owned by one plain role.

As on Neon, a branch's connection string gives the rights of the database's owner, and none over the
server or its files: the role is no superuser and a member of no other role.
"""

from __future__ import annotations

import hashlib
import hmac
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
ROLE = "forecast_owner"
_PREFIX = "forecast_"
_PLAIN = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"


class Databases:
    """The databases of a server by Neon branch, whose name is each database's comment.

    ``admin_url`` is for the superuser; ``urls`` are for ``ROLE``, which owns the databases.
    """

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._password = _derive_password(admin_url)
        with connect(admin_url) as connection:
            _ensure_role(connection, self._password)
            rows = connection.execute(
                "SELECT datname, shobj_description(oid, 'pg_database'), pg_get_userbyid(datdba)"
                " FROM pg_database"
            ).fetchall()
            branches = {n: (b, owner) for n, b, owner in rows if b and n.startswith(_PREFIX)}
            for name, (_, owner) in branches.items():
                if owner != ROLE:
                    self._hand_over(connection, name)
            self.urls = {branch: self._url(name) for name, (branch, _) in branches.items()}

    def ensure(self, branches: Iterable[str]) -> dict[str, str]:
        """Create empty databases for ``branches`` that have none; returns all URLs by branch."""
        for branch in branches:
            if branch not in self.urls:
                self.create(branch)
        return self.urls

    def create(self, branch: str, parent: str | None = None) -> str:
        """Create a database for ``branch`` with all rows of ``parent``; returns its URL.

        Postgres copies a database only while it has no connections, so idle connections to the
        parent are closed. Raises ``psycopg.errors.ObjectInUse`` if others stay busy for too long.
        """
        name = self._free_name(branch)
        template = _name(self.urls[parent]) if parent else "template1"
        create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(ROLE), sql.Identifier(template)
        )
        with connect(self._admin_url) as connection:
            # A deleted branch leaves its database, and functions may be connected to it. A server
            # that died between the two statements leaves one without its comment.
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
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
        """A readable name; branches that differ only in punctuation get different ones."""
        name = _PREFIX + re.sub(r"\W+", "_", branch).lower()
        taken = {_name(url) for url in self.urls.values()}
        return f"{name}_{crc32(branch.encode()):x}" if name in taken else name

    def _url(self, database: str) -> str:
        url = urlsplit(self._admin_url)
        address = f"{ROLE}:{self._password}@{url.hostname}:{url.port}"
        return url._replace(netloc=address, path=f"/{database}").geturl()

    def _hand_over(self, connection: Connection, name: str) -> None:
        """Give ``ROLE`` a database, and all in it, that an older version gave the superuser."""
        inside = urlsplit(self._admin_url)._replace(path=f"/{name}").geturl()
        with connect(inside) as database, database.transaction():
            for (statement,) in database.execute(_HAND_OVER, {"role": ROLE}).fetchall():
                database.execute(statement.encode())
        owner = sql.SQL("ALTER DATABASE {} OWNER TO {}")
        connection.execute(owner.format(sql.Identifier(name), sql.Identifier(ROLE)))


_HAND_OVER = """
SELECT format('ALTER %%s %%s OWNER TO %%I', kind, name, %(role)s::text) FROM (
    SELECT 1 AS place, 'SCHEMA' AS kind, quote_ident(nspname) AS name FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspowner = current_user::regrole
    AND nspname <> 'information_schema'
    UNION ALL
    SELECT 2, CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
        WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
        c.oid::regclass::text
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    -- A column's own sequence goes with its table.
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid
        AND deptype IN ('a', 'i', 'e')
    )
    UNION ALL
    SELECT 3, 'ROUTINE', p.oid::regprocedure::text
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid
        AND deptype = 'e'
    )
) AS objects ORDER BY place
"""


def _derive_password(admin_url: str) -> str:
    """The same after every start, without a second secret on disk; it can't be reversed."""
    secret = urlsplit(admin_url).password or ""
    return hmac.new(secret.encode(), ROLE.encode(), hashlib.sha256).hexdigest()[:32]


def _ensure_role(connection: Connection, password: str) -> None:
    exists = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone()
    statement = sql.SQL("{} ROLE {} {} PASSWORD {}").format(
        sql.SQL("CREATE" if exists is None else "ALTER"),
        sql.Identifier(ROLE),
        sql.SQL(_PLAIN),
        sql.Literal(password),
    )
    connection.execute(statement)
    # The role must not reach the administration database.
    connection.execute("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


def _end_idle_connections(connection: Connection, database: str) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = %s AND state = 'idle'",
        [database],
    )
