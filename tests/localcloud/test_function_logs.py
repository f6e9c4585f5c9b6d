"""The log of an invocation has all that the function has printed, and nothing else."""

from __future__ import annotations

import logging
import threading
from queue import Queue

import pytest
from localcloud import function_logs
from localcloud.function_logs import read_log
from localcloud.worker import END_OF_LOG


def printed(*lines: str) -> Queue[str]:
    queue: Queue[str] = Queue()
    for line in lines:
        queue.put(line)
    return queue


def test_a_line_that_comes_late_belongs_to_its_invocation() -> None:
    lines = printed("first")

    def print_the_rest() -> None:
        lines.put("late")
        lines.put(f"{END_OF_LOG}one")

    threading.Timer(0.5, print_the_rest).start()
    assert read_log(lines, "one") == "first\nlate"


def test_what_is_left_is_for_the_next_invocation() -> None:
    lines = printed("one", f"{END_OF_LOG}one", "two", "", "three", f"{END_OF_LOG}two")
    assert read_log(lines, "one") == "one"
    assert read_log(lines, "two") == "two\n\nthree"


def test_an_invocation_that_answered_twice_ends_its_log_only() -> None:
    lines = printed("one", f"{END_OF_LOG}one", f"{END_OF_LOG}one", "two", f"{END_OF_LOG}two")
    assert read_log(lines, "one") == "one"
    assert read_log(lines, "two") == "two"


def test_a_last_line_may_have_no_end() -> None:
    assert read_log(printed(f"no end{END_OF_LOG}one"), "one") == "no end"


def test_a_log_without_an_end_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(function_logs, "LONGEST_WAIT_SECONDS", 0.05)
    with caplog.at_level(logging.WARNING):
        assert read_log(printed("a line"), "one") == "a line"
    assert "The end of the log of one didn't come" in caplog.text
