"""The demo's events, which its caller displays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forecast_sync_cli.client.run_status import Snapshot


@dataclass(frozen=True)
class Scene:
    """A new part of the demo begins."""

    title: str


@dataclass(frozen=True)
class Note:
    """One line of text."""

    text: str


@dataclass(frozen=True)
class Progress:
    """A run's progress."""

    snapshot: Snapshot


@dataclass(frozen=True)
class Outcome:
    """A run has ended."""

    snapshot: Snapshot


@dataclass(frozen=True)
class Rows:
    """Rows of the target, as text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Page:
    """A page of a run: its status, and how many times it has run."""

    number: int
    status: str
    runs: int


@dataclass(frozen=True)
class Pages:
    """The pages of a run."""

    pages: Sequence[Page]


Event = Scene | Note | Progress | Outcome | Rows | Pages
Show = Callable[[Event], None]
