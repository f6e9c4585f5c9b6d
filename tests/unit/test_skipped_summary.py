"""The line at the end of `make test` that says what was skipped for lack of a program."""

from __future__ import annotations

import shutil

import pytest

from tests import chromium, pooler
from tests.conftest import describe_missing

BOTH = (
    "not run: tests that need Chromium (1) and PgBouncer (2); "
    "to run them: apt-get install chromium pgbouncer"
)
BROWSER, POOLER = (f"('x.py', 1, 'Skipped: {text}')" for text in (chromium.MISSING, pooler.MISSING))


@pytest.mark.parametrize(
    ("reasons", "line"),
    [
        ([], ""),
        (["Skipped: only root can give a file away"], ""),
        (
            [BROWSER, BROWSER],
            "not run: tests that need Chromium (2); to run them: apt-get install chromium",
        ),
        (
            [POOLER, BROWSER, POOLER],
            BOTH,
        ),
    ],
)
def test_one_line_names_what_is_missing_and_how_to_get_it(reasons: list[str], line: str) -> None:
    assert describe_missing(reasons) == line


def test_a_test_that_needs_a_missing_program_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    for find, words in (
        (chromium.find_chromium, chromium.MISSING),
        (pooler.find_pgbouncer, pooler.MISSING),
    ):
        with pytest.raises(pytest.skip.Exception, match=words):
            find()
