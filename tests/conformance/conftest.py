"""What is only true, or only interesting, with a real Trino: ``pytest --athena trino``."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:  # noqa: ARG001
    """With the embedded engine there is nothing here to be proven."""
    return True if config.getoption("--athena") != "trino" else None
