"""Trino is fetched once, even by concurrent callers, and used only with the pinned hash."""

from __future__ import annotations

import hashlib
import sys
import tarfile
import threading
from pathlib import Path

import pytest
from devtools import fetch_trino
from localcloud.athena import trino_programs
from localcloud.athena.trino_programs import VERSION, cache_folder, find_java, provide
from localcloud.errors import LocalCloudError

MAVEN = """#!{python}
import pathlib, shutil, sys
if {fails}:
    print("[INFO] Scanning for projects...")
    print("[ERROR] Could not resolve io.trino:trino-server:tar.gz:{version}: offline")
    sys.exit(1)
(target,) = [a.partition("=")[2] for a in sys.argv if a.startswith("-DoutputDirectory=")]
shutil.copy({archive!r}, target)
with open({calls!r}, "a") as calls:
    calls.write("x")
"""


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small distribution, pinned instead of the real one."""
    for name in ("lib/a.jar", "plugin/hive/b.jar", "plugin/iceberg/c.jar", "plugin/kafka/d.jar"):
        path = tmp_path / f"trino-server-{VERSION}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    archive = tmp_path / f"trino-server-{VERSION}.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / f"trino-server-{VERSION}", f"trino-server-{VERSION}")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(trino_programs, "SHA256", digest)
    return archive


def _install_maven(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False
) -> Path:
    """A ``mvn`` that copies ``archive``; the file that counts its calls."""
    calls, program = tmp_path / "calls", tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(
        MAVEN.format(
            python=sys.executable,
            fails=fails,
            version=VERSION,
            archive=str(archive),
            calls=str(calls),
        )
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return calls


def test_it_is_fetched_once_by_all_who_ask_at_the_same_time(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _install_maven(tmp_path, archive, monkeypatch)
    cache = tmp_path / "cache"
    folders: list[Path] = []
    lines: list[str] = []
    threads = [
        threading.Thread(target=lambda: folders.append(provide(lines.append, cache)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(folders) == {cache / f"trino-{VERSION}"}
    assert calls.read_text() == "x"
    assert len(lines) == 1
    kept = sorted(path.name for path in (folders[0] / "plugin").iterdir())
    assert kept == ["hive", "iceberg"]
    assert (folders[0] / "lib" / "a.jar").is_file()
    assert sorted(path.name for path in cache.iterdir()) == ["lock", f"trino-{VERSION}"]


def test_another_archive_than_the_pinned_one_is_refused_and_forgotten(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install_maven(tmp_path, archive, monkeypatch)
    monkeypatch.setattr(trino_programs, "SHA256", "0" * 64)
    with pytest.raises(LocalCloudError, match=r"SHA-256 is [0-9a-f]{64}, expected 0{64}"):
        provide(lambda _: None, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_what_maven_says_is_passed_on(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install_maven(tmp_path, archive, monkeypatch, fails=True)
    with pytest.raises(
        LocalCloudError, match=r"Maven couldn't fetch .*: Could not resolve .*offline"
    ):
        provide(lambda _: None, tmp_path / "cache")


def test_without_maven_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    lines: list[str] = []
    with pytest.raises(
        LocalCloudError, match="there is no `mvn`: `apt-get install maven`"
    ) as refused:
        provide(lines.append, tmp_path / "cache")
    assert "\n" not in str(refused.value)
    assert lines == []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch_trino, "find_java", lambda: None)
    assert fetch_trino.main() == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: --athena trino needs Apache Maven")
    assert (said.out, said.err.count("\n")) == ("", 1)


def test_what_is_there_needs_no_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "cache" / f"trino-{VERSION}"
    folder.mkdir(parents=True)
    assert provide(lambda _: None, tmp_path / "cache") == folder


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trino_programs, "find_spec", lambda name: None if name == "trino" else name)
    with pytest.raises(LocalCloudError, match="needs the Python packages trino: `make trino`"):
        find_java()


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "forecast-sync"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "forecast-sync"
