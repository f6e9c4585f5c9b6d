"""The directory that a local cloud lives in: who may use it, and what runs in it.

It holds keys, connection strings and rows, and its files are written, run and removed, possibly as
root. So no other user may read it, rename it or put anything into it.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from localcloud import private_files, unprivileged
from localcloud.errors import LocalCloudError
from localcloud.postgres import stop_leftover

LOCK_TIMEOUT_SECONDS = 150.0
STOP_TIMEOUT_SECONDS = 60.0
_CHECKOUT = Path(__file__).parents[2]
_MARKER = ".forecast-sync-local"
_TEMPORARY = "tmp"
LAYER = "layer"
_FOLDERS = ("logs", _TEMPORARY, "aws", "s3", "faults", LAYER)
_RENEWED = ("keys.json",)
"""If others could read these, their reader replaces them: closing them now is too late."""
_HANDED_OVER = ("postgres", "postgres.new")
_WALK = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def is_state_dir(path: Path) -> bool:
    """Whether a local cloud has used the directory."""
    return os.path.lexists(path / _MARKER)


def prepare(path: Path) -> None:
    """Create the directory for this user alone, or check that an existing one is.

    Raises ``LocalCloudError`` if it holds files that aren't a local cloud's, or if other users
    could read or change what is written there.
    """
    with _opened(path, create=True) as folder:
        # In this order, because the marker is the first file that a concurrent `up` creates.
        with os.scandir(folder) as entries:
            is_empty = next(entries, None) is None
        if not is_empty and not is_state_dir(path):
            raise LocalCloudError(
                f"{path} holds files that aren't a local cloud's: name a new --state-dir"
            )
        _tighten(path, folder)
        _check_entries(path, folder)
        os.close(os.open(_MARKER, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder))
        for name in _FOLDERS:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=folder)


def check(path: Path) -> bool:
    """Whether it is a local cloud's. Raises ``LocalCloudError`` if it is another user's."""
    with suppress(PermissionError):
        if not path.is_dir() or not is_state_dir(path):
            return False
    with _opened(path, create=False) as folder:
        _tighten(path, folder)
        _check_entries(path, folder)
    return True


def empty(path: Path) -> None:
    """Remove what an earlier local cloud left, except the lock, which its successor holds."""
    for folder in (*_FOLDERS, *_HANDED_OVER):
        shutil.rmtree(path / folder, ignore_errors=True)
    for file in ("postgres.password", "port", "cloud.json", "keys.json"):
        (path / file).unlink(missing_ok=True)
    prepare(path)


def forget_temporary(path: Path) -> None:
    """Remove a killed server's temporary files. No server may be running there."""
    shutil.rmtree(path / _TEMPORARY, ignore_errors=True)
    # Another `up`, which waits for the lock, may have made it again: `prepare` needs no lock.
    (path / _TEMPORARY).mkdir(mode=0o700, exist_ok=True)


def lay_out(path: Path, files: Mapping[str, str] | None) -> list[Path]:
    """Keep these texts by name as a layer, or what was kept if None; where functions find them.

    They are copied among the temporary files, because functions may run as other users.
    """
    kept, laid_out = path / LAYER, path / _TEMPORARY / LAYER
    if files is not None:
        for file in kept.iterdir():
            file.unlink()
        for name, text in files.items():
            private_files.write(kept / name, text)
    texts = read_layer(path)
    if not texts:
        return []
    laid_out.mkdir()
    laid_out.chmod(0o755)
    for name, text in texts.items():
        (laid_out / name).write_text(text, "utf-8")
        (laid_out / name).chmod(0o644)
    return [laid_out]


def read_layer(path: Path) -> dict[str, str]:
    """The texts that a directory keeps as a layer, by name."""
    folder = path / LAYER
    return {file.name: file.read_text("utf-8") for file in folder.glob("*") if file.is_file()}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One ``up`` or ``down`` at a time; raises ``LocalCloudError`` if another takes long."""
    with private_files.open_lock(path / "lock") as lock:
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while not _try_lock(lock.fileno()):
            if time.monotonic() > deadline:
                raise LocalCloudError(
                    f"another command is busy with {path} for {LOCK_TIMEOUT_SECONDS:.0f} s: end it"
                )
            time.sleep(0.1)
        yield


def server_runs(path: Path) -> bool:
    """Whether a server process holds the directory's lock, whatever any file says."""
    if not os.path.lexists(path / "server.lock"):
        return False
    with private_files.open_lock(path / "server.lock") as lock:
        return not _try_lock(lock.fileno())


def stop_server(path: Path, pid: int | None) -> None:
    """Stop the server and everything that it started; returns when no process is left."""
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    process = _process(pid)
    if process is not None and server_runs(path):
        process.terminate()
    while server_runs(path):
        if time.monotonic() > deadline:
            if process is None:
                raise LocalCloudError(
                    f"a local cloud that isn't recorded in {path}/cloud.json holds {path}: end it"
                )
            process.kill()
        time.sleep(0.05)
    stop_leftover(path / "postgres")
    _kill_workers(path)


