"""UNLOAD statements, which ministack, DuckDB and Trino don't support."""

from __future__ import annotations

import re
from dataclasses import dataclass


class UnloadUnsupported(Exception):
    """An UNLOAD in a format that the local Athena doesn't write."""


@dataclass(frozen=True, slots=True)
class Unload:
    """An UNLOAD statement: the query, where its rows go, and the columns to partition them by."""

    query: str
    bucket: str
    prefix: str
    partitions: tuple[str, ...]


def parse_unload(statement: str) -> Unload | None:
    """The parts of an UNLOAD statement, or None for any other.

    Raises ``UnloadUnsupported`` for options other than gzip text.
    """
    match = re.fullmatch(
        r"\s*UNLOAD\s*\((.*)\)\s*TO\s*'s3://([^/']+)/([^']*)'\s*WITH\s*\((.*)\)\s*",
        statement,
        re.DOTALL | re.IGNORECASE,
    )
    if match is None:
        return None
    query, bucket, prefix, options = match.groups()
    if "'textfile'" not in options.lower() or "'gzip'" not in options.lower():
        raise UnloadUnsupported("the local Athena unloads TEXTFILE with GZIP only")
    listed = re.search(r"partitioned_by\s*=\s*ARRAY\s*\[([^]]*)\]", options, re.IGNORECASE)
    partitions = tuple(re.findall(r"'(\w+)'", listed[1])) if listed else ()
    return Unload(query, bucket, prefix.rstrip("/") + "/", partitions)
