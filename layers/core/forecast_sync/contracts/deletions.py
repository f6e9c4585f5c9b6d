"""The requests and answers of Delete rows, and what Plan pages prepares for it."""

from __future__ import annotations

from typing import Literal

from forecast_sync.contracts.base import Payload
from forecast_sync.contracts.counts import BigInteger
from forecast_sync.contracts.page import Plan
from forecast_sync.contracts.query import Queries
from forecast_sync.contracts.run import Run, Window


class DeletionStep(Payload):
    """Result files that say which of the target's rows should leave; compared in one transaction.

    ``tombstone``: rows with the keys in ``keys``. ``missing``: rows of the run's business dates
    whose keys are neither in the lines of ``rows`` nor in ``keys`` nor, as those have steps of
    their own, in ``tombstones``; only those of some ``parts`` of all ``part_count``, by the hash of
    the key's first column, None for all of them.
    """

    kind: Literal["tombstone", "missing"]
    bucket: str
    rows: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tombstones: tuple[str, ...] = ()
    parts: tuple[int, ...] | None = None
    part_count: int = 1


class DeletionsRequest(Payload):
    """What Delete rows gets."""

    run: Run
    window: Window
    queries: Queries
    plan: Plan
    redrive_count: int = 0


class DeletionProgress(Payload):
    """Delete rows' answer: not done means that its time ran out."""

    done: bool


class Deletions(Payload):
    """How far the deletions of a query have come; the run's row keeps it.

    ``steps`` are done. They have found ``found`` rows that should leave, and listed ``listed`` of
    them: not more than are needed to tell that they are too many. ``good``, ``keys`` and
    ``checksum`` are the lines that they have read, for the comparison with the profile.

    Of ``rows`` rows in the target and ``recorded`` deletions within a day, ``allowed`` more may be
    deleted. Once it is ``decided``, ``planned`` rows are deleted, ``deferred`` wait for somebody,
    for the ``reason``, and ``postponed`` for the next run, because they are missing and their dates
    have changed in the lake since. ``left`` of those listed weren't deleted: they are
    postponed, gone already, or written since the window was decided. ``done`` is whether
    nothing is left to do.
    """

    query_execution_id: str
    survey_id: str
    rows: int = 0
    recorded: int = 0
    allowed: int = 0
    steps: int = 0
    found: int = 0
    listed: int = 0
    missing: int = 0
    good: int = 0
    keys: int = 0
    checksum: BigInteger = 0
    decided: bool = False
    planned: int = 0
    deferred: int = 0
    postponed: int = 0
    left: int = 0
    reason: str | None = None
    done: bool = False
