"""Suspects: objects that a query over them alone has failed for, and what proves them bad.

A run comes here when the engine has failed, so the engine is a suspect too. It is cleared by a
*control*, an object that is known to be readable. A suspect is bad if its probe fails again while
the control can be read before and afterwards; several times, each after a longer pause, if the
engine may have failed by itself. A file that kills the engine is proven so too.
"""

from __future__ import annotations

from forecast_sync.extract.probes import Fault, Probes, SearchEnded
from forecast_sync.survey.file_ledger import FileLedger

PAUSES = (2, 10, 30)
"""Seconds before a suspect is probed again: once if what it reads is at fault, else each time."""


def queries_to_prove(suspects: int, passing: int) -> int:
    """How many queries the proof takes, if so many of the suspects' failures may pass."""
    first = 1 + suspects + 1
    return first + (len(PAUSES) - 1) * (passing + 1) if passing else first


def prove_bad(probes: Probes, ledger: FileLedger, suspects: dict[str, Fault]) -> dict[str, str]:
    """What is wrong with the suspects that are bad, by key; those that could be read aren't.

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
        for pause in PAUSES:
            probes.sleep(pause)
            suspects = _probe_again(probes, suspects)
            if not suspects:
                break
            _require_readable(probes, control)
            is_last = pause == PAUSES[-1]
            proven |= {
                key: fault.reason
                for key, fault in suspects.items()
                if is_last or not fault.may_pass
            }
            suspects = {key: fault for key, fault in suspects.items() if key not in proven}
            if not suspects:
                break
    except SearchEnded:
        if not proven:
            raise
    return proven


def _probe_again(probes: Probes, suspects: dict[str, Fault]) -> dict[str, Fault]:
    """The suspects that fail again."""
    failed = {}
    for key, before in suspects.items():
        if fault := probes.find_fault([key]):
            failed[key] = fault._replace(may_pass=fault.may_pass or before.may_pass)
    return failed


def _require_readable(probes: Probes, control: str) -> None:
    if probes.find_fault([control]) is not None:
        raise SearchEnded(
            "The objects that it reads were searched for one that makes it fail, but Athena "
            f"couldn't read {control} either, which it had read before. Redrive to search again."
        )
