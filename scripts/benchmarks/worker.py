"""One load in a process of its own, so that memory and CPU are the loading process's."""

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
    """Read a task as JSON from stdin, load, and print what it took as JSON."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    logging.disable(logging.WARNING)
    asked = json.load(sys.stdin)
    task = Task(asked["url"], Files(Path(asked["files"])), Path(asked["folder"]))
    load = WAYS[asked["way"]].prepare(task)
    wall, cpu = time.perf_counter(), time.process_time()
    found = load()
    measured = {
        "seconds": time.perf_counter() - wall,
        "client_cpu_seconds": time.process_time() - cpu,
        "peak_memory_bytes": _peak_memory(),
    }
    if isinstance(found, dict):
        measured |= found
    print(json.dumps(measured))


def _peak_memory() -> int:
    """Of this program alone: ru_maxrss would begin with the parent's."""
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes[1]) * 1024 if kilobytes else 0


if __name__ == "__main__":
    main()
