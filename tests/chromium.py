"""Where Chromium is."""

from __future__ import annotations

import shutil

import pytest

MISSING = "Chromium isn't installed: apt-get install chromium"


def find_chromium() -> str:
    """Its path; skips the test where it is missing."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip(MISSING)
    return program
