"""The parts of the documentation that are made from the code, between two marks each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from devtools import cli_reference, table_reference

ROOT = Path(__file__).parents[2]

PARTS: Mapping[str, Callable[[], str]] = {
    "docs/cli.md": cli_reference.write_reference,
    "docs/tables.md": table_reference.write_reference,
}


def renew(text: str, part: str) -> str:
    """``text`` with ``part`` between its marks."""
    begin, end = "<!-- made from the code -->", "<!-- end -->"
    return re.sub(
        f"{begin}.*{end}", lambda _: f"{begin}\n\n{part.strip()}\n\n{end}", text, flags=re.DOTALL
    )


def main() -> None:
    """Write every part."""
    for name, write in PARTS.items():
        path = ROOT / name
        path.write_text(renew(path.read_text(), write()))


if __name__ == "__main__":
    main()
