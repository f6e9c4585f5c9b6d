"""The steps in which Delete rows finds the rows that should leave, from the extract's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from forecast_sync.contracts.counts import Profile
from forecast_sync.contracts.deletions import DeletionStep
from forecast_sync.contracts.page import PlanRequest
from forecast_sync.extract.queries import count_parts
from forecast_sync.plan.result_files import ResultFile
from forecast_sync.tables import Table

STEP_BYTES = 64 * 1024 * 1024
"""Compressed: about three million lines, which a temporary table holds at once."""


def plan_steps(
    table: Table, request: PlanRequest, profile: Profile, files: Sequence[ResultFile]
) -> list[DeletionStep]:
    """The steps of a run; none when nothing can leave.

    A mirror looks at all business dates in a full run, else at those of objects that were removed
    or replaced, and at those with deletions that were deferred.
    """
    survey = request.window.survey
    steps: list[DeletionStep] = []
    if profile.tombstones:
        steps += _tombstone_steps([file for file in files if file.kind == "tombstone"])
    if table.is_mirror and survey and (request.window.low is None or survey.touched):
        steps += _missing_steps(files, count_parts(survey.window_bytes))
    return steps


def _tombstone_steps(files: Sequence[ResultFile]) -> Iterator[DeletionStep]:
    for group in _group(files):
        keys = tuple(file.key for file in group)
        yield DeletionStep(kind="tombstone", bucket=group[0].bucket, keys=keys)


def _missing_steps(files: Sequence[ResultFile], part_count: int) -> Iterator[DeletionStep]:
    """Steps of whole parts: a key that a step doesn't have in its files is in no other one's."""
    wanted = sorted(
        (file for file in files if file.kind != "reject"), key=lambda file: (file.part, file.key)
    )
    parts = [list(of_part) for _, of_part in groupby(wanted, lambda file: file.part)]
    groups: list[list[ResultFile]] = [[]]
    for of_part in parts:
        if groups[-1] and _size(groups[-1]) + _size(of_part) > STEP_BYTES:
            groups.append([])
        groups[-1] += of_part
    first = 0
    for number, group in enumerate(groups, 1):
        is_last = number == len(groups)
        behind = part_count if is_last else group[-1].part + 1
        yield DeletionStep(
            kind="missing",
            bucket=group[0].bucket if group else "",
            rows=tuple(file.key for file in group if file.kind == "row"),
            keys=tuple(file.key for file in group if file.kind == "kept"),
            tombstones=tuple(file.key for file in group if file.kind == "tombstone"),
            parts=None if len(groups) == 1 else tuple(range(first, behind)),
            part_count=part_count,
        )
        first = behind


def _group(files: Sequence[ResultFile]) -> Iterator[list[ResultFile]]:
    group: list[ResultFile] = []
    for file in files:
        if group and _size(group) + file.size > STEP_BYTES:
            yield group
            group = []
        group.append(file)
    if group:
        yield group


def _size(files: Sequence[ResultFile]) -> int:
    return sum(file.size for file in files)
