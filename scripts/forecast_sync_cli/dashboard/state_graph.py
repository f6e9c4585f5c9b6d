"""The states on the machine's main path, from its deployed definition, and a run's progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Progress = Literal["done", "current", "failed", "waiting", "unreached", "skipped"]
WORDS: dict[Progress, str] = {
    "done": "done",
    "current": "running now",
    "failed": "failed here",
    "waiting": "not yet",
    "unreached": "not reached",
    "skipped": "not needed",
}
ENDED_BADLY = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
ABSENT: dict[str, Progress] = {
    "SUCCEEDED": "skipped",
    **dict.fromkeys(ENDED_BADLY, "unreached"),
}


@dataclass(frozen=True)
class Step:
    """A state on the main path; ``inner`` are a Map's states, ``exits`` lead off the path."""

    name: str
    comment: str
    is_choice: bool
    inner: tuple[str, ...]
    exits: tuple[str, ...]


@dataclass(frozen=True)
class Placed:
    """A step with a run's progress there, and the inner states where the run is."""

    step: Step
    progress: Progress
    inside: str | None
    exits_taken: tuple[str, ...]

    @property
    def words(self) -> str:
        """The progress as text, for readers who don't see colors."""
        return WORDS[self.progress]


def read_steps(definition: Mapping[str, Any]) -> list[Step]:
    """The main path: from the start along ``Next``, or ``Default`` in a Choice.

    Other targets of a state (choices, catches) are exits, unless they are on the path. A Choice
    that can only go back isn't worth a step.
    """
    states = definition["States"]
    path = list(_path(definition))
    path = [name for number, name in enumerate(path) if not _repeats(states[name], path[:number])]
    return [
        Step(
            name=name,
            comment=states[name].get("Comment", ""),
            is_choice=states[name]["Type"] == "Choice",
            inner=tuple(states[name].get("ItemProcessor", {}).get("States", {})),
            exits=tuple(target for target in _exits(states[name]) if target not in path),
        )
        for name in path
    ]


def place(steps: list[Step], run: Mapping[str, Any]) -> list[Placed]:
    """The path with the progress of a run, as the API describes it."""
    visits = {visit["name"]: visit for visit in run["states"]}
    status = run["execution_status"]
    return [_place(step, visits, status) for step in steps]


def _place(step: Step, visits: Mapping[str, Any], status: str) -> Placed:
    taken = tuple(name for name in step.exits if name in visits)
    visit = visits.get(step.name)
    inside = None
    progress: Progress
    if visit is None:
        progress = ABSENT.get(status, "waiting")
    elif visit["left_at"] or status == "SUCCEEDED":
        progress = "done"
    else:
        progress = "failed" if status in ENDED_BADLY else "current"
        open_ones = [name for name in step.inner if name in visits and not visits[name]["left_at"]]
        inside = ", ".join(open_ones) or None
    return Placed(step, progress, inside, taken)


def _repeats(state: Mapping[str, Any], before: list[str]) -> bool:
    return state["Type"] == "Choice" and {*_exits(state)} <= {*before}


def _path(definition: Mapping[str, Any]) -> Iterator[str]:
    states, name = definition["States"], definition["StartAt"]
    seen: set[str] = set()
    while name and name not in seen:
        seen.add(name)
        yield name
        name = states[name].get("Default") or states[name].get("Next")


def _exits(state: Mapping[str, Any]) -> Iterator[str]:
    for clause in (*state.get("Choices", []), *state.get("Catch", [])):
        yield clause["Next"]
