"""Polls until a condition holds or time runs out; needs only the standard library."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def poll(check: Callable[[], T], seconds: float, pause: float) -> T:
    """Call ``check`` until it returns true or ``seconds`` have passed; returns its last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := check()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer
