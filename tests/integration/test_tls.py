"""TLS to a host that isn't local: verified to the name, or refused.

The embedded Postgres speaks no TLS, so PgBouncer runs in front of it with a certificate. The
host is a name, and ``hostaddr`` leads it to this machine.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
import trustme
from forecast_sync.adapters.postgres import connect
from forecast_sync.errors import DatabaseRefused, DatabaseUnavailable
from localcloud.ports import free_port
from localcloud.postgres import Postgres

from tests.pooler import pooled

HOST = "db.example.com"


@contextmanager
def served(postgres: Postgres, folder: Path, ca: trustme.CA, name: str) -> Iterator[str]:
    """The URL of a server at HOST whose certificate is for ``name``."""
    certificate = ca.issue_cert(name)
    key, chain = folder / "server.key", folder / "server.crt"
    certificate.private_key_pem.write_to_path(key)
    certificate.cert_chain_pems[0].write_to_path(chain)
    key.chmod(0o600)
    with pooled(postgres.url(), free_port(), folder, key, chain) as url:
        local = urlsplit(url)
        netloc = local.netloc.replace("127.0.0.1", HOST)
        query = urlencode({"hostaddr": "127.0.0.1"})
        yield local._replace(netloc=netloc, query=query).geturl()


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def root(ca: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "root.crt"
    ca.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "server").mkdir()
    return tmp_path / "server"


def test_a_known_authority_and_the_right_name_are_trusted(
    postgres: Postgres, folder: Path, ca: trustme.CA, root: Path
) -> None:
    with served(postgres, folder, ca, HOST) as url:
        connection = connect(f"{url}&sslrootcert={root}")
        assert connection.pgconn.ssl_in_use
        connection.close()


@pytest.mark.parametrize("sslmode", ["", "&sslmode=disable", "&sslmode=require"])
def test_an_unknown_authority_is_refused_whatever_the_url_says(
    postgres: Postgres, folder: Path, ca: trustme.CA, sslmode: str
) -> None:
    with served(postgres, folder, ca, HOST) as url, pytest.raises(DatabaseRefused) as raised:
        connect(url + sslmode)
    assert "certificate" in str(raised.value)
    assert (urlsplit(url).password or "?") not in str(raised.value)


def test_another_name_is_refused(
    postgres: Postgres, folder: Path, ca: trustme.CA, root: Path
) -> None:
    with (
        served(postgres, folder, ca, "other.example.com") as url,
        pytest.raises(DatabaseRefused, match=r"other\.example\.com"),
    ):
        connect(f"{url}&sslrootcert={root}")


def test_a_server_without_tls_is_refused(postgres: Postgres) -> None:
    url = postgres.url().replace("127.0.0.1", HOST)
    with pytest.raises(DatabaseRefused, match="no TLS"):
        connect(f"{url}?hostaddr=127.0.0.1")


def test_a_host_that_cuts_the_handshake_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_cut_each, args=[listener], daemon=True).start()
        port = listener.getsockname()[1]
        with pytest.raises(DatabaseUnavailable):
            connect(f"postgresql://app:x@{HOST}:{port}/app?hostaddr=127.0.0.1")


def _cut_each(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            client.recv(8)
            client.sendall(b"S")
            client.close()


def test_a_host_that_is_not_there_is_waited_for() -> None:
    with pytest.raises(DatabaseUnavailable):
        connect(f"postgresql://app:x@{HOST}:{free_port()}/app?hostaddr=127.0.0.1")


def test_the_roots_are_those_that_ship_with_the_layer() -> None:
    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    assert len(context.get_ca_certs()) > 50
