"""PgBouncer in transaction mode in front of a Postgres server, as Neon's pooled connections are."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from localcloud.unprivileged import Folders, hand_over, spawn

from tests.waiting import eventually

MISSING = "PgBouncer isn't installed: apt-get install pgbouncer"
PATH = "/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin"


def is_installed() -> bool:
    """Whether tests can go through PgBouncer."""
    return shutil.which("pgbouncer", path=PATH) is not None


def find_pgbouncer() -> str:
    """Its path; skips the test where it is missing."""
    program = shutil.which("pgbouncer", path=PATH)
    if program is None:
        pytest.skip(MISSING)
    return program


@contextmanager
def pooled(url: str, port: int, folder: Path, *tls: Path) -> Iterator[str]:
    """A pooler for the server of ``url``, on ``port``; the URL that leads through it.

    With ``tls``, files with a private key and a certificate, it insists on TLS.
    """
    server = urlsplit(url)
    users = folder / "users.txt"
    users.write_text(f'"{unquote(server.username or "")}" "{unquote(server.password or "")}"\n')
    users.chmod(0o600)
    settings = folder / "pgbouncer.ini"
    folders = Folders.of(folder, *(path.parent for path in tls))
    settings.write_text(
        "[databases]\n"
        f"* = host=127.0.0.1 port={server.port}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {folders.reach(users)}\n"
        "pool_mode = transaction\ndefault_pool_size = 20\nmax_client_conn = 500\n"
        # Each test has a database and so a pool, and one server holds 200 connections.
        "server_login_retry = 0.2\nserver_idle_timeout = 5\n"
        + _tls_settings(*map(folders.reach, tls))
    )
    for path in (folder, users, settings, *tls):
        hand_over(path)
    log = folder / "pgbouncer.log"
    command = [find_pgbouncer(), folders.reach(settings)]
    process = spawn(command, signal.SIGTERM, log, folders=folders)
    through = server._replace(netloc=f"{server.netloc.rpartition(':')[0]}:{port}").geturl()
    try:
        eventually(lambda: _answers(through, process), 20, "PgBouncer's answer")
        yield through
    finally:
        process.terminate()
        process.wait()


def _tls_settings(key: str | None = None, certificate: str | None = None) -> str:
    if key is None:
        return ""
    return (
        "client_tls_sslmode = require\n"
        f"client_tls_key_file = {key}\nclient_tls_cert_file = {certificate}\n"
    )


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "PgBouncer has ended: read its log"
    try:
        psycopg.connect(url, connect_timeout=2, prepare_threshold=None).close()
    except psycopg.OperationalError:
        return False
    return True
