"""How texts from elsewhere become sentences, to which a message can add its own."""

from __future__ import annotations

ENDS = (".", "!", "?", "…")


def end_sentence(text: str) -> str:
    """``text`` with a full stop, unless it has an end; other services' reasons mostly have none."""
    ended = text.rstrip()
    return ended if not ended or ended.endswith(ENDS) else f"{ended}."
