"""What the GitHub scripts print and hand on: lines, annotations, outputs, Markdown.

Names and messages come from elsewhere: none of them is a command for GitHub's runner, or markup.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path


def fail(message: str) -> int:
    """Report an error in one line, as GitHub shows it; returns the exit code."""
    annotate("error", message)
    return 1


def annotate(kind: str, message: str) -> None:
    """Report an ``error`` or a ``warning`` of the job; its text can't contain a command."""
    # The runner unescapes what it shows.
    print(f"::{kind}::{_plain(message).replace('%', '%25')}", file=sys.stderr)


def say(text: str) -> None:
    """Print a line in which the runner finds no command, whatever names it contains."""
    line = _plain(text)
    print(f"> {line}" if line.lstrip().startswith("::") else line, flush=True)


def answer(name: str, value: str) -> None:
    """Set an output for later steps and jobs; raises ``ValueError`` for more than one line."""
    if not value.isprintable():
        raise ValueError(f"{name} is more than one printable line: {value!r}")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as outputs:
        outputs.write(f"{name}={value}\n")
    say(f"{name}: {value}")


def code(text: str) -> str:
    """``text`` as Markdown code, for a job's summary; backticks in it don't end the code."""
    line = visible(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"


def visible(text: str) -> str:
    """``text`` on one line, with invisible characters as escapes."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _plain(text: str) -> str:
    """One line without the runner's older command prefix, which counts anywhere in a line."""
    return visible(text).replace("##[", "## [")
