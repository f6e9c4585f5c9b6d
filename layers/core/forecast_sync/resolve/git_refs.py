"""Which environment and Neon branch a git ref belongs to; any other ref is refused."""

from __future__ import annotations

from typing import NamedTuple

from forecast_sync.errors import BranchNotMapped

DEFAULT_REFS = {"production": "main", "dev": "dev"}
PREVIEWS = "preview/pr-"
PREVIEW_ENVIRONMENT = "dev"
REF_PATTERN = r"^(refs/heads/)?(main|dev|(feature/|preview/pr-)[^\x00-\x20\x7f-\x9f\u2028\u2029]+)$"
"""What a git ref of any environment looks like; ``map_git_ref`` says which environment that is."""


class Mapping(NamedTuple):
    """The environment and the Neon branch of a git ref."""

    git_ref: str
    environment: str
    neon_branch: str


def map_git_ref(git_ref: str | None, environment: str) -> Mapping:
    """Map a git ref (a branch name, or ``refs/heads/...``) for the stack of ``environment``.

    None is the environment's own branch. Raises ``BranchNotMapped`` for a ref that belongs to no
    environment, or to the stack of another one.
    """
    if environment not in DEFAULT_REFS:
        raise BranchNotMapped(f"{environment!r} isn't an environment; expected production or dev.")
    branch = DEFAULT_REFS[environment] if git_ref is None else git_ref.removeprefix("refs/heads/")
    mapping = _map(branch)
    if mapping is None:
        raise BranchNotMapped(
            f"The git ref {git_ref!r} belongs to no environment. Expected main, dev, feature/NAME "
            "or preview/pr-NUMBER. Nothing was synced."
        )
    if mapping.environment != environment:
        raise BranchNotMapped(
            f"The git ref {git_ref!r} belongs to {mapping.environment}, but this stack serves "
            f"{environment}. Start the run in the {mapping.environment} stack."
        )
    return mapping


def _map(git_ref: str) -> Mapping | None:
    if git_ref == "main":
        return Mapping(git_ref, "production", "main")
    if git_ref == "dev" or _is_under(git_ref, "feature/"):
        return Mapping(git_ref, "dev", "dev")
    if _is_under(git_ref, PREVIEWS):
        return Mapping(git_ref, PREVIEW_ENVIRONMENT, git_ref)
    return None


def _is_under(git_ref: str, prefix: str) -> bool:
    return git_ref.startswith(prefix) and len(git_ref) > len(prefix)
