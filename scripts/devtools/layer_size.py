"""``make layer``: zips the layer as `sam build` builds it, and fails if it is too large."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

CHECKOUT = Path(__file__).parents[2]
TARGET = CHECKOUT / "build" / "layer.zip"
LIMIT_BYTES = 15_000_000


def build_layer(target: Path) -> int:
    """Zip what `sam build` puts into the layer; returns the archive's size in bytes."""
    with TemporaryDirectory() as folder:
        makefile = str(CHECKOUT / "layers" / "core")
        variables = [f"ARTIFACTS_DIR={folder}", f"PYTHON={sys.executable}"]
        subprocess.run(
            ["make", "--silent", "-C", makefile, "build-CoreLayer", *variables], check=True
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.make_archive(str(target.with_suffix("")), "zip", folder)
    return target.stat().st_size


if __name__ == "__main__":
    size = build_layer(TARGET)
    if size > LIMIT_BYTES:
        sys.exit(f"error: the layer has {size:,} bytes zipped; {LIMIT_BYTES:,} are allowed")
    sys.stdout.write(f"the layer has {size:,} bytes zipped; {LIMIT_BYTES:,} are allowed\n")
