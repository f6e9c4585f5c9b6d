"""``make layer``: builds the Lambda layer for its processor and refuses one that is too large."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

CHECKOUT = Path(__file__).parents[2]
SOURCE = CHECKOUT / "layers" / "core"
TARGET = CHECKOUT / "build" / "layer.zip"
LIMIT_BYTES = 15_000_000
PLATFORM = ["--python-platform", "aarch64-manylinux2014", "--python-version", "3.13"]


def build_layer(target: Path) -> int:
    """Zip what `sam build` puts into the layer; returns the archive's bytes."""
    with TemporaryDirectory() as folder:
        packages = Path(folder) / "python"
        command = [
            str(Path(sys.executable).with_name("uv")),
            "pip",
            "install",
            "--quiet",
            *PLATFORM,
        ]
        command += ["--only-binary", ":all:", "--target", str(packages), "--require-hashes"]
        subprocess.run([*command, "-r", str(SOURCE / "requirements.txt")], check=True)
        shutil.copytree(
            SOURCE / "forecast_sync",
            packages / "forecast_sync",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.make_archive(str(target.with_suffix("")), "zip", folder)
    return target.stat().st_size


if __name__ == "__main__":
    size = build_layer(TARGET)
    if size > LIMIT_BYTES:
        sys.exit(f"error: the layer has {size:,} bytes zipped; {LIMIT_BYTES:,} are allowed")
    sys.stdout.write(f"the layer has {size:,} bytes zipped; {LIMIT_BYTES:,} are allowed\n")
