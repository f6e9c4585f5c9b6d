"""The loopback ports of a local cloud."""

from __future__ import annotations

import socket
from pathlib import Path

from localcloud import private_files
from localcloud.errors import LocalCloudError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def listen(state_dir: Path, port: int | None) -> socket.socket:
    """Listen on the given port, else the last one, else a free one, and update the saved state.

    Raises ``LocalCloudError`` if the given port can't be used.
    """
    memory = state_dir / "port"
    last = int(private_files.read(memory) or 0)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, last if port is None else port))
    except OSError as error:
        if port is not None:
            listener.close()
            raise LocalCloudError(
                f"port {port} of {LOOPBACK} can't be used ({error.strerror}): choose another --port"
            ) from None
        listener.bind((LOOPBACK, 0))
    listener.listen(512)
    current = int(listener.getsockname()[1])
    if last and current != last:
        for saved in (state_dir / "aws").glob("*.json"):
            text = private_files.read(saved) or ""
            moved = text.replace(f"{LOOPBACK}:{last}", f"{LOOPBACK}:{current}")
            private_files.write(saved, moved)
    private_files.write(memory, str(current))
    return listener
