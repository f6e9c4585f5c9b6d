"""docs/runbook.md as HTML: all of it, or the section about one error."""

from __future__ import annotations

import re
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"


def read_section(error: str, path: Path = RUNBOOK) -> str | None:
    """The section whose heading names the error, without that heading; None if there is none."""
    if not path.exists():
        return None
    parser = _parser()
    tokens = parser.parse(path.read_text())
    starts = [i for i, token in enumerate(tokens) if token.type == "heading_open"]
    for start in starts:
        if anchor_of(tokens[start + 1].content) == anchor_of(error):
            level = tokens[start].tag
            later = (i for i in starts if i > start and tokens[i].tag <= level)
            body = tokens[start + 3 : next(later, len(tokens))]
            return str(parser.renderer.render(body, parser.options, {}))
    return None


def read_whole(path: Path = RUNBOOK) -> str | None:
    """The runbook with an anchor at each heading; None if this installation has none."""
    if not path.exists():
        return None
    parser = _parser()
    tokens = parser.parse(path.read_text())
    levels = sorted({opening.tag for opening, _, _ in _headings(tokens)})
    for opening, title, closing in _headings(tokens):
        opening.attrSet("id", anchor_of(title.content))
        # Headings mustn't skip a level: screen readers show them as an outline.
        opening.tag = closing.tag = f"h{levels.index(opening.tag) + 1}"
    return str(parser.renderer.render(tokens, parser.options, {}))


def anchor_of(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def _headings(tokens: list[Token]) -> list[tuple[Token, Token, Token]]:
    """The opening, text and closing token of each heading."""
    starts = [i for i, token in enumerate(tokens) if token.type == "heading_open"]
    return [(tokens[i], tokens[i + 1], tokens[i + 2]) for i in starts]


def _parser() -> MarkdownIt:
    """A parser with tables and without raw HTML."""
    return MarkdownIt("commonmark", {"html": False}).enable("table")
