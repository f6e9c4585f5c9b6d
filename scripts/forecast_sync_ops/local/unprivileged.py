"""Child processes that end with us and, because Postgres refuses root, run without it."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from forecast_sync_ops.problems import UserError


def spawn(command: Sequence[str | Path], death_signal: str, log: Path) -> subprocess.Popen[bytes]:
    """Run ``command``; on Linux it gets ``death_signal`` when the calling thread dies.

    As root we become ``nobody`` but keep the right to reach files, because program and data may
    lie where only root may go; no user is added, no permission changed. Raises ``UserError``
    when that isn't possible.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [*_runner(death_signal), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def hand_over(folder: Path) -> None:
    """Give ``folder`` to the user whom ``spawn`` becomes."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def _runner(death_signal: str) -> list[str]:
    is_root = os.geteuid() == 0
    setpriv = shutil.which("setpriv") if platform.system() == "Linux" else None
    if setpriv is None:
        if is_root:
            raise UserError(
                "Postgres refuses to run as root and `setpriv` (util-linux) isn't there"
                " to change that: run this command as another user"
            )
        return []
    runner = [setpriv, "--pdeathsig", death_signal]
    if is_root:
        nobody = pwd.getpwnam("nobody")
        runner += [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        runner += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return runner
