# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""The objects under a table's location as local files that a query can read while they change."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ministack.services import athena, s3


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """One object: where its bytes are, its ``s3://`` location, when it was written (ISO 8601)."""

    path: Path
    location: str
    modified: str


class ObjectFiles:
    """Copies of objects by content hash, kept while the object is there, for queries to share."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._lock = threading.Lock()

    def collect(self, location: str, workdir: Path) -> list[ObjectFile]:
        """Every object that Athena would read, as links in ``workdir``, the query's own folder."""
        bucket_name, objects = _find_objects(location)
        with self._lock:
            files = [
                self._link(bucket_name, key, record, workdir / f"{number}.parquet")
                for number, (key, record) in enumerate(objects.items())
            ]
            self._forget_all_but({record["etag"].strip('"') for record in objects.values()})
        return files

    def measure(self, location: str) -> int:
        """The size of all these objects, in bytes."""
        return sum(int(record["size"]) for record in _find_objects(location)[1].values())

    def _link(self, bucket: str, key: str, record: dict[str, Any], path: Path) -> ObjectFile:
        cached = self._cache / record["etag"].strip('"')
        if not cached.exists():
            unfinished = cached.with_suffix(".new")
            unfinished.write_bytes(s3._read_body(bucket, key, record))
            unfinished.rename(cached)
        os.link(cached, path)
        return ObjectFile(path, f"s3://{bucket}/{key}", record["last_modified"])

    def _forget_all_but(self, etags: set[str]) -> None:
        for cached in self._cache.iterdir():
            if cached.name not in etags:
                cached.unlink()


def _find_objects(location: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """The bucket's name, and by key the objects that Athena would read."""
    bucket_name, _, prefix = location.removeprefix("s3://").partition("/")
    bucket = s3._buckets.get(bucket_name) or {"objects": {}}
    prefix = prefix.rstrip("/") + "/"
    return bucket_name, {
        key: record
        for key, record in sorted(bucket["objects"].items())
        if key.startswith(prefix)
        and not key.endswith("/")
        and not athena._hidden(key[len(prefix) :])
    }
