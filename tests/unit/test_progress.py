"""What a long command says while it works: steps, bytes, and which run it waits for."""

from __future__ import annotations

from typing import Any

import pytest
from forecast_sync.runs import history
from forecast_sync_cli import progress
from forecast_sync_cli.client.run_status import Snapshot
from forecast_sync_cli.progress import Progress, Steps
from forecast_sync_cli.terminal import Part, Styled

from tests.e2e.cli import terminal as pseudo_terminal
from tests.waiting import eventually


class Pipe:
    """A terminal that isn't one, and what was written to it."""

    is_live = False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, *parts: Part) -> None:
        self.lines.append("".join(p.text if isinstance(p, Styled) else p for p in parts))


def test_without_a_terminal_each_step_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.05)
    pipe: Any = Pipe()
    now = iter(range(1000))
    with Steps(pipe, lambda: float(next(now))) as step:
        step("reading the lake")
        step("reading Postgres")
        eventually(lambda: len(pipe.lines) > 3, what="that it still reads")
    assert pipe.lines[0] == "    1.0 s  reading the lake ..."
    assert pipe.lines[1] == "    2.0 s  reading Postgres ..."
    assert all(line.endswith("reading Postgres ...") for line in pipe.lines[2:])


def test_in_a_terminal_one_line_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    from forecast_sync_cli.terminal import Terminal

    monkeypatch.setenv("TERM", "xterm")
    with pseudo_terminal() as (stream, shown):
        monkeypatch.setattr("sys.stderr", stream)
        writer = Terminal(stderr=True)
        assert writer.is_live
        with Steps(writer) as step:
            step("reading the lake")
            eventually(lambda: b"reading the lake ..." in bytes(shown), what="the first step")
            step("reading Postgres")
            eventually(lambda: b"reading Postgres ..." in bytes(shown), what="the second step")
            writer.line("a result")
    assert b"a result" in bytes(shown)


def snapshot(**changes: Any) -> Snapshot:
    values: dict[str, Any] = {
        "run_id": "r",
        "execution_arn": "arn:r",
        "status": "RUNNING",
        "state": "Poll Athena query",
        "started_at": "2026-11-27T10:00:00.000+00:00",
        "stopped_at": None,
        "seconds": 3.0,
        "redrive_count": 0,
        "outcome": "running",
    }
    return Snapshot(**(values | changes))


def test_a_run_s_line_says_what_athena_has_read_and_which_run_it_waits_for() -> None:
    pipe: Any = Pipe()
    with Progress(pipe) as show:
        show(snapshot(scanned_bytes=12_300_000))
        show(snapshot(state="Lake surveyed?", files=1200))
        show(snapshot(state="Read watermark", waits="Run a works on this database."))
    assert pipe.lines == [
        "    3.0 s  Poll Athena query   Athena has read 12.3 MB",
        "    3.0 s  Lake surveyed?      files 1,200",
        "    3.0 s  Read watermark      waits: Run a works on this database.",
    ]


def test_a_pipe_hears_of_a_long_survey_and_of_long_queries_now_and_then() -> None:
    pipe: Any = Pipe()
    with Progress(pipe) as show:
        show(snapshot(state="Survey lake", files_surveyed=0))
        show(snapshot(state="Survey lake", files_surveyed=900, seconds=5.0))
        show(snapshot(state="Survey lake", files_surveyed=2100, seconds=14.0))
        show(snapshot(state="Survey lake", files_surveyed=2100, seconds=40.0))
        show(snapshot(scanned_bytes=0, most_bytes=24_600_000, seconds=41.0))
        show(snapshot(scanned_bytes=12_300_000, most_bytes=24_600_000, seconds=61.0))
    assert pipe.lines == [
        "    3.0 s  Survey lake         files surveyed 0",
        "   14.0 s  Survey lake         files surveyed 2,100",
        "   41.0 s  Poll Athena query   Athena has read 0 B of at most 24.6 MB",
        "   61.0 s  Poll Athena query   Athena has read 12.3 MB of at most 24.6 MB",
    ]


def left(query_id: str) -> dict[str, Any]:
    output = f'{{"started": {{"query": {{"query_execution_id": "{query_id}"}}}}}}'
    return {"stateExitedEventDetails": {"name": "Start Athena query", "output": output}}


def test_only_the_queries_of_the_newest_visit_are_counted() -> None:
    entered = {"stateEnteredEventDetails": {"name": "Run queries"}}
    oldest_first: list[Any] = [entered, left("old"), entered, left("a"), left("b")]
    assert sorted(history.find_queries(list(reversed(oldest_first)))) == ["a", "b"]
    assert history.find_queries([]) == []


def test_the_files_that_a_survey_has_listed_are_counted() -> None:
    output = '{"watermark": {"window": {"survey": {"window_objects": 12, "done": false}}}}'
    surveyed: Any = {"stateExitedEventDetails": {"name": "Survey lake", "output": output}}
    assert (history.find_survey([surveyed]) or {})["window_objects"] == 12
    assert history.find_survey([]) is None
