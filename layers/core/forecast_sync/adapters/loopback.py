"""Loopback: whether traffic stays on this machine, judged by address, never by name."""

from __future__ import annotations

import ipaddress
import socket


def is_loopback(address: str) -> bool:
    """Whether it is a loopback address, without brackets; a name never is."""
    try:
        return "%" not in address and ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def resolve_localhost(name: str) -> list[str]:
    """The loopback addresses of ``localhost``; empty for other names, or if any address isn't."""
    if name.lower() != "localhost":
        return []
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    return addresses if all(map(is_loopback, addresses)) else []
