"""Measures in a separate process, as a Lambda function has one, to measure its memory alone."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

ORDERED = "--ordered"
Figures = dict[str, float]


def measure(module: str, *arguments: Any) -> Figures:
    """Start a module in a new process, which calls ``answer_order``; returns what it measures.

    Adds its peak ``memory`` in bytes.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, ORDERED],
        input=json.dumps(arguments),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    # Metrics may stand before it.
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def answer_order(measured: Callable[..., Figures]) -> bool:
    """Whether this process was started by ``measure``; then it has called ``measured``."""
    if sys.argv[1:] != [ORDERED]:
        return False
    figures = measured(*json.load(sys.stdin))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(json.dumps({**figures, "memory": memory}))
    return True
