"""The documents that are made from the code are what the code makes."""

from __future__ import annotations

import pytest
from forecast_sync_ops.docs import PARTS, ROOT, renew


@pytest.mark.parametrize("name", PARTS)
def test_a_document_says_what_the_code_does(name: str) -> None:
    text = (ROOT / name).read_text()
    assert text == renew(text, PARTS[name]()), f"{name} is outdated: make docs"
