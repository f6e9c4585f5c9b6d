"""Redrives: a state that judged inputs from before one would only judge them again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from forecast_sync.errors import ForecastSyncError, InputsOutdated

RENEWALS_PER_REDRIVE = 2
"""How often the queries run again because the lake changed between them."""


@contextmanager
def renewing_inputs(
    made_at: int, redrive_count: int, *judgements: type[ForecastSyncError]
) -> Iterator[None]:
    """Turn ``judgements`` of inputs that are older than the present redrive to ``InputsOutdated``.

    ``made_at`` is the redrive count at which the inputs were made, ``redrive_count`` that of now.
    """
    try:
        yield
    except judgements as error:
        if redrive_count > made_at:
            raise InputsOutdated(str(error)) from error
        raise
