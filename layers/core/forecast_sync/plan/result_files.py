"""The files that the extract has written: those that Athena's manifest names, with their sizes."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from forecast_sync.adapters.s3 import Storage, split_location
from forecast_sync.contracts.counts import Profile
from forecast_sync.errors import ResultInvalid

FileKind = Literal["row", "reject", "tombstone", "kept"]


class ResultFile(NamedTuple):
    """A gzip file of the extract; ``size`` in compressed bytes."""

    bucket: str
    key: str
    size: int

    @property
    def kind(self) -> FileKind:
        """What its lines are: the extract is partitioned by that."""
        named: tuple[FileKind, ...] = ("reject", "tombstone", "kept")
        return next((kind for kind in named if f"/kind={kind}/" in self.key), "row")

    @property
    def part(self) -> int:
        """The part of the keys that its lines are of."""
        found = re.search(r"/part=(\d+)/", self.key)
        return int(found[1]) if found else 0


def list_result_files(
    storage: Storage, profile: Profile, query_execution_id: str, manifest_location: str | None
) -> list[ResultFile]:
    """The extract's files, in the order of their keys.

    An extract of no rows may leave no manifest. Raises ``ResultInvalid`` when the profile counted
    rows and there is none, or a file of it is missing.
    """
    manifest = storage.find(*split_location(manifest_location)) if manifest_location else None
    if manifest is not None:
        return _measure(storage, manifest)
    if profile.good + profile.rejected + profile.tombstones + profile.kept:
        raise ResultInvalid(
            f"Athena query {query_execution_id} has no result manifest, expected one of "
            f"{profile.good} rows and {profile.rejected} rejects; redrive to query again."
        )
    return []


def _measure(storage: Storage, manifest: bytes) -> list[ResultFile]:
    """The manifest says which files there are; a listing only adds their sizes."""
    locations = [location.strip('"') for location in manifest.decode().split()]
    files = sorted(split_location(location) for location in locations)
    if not files:
        return []
    bucket = files[0][0]
    folder = _common_folder([key for _, key in files])
    sizes = {item.key: item.size for item in storage.list(bucket, folder)}
    missing = [key for _, key in files if key not in sizes]
    if missing:
        raise ResultInvalid(f"s3://{bucket}/{missing[0]} is in the manifest but not in the bucket.")
    return [ResultFile(bucket, key, sizes[key]) for bucket, key in files]


def _common_folder(keys: list[str]) -> str:
    first, last = min(keys), max(keys)
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    return first[:shared].rpartition("/")[0] + "/"
