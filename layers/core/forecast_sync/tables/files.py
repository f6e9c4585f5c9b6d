"""Finds table files: they are configuration, and lie outside of this package.

In the checkout they are in ``tables/``, and an installed package has a copy of that folder. In
Lambda they come with a layer of their own, whose files are in ``/opt``; the local cloud unpacks no
layer, and ``LAYER_PATH`` lists the layers' folders instead.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from forecast_sync.errors import ConfigurationInvalid

INSTALLED = "forecast_sync_tables"
"""The package that an installation finds the folder ``tables`` as."""

SCHEMA = "table.schema.json"
"""The JSON Schema of table files, beside them."""

SUFFIX = ".toml"


def read_table_file(name: str) -> str:
    """The text of ``tables/<name>.toml``; raises ``ConfigurationInvalid`` if there is none."""
    for folder in find_folders():
        if name in _names_in(folder):
            return (folder / f"{name}{SUFFIX}").read_text("utf-8")
    raise ConfigurationInvalid(
        f"There is no tables/{name}.toml; the tables are {', '.join(known_tables())}."
    )


def known_tables() -> list[str]:
    """The names of all table files."""
    return sorted({name for folder in find_folders() for name in _names_in(folder)})


def find_folders() -> list[Path]:
    """Where table files are; of two with the same name the first one counts."""
    if layers := os.environ.get("LAYER_PATH"):
        return [Path(layer) for layer in layers.split(":")]
    if "LAMBDA_TASK_ROOT" in os.environ:
        return [Path("/opt")]
    try:
        places = [*map(Path, import_module(INSTALLED).__path__)]
    except ModuleNotFoundError:
        places = [Path(__file__).parents[4] / "tables"]  # a checkout that isn't installed
    # Without a module in it, an editable installation lists a placeholder besides the folder.
    return [place for place in places if place.is_dir()]


def _names_in(folder: Path) -> list[str]:
    return [file.stem for file in folder.glob(f"*{SUFFIX}")]
