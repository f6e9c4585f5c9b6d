# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""The objects under a table's location as local files that a query can read while they change."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any, NamedTuple

from ministack.services import athena, s3

from localcloud.athena.engine import QueryError

READINGS = 25
PAUSE_SECONDS = 0.02


class StoredObject(NamedTuple):
    """One object of the local S3; ``record`` is ministack's."""

    bucket: str
    key: str
    record: dict[str, Any]


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

    def collect(self, objects: list[StoredObject], workdir: Path) -> list[ObjectFile]:
        """The objects as links in ``workdir``, a folder of the query's own."""
        workdir.mkdir(exist_ok=True)
        with self._lock:
            files = [
                self._link(item, workdir / f"{number}.parquet")
                for number, item in enumerate(objects)
            ]
            self._forget_all_but(_stored_etags())
        return files

    def _link(self, item: StoredObject, path: Path) -> ObjectFile:
        bucket, key, record = item
        cached = self._cache / record["etag"].strip('"')
        if cached.exists():
            os.link(cached, path)
        else:
            content, is_version = _read(item)
            path.write_bytes(content)
            if is_version:
                os.link(path, cached)
        return ObjectFile(path, f"s3://{bucket}/{key}", record["last_modified"])

    def _forget_all_but(self, etags: set[str]) -> None:
        for cached in self._cache.iterdir():
            if cached.name not in etags:
                cached.unlink()


def _read(item: StoredObject) -> tuple[bytes, bool]:
    """An object's bytes, and whether they are those of its record.

    Somebody may be replacing the object: then they are the new version's, once it is whole.
    """
    bucket, key, record = item
    for _ in range(READINGS):
        content = s3._read_body(bucket, key, record)
        digest = md5(content, usedforsecurity=False).hexdigest()
        if _has_digest(record, digest):
            return content, True
        present = s3._buckets.get(bucket, {}).get("objects", {}).get(key)
        if present is not None and present is not record and _has_digest(present, digest):
            break
        time.sleep(PAUSE_SECONDS)
    return content, False


def _has_digest(record: dict[str, Any], digest: str) -> bool:
    """Whether a record's ETag is that of the content; of an upload in parts nobody can tell."""
    etag = record["etag"].strip('"')
    return "-" in etag or etag == digest


def find_objects(location: str) -> list[StoredObject]:
    """The objects under a table's location that Athena would read, in the order of their keys."""
    bucket_name, _, prefix = location.removeprefix("s3://").partition("/")
    bucket = s3._buckets.get(bucket_name) or {"objects": {}}
    prefix = prefix.rstrip("/") + "/"
    return [
        StoredObject(bucket_name, key, record)
        for key, record in sorted(bucket["objects"].items())
        if key.startswith(prefix)
        and not key.endswith("/")
        and not athena._hidden(key[len(prefix) :])
    ]


def find_listed_objects(location: str) -> list[StoredObject]:
    """The objects that the text files under a location list, one a line, as Hive's symlinks do.

    Raises ``QueryError`` for one that doesn't exist.
    """
    return [
        _find_listed(line, location)
        for bucket, key, record in find_objects(location)
        for line in s3._read_body(bucket, key, record).decode().split("\n")
        if line
    ]


def _find_listed(path: str, location: str) -> StoredObject:
    bucket_name, _, key = path.removeprefix("s3://").partition("/")
    bucket = s3._buckets.get(bucket_name) or {"objects": {}}
    record = bucket["objects"].get(key)
    if record is None:
        raise QueryError(
            f"HIVE_FILE_NOT_FOUND: Manifest file from the location [{location}] contains "
            f"non-existent path: {path}"
        )
    return StoredObject(bucket_name, key, record)


def _stored_etags() -> set[str]:
    """The ETags of all objects, of whichever table: queries of several run at once."""
    return {
        record["etag"].strip('"')
        for bucket in list(s3._buckets.values())
        for record in list(bucket["objects"].values())
    }
