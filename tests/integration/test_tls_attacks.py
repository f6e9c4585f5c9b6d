"""What would turn a remote server into a local one: none of it gets a connection without TLS.

The attacker is a server that refuses TLS and keeps every byte that it is sent. A client that can be
talked into plain text sends it a startup packet with the user's name.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from forecast_sync.adapters.connection_string import read_connection_string
from forecast_sync.adapters.postgres import connect
from forecast_sync.errors import ConfigurationInvalid, DatabaseRefused, ForecastSyncError
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.local_database import check_database
from localcloud.databases import Databases
from localcloud.postgres import Postgres

SSL_REQUEST, GSS_REQUEST = struct.pack("!II", 8, 80877103), struct.pack("!II", 8, 80877104)
REMOTE = "203.0.113.9"
PG_VARIABLES = (
    *("PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGPASSFILE"),
    *("PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR", "PGSSLMODE", "PGREQUIRESSL", "PGSSLROOTCERT"),
    *("PGSSLCERT", "PGSSLKEY", "PGSSLCRL", "PGSSLSNI", "PGGSSENCMODE", "PGCHANNELBINDING"),
    *("PGSSLNEGOTIATION", "PGSSLMINPROTOCOLVERSION", "PGSSLMAXPROTOCOLVERSION", "PGOPTIONS"),
)


class Spy:
    """A listener on every address of this machine that answers no to TLS and remembers the rest."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("0.0.0.0", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.in_plain = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with client:
                client.settimeout(5)
                self._listen(client)

    def _listen(self, client: socket.socket) -> None:
        try:
            while received := client.recv(4096):
                if received in (SSL_REQUEST, GSS_REQUEST):
                    client.sendall(b"N")
                else:
                    self.in_plain += received
                    return
        except OSError:
            return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def spy() -> Iterator[Spy]:
    listening = Spy()
    yield listening
    listening.close()


@pytest.fixture(autouse=True)
def no_pg_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in PG_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def address() -> str:
    """An address of this machine that isn't loopback: to the client a remote server."""
    reachable = [
        item.address
        for items in psutil.net_if_addrs().values()
        for item in items
        if item.family == socket.AF_INET and not item.address.startswith("127.")
    ]
    assert reachable, "this machine has no address besides loopback, expected one to attack from"
    return reachable[0]


def poison(monkeypatch: pytest.MonkeyPatch, name: str, *addresses: str) -> None:
    """Let ``name`` resolve to ``addresses``, as a line of /etc/hosts or a DNS server could."""
    resolve = socket.getaddrinfo

    def lie(host: str, port: int | str | None, *rest: int, **options: int) -> list[object]:
        if host != name:
            return list(resolve(host, port, *rest, **options))
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, int(port or 0))) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", lie)


