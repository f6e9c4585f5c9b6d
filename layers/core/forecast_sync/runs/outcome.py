"""What became of a run, in a word that doesn't call it what it isn't.

Step Functions knows only that an execution succeeded, failed, or is running. A run that coalesced
has succeeded there without doing anything, a superseded one has failed there without anything being
wrong, and one that waits for another run's lease is running.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from forecast_sync.adapters.stepfunctions import ALIVE
from forecast_sync.errors import LeaseHeld, Superseded, error_name, message_of
from forecast_sync.text.strict_json import read_object

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

Outcome = Literal[
    "running",
    "succeeded",
    "dry_run",
    "coalesced",
    "superseded",
    "failed",
    "stopped",
    "timed_out",
]
BADLY: dict[str, Outcome] = {"FAILED": "failed", "ABORTED": "stopped", "TIMED_OUT": "timed_out"}


def outcome_of(status: str, output: str, failure: str | None) -> Outcome:
    """The outcome of an execution with this status and output.

    ``failure`` is why it ended badly, as ``failure_of`` says it.
    """
    if status in ALIVE:
        return "running"
    if status in BADLY:
        is_superseded = error_name(failure or "") == Superseded.__name__
        return "superseded" if is_superseded else BADLY[status]
    document = read_object(output)
    if _window_of(document).get("outcome") == "coalesced":
        return "coalesced"
    return "dry_run" if document.get("status") == "dry_run" else "succeeded"


def coalesced_into(output: str) -> str | None:
    """The run that starts one more run for a coalesced one, whose execution has this output.

    None for any other run.
    """
    holder = _window_of(read_object(output)).get("holder")
    return holder if isinstance(holder, str) else None


def find_wait(events: Sequence[HistoryEventTypeDef]) -> str | None:
    """Why a running run waits for the lease, in words; None while it doesn't.

    ``events`` are newest first: the present state's last attempt says which run is ahead.
    """
    for event in events:
        if "stateEnteredEventDetails" in event or "stateExitedEventDetails" in event:
            return None
        failed = event.get("taskFailedEventDetails")
        if failed:
            is_held = failed.get("error") == LeaseHeld.__name__
            return message_of(failed.get("cause", "")) if is_held else None
    return None


def first_line(failure: str) -> str:
    """The first line of why a run ended badly, which begins with the error's name."""
    return failure.strip().partition("\n")[0].strip()


def _window_of(output: dict[str, Any]) -> dict[str, Any]:
    """The window in the state with which a coalesced execution ends."""
    watermark = output.get("watermark")
    window = watermark.get("window") if isinstance(watermark, dict) else None
    return window if isinstance(window, dict) else {}
