"""``make recording``: records a real session as the animated picture in the README.

Starts a local cloud, uploads forecasts, and runs commands as a person would; the picture shows what
they print, and when. It ends with the last frame, the only one that readers without animations see.
"""

from __future__ import annotations

import io
import os
import pty
import re
import selectors
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.demo import data
from forecast_sync_cli.demo.data import forecasts, with_pyarrow
from forecast_sync_cli.local_sync import upload
from localcloud import cloud
from localcloud.description import Cloud
from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parents[2] / "docs/images/session.svg"
COLUMNS = 104
WAIT_SCALE = 0.2
"""Waits between polls are made for AWS; local queries take less than a second."""
READING_SECONDS = 1.5
"""The pause between an answer and the next command, as a person would make it."""
ROW, CELL = 24.4, 12.2
"""The height of a line and the width of a character in Rich's pictures."""
STYLE = """
    .rich-terminal .later { animation-name: wait }
    .rich-terminal .frame { visibility: hidden; animation-name: pass }
    @keyframes wait { from, to { visibility: hidden } }
    @keyframes pass { from, to { visibility: visible } }
    @media (prefers-reduced-motion: reduce) { .rich-terminal text { animation: none !important } }
    </style>"""
MONDAY = datetime.fromisoformat("2026-11-23T06:00:00")


@dataclass
class Row:
    """A line of the terminal, when it appeared, and the progress lines that it replaced."""

    at: float
    text: Text
    before: list[tuple[float, str]] = field(default_factory=list)


def main() -> None:
    """Record the session."""
    rows: list[Row] = []
    with cloud.running(wait_scale=WAIT_SCALE) as local:
        deployment = Deployment("dev", local.session(), local.endpoint_url, local.state_machine_arn)
        # The commands start the runs, so the uploads must not.
        deployment.client("events").disable_rule(Name=f"{deployment.name}-uploads")
        _put(deployment, "monday", forecasts(range(10), MONDAY))
        _run(rows, local, "forecast-sync start --name monday")
        _put(deployment, "tuesday", _revised())
        _run(rows, local, "forecast-sync plan --limit 3")
        _run(rows, local, "forecast-sync start --name tuesday")
        _run(rows, local, "forecast-sync status")
        _run(rows, local, "forecast-sync diff")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(draw(rows))


def draw(rows: list[Row]) -> str:
    """Draw the rows as a picture in which each line appears at its time."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor")
    for row in rows:
        console.print(row.text, no_wrap=True, crop=False)
    picture = console.export_svg(title="forecast-sync")

    def time_line(match: re.Match[str]) -> str:
        # Rich adds an empty last line of its own.
        at = rows[min(int(match[3]), len(rows) - 1)].at
        return f'{match[1]} later{match[2]} style="animation-duration: {at:.2f}s">'

    timed = re.sub(r'(<text class="[^"]*-r\d+)(" [^>]*-line-(\d+)\)")>', time_line, picture)
    frames = "\n".join(_frames(rows, f"{_unique(picture)}-r2"))
    head, end = timed.rsplit("</g>\n    </g>", 1)
    return f"{head}{frames}\n</g>\n    </g>{end}".replace("</style>", STYLE.lstrip(), 1)


def _unique(picture: str) -> str:
    name = re.search(r"terminal-\d+", picture)
    return name[0] if name else ""


def _frames(rows: list[Row], style: str) -> Iterator[str]:
    """The progress lines of each row, each shown for as long as the terminal showed it."""
    for number, row in enumerate(rows):
        ends = [*(at for at, _ in row.before), row.at][1:]
        for (at, text), end in zip(row.before, ends, strict=True):
            yield (
                f'<text class="{style} frame" x="0" y="{number * ROW + 20:.1f}"'
                f' textLength="{len(text) * CELL:.1f}"'
                f' style="animation-delay: {at:.2f}s; animation-duration: {end - at:.2f}s">'
                f"{escape(text).replace(' ', '&#160;')}</text>"
            )


def _revised() -> list[data.Row]:
    """Tuesday's forecasts: one more day, and every twentieth value of the others changed."""
    rows = forecasts(range(11), MONDAY + timedelta(days=1))
    for number, row in enumerate(rows):
        if number % 20 == 0 and row["y_95"] < 900:
            row["y_50"] += 1 + number % 97
    rows[7]["state"] = None
    return rows


def _put(deployment: Deployment, name: str, rows: list[data.Row]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.parquet"
        with_pyarrow(rows, path)
        upload(deployment, deployment.settings.data_location, Path(folder), [path])


def _run(rows: list[Row], local: Cloud, command: str) -> None:
    began = rows[-1].at + READING_SECONDS if rows else 0.0
    rows.append(Row(began, Text.from_markup(f"[bold green]$[/] [bold]{command}[/]")))
    progress: list[tuple[float, str]] = []
    for seconds, is_result, line in _watch(local, command):
        if is_result:
            rows.append(Row(began + seconds, Text.from_ansi(line)))
        else:
            progress.append((began + seconds, line))
            if len(progress) == 1:
                rows.append(Row(began + seconds, Text(line)))
            slot = rows[-1]
            slot.at, slot.text, slot.before = progress[-1][0], Text(line), progress[:-1]
    rows.append(Row(rows[-1].at, Text("")))


def _watch(local: Cloud, command: str) -> Iterator[tuple[float, bool, str]]:
    """A command's lines as they arrive: seconds since its start, whether it is a result, text.

    Results go to a terminal, for colors; progress goes to a pipe, to arrive in lines.
    """
    program = Path(sys.executable).parent / "forecast-sync"
    variables = {**local.variables, "COLUMNS": str(COLUMNS), "TERM": "xterm"}
    (master, slave), (outlet, inlet) = pty.openpty(), os.pipe()
    began = time.monotonic()
    with (
        subprocess.Popen(
            [program, *shlex.split(command)[1:]],
            env={"PATH": os.environ["PATH"], **variables},
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=inlet,
        ) as running,
        selectors.DefaultSelector() as selector,
    ):
        unfinished = {master: b"", outlet: b""}
        for theirs, ours in ((slave, master), (inlet, outlet)):
            os.close(theirs)
            selector.register(ours, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                block = b""
                # Reading from a terminal that was closed gives EIO, or nothing.
                with suppress(OSError):
                    block = os.read(key.fd, 65_536)
                if not block:
                    selector.unregister(key.fd)
                *lines, unfinished[key.fd] = (unfinished[key.fd] + block).split(b"\n")
                for line in lines:
                    seconds = time.monotonic() - began
                    yield seconds, key.fd == master, line.decode().rstrip("\r")
        os.close(master)
        os.close(outlet)
    if running.returncode:
        raise SystemExit(f"{command} ended with {running.returncode}")


if __name__ == "__main__":
    main()
