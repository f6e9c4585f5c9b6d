"""Suspects: objects that a query over them alone has failed for, and what proves them bad.

A run comes here when the engine has failed, so the engine is a suspect too. It is cleared by a
*control*, an object that is known to be readable. A suspect is bad if its probe fails each time,
after longer and longer pauses, while the control can be read before and afterwards. If the engine
may have failed by itself, it takes more probes; a file that kills the engine is proven so too.
"""

from __future__ import annotations

from forecast_sync.extract.probes import Fault, Probes, SearchEnded
from forecast_sync.survey.file_ledger import FileLedger

PAUSES = (1, 3, 10, 30)
"""Seconds before each probe of a suspect whose failure may pass."""

FIRM_PROBES = 2
"""How many of these probes are enough if what the suspect contains is at fault."""


def queries_to_prove(suspects: int, passing: int) -> int:
    """How many queries the proof takes, if so many of the suspects' failures may pass."""
    firm = FIRM_PROBES * (suspects + 1)
    return 1 + firm + ((len(PAUSES) - FIRM_PROBES) * (passing + 1) if passing else 0)


def prove_bad(probes: Probes, ledger: FileLedger, suspects: dict[str, Fault]) -> dict[str, str]:
    """What is wrong with the suspects, by key, as far as it is proven that they are bad.

    Raises ``SearchEnded`` when nothing is proven and nothing more can be.
    """
    control = ledger.find_control(probes.read_keys, suspects)
    if control is None:
        more = f" and {len(suspects) - 1} more" if len(suspects) > 1 else ""
        raise SearchEnded(
            "No object that the run reads could be read by itself either: "
            f"{next(iter(suspects))}{more}."
        )
    proven: dict[str, str] = {}
    try:
        if not probes.is_engine_well:
            _require_readable(probes, control)
        for number, pause in enumerate(PAUSES, start=1):
            probes.sleep(pause)
            suspects = _probe_again(probes, suspects)
            _require_readable(probes, control)
            if number >= FIRM_PROBES:
                is_last = number == len(PAUSES)
                firm = {key for key in suspects if is_last or not suspects[key].may_pass}
                proven |= {key: suspects[key].reason for key in firm}
                suspects = {key: suspects[key] for key in suspects if key not in firm}
            if not suspects:
                break
    except SearchEnded:
        if not proven:
            raise
    return proven


def _probe_again(probes: Probes, suspects: dict[str, Fault]) -> dict[str, Fault]:
    """What is wrong with each suspect; the search ends when nothing is, because it proves nothing.

    The engine that has failed for a good file may have failed for the others too.
    """
    faults = {}
    for key, before in suspects.items():
        fault = probes.find_fault([key])
        if fault is None:
            raise SearchEnded(
                "The objects that it reads were searched for one that makes it fail, but Athena "
                f"fails by itself at times: it couldn't read {key}, and then it could. Redrive to "
                "search again."
            )
        faults[key] = fault._replace(may_pass=fault.may_pass or before.may_pass)
    return faults


def _require_readable(probes: Probes, control: str) -> None:
    if probes.find_fault([control]) is not None:
        raise SearchEnded(
            "The objects that it reads were searched for one that makes it fail, but Athena "
            f"couldn't read {control} either, which it had read before. Redrive to search again."
        )
