"""The terminal: the one door through which commands write, so that nothing gets there raw.

Text is shown as text. Control characters of names, values and errors are seen as escapes, Rich's
markup and emoji codes mean nothing, and colours come from ``Styled`` alone. Tests hold every other
module to write through here.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from forecast_sync.text.visible import visible, visible_lines
from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from forecast_sync_cli.errors import UserError

WIDE = 200


class Styled(NamedTuple):
    """A text in a colour or another style of Rich's."""

    text: str
    style: str


Part = str | Styled


class Table:
    """A table without lines. Where a terminal is too narrow, cells are folded, and not cut off."""

    def __init__(self, *headings: str, right: Collection[str] = (), indent: int = 0) -> None:
        self._table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, indent))
        for heading in headings:
            justify: Any = "right" if heading in right else "left"
            self._table.add_column(_text([heading]), justify=justify, overflow="fold")

    def add_row(self, *cells: Part) -> None:
        """A row; each of its cells is one line of text."""
        self._table.add_row(*(_text([cell]) for cell in cells))

    def __rich__(self) -> RichTable:
        """As Rich draws it."""
        return self._table


class Terminal:
    """A stream that people read."""

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        self._console = Console(
            file=stream,
            highlight=False,
            markup=False,
            emoji=False,
            # What isn't a terminal gets tables as wide as they are.
            width=None if stderr or stream.isatty() else WIDE,
        )

    def line(self, *parts: Part) -> None:
        """One line, put together from its parts; a line break within one is shown."""
        self._console.print(_text(parts), soft_wrap=True)

    def table(self, table: Table) -> None:
        """A table."""
        self._console.print(table)

    def error(self, message: str) -> None:
        """A failure as one line; line breaks of the message are spaces."""
        self.line(f"error: {' '.join(message.split())}")

    def crash(self, traceback: str) -> None:
        """A fault of this program, whose traceback quotes what it met."""
        for text in _indented(traceback).split("\n"):
            self.line(text)

    def document(self, text: str, what: str) -> None:
        """A text of several lines as it is, for another program to read.

        Raises ``UserError`` when that isn't safe to show: it can't be shown differently either.
        """
        for number, line in enumerate(text.split("\n"), start=1):
            if visible(line.replace("\t", " ")) != line.replace("\t", " "):
                raise UserError(
                    f"line {number} of {what} holds a character that can't be seen: "
                    f"{visible(line)}; write it as an escape"
                )
        self._console.file.write(text)

    @property
    def is_live(self) -> bool:
        """Whether a line can be changed after it was written."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    @contextmanager
    def live(self) -> Iterator[Callable[..., None]]:
        """A line that changes: the function that is handed out takes its new parts."""
        with Live(console=self._console, transient=True) as shown:
            yield lambda *parts: shown.update(_text(parts))


def write_json(document: Any, indent: int | None = 2) -> None:
    """One document on stdout; JSON's escapes keep it to printable ASCII, whatever it holds."""
    json.dump(document, sys.stdout, indent=indent, default=str, ensure_ascii=True)
    sys.stdout.write("\n")
    sys.stdout.flush()


def guard_logging() -> None:
    """What libraries warn of quotes names and answers: on stderr it is visible as well."""
    if logging.lastResort:
        logging.lastResort.setFormatter(_VisibleFormatter())


class _VisibleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The message and its traceback."""
        return _indented(super().format(record))


def _indented(text: str) -> str:
    """Lines none of which can be taken for one that a command writes, but the first."""
    return visible_lines(text.rstrip()).replace("\n", "\n| ")


def _text(parts: Collection[Part]) -> Text:
    text = Text()
    for part in parts:
        if isinstance(part, Styled):
            text.append(visible(part.text), part.style)
        else:
            text.append(visible(part))
    return text
