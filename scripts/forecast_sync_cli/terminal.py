"""The terminal: the only module that commands write through, so that no raw text gets there.

Text is shown as text. Control characters in names, values and errors appear as escapes, Rich's
markup and emoji codes have no effect, and colors come only from ``Styled``. Tests make sure that
every other module writes through this one.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import typer
from forecast_sync.text.visible import visible, visible_lines
from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from forecast_sync_cli.errors import UserError

WIDE = 200


class Styled(NamedTuple):
    """Text in a color or another of Rich's styles."""

    text: str
    style: str


Part = str | Styled


class Table:
    """A table without rules. In a narrow terminal cells wrap; nothing is cut off."""

    def __init__(self, *headings: str, right: Collection[str] = (), indent: int = 0) -> None:
        self._table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, indent))
        for heading in headings:
            justify: Any = "right" if heading in right else "left"
            self._table.add_column(_text([heading]), justify=justify, overflow="fold")

    def add_row(self, *cells: Part) -> None:
        """Add a row; each cell is one line of text."""
        self._table.add_row(*(_text([cell]) for cell in cells))

    def __rich__(self) -> RichTable:
        """What Rich prints."""
        return self._table


class Terminal:
    """Stdout or stderr, as people read it."""

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        self._console = Console(
            file=stream,
            highlight=False,
            markup=False,
            emoji=False,
            # In a pipe, tables keep their full width.
            width=None if stderr or stream.isatty() else WIDE,
        )

    def line(self, *parts: Part) -> None:
        """Print one line made of parts; line breaks in them appear as escapes."""
        self._console.print(_text(parts), soft_wrap=True)

    def table(self, table: Table) -> None:
        """Print a table."""
        self._console.print(table)

    def error(self, message: str) -> None:
        """Print a failure as one line; line breaks in the message become spaces."""
        self.line(f"error: {' '.join(message.split())}")

    def crash(self, traceback: str) -> None:
        """Print the traceback of a bug in this program, with its text made visible."""
        for text in _indented(traceback).split("\n"):
            self.line(text)

    def document(self, text: str, what: str) -> None:
        """Print text exactly as it is, for another program to read.

        Raises ``UserError`` if it has invisible characters, which can't be shown exactly.
        """
        for number, line in enumerate(text.split("\n"), start=1):
            if visible(line.replace("\t", " ")) != line.replace("\t", " "):
                raise UserError(
                    f"line {number} of {what} has an invisible character: "
                    f"{visible(line)}; write it as an escape"
                )
        self._console.file.write(text)

    def ask(self, question: str, default: str | None = None) -> str:
        """Ask until there is an answer; raises ``UserError`` at the end of stdin."""
        hint = f" [{default}]" if default else ""
        while True:
            self._console.print(_text([f"{question}{hint}"]), end=" ", soft_wrap=True)
            line = sys.stdin.readline()
            if not line:
                raise UserError(f"there was no answer to: {question}")
            if answer := line.strip() or default:
                return answer

    @property
    def is_live(self) -> bool:
        """Whether a line can be changed after it was printed."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    @contextmanager
    def live(self) -> Iterator[Callable[..., None]]:
        """A line that changes: call the yielded function with its new parts."""
        with Live(console=self._console, transient=True) as shown:
            yield lambda *parts: shown.update(_text(parts))

    @contextmanager
    def ticking(self, parts: Callable[[], Collection[Part]]) -> Iterator[None]:
        """A line that is updated several times a second; other output appears above it."""
        with Live(console=self._console, get_renderable=lambda: _text(parts()), transient=True):
            yield


def wrong_value(message: str) -> Exception:
    """The error of an option's value, shown with the option's name and the command's usage."""
    return typer.BadParameter(message)


def is_interactive() -> bool:
    """Whether a person can answer on stdin."""
    return sys.stdin.isatty()


def find_stdout_file() -> Path | None:
    """The file that stdout is redirected to, where the system can tell."""
    try:
        return Path(f"/proc/self/fd/{sys.stdout.fileno()}").readlink()
    except (OSError, ValueError):
        return None


def write_json(document: Any, indent: int | None = 2) -> None:
    """Print one document on stdout, escaped to printable ASCII."""
    json.dump(document, sys.stdout, indent=indent, default=str, ensure_ascii=True)
    sys.stdout.write("\n")
    sys.stdout.flush()


def guard_logging() -> None:
    """Make library warnings visible text too: they quote names and answers."""
    if logging.lastResort:
        logging.lastResort.setFormatter(_VisibleFormatter())


class _VisibleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The message and its traceback, made visible."""
        return _indented(super().format(record))


def _indented(text: str) -> str:
    """Text whose further lines can't be mistaken for a command's own."""
    return visible_lines(text.rstrip()).replace("\n", "\n| ")


def _text(parts: Collection[Part]) -> Text:
    text = Text()
    for part in parts:
        if isinstance(part, Styled):
            text.append(visible(part.text), part.style)
        else:
            text.append(visible(part))
    return text
