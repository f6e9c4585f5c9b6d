"""The error that starting and stopping a local cloud raises."""

from __future__ import annotations


class LocalCloudError(Exception):
    """The local cloud can't do what was requested: one line that says why and what to do."""
