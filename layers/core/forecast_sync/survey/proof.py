"""Proves, after a run's queries, that what they could read is still what the survey has listed."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from forecast_sync.adapters.s3 import Listed, Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.redrive import has_renewals_left, of_another_release
from forecast_sync.contracts.run import Run, Window
from forecast_sync.contracts.survey import Survey
from forecast_sync.errors import SourceChanged, SourceUnstable
from forecast_sync.survey.judge import READERS
from forecast_sync.survey.lists import OTHER, WINDOW, Version, read_versions, version_of

FEW = 2_000
"""So many listed objects are looked up one by one; of more, the whole lake is listed."""


def require_survey(run: Run, window: Window) -> Survey:
    """The survey that a window's lists come from; ``Superseded`` for a window without one."""
    if window.survey is None or not window.survey.done:
        raise of_another_release(run, "surveyed no lake")
    return window.survey


def refuse_changed_lake(
    storage: Storage, settings: Settings, survey: Survey, renewal: int, redrive_count: int
) -> None:
    """Raise when an object that the queries could read is another one now, or gone.

    Equal sums don't show it: both queries may have read a lake from which an object was gone. What
    has come since is for the next run. Raises as ``source_changed`` says.
    """
    if lake_changed(storage, settings, survey):
        raise source_changed(renewal, redrive_count)


def source_changed(renewal: int, redrive_count: int) -> SourceChanged | SourceUnstable:
    """The error of a lake that has changed: ``SourceChanged`` while renewals are left."""
    message = (
        "Objects of the lake were overwritten or deleted between the decision about the window and "
        "the end of the queries"
    )
    if has_renewals_left(renewal, redrive_count):
        return SourceChanged(f"{message}; the window is decided again.")
    return SourceUnstable(
        f"{message}, in each of {renewal + 1} attempts. Nothing was loaded from them. Redrive when "
        "whatever replaces or deletes objects has finished."
    )


def lake_changed(storage: Storage, settings: Settings, survey: Survey) -> bool:
    """Whether a listed object is gone or isn't the listed version."""
    listed = heapq.merge(
        read_versions(storage, survey.location, WINDOW, survey.window_files),
        read_versions(storage, survey.location, OTHER, survey.other_files),
        key=_key_bytes,
    )
    if survey.window_objects + survey.other_objects <= FEW:
        return _one_of_few_changed(storage, settings, list(listed))
    return _one_of_many_changed(storage, settings, listed)


def _one_of_few_changed(storage: Storage, settings: Settings, listed: list[Version]) -> bool:
    bucket, _ = split_location(settings.data_location)

    def is_changed(version: Version) -> bool:
        present = storage.find_listed(bucket, version.key)
        return present is None or version_of(present) != version

    with ThreadPoolExecutor(READERS) as pool:
        return any(pool.map(is_changed, listed))


def _one_of_many_changed(storage: Storage, settings: Settings, listed: Iterator[Version]) -> bool:
    """Both are in the order of keys, so memory doesn't grow with the lake."""
    bucket, prefix = split_location(settings.data_location)
    lake: Iterator[Listed] = storage.list(bucket, prefix)
    for version in listed:
        wanted = version.key.encode()
        present = next((item for item in lake if item.key.encode() >= wanted), None)
        if present is None or version_of(present) != version:
            return True
    return False


def _key_bytes(version: Version) -> bytes:
    return version.key.encode()
