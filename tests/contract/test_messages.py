"""Every message of the product, listed from its source, and what all of them keep to.

``build/messages.txt`` is the list, for a person to read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from pathlib import Path
from typing import NamedTuple

import pytest
from devtools.cli_reference import find_commands
from forecast_sync_cli.main import make_app
from typer.testing import CliRunner

from tests.contract.stack import ROOT

PACKAGES = ("layers/core/forecast_sync", "scripts/forecast_sync_cli", "scripts/localcloud")
SCRIPTS = ("functions", "scripts/github")
VALUE = "◇"
"""Stands for a value in a message."""

WORDS = 4
"""Shorter texts are names, headings and parts of others."""

BANNED = {
    "stillborn": "failed to start",
    "not so": "say what was expected",
    "lake says": "rows are never deleted, so the table isn't only what the lake has",
    "attend to": "handle",
    "anew": "again",
    "in other words": "say it once",
    "value error": "a validation library's word",
    "please": "messages say what to do",
    "invalid input": "say what was read and what was expected",
    "something went wrong": "say what",
}
STARTERS = (
    "The|This|These|It|Its|Start|Deploy|Create|Repair|Correct|Fix|Choose|Set|Give|See|Wait|Restore|"
    "Check|Nothing|If|Then|Upload|Remove|Use|Add|Put|Rows|Runs|Known|Try|Repeat|Only|Without|There"
)
RUN_TOGETHER = re.compile(rf"[a-z{VALUE}] (?:{STARTERS}) [a-z]")
"""A sentence that begins where the one before it hasn't ended."""

ENDS_WELL = re.compile(rf"{VALUE} (?:{STARTERS}) ")
"""After a value, test_sentences.py knows whether it ends a sentence."""

PAIRS = (("(", ")"), ("[", "]"), ("{", "}"))
NO_TEXT = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|ALTER|CREATE|COPY|SET|GRANT) |\(\?P?[<:=!]")
"""Of SQL, and of a pattern."""


class Message(NamedTuple):
    """A text that people read, with ``VALUE`` for each value in it."""

    place: str
    text: str


@cache
def messages() -> tuple[Message, ...]:
    """All of them, by file and line."""
    found: list[Message] = []
    for package in (*PACKAGES, *SCRIPTS):
        for path in sorted((ROOT / package).rglob("*.py")):
            found += _of_module(path)
    for path in sorted((ROOT / "scripts/forecast_sync_cli/dashboard/templates").glob("*.html")):
        found += _of_template(path)
    return tuple(found)


def _of_module(path: Path) -> Iterator[Message]:
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if id(node) in docstrings or id(node) in parts:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(_part(part) for part in node.values)
        else:
            continue
        if _is_read(text):
            yield Message(f"{path.relative_to(ROOT)}:{node.lineno}", " ".join(text.split()))


def _part(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else VALUE


def _of_template(path: Path) -> Iterator[Message]:
    text = re.sub(r"{#.*?#}|{%.*?%}", "<p>", path.read_text(), flags=re.DOTALL)
    text = re.sub(r"{{.*?}}", VALUE, text, flags=re.DOTALL)
    blocks = re.split(
        r"</?(?:p|li|td|th|h\d|div|button|label|small|title|legend|summary)\b[^>]*>", text
    )
    for block in blocks:
        shown = " ".join(unescape(re.sub(r"<[^>]+>", "", block)).split())
        if _is_read(shown):
            yield Message(str(path.relative_to(ROOT)), shown)


def _is_read(text: str) -> bool:
    """Whether it is a text for people: of several words, and neither SQL nor a pattern."""
    words = re.findall(r"[A-Za-z][a-z']+", text)
    return len(words) >= WORDS and " " in text.strip() and not NO_TEXT.search(text)


def test_the_messages_are_found() -> None:
    listed = messages()
    texts = {message.text for message in listed}
    assert len(listed) > 400
    assert "What is below is from ◇ This page keeps trying." not in texts
    assert any("so this one must not continue" in text for text in texts)
    assert "Nothing has ever run here." in texts
    target = ROOT / "build" / "messages.txt"
    target.parent.mkdir(exist_ok=True)
    target.write_text("".join(f"{place}: {text}\n" for place, text in listed))


@pytest.mark.parametrize("words", BANNED)
def test_no_message_uses_a_word_that_puzzles(words: str) -> None:
    found = [m for m in messages() if re.search(rf"\b{words}\b", m.text, re.IGNORECASE)]
    assert not found, f"{found}: {BANNED[words]}"


def test_a_full_stop_stands_where_two_sentences_meet() -> None:
    found = [
        message for message in messages() if RUN_TOGETHER.search(ENDS_WELL.sub("", message.text))
    ]
    assert not found, found


def test_nothing_is_left_open_or_typed_twice() -> None:
    def is_wrong(text: str) -> bool:
        bare = re.sub(r"[:;]-?[()]|'[()\[\]{}]'|`[^`]*`|forecast-sync", "x", text)
        unbalanced = any(bare.count(a) != bare.count(b) for a, b in PAIRS)
        twice = re.search(r"\b(\w+) \1\b\b|,,| [,;]", bare)
        return unbalanced or twice is not None or text.count("`") % 2 == 1

    found = [message for message in messages() if is_wrong(message.text)]
    assert not found, found


def test_the_rules_can_fail() -> None:
    assert RUN_TOGETHER.search("the file is gone Upload it again")
    assert not RUN_TOGETHER.search("the file is gone. Upload it again")


@pytest.mark.parametrize("name", [name for name, _ in find_commands()])
def test_a_help_text_loses_nothing(name: str) -> None:
    """Neither brackets, which Rich takes for markup, nor an option's sentence."""
    command = dict(find_commands())[name]
    shown = CliRunner(env={"COLUMNS": "300"}).invoke(make_app(), [*name.split(), "--help"]).output
    flat = "".join(shown.split())  # A line may end at any space or hyphen.
    for paragraph in (command.help or "").split("\n\n"):
        assert "".join(paragraph.split()) in flat
    for parameter in command.params:
        said = getattr(parameter, "help", None)
        assert not said or "".join(said.split()) in flat, parameter.name
