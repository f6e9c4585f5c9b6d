"""Connection strings: which servers libpq would connect to, and how it verifies them.

libpq takes some parameters from the environment and from service files. So everything that decides
where to connect, and how, is resolved here and passed to libpq explicitly.
"""

from __future__ import annotations

from typing import NamedTuple

import certifi
import psycopg
from psycopg import conninfo

from forecast_sync.adapters.loopback import is_loopback, resolve_localhost
from forecast_sync.errors import ConfigurationInvalid

REFUSED = ("service", "servicefile", "sslkeylogfile")
"""They leave the decision, or the session's keys, to a file."""

ADDRESS = ("host", "hostaddr")
VERIFICATION = (
    *("sslrootcert", "sslcrl", "sslcrldir", "sslsni", "sslnegotiation", "channel_binding"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version", "sslkeylogfile"),
)
"""Taken from the string or from libpq's own defaults, never from the environment."""

OLD_PROTOCOLS = ("", "TLSv1", "TLSv1.1")


class Endpoint(NamedTuple):
    """One server of a connection string; libpq prefers the address to the host name."""

    host: str
    address: str
    port: str


def read_connection_string(url: str) -> dict[str, str]:
    """The parameters to connect with; nothing that concerns TLS is left to the environment.

    A server is local when both its address and its name are a Unix socket or loopback;
    ``localhost`` is resolved, and the resolved address is used. Unless every server is local,
    ``sslmode`` is ``verify-full``, with the roots of the string's ``sslrootcert``, else certifi's.
    The environment's ``PGHOST``, ``PGHOSTADDR`` and ``PGSERVICE`` only apply to a string that names
    no server. Raises ``ConfigurationInvalid`` with a message that doesn't contain the string.
    """
    given = _parse(url)
    defaults, compiled = _defaults()
    if any(name in given for name in ADDRESS):
        defaults = {name: value for name, value in defaults.items() if name not in ADDRESS}
    parameters = {"host": "", "hostaddr": "", **defaults, **given}
    endpoints = _endpoints(parameters)
    pinned = [_pin(endpoint) for endpoint in endpoints]
    if all(pinned):
        return parameters | _joined([endpoint for local in pinned for endpoint in local])
    verification = {
        name: given.get(name, default) for name, default in compiled.items() if name in VERIFICATION
    }
    if verification["ssl_min_protocol_version"] in OLD_PROTOCOLS:
        verification["ssl_min_protocol_version"] = "TLSv1.2"
    return {
        **parameters,
        **_joined(endpoints),
        **verification,
        "sslrootcert": verification["sslrootcert"] or certifi.where(),
        "sslmode": "verify-full",
        # Kerberos encryption would replace TLS.
        "gssencmode": "disable",
    }


def _parse(url: str) -> dict[str, str]:
    """The parameters in the string itself; an empty value counts as none, as in libpq."""
    try:
        # In C, a string ends at its first NUL.
        parsed = conninfo.conninfo_to_dict(url) if "\0" not in url else None
    except (psycopg.Error, ValueError):
        parsed = None
    if parsed is None:
        raise ConfigurationInvalid(
            "The connection string is malformed; expected postgresql://user:password@host/database."
        ) from None
    given = {name: str(value) for name, value in parsed.items() if value != ""}
    for name in REFUSED:
        if name in given:
            raise ConfigurationInvalid(
                f"The connection string has the parameter {name}, which isn't supported; leave it "
                "out and name host, port, user and database."
            )
    if _is_cut_wrongly(given):
        # Checked before libpq does, because its message would quote the supposed host.
        raise ConfigurationInvalid(
            "The connection string is ambiguous; percent-encode the password: "
            "@ is %40, / is %2F, : is %3A."
        )
    return given


def _is_cut_wrongly(given: dict[str, str]) -> bool:
    """Whether a part of the password has ended up in the host, the port or the database."""
    ports = given.get("port", "").split(",")
    names = "".join(given.get(name, "") for name in (*ADDRESS, "dbname"))
    return "@" in names or not all(port.isdigit() for port in ports if port)


def _defaults() -> tuple[dict[str, str], dict[str, str]]:
    """The defaults of libpq: from the environment and its service file, and compiled in."""
    options = psycopg.pq.Conninfo.get_defaults()
    defaults = {
        option.keyword.decode(): option.val.decode()
        for option in options
        if option.val and option.keyword != b"service"
    }
    compiled = {option.keyword.decode(): (option.compiled or b"").decode() for option in options}
    return defaults, compiled


def _endpoints(parameters: dict[str, str]) -> list[Endpoint]:
    hosts, addresses, ports = (parameters.get(name, "").split(",") for name in (*ADDRESS, "port"))
    count = max(len(hosts), len(addresses))
    if any(len(values) not in (1, count) for values in (hosts, addresses, ports)) or (
        count > 1 and [""] not in (hosts, addresses) and len(hosts) != len(addresses)
    ):
        raise ConfigurationInvalid(
            f"The connection string has {len(hosts)} hosts, {len(addresses)} addresses and "
            f"{len(ports)} ports; expected the same number of each."
        )
    return [
        Endpoint(*parts)
        for parts in zip(
            *(
                values * count if len(values) == 1 else values
                for values in (hosts, addresses, ports)
            ),
            strict=True,
        )
    ]


def _pin(endpoint: Endpoint) -> list[Endpoint]:
    """A local server, once per address; nothing for a remote one."""
    host, address, _ = endpoint
    is_socket = not host or host.startswith("/")
    if address:
        is_named_local = is_socket or host.lower() == "localhost" or is_loopback(host)
        return [endpoint] if is_named_local and is_loopback(address) else []
    if is_socket:
        return [endpoint]
    if is_loopback(host):
        return [endpoint._replace(address=host)]
    return [endpoint._replace(address=each) for each in resolve_localhost(host)]


def _joined(endpoints: list[Endpoint]) -> dict[str, str]:
    names = (*ADDRESS, "port")
    columns = zip(*endpoints, strict=True)
    return {name: ",".join(values) for name, values in zip(names, columns, strict=True)}
