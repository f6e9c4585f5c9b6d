"""Refuses foreign requests: local servers answer programs on this machine, never a web page."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from localcloud.ports import LOOPBACK

_HTTP_PORT = 80
_OWN_SITES = frozenset({"none", "same-origin"})
_SHOWN = 80


def find_foreign(headers: Iterable[tuple[str, str]], port: int) -> str | None:
    """Why a request must be refused, or None; ``headers`` as received, repeated ones too.

    An attacker can point any other name at this machine (DNS rebinding), so only the address itself
    and ``localhost`` are accepted as ``Host``. No tool needs more: if the endpoint is an address,
    botocore puts buckets and APIs into the path, and ministack, whose host is that address, would
    read ``bucket.localhost`` as a path too. Nothing listens on ``[::1]``. A browser adds ``Origin``
    or ``Sec-Fetch-Site`` to a page's requests, and no page can omit or change them.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value.strip().lower())
    hosts = {f"{name}:{port}" for name in (LOOPBACK, "localhost")}
    if port == _HTTP_PORT:
        hosts |= {LOOPBACK, "localhost"}
    host = values.get("host", [])
    if len(host) != 1 or host[0] not in hosts:
        return f"Host is {_shown(host)}, expected {LOOPBACK}:{port}: use the address as printed"
    for origin in values.get("origin", []):
        if origin.removeprefix("http://") not in hosts:
            return f"Origin is {_shown([origin])}: pages of other sites aren't answered"
    for site in values.get("sec-fetch-site", []):
        if site not in _OWN_SITES:
            return f"Sec-Fetch-Site is {_shown([site])}: pages of other sites aren't answered"
    return None


class LoopbackHandler(BaseHTTPRequestHandler):
    """A handler for ``http.server`` that refuses foreign requests, whatever their method."""

    @property
    def port(self) -> int:
        """The port on which this server listens."""
        return int(self.connection.getsockname()[1])

    def parse_request(self) -> bool:
        """Read the request line and the headers; False ends the connection."""
        if not super().parse_request():
            return False
        reason = find_foreign(self.headers.items(), self.port)
        if reason is not None:
            self.send_error(HTTPStatus.FORBIDDEN, explain=reason)
            self.close_connection = True
        return reason is None


def _shown(values: list[str]) -> str:
    return ", ".join(repr(value[:_SHOWN]) for value in values) or "missing"
