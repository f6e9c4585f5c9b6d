"""How sizes are written for people."""

from __future__ import annotations

KILO = 1000


def show_size(count: float) -> str:
    """A number of bytes in the unit that leaves one to three digits before the point."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < KILO:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KILO
    return f"{count:,.1f} TB"
