"""A state directory is ours alone: anything that another user could have put there is refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from localcloud import cloud, private_files, state_dir
from localcloud.description import Cloud
from localcloud.errors import LocalCloudError
from localcloud.ports import listen

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
SOMEBODY = 12345
WRITTEN = [
    ".forecast-sync-local",
    "cloud.json",
    "keys.json",
    "lock",
    "server.lock",
    "port",
    "postgres.password",
    "postgres.programs",
    "logs/server.log",
    "logs/postgres.log",
    "aws/lambda.json",
    "s3/000000000000/bucket/forecast/1.parquet",
    "faults/athena-faults.json",
    "calls/function-1.jsonl",
    "postgres/postmaster.pid",
    "postgres/PG_VERSION",
]
"""Everything that the commands, the server, the emulator and Postgres write there."""
FOLDERS = ["logs", "tmp", "aws", "s3", "faults", "calls", "postgres", "postgres.new"]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A state directory that a local cloud has left."""
    state_dir.prepare(tmp_path / "state")
    return tmp_path / "state"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def refusal(path: Path) -> str:
    """What `up` says, in one line; `down` refuses too."""
    with pytest.raises(LocalCloudError) as caught:
        cloud.up(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    assert "--state-dir" in message
    with pytest.raises(LocalCloudError):
        cloud.down(path)
    return message


@pytest.mark.parametrize("mask", [0, 0o022, 0o277])
def test_it_and_what_it_lies_in_are_made_for_the_owner_only(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        state_dir.prepare(tmp_path / "new" / "state")
    for made in (tmp_path / "new", *(tmp_path / "new").rglob("*")):
        assert mode(made) & 0o077 == 0, made
    assert mode(tmp_path / "new" / "state") == mode(tmp_path / "new") == 0o700


def test_what_others_can_read_is_closed(path: Path) -> None:
    (path / "postgres.password").write_text("secret")
    (path / "aws" / "secretsmanager.json").write_text("secret")
    for entry in (path, *path.rglob("*")):
        entry.chmod(0o755 if entry.is_dir() else 0o644)
    state_dir.prepare(path)
    for entry in (path, *path.rglob("*")):
        assert mode(entry) & 0o077 == 0, entry


@pytest.mark.parametrize("name", WRITTEN)
def test_a_symbolic_link_where_we_write_is_refused(path: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(victim)
    assert f"{path / name} is a symbolic link" in refusal(path)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_link_for_a_folder_is_refused(path: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "victim").mkdir(mode=0o755)
    if (path / name).exists():
        (path / name).rmdir()
    (path / name).symlink_to(tmp_path / "victim")
    assert f"{path / name} is a symbolic link" in refusal(path)
    assert list((tmp_path / "victim").iterdir()) == []
    assert mode(tmp_path / "victim") == 0o755


@pytest.mark.parametrize("name", WRITTEN)
def test_a_hard_link_where_we_write_is_refused(path: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).unlink(missing_ok=True)
    (path / name).hardlink_to(victim)
    assert f"{path / name} is a file with 2 names" in refusal(path)
    assert victim.read_text() == "precious"


def test_a_pipe_where_we_write_is_refused(path: Path) -> None:
    os.mkfifo(path / "cloud.json")
    assert "neither a file nor a directory" in refusal(path)


def test_a_directory_that_is_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    assert "it is a symbolic link" in refusal(tmp_path / "link")


@pytest.mark.parametrize("writable", [0o777, 0o722, 0o1777])
def test_one_that_others_write_to_is_refused(path: Path, writable: int) -> None:
    path.chmod(writable)
    assert "others can write to it" in refusal(path)
    assert mode(path) == writable


@pytest.mark.parametrize("writable", [0o777, 0o702])
def test_a_parent_that_others_write_to_is_refused(path: Path, writable: int) -> None:
    path.parent.chmod(writable)
    assert f"others can write to {path.parent}" in refusal(path)


def test_a_new_one_in_such_a_parent_is_not_even_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(LocalCloudError, match=f"`chmod go-w {tmp_path}`"):
        state_dir.prepare(tmp_path / "state")
    assert list(tmp_path.iterdir()) == []


def test_a_second_up_may_prepare_it_while_the_first_empties_it(path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        prepared = [pool.submit(state_dir.prepare, path) for _ in range(500)]
        while not all(future.done() for future in prepared):
            state_dir.forget_temporary(path)
            state_dir.empty(path)
    assert [future.result() for future in prepared] == [None] * 500
    assert {file.name for file in path.iterdir()} >= {"logs", "tmp", "s3", "faults", "aws"}


def test_a_sticky_parent_is_fine(path: Path) -> None:
    path.parent.chmod(0o1777)
    state_dir.prepare(path)


@as_root
class TestSomebodyElses:
    def test_a_directory(self, path: Path) -> None:
        os.chown(path, SOMEBODY, SOMEBODY)
        assert f"owned by user {SOMEBODY}" in refusal(path)

    def test_a_parent(self, path: Path) -> None:
        os.chown(path.parent, SOMEBODY, SOMEBODY)
        assert f"{path.parent} is owned by user {SOMEBODY}" in refusal(path)

    @pytest.mark.parametrize("name", [*WRITTEN, "anything"])
    def test_a_file(self, path: Path, name: str) -> None:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
        os.chown(path / name, SOMEBODY, SOMEBODY)
        assert f"{path / name} is owned by user {SOMEBODY}" in refusal(path)

    @pytest.mark.parametrize("name", FOLDERS)
    def test_a_folder(self, path: Path, name: str) -> None:
        (path / name).mkdir(exist_ok=True)
        os.chown(path / name, SOMEBODY, SOMEBODY)
        assert f"{path / name} is owned by user {SOMEBODY}" in refusal(path)

    def test_a_group_s_parent(self, path: Path) -> None:
        os.chown(path.parent, 0, SOMEBODY)
        path.parent.chmod(0o770)
        assert f"others can write to {path.parent}" in refusal(path)


class TestFilesThatAppearMeanwhile:
    """After the directory was looked at, nothing is written or read through a link either."""

    @pytest.fixture
    def victim(self, tmp_path: Path) -> Path:
        victim = tmp_path / "victim"
        victim.write_text("precious")
        return victim

    @pytest.mark.parametrize("name", ["lock", "server.lock", "logs/server.log"])
    def test_opened(self, path: Path, victim: Path, name: str) -> None:
        (path / name).symlink_to(victim)
        for opening in (private_files.open_log, private_files.open_lock):
            with pytest.raises(LocalCloudError, match="is a symbolic link"):
                opening(path / name)
        with pytest.raises(LocalCloudError, match="is a symbolic link"):
            private_files.read(path / name)
        (path / name).unlink()
        (path / name).hardlink_to(victim)
        with pytest.raises(LocalCloudError, match="2 names"):
            private_files.open_log(path / name)
        assert victim.read_text() == "precious"

    def test_a_folder_of_ours(self, path: Path, tmp_path: Path) -> None:
        (path / "logs").rmdir()
        (path / "logs").symlink_to(tmp_path)
        with pytest.raises(LocalCloudError, match="logs is a symbolic link"):
            private_files.open_log(path / "logs" / "server.log")

    def test_replaced(self, path: Path, victim: Path) -> None:
        for name in ("cloud.json", "port", "postgres.password"):
            (path / name).symlink_to(victim)
            with umask(0):
                private_files.write(path / name, "new")
            assert (path / name).read_text() == "new"
            assert mode(path / name) == 0o600
        assert victim.read_text() == "precious"

    def test_read(self, path: Path, victim: Path) -> None:
        (path / "cloud.json").symlink_to(victim)
        with pytest.raises(LocalCloudError, match="is a symbolic link"):
            Cloud.read(path)
        (path / "port").symlink_to(victim)
        with pytest.raises(LocalCloudError, match="is a symbolic link"):
            listen(path, None)
