"""Fuzzes the footer reader with coverage as its guide: ``make fuzz`` says for how long.

Whatever the bytes are, ``read_footer`` answers or raises ``ValueError``, in bounded time and
memory.
What libFuzzer finds otherwise it leaves as ``crash-*``, ``timeout-*`` or ``oom-*``: a new file of
the corpus, which ``tests/unit/test_parquet_footer.py`` replays.
"""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]  # in an environment of its own

with atheris.instrument_imports(include=["forecast_sync.survey.parquet_footer"]):
    from forecast_sync.survey.parquet_footer import MAGIC, read_footer


def look_at(data: bytes) -> None:
    """Take the bytes as a footer, and as the end of a file."""
    for tail in (data + len(data).to_bytes(4, "little") + MAGIC, data):
        try:
            read_footer(tail)
        except ValueError:
            continue


if __name__ == "__main__":
    atheris.Setup(sys.argv, look_at)
    atheris.Fuzz()
