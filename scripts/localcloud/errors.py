"""What the local cloud tells whoever starts or stops it."""

from __future__ import annotations


class LocalCloudError(Exception):
    """The local cloud can't do what it was asked to do: one line that says why and what to do."""
