# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""The processes of Lambda functions: the command that starts one, and the user it runs as.

When the local cloud runs as root, each function runs as an otherwise unused user without any of
root's privileges. It can reach the interpreter, the packages, the layers, its own code and a folder
for its temporary files, and nothing else in the state directory.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from localcloud import unprivileged
from localcloud.confine import Confined
from localcloud.errors import LocalCloudError
from localcloud.unprivileged import FIRST_FUNCTION_USER, LAST_FUNCTION_USER, Folders, launcher

START_TIMEOUT_SECONDS = 60.0
_WORKER = Path(__file__).with_name("worker.py")
_NUMBERS = LAST_FUNCTION_USER - FIRST_FUNCTION_USER + 1


def bootstrap(layers: Sequence[Path]) -> str:
    """The script that Lambda starts in a custom runtime; it sets the log format, as AWS does.

    Layers aren't unpacked into ``/opt``: ``LAYER_PATH`` lists their folders.
    """
    path = shlex.quote(_reached(layers, layers))
    return "\n".join(
        [
            "#!/bin/sh",
            f"export PYTHONPATH={path} PYTHONDONTWRITEBYTECODE=1 LAYER_PATH={path}",
            "export AWS_LAMBDA_LOG_FORMAT=JSON",
            *_exports(layers),
            f'exec {shlex.join(_python(layers))} "$_HANDLER"',
            "",
        ]
    )


def install(state_dir: Path, layers: Sequence[Path]) -> None:
    """From now on, no process started here runs as root, and no other user can read the code."""
    from ministack.services import lambda_svc

    lambda_svc._provided_runtime_code_dir = _closing(lambda_svc._provided_runtime_code_dir)
    if unprivileged.is_root():
        subprocess.Popen = _confining(_Environments(state_dir, _folders(layers)))  # type: ignore[assignment, misc]


def begin_check(state_dir: Path, layers: Sequence[Path]) -> Callable[[], None]:
    """Try to start a function; the returned call raises ``LocalCloudError`` if that failed."""
    if not unprivileged.is_root():
        return lambda: None
    for folder in _folders(layers).paths:
        if not folder.stat().st_mode & 0o005 == 0o005:
            raise LocalCloudError(
                f"functions don't run as root, and {folder} is closed to other users (mode"
                f" {folder.stat().st_mode & 0o777:04o}), expected one that they can read:"
                f" `chmod -R o+rX {folder}`, or run this command as another user"
            )
    text = bootstrap(layers).replace('"$_HANDLER"', "--version")
    environments = _Environments(state_dir, _folders(layers))
    with tempfile.TemporaryDirectory(dir=state_dir / "tmp") as code:
        script = Path(code) / "bootstrap"
        script.write_text(text)
        script.chmod(0o700)
        line, options = environments.confine([str(script)], {"cwd": code, "env": dict(os.environ)})
    trial = _Popen(line, **options, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)  # fmt: skip

    def check() -> None:
        _, output = trial.communicate(timeout=START_TIMEOUT_SECONDS)
        if trial.returncode != 0:
            last = (
                output.decode(errors="replace").strip().rpartition("\n")[2] or "it printed nothing"
            )
            raise LocalCloudError(
                f"functions don't run as root, and another user can't start {sys.executable} with"
                f" {', '.join(map(str, layers))}: {last}; `chmod -R o+rX` what it names, or run"
                " this command as another user"
            )

    return check


_Popen = subprocess.Popen


@dataclass
class _Environments:
    """Users and folders of the functions of one cloud."""

    state_dir: Path
    folders: Folders
    _users: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def confine(
        self, command: Sequence[str], options: Mapping[str, Any]
    ) -> tuple[list[str], dict[str, Any]]:
        """The command line and the ``Popen`` options that run ``command`` as a separate user.

        Its working directory, the function's code, becomes a copy that this user can read.
        """
        environment = dict(options.get("env") or os.environ)
        with self._lock:
            user = self._user(environment.get("AWS_LAMBDA_FUNCTION_NAME", ""))
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
            calls=environment.pop("FORECAST_SYNC_CALLS_DIR", None),
        )
        return launcher(confined), {**options, "cwd": None, "env": environment}

    def _user(self, function: str) -> int:
        """A user id that no account has, a different one for each function of this cloud."""
        first = crc32(str(self.state_dir).encode())
        while function not in self._users:
            number = FIRST_FUNCTION_USER + first % _NUMBERS
            first += 1
            if number not in self._users.values() and not _has_account(number):
                self._users[function] = number
        return self._users[function]


def _confining(environments: _Environments) -> type[subprocess.Popen[Any]]:
    class Confining(_Popen[Any]):
        """A ``Popen`` that starts every program as a separate user, whatever code calls it."""

        def __init__(self, args: Any, *positional: Any, **options: Any) -> None:
            if positional or isinstance(args, (str, bytes, os.PathLike)) or options.get("shell"):
                raise PermissionError("the local cloud starts no shell and no program by its name")
            line, options = environments.confine([os.fspath(part) for part in args], options)
            super().__init__(line, **options)

    return Confining


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


def _exports(layers: Sequence[Path]) -> list[str]:
    """The variables by which an interpreter started through a descriptor finds its own files."""
    if not unprivileged.uses_descriptors():
        return []
    values = {
        "PYTHONHOME": _reached([Path(sys.base_prefix)], layers),
        "FORECAST_SYNC_PACKAGES": _reached(_packages(), layers),
    }
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        values["LD_LIBRARY_PATH"] = _reached([Path(sys.base_prefix) / "lib"], layers)
    return [f"export {name}={shlex.quote(value)}" for name, value in values.items()]


def _python(layers: Sequence[Path]) -> list[str]:
    if not unprivileged.uses_descriptors():
        return [sys.executable, "-P", str(_WORKER)]
    interpreter = Path(sys.executable).resolve()
    return [_reached([interpreter], layers), "-P", "-S", _reached([_WORKER], layers)]
