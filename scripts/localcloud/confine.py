"""Drops root and every privilege that isn't needed, then becomes another program.

Run by its path, it needs only the standard library and takes one JSON object: see ``Confined``.
On Linux the program gets no new privileges and no capabilities; if the kernel has Landlock,
``limits`` bound what it can reach in the file system and the network, whichever user it runs as.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import stat
import struct
import sys
from dataclasses import asdict, dataclass
from typing import Any

FIRST_DESCRIPTOR = 100
"""Where the program finds the first of its ``folders``."""
CALLS_DESCRIPTOR = "FORECAST_SYNC_CALLS_DESCRIPTOR"
"""The variable that names the descriptor of the file for its calls."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 24, 38, 47, 2
SETGID, SETUID, SETPCAP = 6, 7, 8
"""The capabilities without which no process can become another user and drop its rights."""
_CAPABILITIES_VERSION = 0x20080522
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH, _NET_PORT = 1, 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_DEVICES = 1 << 6 | 1 << 11
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ = _READ_FILE | _READ_DIR
_BIND = 1 << 0


@dataclass(frozen=True)
class Limits:
    """What a program can reach: ``reads``, ``executes`` and ``writes`` are paths with all below.

    Paths that don't exist are ignored. ``ports`` are the TCP ports that it may listen on; it may
    connect to none.
    """

    reads: tuple[str, ...] = ()
    executes: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class Confined:
    """A program, the user that it runs as, and what it gets.

    ``folders`` are opened before root is dropped, as ``/proc/self/fd/100`` and up, so the user
    needn't be able to traverse to them. ``directory`` is where it starts. The program gets
    ``death_signal`` when ``parent`` ends. ``calls`` is a folder; while it exists, the
    program gets a file in it to append to, as ``calls_descriptor``. Of root's capabilities it keeps
    ``keeps``.
    """

    command: list[str]
    parent: int
    user: int | None = None
    group: int | None = None
    folders: tuple[str, ...] = ()
    directory: str | None = None
    death_signal: int | None = None
    calls: str | None = None
    limits: Limits | None = None
    keeps: tuple[int, ...] = ()

    def to_json(self) -> str:
        """One object on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Confined:
        """The counterpart of ``to_json``."""
        fields: dict[str, Any] = json.loads(text)
        limits = fields.pop("limits")
        return cls(**fields, limits=Limits(**limits) if limits else None)

    @property
    def calls_descriptor(self) -> int:
        """The descriptor after those of the folders."""
        return FIRST_DESCRIPTOR + len(self.folders)


def landlock_version() -> int:
    """The version of this kernel's Landlock; 0 without it."""
    if sys.platform != "linux":
        return 0
    version = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    return max(0, int(version))


def become(confined: Confined) -> None:
    """Never returns. Raises ``OSError`` if a privilege can't be dropped."""
    _open_folders(confined)
    if confined.directory is not None:
        os.chdir(confined.directory)
    linux = sys.platform == "linux"
    ruleset = _ruleset(confined.limits) if confined.limits else None
    if linux:
        _call("no new privileges", _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if confined.user is not None and confined.group is not None:
        _change_user(confined.user, confined.group, confined.keeps)
    if linux and confined.death_signal is not None:
        # After the change of user, which would reset it.
        _call("death signal", _libc().prctl(_PR_SET_PDEATHSIG, confined.death_signal, 0, 0, 0))
        if os.getppid() != confined.parent:
            os.kill(os.getpid(), signal.SIGKILL)
    if ruleset is not None:
        _call("Landlock", _libc().syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)))
    os.execv(confined.command[0], confined.command)  # noqa: S606


def take_user(user: int, group: int) -> None:
    """Become a user without privileges in this process, which keeps running its program."""
    _change_user(user, group, ())
    # A change of user closes a process's files in /proc to itself, which a new program reopens.
    _call("dumpable", _libc().prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))


def open_calls(folder: str, name: str) -> int | None:
    """A new file for the calls of one process, in a folder; None if the folder doesn't exist."""
    if not os.path.isdir(folder):  # noqa: PTH112
        return None
    calls = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        new = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        return os.open(name, new, 0o600, dir_fd=calls)
    finally:
        os.close(calls)


def open_folder(folder: str) -> int:
    """A descriptor by which another user reaches the folder, and nothing else of it."""
    return os.open(folder, getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW)


def _change_user(user: int, group: int, keeps: tuple[int, ...]) -> None:
    linux = sys.platform == "linux"
    if linux:
        _drop_bounding_set(keeps)
        _call("capabilities", _libc().prctl(_PR_SET_KEEPCAPS, int(bool(keeps)), 0, 0, 0))
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    if linux:
        _limit_capabilities(keeps)


def _open_folders(confined: Confined) -> None:
    for number, folder in enumerate(confined.folders):
        opened = open_folder(folder)
        os.dup2(opened, FIRST_DESCRIPTOR + number, inheritable=True)
        os.close(opened)
    if confined.calls is not None:
        name = f"{os.environ['AWS_LAMBDA_FUNCTION_NAME']}-{os.getpid()}.jsonl"
        calls = open_calls(confined.calls, name)
        if calls is not None:
            os.dup2(calls, confined.calls_descriptor, inheritable=True)
            os.environ[CALLS_DESCRIPTOR] = str(confined.calls_descriptor)


def _drop_bounding_set(keeps: tuple[int, ...]) -> None:
    """Must come before the change of user; it needs a capability, which even root may lack."""
    number = 0
    while number in keeps or _libc().prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1


def _limit_capabilities(keeps: tuple[int, ...]) -> None:
    """Empties all sets but for what is kept, which a new program keeps too."""
    header = struct.pack("Ii", _CAPABILITIES_VERSION, 0)
    kept = sum(1 << number for number in keeps)
    _call("capabilities", _libc().capset(header, struct.pack("6I", kept, kept, kept, 0, 0, 0)))
    for number in keeps:
        raised = _libc().prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0)
        _call("capabilities", raised)


def _ruleset(limits: Limits) -> int | None:
    """A Landlock ruleset with the rights that this kernel knows; None without Landlock."""
    version = landlock_version()
    if version == 0:
        return None
    newest = {1: 12, 2: 13, 3: 14, 4: 14}.get(version, 15)
    files = (1 << (newest + 1)) - 1
    network = 3 if version >= 4 else 0
    scopes = 3 if version >= 6 else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("QQQ", files, network, scopes)[:size]
    create = _libc().syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    ruleset = _call("Landlock", create)
    changes = files & ~_EXECUTE & ~_MAKE_DEVICES & ~_IOCTL
    for paths, rights in (
        (limits.reads, _READ),
        (limits.executes, _READ | _EXECUTE),
        (limits.writes, changes),
    ):
        for path in paths:
            _allow_path(ruleset, path, rights & files)
    for port in limits.ports if network else ():
        _add_rule(ruleset, _NET_PORT, struct.pack("QQ", _BIND, port))
    return ruleset


def _allow_path(ruleset: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(os.fstat(opened).st_mode):
        rights &= _ON_FILES
    _add_rule(ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, opened))
    os.close(opened)


def _add_rule(ruleset: int, kind: int, attributes: bytes) -> None:
    added = _libc().syscall(_ADD_RULE, ruleset, kind, attributes, ctypes.c_uint32(0))
    _call("Landlock", added)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(what: str, answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return answer


if __name__ == "__main__":
    wanted = Confined.from_json(sys.argv[1])
    try:
        become(wanted)
    except OSError as error:
        sys.stderr.write(f"{wanted.command[0]} can't be started confined: {error}\n")
        sys.exit(126)
