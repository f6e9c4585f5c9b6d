"""The functions' handlers, in the test's process."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

FUNCTIONS = Path(__file__).parents[1] / "functions"


def import_handler(function: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of one function; all have the same name, so none stays imported."""
    monkeypatch.syspath_prepend(str(FUNCTIONS / function))
    monkeypatch.delitem(sys.modules, "handler", raising=False)
    module = importlib.import_module("handler")
    monkeypatch.delitem(sys.modules, "handler")
    return module
