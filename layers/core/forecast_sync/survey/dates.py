"""Ranges of business dates, few enough for a statement."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from forecast_sync.contracts.survey import DateRange

MOST_RANGES = 16


def merge(ranges: Iterable[DateRange]) -> list[DateRange]:
    """At most ``MOST_RANGES`` ranges that cover the given ones, which are in order and disjoint.

    Of too many, those with the fewest days between them become one.
    """
    separate = list(ranges)
    gaps = [
        (later.first - earlier.last, position)
        for position, (earlier, later) in enumerate(pairwise(separate), 1)
    ]
    closed = {position for _, position in sorted(gaps)[: max(0, len(separate) - MOST_RANGES)]}
    merged: list[DateRange] = []
    for position, item in enumerate(separate):
        if position in closed:
            merged[-1] = DateRange(first=merged[-1].first, last=item.last)
        else:
            merged.append(item)
    return merged
