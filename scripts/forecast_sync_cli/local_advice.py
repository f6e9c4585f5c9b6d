"""What to do after a local sync has failed: the cloud that its messages refer to is gone."""

from __future__ import annotations

import re

REDRIVE = re.compile(r"(?<!\b[Aa] )(?<!the )\b[Rr]edrive\b( or start a new run| the run)?")
"""The advice to redrive, in a run's messages."""
AGAIN = "run the same command again"
ACCEPT = re.compile(r", remove or accept it: forecast-sync files --state quarantined\b")
"""The advice to accept a file, which only a deployment remembers."""


def advise_again(message: str) -> str:
    """A message that says to run the command again instead of redriving or accepting a file."""

    def again(match: re.Match[str]) -> str:
        return AGAIN if match[0][0] == "r" else AGAIN.capitalize()

    return REDRIVE.sub(again, ACCEPT.sub(f" or remove it, then {AGAIN}", message))
