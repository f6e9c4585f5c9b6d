"""Files with which tests and drills make the local cloud's next calls fail."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.05


class FaultFile:
    """A JSON list of faults, consumed in order.

    Each has ``match``, a part of the call's description, and ``times`` (default 1), the number of
    calls that it affects; its other fields say what happens to them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def take(self, call: str) -> dict[str, Any] | None:
        """The fault that affects this call, whose ``times`` goes down by one; None without one."""
        with self._lock:
            faults = self._read()
            for fault in faults:
                if fault["match"] in call and fault.get("times", 1) > 0:
                    fault["times"] = fault.get("times", 1) - 1
                    self._path.write_text(json.dumps(faults))
                    return fault
        return None

    def await_end(self, fault: dict[str, Any]) -> None:
        """Wait until the file names no fault with the same ``match``, used up or not."""
        while self.names(fault):
            time.sleep(POLL_SECONDS)

    def names(self, fault: dict[str, Any]) -> bool:
        """Whether the file has a fault with the same ``match``, used up or not."""
        with self._lock:
            return any(other["match"] == fault["match"] for other in self._read())

    def _read(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        faults: list[dict[str, Any]] = json.loads(self._path.read_text())
        return faults
