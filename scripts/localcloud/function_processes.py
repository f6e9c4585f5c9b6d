# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""The processes of Lambda functions: the command that starts one, and the user it runs as.

On Linux they are forked by a process that has imported what all of them import. When the local
cloud runs as root, each function runs as an otherwise unused user without any of root's privileges.
It can reach the interpreter, the packages, the layers, its own code and a folder for its temporary
files, and nothing else in the state directory.
"""

from __future__ import annotations

import compileall
import os
import platform
import pwd
import shlex
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from localcloud import unprivileged
from localcloud.confine import (
    CALLS_DESCRIPTOR,
    FIRST_DESCRIPTOR,
    SETGID,
    SETPCAP,
    SETUID,
    Confined,
    open_calls,
    open_folder,
)
from localcloud.errors import LocalCloudError
from localcloud.fork_server import PROGRAM, Fork, ForkedProcess, ForkServer
from localcloud.unprivileged import FIRST_FUNCTION_USER, LAST_FUNCTION_USER, Folders, launcher

_CALLS_DIR = "FORECAST_SYNC_CALLS_DIR"
_WORKER = Path(__file__).with_name("worker.py")
_NUMBERS = LAST_FUNCTION_USER - FIRST_FUNCTION_USER + 1


def bootstrap(layers: Sequence[Path]) -> str:
    """The script that Lambda starts in a custom runtime; it sets the log format, as AWS does.

    Layers aren't unpacked into ``/opt``: ``LAYER_PATH`` lists their folders.
    """
    exports = [f"export {name}={shlex.quote(text)}" for name, text in _exports(layers).items()]
    return "\n".join(["#!/bin/sh", *exports, f'exec {shlex.join(_python(layers))} "$_HANDLER"', ""])


def compile_layers(layers: Sequence[Path]) -> None:
    """Compile what functions import: each cold start would do it, and can't write the result.

    Call it before new files are private. Nothing happens to folders that can't be written.
    """
    for layer in layers:
        compileall.compile_dir(layer, quiet=2)


def start_forks(state_dir: Path, layers: Sequence[Path]) -> ForkServer | None:
    """Start the process that forks functions, where that is possible.

    Raises ``LocalCloudError`` if other users can't read what functions need.
    """
    if platform.system() != "Linux":
        return None
    environment = {name: text for name, text in os.environ.items() if name in _SHARED}
    environment |= _exports(layers)
    folders = _folders(layers)
    socket = FIRST_DESCRIPTOR - 1
    log = state_dir / "logs" / "functions.log"
    command = [*_python(layers, PROGRAM), str(socket)]
    if not unprivileged.is_root():
        return ForkServer.start(command, socket, environment, log)
    for folder in folders.paths:
        if not folder.stat().st_mode & 0o005 == 0o005:
            raise LocalCloudError(
                f"functions don't run as root, and {folder} is closed to other users (mode"
                f" {folder.stat().st_mode & 0o777:04o}), expected one that they can read:"
                f" `chmod -R o+rX {folder}`, or run this command as another user"
            )
    user = _Environments(state_dir, folders).user_of(_FORKS)
    confined = Confined(
        command=command,
        parent=os.getpid(),
        user=user,
        group=user,
        folders=tuple(map(str, folders.paths)),
        directory="/",
        keeps=(SETGID, SETUID, SETPCAP),
    )
    return ForkServer.start(launcher(confined), socket, environment, log)


def install(state_dir: Path, layers: Sequence[Path], forks: ForkServer | None) -> None:
    """From now on, no process started here runs as root, and no other user can read the code.

    Raises ``LocalCloudError`` if functions can't be started.
    """
    from ministack.services import lambda_svc

    lambda_svc._provided_runtime_code_dir = _closing(lambda_svc._provided_runtime_code_dir)
    reason = forks.await_ready() if forks else None
    if reason is not None and unprivileged.is_root():
        raise LocalCloudError(
            f"functions don't run as root, and another user can't start {sys.executable} with"
            f" {', '.join(map(str, layers))}: {reason}; `chmod -R o+rX` what it names, or run"
            " this command as another user"
        )
    if reason is not None:
        forks = None
    environments = _Environments(state_dir, _folders(layers))
    subprocess.Popen = _starting(environments, layers, forks)  # type: ignore[assignment, misc]


_Popen = subprocess.Popen
_FORKS = "*"
"""In place of a function's name, the user of the process that forks."""
_SHARED = frozenset({"PATH", "LANG", "TZ", "STATE_DIR", "AWS_EXECUTION_ENV"})
"""The variables of the server that the process that forks gets: no key is among them."""


