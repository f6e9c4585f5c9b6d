"""Redrives: which inputs of a redriven state are stale, and how often a run may renew its inputs.

Step Functions gives a redriven state the input that it had before. If that input predates the
redrive, a state that judges it could only repeat its judgement; the run queries again instead.
"""

from __future__ import annotations

from forecast_sync.errors import InputsOutdated

RENEWALS_PER_REDRIVE = 2
"""How often the window is decided and queried again because the lake has changed meanwhile."""


def raise_if_stale(verdict: Exception | str, *, made_at: int, redrive_count: int) -> None:
    """Raise ``InputsOutdated`` with ``verdict`` when the judged inputs predate the present redrive.

    ``made_at`` is the redrive count at which the inputs were made; ``redrive_count`` is the present
    one.
    """
    if redrive_count > made_at:
        raise InputsOutdated(str(verdict))


def has_renewals_left(renewal: int, redrive_count: int) -> bool:
    """Whether inputs that were renewed ``renewal`` times may be renewed again."""
    return renewal < RENEWALS_PER_REDRIVE * (redrive_count + 1)