def _kill_workers(path: Path) -> None:
    """Kill the functions that a killed server left, which name its directory."""
    left = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("STATE_DIR") == str(
                path / "aws"
            ):
                process.kill()
                left.append(process)
        except (psutil.Error, OSError):
            continue
    psutil.wait_procs(left, timeout=STOP_TIMEOUT_SECONDS)


def _process(pid: int | None) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid else None
    except psutil.NoSuchProcess:
        return None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(path: Path, *, create: bool) -> Iterator[int]:
    """Open the directory so that nobody can replace it with another meanwhile."""
    parent = _open_parents(path, create=create)
    try:
        if create:
            _make(path.name, parent)
        why = private_files.describe(
            os.stat(path.name, dir_fd=parent, follow_symlinks=False), frozenset({os.geteuid()})
        )
        if why is not None:
            raise _unusable(path, f"it is {why}, expected a directory of user {os.geteuid()}")
        folder = os.open(path.name, _LIST, dir_fd=parent)
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from None
    finally:
        os.close(parent)
    try:
        yield folder
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from None
    finally:
        os.close(folder)


def _open_parents(path: Path, *, create: bool) -> int:
    """Open the folder that contains ``path``, checking each folder on the way."""
    # The targets of links are checked below; a link that changes meanwhile isn't followed.
    parts = Path(os.path.realpath(path.parent)).parts
    walked, current = Path(parts[0]), os.open(parts[0], _WALK)
    try:
        for part in parts[1:]:
            _check_parent(path, walked, os.fstat(current))
            if create:
                _make(part, current)
            below = os.open(part, _WALK, dir_fd=current)
            os.close(current)
            walked, current = walked / part, below
        _check_parent(path, walked, os.fstat(current))
    except OSError as error:
        os.close(current)
        raise _unusable(path, f"{walked}: {error.strerror}") from None
    except BaseException:
        os.close(current)
        raise
    return current


def _make(name: str, parent: int) -> None:
    """Create a folder for its owner only, whatever the umask."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return
    made = os.open(name, _LIST, dir_fd=parent)
    os.fchmod(made, 0o700)
    os.close(made)


def _check_parent(path: Path, parent: Path, status: os.stat_result) -> None:
    """Refuse a parent that others can write to: they could replace the directory."""
    # The owner of this code could do that anyway.
    trusted = {0, os.geteuid(), _CHECKOUT.stat().st_uid}
    if status.st_uid not in trusted:
        raise _unusable(path, f"{parent} is owned by user {status.st_uid}, expected root or us")
    if _others_write(status) and not status.st_mode & stat.S_ISVTX:
        raise _unusable(
            path,
            f"others can write to {parent} (mode {stat.S_IMODE(status.st_mode):04o}), expected its"
            f" owner only: `chmod go-w {parent}`",
        )


def _tighten(path: Path, folder: int) -> None:
    status = os.fstat(folder)
    if _others_write(status):
        raise _unusable(
            path,
            f"others can write to it (mode {stat.S_IMODE(status.st_mode):04o}), expected us only:"
            f" `chmod 700 {path}` when you know everything in it",
        )
    os.fchmod(folder, 0o700)


def _others_write(status: os.stat_result) -> bool:
    """Whether users other than the owner can write; many systems give each user its own group."""
    return bool(status.st_mode & 0o002) or bool(
        status.st_mode & 0o020 and not _is_private_group(status.st_gid, status.st_uid)
    )


def _is_private_group(group: int, owner: int) -> bool:
    try:
        name, members = pwd.getpwuid(owner).pw_name, set(grp.getgrgid(group).gr_mem)
    except KeyError:
        return False
    members |= {account.pw_name for account in pwd.getpwall() if account.pw_gid == group}
    return members <= {name, "root"}


def _check_entries(path: Path, folder: int) -> None:
    """Refuse entries that aren't this user's, and take every right from others.

    Temporary files aren't checked: queries share files there, and the next server removes them.
    """
    mine = frozenset({os.geteuid()})
    for where, folders, files, here in os.fwalk(".", dir_fd=folder, follow_symlinks=False):
        relative = Path(where)
        handed_over = relative.parts[:1] and relative.parts[0] in _HANDED_OVER
        for name in (*folders, *files):
            try:
                status = os.stat(name, dir_fd=here, follow_symlinks=False)
            except FileNotFoundError:
                continue
            is_handed_over = handed_over or (relative == Path() and name in _HANDED_OVER)
            owners = unprivileged.owners() if is_handed_over else mine
            why = private_files.describe(status, owners)
            if why is not None:
                raise private_files.refusal(path / relative / name, why)
            if status.st_mode & 0o077 and name not in _RENEWED:
                _close(name, here, owners)
        if relative == Path():
            folders[:] = [name for name in folders if name != _TEMPORARY]


def _close(name: str, folder: int, owners: frozenset[int]) -> None:
    """Take every right from others, unless the entry has changed since the check."""
    with suppress(FileNotFoundError):
        entry = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        status = os.fstat(entry)
        if private_files.describe(status, owners) is None:
            os.fchmod(entry, stat.S_IMODE(status.st_mode) & 0o700)
        os.close(entry)


def _unusable(path: Path, why: str) -> LocalCloudError:
    return LocalCloudError(
        f"{path} can't be used as --state-dir: {why}; or name another --state-dir"
    )
