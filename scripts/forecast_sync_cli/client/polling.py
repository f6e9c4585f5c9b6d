"""Waiting for something that somebody else does. Needs only the standard library."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def poll(check: Callable[[], T], seconds: float, pause: float) -> T:
    """Call ``check`` until its answer is true or ``seconds`` have passed; the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := check()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer
