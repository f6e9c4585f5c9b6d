"""The statements, one per file; each file says why it may run twice."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def read_statement(name: str) -> str:
    """The text of ``sql/<name>`` without its comment lines."""
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
