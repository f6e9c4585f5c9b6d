"""Loopback: what never leaves this machine, by its address and never by its name."""

from __future__ import annotations

import ipaddress
import socket


def is_loopback(address: str) -> bool:
    """Whether it is an address of loopback, without brackets; a name isn't one."""
    try:
        return "%" not in address and ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def resolve_localhost(name: str) -> list[str]:
    """What ``localhost`` resolves to here; empty for another name, or when it leads elsewhere."""
    if name.lower() != "localhost":
        return []
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    return found if all(map(is_loopback, found)) else []
