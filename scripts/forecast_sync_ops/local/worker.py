"""One Lambda execution environment: AWS's own runtime client, which ends with its server."""

from __future__ import annotations

import os
import sys
import threading
import time

from awslambdaric.__main__ import main

PARENT_POLL_SECONDS = 1.0


def _end_with(parent: int) -> None:
    """A handler in the middle of its work would outlive a killed server by minutes."""
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    main(sys.argv)
