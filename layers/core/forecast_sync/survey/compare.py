"""Compares a part of the lake's listing with the file ledger: what is new, replaced or gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from forecast_sync.adapters.s3 import Listed
from forecast_sync.survey.file_ledger import KnownFile
from forecast_sync.survey.judge import ARCHIVED, READER, Judged

Judge = Callable[[Sequence[Listed]], Mapping[str, Judged | None]]
"""Judges objects, by key; None for one that is gone."""


class Comparison(NamedTuple):
    """The rows that change, and whether an object that a run may have read is replaced or gone."""

    changes: list[KnownFile]
    found_withdrawals: bool


def compare(
    items: Sequence[Listed],
    known: Sequence[KnownFile],
    judge_all: Judge,
    definition: str,
    adopts_until: datetime | None,
) -> Comparison:
    """Compare all objects of a range of keys with all rows of it.

    Only what nobody has judged by these rules is judged. What was modified before ``adopts_until``
    has been taken in by an older version.
    """
    rows = {file.key: file for file in known}
    unjudged = [item for item in items if not _is_judged(rows.get(item.key), item, definition)]
    judged = judge_all(unjudged) if unjudged else {}
    changes: list[KnownFile] = []
    found_withdrawals = False
    for item in items:
        row = rows.pop(item.key, None)
        if item.key in judged:
            judgement = judged[item.key]
            if judgement is None:
                # Gone since it was listed, of which the next listing has to know.
                found_withdrawals |= row is not None and row.state != "gone"
                continue
            changed, withdraws = _take(row, item, judgement, definition)
            found_withdrawals |= withdraws
        elif row is not None:
            changed = row
        if adopts_until and changed.state == "pending" and item.modified <= adopts_until:
            changed = changed._replace(state="loaded", survey_id=None)
        if changed != row:
            changes.append(changed)
    for row in rows.values():
        if row.state != "gone":
            found_withdrawals |= row.was_read
            changes.append(row._replace(state="gone", survey_id=None, **row.withdrawing()))
    return Comparison(changes, found_withdrawals)


def _is_judged(row: KnownFile | None, item: Listed, definition: str) -> bool:
    """Whether this version was judged by the present rules."""
    if row is None or row.state == "gone" or not row.is_version(item):
        return False
    if item.storage_class != row.storage_class and ARCHIVED & {
        item.storage_class,
        row.storage_class,
    }:
        return False
    if row.state == "archived":
        # Where the class doesn't tell, only reading does.
        return item.storage_class in ARCHIVED
    return row.definition == definition and (row.state != "quarantined" or row.reader == READER)


def _take(
    row: KnownFile | None, item: Listed, judged: Judged, definition: str
) -> tuple[KnownFile, bool]:
    """An object's row after it was judged, and whether a version is withdrawn that was read."""
    new = KnownFile(
        key=item.key,
        etag=item.etag,
        modified=item.modified,
        storage_class=item.storage_class,
        size=item.size,
        row_count=judged.rows,
        first_date=judged.dates.first if judged.dates else None,
        last_date=judged.dates.last if judged.dates else None,
        reader=READER if judged.is_final else None,
        definition=definition,
        state=judged.state,
        reason=judged.reason,
        withdrawn_from=None,
        withdrawn_to=None,
        survey_id=None,
        run_id=None,
        generation=None,
    )
    if row is None:
        return new, False
    new = new._replace(withdrawn_from=row.withdrawn_from, withdrawn_to=row.withdrawn_to)
    if row.state == "gone":
        return new, False
    if not row.is_version(item):
        return new._replace(**row.withdrawing()), row.was_read
    if judged.state == "pending":
        # The same version as before, judged by other rules, or restored from an archive.
        was_in = row.state == "loaded" or (row.state == "archived" and row.run_id is not None)
        # While it was archived, older rows of other objects may have won, or keys have stayed that
        # must leave: every key of its dates is looked at again.
        return new._replace(
            state="loaded" if was_in else "pending",
            survey_id=row.survey_id,
            run_id=row.run_id,
            generation=row.generation,
            **(row.withdrawing() if row.state == "archived" else {}),
        ), False
    if judged.state == "archived":
        # What it has is still known, and its rows, if they were loaded, stay.
        return row._replace(
            storage_class=item.storage_class, state="archived", reason=judged.reason
        ), False
    return new._replace(**row.withdrawing()), False
