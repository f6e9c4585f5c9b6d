"""Files that only their owner can read, opened without following links."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from localcloud.errors import LocalCloudError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEVER_BLOCK = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def write(path: Path, text: str) -> None:
    """Replace a file atomically; an existing link is replaced, never followed."""
    with _folder(path) as folder:
        unfinished = f"{path.name}.{secrets.token_hex(4)}.new"
        new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NEVER_BLOCK
        with os.fdopen(os.open(unfinished, new, 0o600, dir_fd=folder), "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
        os.rename(unfinished, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def read(path: Path, owners: frozenset[int] | None = None) -> str | None:
    """The text of a private file; None if it doesn't exist.

    ``owners`` are other users who may own it. Raises ``LocalCloudError`` for any other file.
    """
    try:
        descriptor = _open(path, os.O_RDONLY, owners)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor) as file:
        return file.read()


def open_log(path: Path) -> IO[bytes]:
    """A file to append to. Raises ``LocalCloudError`` if the path is something else."""
    return os.fdopen(_open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")


def open_lock(path: Path) -> IO[bytes]:
    """A file to lock; its content is irrelevant. Raises ``LocalCloudError`` like ``open_log``."""
    return os.fdopen(_open(path, os.O_RDWR | os.O_CREAT), "r+b")


def describe(status: os.stat_result, owners: frozenset[int]) -> str | None:
    """Why an entry can't be used, in a few words, or None."""
    if stat.S_ISLNK(status.st_mode):
        return "a symbolic link"
    if stat.S_ISREG(status.st_mode):
        if status.st_nlink > 1:
            return f"a file with {status.st_nlink} names (hard links)"
    elif not stat.S_ISDIR(status.st_mode):
        return "neither a file nor a directory"
    if status.st_uid not in owners:
        return f"owned by user {status.st_uid}"
    return None


def refusal(path: Path, why: str) -> LocalCloudError:
    """The error for an entry in the place of a private file."""
    return LocalCloudError(
        f"{path} is {why}, expected a file or directory of user {os.geteuid()} with one name:"
        " remove it, or name another --state-dir"
    )


def _open(path: Path, flags: int, owners: frozenset[int] | None = None) -> int:
    """Open a regular file that this user owns and only its owner can access."""
    owners = owners or frozenset({os.geteuid()})
    with _folder(path) as folder:
        try:
            descriptor = os.open(path.name, flags | _NEVER_BLOCK, 0o600, dir_fd=folder)
        except FileNotFoundError:
            raise
        except OSError as error:
            reason = _why(path.name, folder, owners) or f"not open to us ({error.strerror})"
            raise refusal(path, reason) from None
    status = os.fstat(descriptor)
    why = describe(status, owners)
    if why is None and not stat.S_ISREG(status.st_mode):
        why = "a directory"
    if why is not None:
        os.close(descriptor)
        raise refusal(path, why)
    if stat.S_IMODE(status.st_mode) & 0o077:
        os.fchmod(descriptor, 0o600)
    return descriptor


def _why(name: str, folder: int, owners: frozenset[int]) -> str | None:
    try:
        return describe(os.stat(name, dir_fd=folder, follow_symlinks=False), owners)
    except OSError:
        return None


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    try:
        folder = os.open(path.parent, _FOLDER)
    except NotADirectoryError:
        raise refusal(path.parent, "a symbolic link or a file") from None
    try:
        yield folder
    finally:
        os.close(folder)
