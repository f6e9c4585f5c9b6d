"""Finds the line of a key in a TOML file, which ``tomllib`` doesn't report."""

from __future__ import annotations

import re
from collections import Counter

Location = tuple[str | int, ...]

HEADER = re.compile(r"^\s*(\[\[?)\s*([\w.-]+)\s*\]\]?")
KEY = re.compile(r"^\s*([\w.-]+)\s*=")


def find_line(text: str, location: Location) -> int:
    """The line of the key, or of the innermost table around it; 1 if the file has neither."""
    best, depth = 1, 0
    table: Location = ()
    counts: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        path: Location = ()
        if header := HEADER.match(line):
            name = header[2]
            table = tuple(name.split("."))
            if header[1] == "[[":
                table = (*table, counts[name])
                counts[name] += 1
            path = table
        elif key := KEY.match(line):
            path = (*table, *key[1].split("."))
        if len(path) > depth and path == location[: len(path)]:
            best, depth = number, len(path)
    return best
