"""``make docs``: writes the parts of docs/ that are generated from the code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from devtools import cli_reference, table_reference

ROOT = Path(__file__).parents[2]

PARTS: Mapping[str, Callable[[], str]] = {
    "docs/cli.md": cli_reference.write_reference,
    "docs/tables.md": table_reference.write_reference,
    "tables/table.schema.json": table_reference.write_schema,
}


def renew(text: str, part: str) -> str:
    """``text`` with ``part`` between its marks; without marks, all of it is generated."""
    begin, end = "<!-- made from the code -->", "<!-- end -->"
    if begin not in text:
        return part
    return re.sub(
        f"{begin}.*{end}", lambda _: f"{begin}\n\n{part.strip()}\n\n{end}", text, flags=re.DOTALL
    )


def main() -> None:
    """Write every part."""
    for name, write in PARTS.items():
        path = ROOT / name
        path.write_text(renew(path.read_text() if path.exists() else "", write()))


if __name__ == "__main__":
    main()
