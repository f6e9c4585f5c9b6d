"""The secrets of one local cloud, which only their holder may use."""

from __future__ import annotations

import base64
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from stat import S_IMODE

import boto3

from localcloud import private_files
from localcloud.protocol import REGION

FILE = "keys.json"
_PREFIX = "LOCAL"
"""AWS's own access key ids begin with AKIA or ASIA, so ours can't be mistaken for one of those."""
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Keys:
    """An AWS key pair and Neon's API key, random for each cloud."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    neon_api_key: str = field(repr=False)

    @classmethod
    def of(cls, state_dir: Path) -> Keys:
        """The keys of the directory's cloud; new ones if it has none or others could read them.

        They outlive ``down``, so a shell that has exported them can use the next ``up`` too.
        """
        file = state_dir / FILE
        saved = _read_private(file)
        if saved is not None:
            return cls(**saved)
        keys = cls.random()
        private_files.write(file, json.dumps(asdict(keys)))
        return keys

    @classmethod
    def random(cls) -> Keys:
        """Create random keys."""
        suffix = base64.b32encode(secrets.token_bytes(10)).decode()[:15]
        return cls(_PREFIX + suffix, secrets.token_urlsafe(30), secrets.token_urlsafe(30))

    def session(self) -> boto3.Session:
        """A boto3 session that signs with them; clients need ``endpoint_url`` too."""
        return boto3.Session(self.access_key_id, self.secret_access_key, region_name=REGION)


def _read_private(file: Path) -> dict[str, str] | None:
    """The content, or None if another user could have read or written it."""
    with (
        suppress(OSError, ValueError),
        os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW)) as opened,
    ):
        status = os.fstat(opened.fileno())
        if status.st_uid == os.geteuid() and not S_IMODE(status.st_mode) & _OTHERS:
            content: dict[str, str] = json.load(opened)
            return content
    return None
