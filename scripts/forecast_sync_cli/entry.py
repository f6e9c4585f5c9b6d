"""Where ``forecast-sync`` begins: Ctrl-C is no traceback, even while modules are being read."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; exit code 130 when interrupted."""
    try:
        from forecast_sync_cli.main import run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
