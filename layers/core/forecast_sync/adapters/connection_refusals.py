"""Why Postgres refused a connection, which libpq reports only as text.

psycopg's error for a failed connection has no SQLSTATE, because libpq exposes none. So this
connects once more while libpq traces the protocol, and reads the server's answer from the trace. A
TLS handshake of Python's own shows why TLS failed.
"""

from __future__ import annotations

import os
import re
import select
import socket
import ssl
import struct
import time
from contextlib import closing
from typing import Any

import psycopg
from psycopg import conninfo, errors, pq

SECONDS = 5
"""For each attempt: a function that failed to connect has little time left."""

SSL_REQUEST = struct.pack("!ii", 8, 80877103)

WRONG_LOGIN = "28P01"
NO_SUCH_DATABASE = "3D000"
UNNAMED = "08P01"
"""What PgBouncer before 1.19 answers, whatever is wrong."""

MAINTENANCE_DATABASES = ("postgres", "template1")

Parameters = dict[str, Any]


def find_code(parameters: Parameters, error: psycopg.Error) -> str | None:
    """The SQLSTATE with which the server refused the connection; None if it didn't refuse."""
    if isinstance(error, errors.ConnectionTimeout):
        return None
    if error.pgconn is not None and error.pgconn.needs_password:
        return WRONG_LOGIN
    messages = _trace(parameters)
    codes = re.findall(r'ErrorResponse\t(?: [SV] "[^"]*")* C "(\w{5})"', messages)
    code = codes[-1] if codes else None
    if code != UNNAMED:
        return code
    if _refused_password(messages):
        return WRONG_LOGIN
    return NO_SUCH_DATABASE if _lacks_database(parameters) else code


def find_tls_refusal(parameters: Parameters) -> str | None:
    """Why the server doesn't offer TLS as ``parameters`` require; None when it does.

    Also None when the server can't be reached or drops the handshake, which may pass.
    """
    # Of several hosts, libpq's message is about the last one.
    host = _last(parameters.get("host"))
    port = int(_last(parameters.get("port")) or 5432)
    address = _last(parameters.get("hostaddr")) or host
    roots = parameters.get("sslrootcert")
    try:
        context = ssl.create_default_context(cafile=None if roots == "system" else roots)
        with closing(socket.create_connection((address, port), SECONDS)) as plain:
            plain.sendall(SSL_REQUEST)
            answer = plain.recv(1)
            if answer == b"N":
                return "the server offers no TLS"
            if answer == b"S":
                context.wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLCertVerificationError as refused:
        return refused.verify_message
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError):
        return None
    except ssl.SSLError as refused:
        return f"the handshake failed: {refused.reason}"
    except OSError:
        return None
    return None


def _last(values: object) -> str:
    """The last of the values that a connection string separates by commas."""
    return str(values or "").rpartition(",")[2]


def _trace(parameters: Parameters) -> str:
    """The protocol trace of another attempt; empty where libpq can't write one."""
    if not hasattr(os, "memfd_create"):
        return ""
    text = conninfo.make_conninfo(**{**parameters, "connect_timeout": SECONDS})
    attempt = pq.PGconn.connect_start(text.encode())
    # In memory only, because the password's proof is in the trace.
    with open(os.memfd_create("libpq"), "rb") as trace:  # noqa: PTH123
        try:
            attempt.trace(trace.fileno())
            attempt.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
            _await_end(attempt)
            attempt.untrace()
        finally:
            attempt.finish()
        trace.seek(0)
        return trace.read().decode(errors="replace")


def _await_end(attempt: pq.abc.PGconn) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        match attempt.connect_poll():
            case pq.PollingStatus.READING:
                select.select([attempt.socket], [], [], SECONDS)
            case pq.PollingStatus.WRITING:
                select.select([], [attempt.socket], [], SECONDS)
            case _:
                return


def _refused_password(messages: str) -> bool:
    """Whether the error answers the password rather than something after its acceptance."""
    exchanged = [line.split("\t") for line in messages.splitlines() if line[:2] in ("F\t", "B\t")]
    before = [kind for _, _, kind, *_ in exchanged[:-1]]
    return bool(before) and before[-1] in ("PasswordMessage", "SASLResponse", "SASLInitialResponse")


def _lacks_database(parameters: Parameters) -> bool:
    """Whether the database doesn't exist, as another database of the server says."""
    name = parameters.get("dbname") or parameters.get("user")
    for database in MAINTENANCE_DATABASES:
        try:
            other = {**parameters, "dbname": database, "connect_timeout": SECONDS}
            with psycopg.connect(**other, autocommit=True, prepare_threshold=None) as connection:
                row = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s AND datallowconn", [name]
                ).fetchone()
                return row is None
        except psycopg.Error:
            continue
    return False