@dataclass(frozen=True, slots=True)
class _Start:
    """A program as another user, and its environment."""

    confined: Confined
    environment: dict[str, str]


@dataclass
class _Environments:
    """Users and folders of the functions of one cloud."""

    state_dir: Path
    folders: Folders
    _users: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.user_of(_FORKS)

    def confine(self, command: Sequence[str], options: Mapping[str, Any]) -> _Start:
        """How to run ``command`` as a separate user.

        Its working directory, the function's code, becomes a copy that this user can read.
        """
        environment = dict(options.get("env") or os.environ)
        with self._lock:
            user = self.user_of(environment.get("AWS_LAMBDA_FUNCTION_NAME", ""))
            home = self.state_dir / "tmp" / "functions" / str(user)
            temporary = _own_folder(home / "tmp", user)
            source = options.get("cwd")
            code = _own_copy(Path(source), home, user) if source else temporary
        folders = Folders.of(*self.folders.paths, code, temporary)
        program = shutil.which(command[0]) or command[0]
        if source and Path(program).is_relative_to(source):
            program = folders.reach(code / Path(program).relative_to(source))
        reached = folders.reach(temporary)
        environment |= {"HOME": reached, "TMPDIR": reached, "LAMBDA_TASK_ROOT": folders.reach(code)}
        confined = Confined(
            command=[program, *command[1:]],
            parent=os.getpid(),
            user=user,
            group=user,
            folders=tuple(map(str, folders.paths)),
            directory=str(code),
            calls=environment.pop(_CALLS_DIR, None),
        )
        return _Start(confined, environment)

    def user_of(self, function: str) -> int:
        """A user id that no account has, a different one for each function of this cloud."""
        first = crc32(str(self.state_dir).encode())
        while function not in self._users:
            number = FIRST_FUNCTION_USER + first % _NUMBERS
            first += 1
            if number not in self._users.values() and not _has_account(number):
                self._users[function] = number
        return self._users[function]


def _starting(
    environments: _Environments, layers: Sequence[Path], forks: ForkServer | None
) -> type[subprocess.Popen[Any]]:
    ours = bootstrap(layers).encode()

    class Starting(_Popen[Any]):
        """A ``Popen`` that forks our functions and, as root, starts every program without root."""

        def __new__(cls, args: Any, *positional: Any, **options: Any) -> Any:
            if forks is None or positional or not _is(args, ours):
                return super().__new__(cls)
            try:
                return _fork(forks, environments, layers, args, options)
            except OSError as error:
                sys.stderr.write(f"a function is started without a fork: {error!r}\n")
                return super().__new__(cls)

        def __init__(self, args: Any, *positional: Any, **options: Any) -> None:
            if not unprivileged.is_root():
                super().__init__(args, *positional, **options)
                return
            if positional or isinstance(args, (str, bytes, os.PathLike)) or options.get("shell"):
                raise PermissionError("the local cloud starts no shell and no program by its name")
            start = environments.confine([os.fspath(part) for part in args], options)
            line = launcher(start.confined)
            super().__init__(line, **{**options, "cwd": None, "env": start.environment})

    return Starting


def _is(args: Any, script: bytes) -> bool:
    """Whether a command is exactly a program of this text."""
    if not isinstance(args, list) or len(args) != 1:
        return False
    try:
        return Path(args[0]).read_bytes() == script
    except OSError:
        return False


