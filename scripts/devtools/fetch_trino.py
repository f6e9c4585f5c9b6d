"""Fetches Trino before anything waits for it, as `make conformance` does."""

from __future__ import annotations

import sys

from forecast_sync_cli.terminal import Terminal
from localcloud.athena.trino_programs import find_java, provide
from localcloud.errors import LocalCloudError


def main() -> int:
    """Say what is fetched; if that fails, say why in one line and return exit code 1."""
    try:
        find_java()
        provide(Terminal().line)
    except LocalCloudError as error:
        Terminal(stderr=True).error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
