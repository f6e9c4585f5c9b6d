"""Which inputs of a state are outdated, and how often a run may renew its inputs.

Step Functions gives a redriven state the input that it had before. If that input predates the
redrive, a state that judges it could only repeat its judgement; the run queries again instead. It
does so too when a deployment has replaced the table file that the input was made of.
"""

from __future__ import annotations

from forecast_sync.contracts.run import Run
from forecast_sync.errors import ConfigurationInvalid, InputsOutdated, Superseded

RENEWALS_PER_REDRIVE = 2
"""How often the window is decided and queried again because the lake has changed meanwhile."""

MOST_RENEWALS = 20
"""For whatever reason: each renewal reads the lake again."""


def raise_if_stale(verdict: Exception | str, *, made_at: int, redrive_count: int) -> None:
    """Raise ``InputsOutdated`` with ``verdict`` when the judged inputs predate the present redrive.

    ``made_at`` is the redrive count at which the inputs were made; ``redrive_count`` is the present
    one.
    """
    if redrive_count > made_at:
        raise InputsOutdated(str(verdict))


def refuse_other_definitions(present: str, *made_of: str | None) -> None:
    """Raise ``InputsOutdated`` unless all inputs were made of the ``present`` definition.

    None is the definition of an input that a release without definitions has made.
    """
    others = {definition for definition in made_of if definition != present}
    if others:
        named = ", ".join(sorted(definition or "unknown" for definition in others))
        raise InputsOutdated(
            f"The inputs were made of another table file (definition {named}) than the one that is "
            f"deployed now ({present}), so they are made again."
        )


def of_another_release(run: Run, lack: str) -> Superseded:
    """The error of a run whose state machine lacks a state: ``lack`` is what was left undone."""
    return Superseded(
        f"Run {run.run_id} began under another release of this stack, which {lack}; start a new "
        f"{run.sync_type} run instead."
    )


def has_renewals_left(renewal: int, redrive_count: int) -> bool:
    """Whether inputs that were renewed ``renewal`` times may be renewed for a changed lake."""
    return renewal < RENEWALS_PER_REDRIVE * (redrive_count + 1)


def refuse_endless_renewal(renewal: int, redrive_count: int) -> None:
    """Raise ``ConfigurationInvalid``: functions that hold two table files never agree."""
    if renewal > MOST_RENEWALS * (redrive_count + 1):
        raise ConfigurationInvalid(
            f"The run has made its inputs {renewal} times, and they were always outdated: the "
            "stack's functions hold different table files, or the lake never rests. Deploy the "
            "stack again, then redrive."
        )
