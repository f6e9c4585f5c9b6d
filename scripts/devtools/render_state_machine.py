"""Renders the state machine for Step Functions: YAML with aliases into JSON without any.

``make render`` writes the file and ``make build`` does so first; ``--check`` only compares.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import yaml

SOURCE = Path(__file__).parents[2] / "statemachine/sync.asl.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 when ``--check`` finds a rendering that isn't up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    options = parser.parse_args(arguments)
    rendering = SOURCE.with_suffix(".json")
    text = render(SOURCE.read_text(encoding="utf-8"))
    if rendering.is_file() and rendering.read_text(encoding="utf-8") == text:
        return 0
    if options.check:
        print(f"{rendering.name} isn't the rendering of {SOURCE.name}: run `make render`")
        return 1
    rendering.write_text(text, encoding="utf-8")
    return 0


def render(source: str) -> str:
    """A definition in YAML as JSON, its aliases replaced by what they stand for."""
    return json.dumps(yaml.safe_load(source), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
