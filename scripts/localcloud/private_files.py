"""Files that only their owner can read, opened so that nobody's link leads elsewhere."""

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
    """Replace a file whole or not at all; a link that stands there is replaced, never followed."""
    with _folder(path) as folder:
        unfinished = f"{path.name}.{secrets.token_hex(4)}.new"
        new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NEVER_BLOCK
        with os.fdopen(os.open(unfinished, new, 0o600, dir_fd=folder), "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
        os.rename(unfinished, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def read(path: Path, owners: frozenset[int] | None = None) -> str | None:
    """The text of a file of ours; None when there is none.

    ``owners`` are others who may have written it. Raises ``LocalCloudError`` for anything else.
    """
    try:
        descriptor = _open(path, os.O_RDONLY, owners)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor) as file:
        return file.read()


def open_log(path: Path) -> IO[bytes]:
    """A file to append to. Raises ``LocalCloudError`` when something else stands there."""
    return os.fdopen(_open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")


def open_lock(path: Path) -> IO[bytes]:
    """A file to lock; its content is irrelevant. Raises ``LocalCloudError`` like ``open_log``."""
    return os.fdopen(_open(path, os.O_RDWR | os.O_CREAT), "r+b")


def describe(found: os.stat_result, owners: frozenset[int]) -> str | None:
    """Why an entry can't be used, in a few words; None when it can."""
    if stat.S_ISLNK(found.st_mode):
        return "a symbolic link"
    if stat.S_ISREG(found.st_mode):
        if found.st_nlink > 1:
            return f"a file with {found.st_nlink} names (hard links)"
    elif not stat.S_ISDIR(found.st_mode):
        return "neither a file nor a directory"
    if found.st_uid not in owners:
        return f"owned by user {found.st_uid}"
    return None


def refusal(path: Path, why: str) -> LocalCloudError:
    """Of an entry that stands where a file of ours should."""
    return LocalCloudError(
        f"{path} is {why}, expected a file or directory of user {os.geteuid()} with one name:"
        " remove it, or name another --state-dir"
    )


def _open(path: Path, flags: int, owners: frozenset[int] | None = None) -> int:
    """The file itself, ours alone, for the owner only."""
    owners = owners or frozenset({os.geteuid()})
    with _folder(path) as folder:
        try:
            descriptor = os.open(path.name, flags | _NEVER_BLOCK, 0o600, dir_fd=folder)
        except FileNotFoundError:
            raise
        except OSError as error:
            reason = _why(path.name, folder, owners) or f"not open to us ({error.strerror})"
            raise refusal(path, reason) from None
    found = os.fstat(descriptor)
    why = describe(found, owners)
    if why is None and not stat.S_ISREG(found.st_mode):
        why = "a directory"
    if why is not None:
        os.close(descriptor)
        raise refusal(path, why)
    if stat.S_IMODE(found.st_mode) & 0o077:
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
