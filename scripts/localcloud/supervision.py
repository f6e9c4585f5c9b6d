"""Starts the server process, talks to it and stops it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from localcloud import private_files
from localcloud import state_dir as directory
from localcloud.errors import LocalCloudError
from localcloud.protocol import KEEP, Config, Endpoints

STOP_TIMEOUT_SECONDS = 60.0


@dataclass(slots=True)
class Server:
    """A server started by this process; it ends when its stdin does, so with this process."""

    config: Config
    process: subprocess.Popen[str]
    stdin: IO[str]
    stdout: IO[str]

    @classmethod
    def start(cls, config: Config, checkout: Path) -> Server:
        """Start the process with the code of ``checkout``, without any configuration yet."""
        state_dir = Path(config.state_dir)
        with private_files.open_log(state_dir / "logs" / "server.log") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "localcloud.server"],
                text=True,
                cwd=state_dir,
                env=_environment(checkout),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                # For the bytecode of its first imports; it then sets a narrower one itself.
                umask=0o022,
            )
        if process.stdin is None or process.stdout is None:
            raise AssertionError("Popen creates the pipes that were requested")
        return cls(config, process, process.stdin, process.stdout)

    def await_endpoints(self) -> Endpoints:
        """Send the configuration and await the endpoints; raises ``LocalCloudError`` otherwise."""
        with suppress(BrokenPipeError):
            self.stdin.write(self.config.to_json() + "\n")
            self.stdin.flush()
        with self.stdout:
            line = self.stdout.readline()
        if not line:
            log = f"{self.config.state_dir}/logs/server.log"
            raise LocalCloudError(f"the local cloud ended while it started: read {log}")
        answer = json.loads(line)
        if "error" in answer:
            raise LocalCloudError(answer["error"])
        return Endpoints(**answer["endpoints"])

    def keep(self) -> None:
        """Let it outlive this process."""
        self.stdin.write(KEEP + "\n")
        self.stdin.close()
        # Popen warns of a child that outlives it; this one should.
        self.process.returncode = 0

    def stop(self) -> None:
        """Stop it; returns when none of its processes is left."""
        with suppress(BrokenPipeError):
            self.stdin.close()
        try:
            self.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        directory.stop_server(Path(self.config.state_dir), None)


def _environment(checkout: Path) -> dict[str, str]:
    """The environment without AWS profile, proxies and database variables: functions inherit it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": f"{checkout / 'scripts'}:{checkout / 'layers' / 'core'}"}
