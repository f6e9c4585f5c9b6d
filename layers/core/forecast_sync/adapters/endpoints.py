"""Endpoints: the URLs that credentials are sent to, parsed as the HTTP client parses them."""

from __future__ import annotations

import re

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from forecast_sync.adapters.loopback import is_loopback, resolve_localhost
from forecast_sync.errors import ConfigurationInvalid

PLAIN = re.compile(r"[!-~]+")
"""Printable ASCII without spaces."""


def read_endpoint(text: str, setting: str) -> str:
    """The URL in ``text`` as urllib3 would connect to it, without a trailing slash.

    ``localhost`` is replaced by its address. The URL must use https, or http to loopback, and
    consist of scheme, host, port and path only; otherwise this raises ``ConfigurationInvalid``,
    which names ``setting`` but never the text, because a password may be in it.
    """
    url = _parse(text)
    if url is None:
        raise ConfigurationInvalid(
            f"{setting} isn't the URL of an API; expected https://host/path, "
            "without a user, a query or a fragment."
        )
    if url.scheme != "https":
        address = _loopback_address(url.host or "")
        if url.scheme != "http" or address is None:
            raise ConfigurationInvalid(
                f"{setting} is {url.scheme}://{url.host}; expected https, or http to loopback."
            )
        url = url._replace(host=address)
    return url.url.rstrip("/")


def _parse(text: str) -> Url | None:
    if not PLAIN.fullmatch(text) or "\\" in text:
        return None
    try:
        url = parse_url(text)
    except LocationParseError:
        return None
    has_more = url.auth is not None or url.query is not None or url.fragment is not None
    return url if url.scheme and url.host and not has_more else None


def _loopback_address(host: str) -> str | None:
    """The address to connect to if ``host`` is this machine, else None."""
    address = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    addresses = [address] if is_loopback(address) else resolve_localhost(address)
    # Local servers tend to listen on 127.0.0.1 rather than on ::1.
    first = next((each for each in addresses if ":" not in each), next(iter(addresses), None))
    return f"[{first}]" if first and ":" in first else first
