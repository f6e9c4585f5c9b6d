"""Waiting for a condition, with a deadline, and for a coroutine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 1.0
"""The factor by which deadlines are longer with a slower Athena engine."""


def eventually(
    check: Callable[[], T | None], seconds: float = 30, what: str = "it", *, every: float = 0.05
) -> T:
    """The first answer that isn't empty, within a deadline; ``every`` so many seconds it asks."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := check():
            return answer
        time.sleep(every)
    raise AssertionError(f"{what} didn't happen within {seconds:.0f} s")


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, run in a separate thread.

    A browser of Playwright's synchronous kind keeps the main thread's event loop running until the
    session ends, for tests of other folders in the same process too.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
