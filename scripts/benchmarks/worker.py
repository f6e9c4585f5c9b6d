"""Runs one load in its own process, so that memory and CPU are those of the load."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from pathlib import Path

from benchmarks.data import Files
from benchmarks.ways import WAYS, Task


def main() -> None:
    """Read a task as JSON from stdin, load, and print the figures as JSON."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    logging.disable(logging.WARNING)
    order = json.load(sys.stdin)
    task = Task(order["url"], Files(Path(order["files"])), Path(order["folder"]))
    load = WAYS[order["way"]].prepare(task)
    wall, cpu = time.perf_counter(), time.process_time()
    extra = load()
    measured = {
        "seconds": time.perf_counter() - wall,
        "client_cpu_seconds": time.process_time() - cpu,
        "peak_memory_bytes": _peak_memory(),
    }
    if isinstance(extra, dict):
        measured |= extra
    print(json.dumps(measured))


def _peak_memory() -> int:
    """Of this program alone: ru_maxrss would include the parent's."""
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes[1]) * 1024 if kilobytes else 0


if __name__ == "__main__":
    main()
