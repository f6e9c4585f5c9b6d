"""What a query reads of objects that somebody writes or replaces meanwhile."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from localcloud.athena.object_files import ObjectFiles, StoredObject

OLD, NEW = b"PAR1 old PAR1", b"PAR1 a new version PAR1"


def record(content: bytes) -> dict[str, Any]:
    etag = md5(content, usedforsecurity=False).hexdigest()
    return {"etag": f'"{etag}"', "last_modified": "2026-01-31T06:00:00Z"}


class Bucket:
    """One object's bytes, as each reading finds them; the last ones stay."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, present: dict[str, Any]) -> None:
        self.readings: list[bytes] = []
        # Another object has the old content for good, so that its copy isn't forgotten.
        buckets = {"lake": {"objects": {"a": present, "b": record(OLD)}}}
        monkeypatch.setattr("localcloud.athena.object_files.s3._buckets", buckets)
        monkeypatch.setattr("localcloud.athena.object_files.s3._read_body", self.read)

    def read(self, *_: Any) -> bytes:
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]


def collect(files: ObjectFiles, item: StoredObject, workdir: Path) -> bytes:
    (file,) = files.collect([item], workdir)
    return file.path.read_bytes()


@pytest.fixture
def files(tmp_path: Path) -> ObjectFiles:
    (tmp_path / "cache").mkdir()
    return ObjectFiles(tmp_path / "cache")


def test_an_object_that_is_still_being_written_is_read_when_it_is_whole(
    files: ObjectFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = StoredObject("lake", "a", record(NEW))
    bucket = Bucket(monkeypatch, item.record)
    bucket.readings = [b"", NEW[:7], NEW]
    assert collect(files, item, tmp_path / "first") == NEW
    bucket.readings = [b"nobody reads it again"]
    assert collect(files, item, tmp_path / "second") == NEW


def test_a_new_version_isn_t_kept_as_the_one_that_it_replaces(
    files: ObjectFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query that listed the old one reads the new one, as Athena may; no later one does."""
    replaced = StoredObject("lake", "a", record(OLD))
    bucket = Bucket(monkeypatch, record(NEW))
    bucket.readings = [NEW]
    assert collect(files, replaced, tmp_path / "during") == NEW
    bucket.readings = [OLD]
    assert collect(files, replaced, tmp_path / "back again") == OLD