URLS = {
    "address beside localhost": "postgresql://app:canary@localhost:{port}/shop?hostaddr={address}",
    "address beside loopback": "postgresql://app:canary@127.0.0.1:{port}/shop?hostaddr={address}",
    "address beside a socket": "host=/tmp hostaddr={address} port={port} user=app password=canary",
    "a host in the query": "postgresql://app:canary@localhost:{port}/shop?host={address}",
    "address alone": "hostaddr={address} port={port} user=app password=canary",
    "address of the second": "host=localhost,localhost hostaddr=127.0.0.1,{address} "
    "port=9,{port} user=app password=canary",
    "a second host": "postgresql://app:canary@localhost:9,{address}:{port}/shop",
    "a first host": "postgresql://app:canary@{address}:{port},localhost:9/shop",
    "sslmode=disable": "postgresql://app:canary@{address}:{port}/shop?sslmode=disable",
    "sslmode=allow": "postgresql://app:canary@{address}:{port}/shop?sslmode=allow",
    "sslmode twice": "postgresql://app:canary@{address}:{port}/shop"
    "?sslmode=verify-full&sslmode=disable",
    "gssencmode": "postgresql://app:canary@{address}:{port}/shop?gssencmode=prefer",
    "direct negotiation": "postgresql://app:canary@{address}:{port}/shop?sslnegotiation=postgres"
    "&sslmode=prefer&channel_binding=disable",
}


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
def test_no_connection_string_makes_a_remote_server_local(url: str, spy: Spy, address: str) -> None:
    with pytest.raises(ForecastSyncError) as refused:
        connect(url.format(port=spy.port, address=address))
    assert spy.in_plain == b""
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "variables"),
    [
        ("postgresql://app:canary@/shop", {"PGHOST": "{address}"}),
        ("postgresql://app:canary@/shop", {"PGHOSTADDR": "{address}"}),
        ("postgresql://app:canary@/shop", {"PGHOST": "localhost", "PGHOSTADDR": "{address}"}),
        ("postgresql://app:canary@/shop", {"PGHOST": "{address}", "PGSSLMODE": "disable"}),
        ("postgresql://app:canary@/shop", {"PGSERVICE": "evil"}),
        ("postgresql://app:canary@{address}/shop", {"PGSERVICE": "evil"}),
        ("postgresql://app:canary@{address}/shop", {"PGSSLMODE": "disable"}),
        ("postgresql://app:canary@{address}/shop", {"PGREQUIRESSL": "0", "PGSSLMODE": "allow"}),
        ("postgresql://app:canary@{address}/shop", {"PGHOSTADDR": "127.0.0.1"}),
        ("postgresql://app:canary@{address}/shop", {"PGGSSENCMODE": "prefer"}),
    ],
    ids=str,
)
def test_no_variable_makes_a_remote_server_local(
    url: str,
    variables: dict[str, str],
    spy: Spy,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "pg_service.conf").write_text(
        f"[evil]\nhostaddr={address}\nhost=localhost\nsslmode=disable\ngssencmode=disable\n"
    )
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path))
    monkeypatch.setenv("PGPORT", str(spy.port))
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(address=address))
    with pytest.raises(DatabaseRefused, match="No TLS") as refused:
        connect(url.format(address=address))
    assert spy.connections, f"nothing reached the attacker: {refused.value}"
    assert spy.in_plain == b""
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("variable", ["PGHOSTADDR", "PGHOST", "PGSERVICE"])
def test_no_variable_leads_a_string_with_a_host_elsewhere(
    variable: str,
    spy: Spy,
    address: str,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    services = tmp_path / "services"
    services.write_text(f"[evil]\nhostaddr={address}\nhost={address}\nport={spy.port}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGPORT", str(spy.port))
    monkeypatch.setenv(variable, "evil" if variable == "PGSERVICE" else address)
    connect(postgres.url()).close()
    assert Databases(postgres.url()).urls == {}
    assert spy.connections == 0


@pytest.mark.parametrize(
    "parameter", ["service=evil", "servicefile=/nowhere/pg_service.conf", "sslkeylogfile=/tmp/k"]
)
def test_a_string_that_hands_the_decision_to_a_file_is_refused(parameter: str) -> None:
    name = parameter.partition("=")[0]
    with pytest.raises(ConfigurationInvalid, match=rf"{name}|is malformed") as refused:
        connect(f"postgresql://app:canary@localhost/shop?{parameter}")
    assert "canary" not in str(refused.value)


def test_localhost_is_where_it_resolves_to_and_stays_there(
    spy: Spy, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, "localhost", "127.0.0.1", address)
    with pytest.raises(DatabaseRefused, match="No TLS"):
        connect(f"postgresql://app:canary@localhost:{spy.port}/shop")
    assert spy.connections
    assert spy.in_plain == b""
    poison(monkeypatch, "localhost", "127.0.0.2", "127.0.0.1")
    parameters = read_connection_string("postgresql://app@localhost:5/shop")
    assert (parameters["host"], parameters["hostaddr"]) == (
        "localhost,localhost",
        "127.0.0.2,127.0.0.1",
    )


def test_a_name_that_only_resolves_to_loopback_is_no_loopback(
    spy: Spy, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, "db.example.com", "127.0.0.1")
    with pytest.raises(DatabaseRefused, match="No TLS"):
        connect(f"postgresql://app:canary@db.example.com:{spy.port}/shop")
    assert spy.connections
    assert spy.in_plain == b""


def test_the_command_that_takes_a_url_says_no_before_anything_is_started(
    spy: Spy, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOSTADDR", address)
    monkeypatch.setenv("PGPORT", str(spy.port))
    with pytest.raises(UserError, match="--database-url can't be used") as refused:
        check_database("postgresql://app:canary@/shop")
    assert spy.in_plain == b""
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        *("localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "[::1]", "", "%2Ftmp"),
        *("localhost,127.0.0.1", "localhost:1,localhost:2"),
    ],
)
def test_loopback_and_sockets_stay_as_they_are(url: str) -> None:
    parameters = read_connection_string(f"postgresql://app@{url}/shop")
    assert parameters.get("sslmode") == "prefer"
    assert parameters["host"].count(",") == parameters["hostaddr"].count(",")


@pytest.mark.parametrize(
    "host",
    [
        *("localhost.example.com", "localhost,evil.example", "0.0.0.0", "127.1", "0x7f.1"),
        *("127.0.0.1.example.com", f"[::ffff:{REMOTE}]", "[fe80::1%25lo]", "2130706433"),
    ],
)
def test_what_only_looks_local_is_verified(host: str) -> None:
    parameters = read_connection_string(f"postgresql://app@{host}/shop?sslmode=disable")
    assert parameters["sslmode"] == "verify-full"
    assert parameters["gssencmode"] == "disable"


@pytest.mark.parametrize(
    ("query", "name", "used"),
    [
        ("sslrootcert=", "sslrootcert", "cacert.pem"),
        ("sslrootcert=/etc/own.pem", "sslrootcert", "/etc/own.pem"),
        ("ssl_min_protocol_version=TLSv1", "ssl_min_protocol_version", "TLSv1.2"),
        ("ssl_min_protocol_version=TLSv1.3", "ssl_min_protocol_version", "TLSv1.3"),
        ("channel_binding=require", "channel_binding", "require"),
        ("", "sslrootcert", "cacert.pem"),
        ("", "sslcrl", ""),
        ("", "channel_binding", "prefer"),
        ("", "sslnegotiation", "postgres"),
    ],
)
def test_how_a_server_is_verified_stands_in_the_string_and_nowhere_else(
    query: str, name: str, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in {
        "PGSSLROOTCERT": "/tmp/evil.pem",
        "PGSSLCRL": "/tmp/evil.crl",
        "PGCHANNELBINDING": "disable",
        "PGSSLNEGOTIATION": "direct",
        "PGSSLMINPROTOCOLVERSION": "TLSv1",
    }.items():
        monkeypatch.setenv(variable, value)
    parameters = read_connection_string(f"postgresql://app@db.example.com/shop?{query}")
    assert parameters[name].endswith(used)


@pytest.mark.parametrize(
    "url",
    [
        "host=a,b hostaddr=1.2.3.4 password=canary",
        "host=a,b port=1,2,3 password=canary",
        "postgresql://app:canary@localhost/shop\0.example.com",
        "postgresql://app:canary@local\udc80host/shop",
    ],
)
def test_a_string_that_can_t_be_understood_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        connect(url)
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None
