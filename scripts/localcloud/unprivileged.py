"""Starts processes that don't run as root even if the local cloud does, and that end with it.

Root's files may be where only root can go: a checkout below ``/root``, a temporary folder. To leave
permissions as they are, a program that runs without root gets what it needs as open folders.
"""

from __future__ import annotations

import os
import platform
import pwd
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud import private_files
from localcloud.confine import FIRST_DESCRIPTOR, Confined, Limits, landlock_version
from localcloud.errors import LocalCloudError

_Popen = subprocess.Popen
"""The original: the local cloud's server replaces ``subprocess.Popen`` with one for functions."""

POSTGRES_USER = "nobody"
"""Postgres needs a user with a name; functions run under unused user ids."""
FIRST_FUNCTION_USER, LAST_FUNCTION_USER = 61184, 65519
"""The user ids that systemd reserves for services without an account."""


def is_root() -> bool:
    """Whether this process runs as root."""
    return os.geteuid() == 0


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders that a program needs, and the paths by which it reaches them."""

    paths: tuple[Path, ...]

    @classmethod
    def of(cls, *paths: Path) -> Folders:
        """Resolve links now, so that nobody can redirect the program later."""
        return cls(tuple(path.resolve() for path in paths))

    def reach(self, path: Path) -> str:
        """The program's path to ``path``, which is one of the folders or a file in it."""
        if not uses_descriptors():
            return str(path)
        whole = path.resolve()
        for number, folder in enumerate(self.paths):
            if whole.is_relative_to(folder):
                rest = whole.relative_to(folder)
                return str(Path(f"/proc/self/fd/{FIRST_DESCRIPTOR + number}") / rest)
        raise AssertionError(f"{path} is in none of {self.paths}")


def spawn(
    command: Sequence[str],
    death_signal: signal.Signals,
    log: Path,
    *,
    folders: Folders | None = None,
    directory: Path | None = None,
    limits: Limits | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Run ``command``; on Linux it gets ``death_signal`` when the calling thread dies.

    As root it becomes ``nobody``, without any of root's privileges, and reaches ``folders`` by
    their paths. Raises ``LocalCloudError`` if that isn't possible.
    """
    if platform.system() != "Linux":
        if is_root():
            raise LocalCloudError(
                f"{Path(command[0]).name} refuses to run as root, and only on Linux can it be"
                " started as another user: run this command as another user"
            )
        line = list(command)
    else:
        account = pwd.getpwnam(POSTGRES_USER) if is_root() else None
        confined = Confined(
            command=list(command),
            parent=os.getpid(),
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            folders=tuple(map(str, folders.paths)) if folders and account else (),
            death_signal=death_signal.value,
            limits=limits,
        )
        line = launcher(confined)
    with private_files.open_log(log) as output:
        return _Popen(
            line,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=tuple(pass_fds),
        )


def launcher(confined: Confined) -> list[str]:
    """The command line that becomes the confined program."""
    script = str(Path(__file__).with_name("confine.py"))
    return [sys.executable, "-I", "-S", "-B", script, confined.to_json()]


def hand_over(path: Path) -> None:
    """Give a file or folder to the user that ``spawn`` runs programs as."""
    if is_root():
        account = pwd.getpwnam(POSTGRES_USER)
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def owners() -> frozenset[int]:
    """The users who may own entries of a folder that was handed over."""
    mine = {os.geteuid()}
    return frozenset(mine | {pwd.getpwnam(POSTGRES_USER).pw_uid} if is_root() else mine)


def is_reachable(path: Path) -> bool:
    """Whether every user can read ``path`` and traverse to it."""
    whole = path.resolve()
    wanted = 0o005 if whole.is_dir() else 0o004
    if whole.stat().st_mode & wanted != wanted:
        return False
    return all(folder.stat().st_mode & 0o001 for folder in whole.parents)


def what_is_missing() -> str | None:
    """One line on the confinement of Postgres that this system lacks; None if it lacks none."""
    if landlock_version() > 0:
        return None
    return (
        "this system has no Landlock (Linux 5.13 or newer, with it enabled): only its roles and its"
        " user's permissions keep the local cloud's Postgres from files that aren't its own"
    )


def uses_descriptors() -> bool:
    """Whether a program reaches its folders by descriptors rather than by their paths."""
    return is_root() and platform.system() == "Linux"