def _fork(
    forks: ForkServer,
    environments: _Environments,
    layers: Sequence[Path],
    args: Sequence[str],
    options: Mapping[str, Any],
) -> ForkedProcess:
    """Do what the bootstrap would do, in a fork; raises ``OSError``."""
    read, write = os.pipe()
    output = os.fdopen(read, "rb")
    opened = [write]
    try:
        descriptors = {1: write, 2: write}
        if unprivileged.is_root():
            start = environments.confine(args, options)
            confined, environment = start.confined, start.environment
            user, first = confined.user, len(environments.folders.paths)
            for number, folder in enumerate(confined.folders[first:], FIRST_DESCRIPTOR + first):
                descriptors[number] = open_folder(folder)
                opened.append(descriptors[number])
            directory = environment["LAMBDA_TASK_ROOT"]
            function = environment["AWS_LAMBDA_FUNCTION_NAME"]
            calls = confined.calls and open_calls(
                confined.calls, f"{function}-{time.time_ns()}.jsonl"
            )
            if calls:
                opened.append(calls)
                descriptors[confined.calls_descriptor] = calls
                environment[CALLS_DESCRIPTOR] = str(confined.calls_descriptor)
        else:
            user, directory, environment = None, os.fspath(options["cwd"]), dict(options["env"])
        environment |= _exports(layers)
        command = [*_python(layers), environment["_HANDLER"]]
        return forks.fork(Fork(command, environment, directory, user, descriptors), output)
    except BaseException:
        output.close()
        raise
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _closing(extract: Callable[[bytes], str]) -> Callable[[bytes], str]:
    """Close what the emulator extracts, which it makes readable to everyone."""

    def extract_closed(code_zip: bytes) -> str:
        folder = Path(extract(code_zip))
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o700)
        return str(folder)

    return extract_closed


def _own_folder(path: Path, user: int) -> Path:
    if not path.exists():
        path.mkdir(parents=True, mode=0o700)
        os.chown(path, user, user)
    return path


def _own_copy(code: Path, home: Path, user: int) -> Path:
    """A read-only copy, one per version of the code, which the emulator keeps by its hash."""
    copy = home / code.name
    if copy.exists():
        return copy
    shutil.copytree(code, copy, symlinks=True)
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            executes = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o500 if executes else 0o400)
        os.chown(path, user, user, follow_symlinks=False)
    return copy


def _has_account(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return False
    return True


def _folders(layers: Sequence[Path]) -> Folders:
    """The folders that a function reads besides its code, always in the same order."""
    interpreter = Path(sys.executable).resolve()
    return Folders.of(
        Path(sys.base_prefix), interpreter.parent, *_packages(), _WORKER.parent, *layers
    )


def _packages() -> list[Path]:
    paths = sysconfig.get_paths()
    return [Path(path) for path in dict.fromkeys((paths["purelib"], paths["platlib"]))]


def _reached(paths: Sequence[Path], layers: Sequence[Path]) -> str:
    return ":".join(_folders(layers).reach(path) for path in paths)


def _exports(layers: Sequence[Path]) -> dict[str, str]:
    """The variables of every function's Python.

    An interpreter started through a descriptor finds its own files by them.
    """
    path = _reached(layers, layers)
    values = {
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAYER_PATH": path,
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }
    if not unprivileged.uses_descriptors():
        return values
    values["PYTHONHOME"] = _reached([Path(sys.base_prefix)], layers)
    values["FORECAST_SYNC_PACKAGES"] = _reached(_packages(), layers)
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        values["LD_LIBRARY_PATH"] = _reached([Path(sys.base_prefix) / "lib"], layers)
    return values


def _python(layers: Sequence[Path], program: Path = _WORKER) -> list[str]:
    if not unprivileged.uses_descriptors():
        return [sys.executable, "-P", str(program)]
    interpreter = Path(sys.executable).resolve()
    return [_reached([interpreter], layers), "-P", "-S", _reached([program], layers)]
