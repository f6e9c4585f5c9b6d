"""Every class of errors.py has its remedy in a table, as the runbook and the state machine have."""

from __future__ import annotations

import importlib
import inspect

import pytest
from forecast_sync import errors

from tests.contract.stack import ROOT, tasks
from tests.workflow.repairs import REMEDIES, Elsewhere, NewRun, Repair, Reroutes, Waits

CLASSES = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.ForecastSyncError) and not kind.__subclasses__()
}
RUNBOOK = (ROOT / "docs/runbook.md").read_text()


def test_every_class_has_a_remedy_and_a_section_in_the_runbook() -> None:
    assert set(REMEDIES) == set(CLASSES)
    for name, remedies in REMEDIES.items():
        assert remedies, name
        assert f"\n### {name}\n" in RUNBOOK


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_remedy_fits_its_class(name: str) -> None:
    kind = CLASSES[name]
    if issubclass(kind, errors.TransientError):
        expected: tuple[type, ...] = (Waits,)
    elif issubclass(kind, errors.RouteError):
        expected = (Reroutes,)
    elif kind.redrive_helps:
        expected = (Repair, Elsewhere)
    else:
        expected = (NewRun,)
    assert all(isinstance(remedy, expected) for remedy in REMEDIES[name])


@pytest.mark.parametrize(
    "remedy", [item for items in REMEDIES.values() for item in items if isinstance(item, Elsewhere)]
)
def test_a_claim_that_a_remedy_names_exists(remedy: Elsewhere) -> None:
    path, _, function = remedy.test.partition("::")
    module = importlib.import_module(f"tests.{path.removesuffix('.py').replace('/', '.')}")
    assert callable(getattr(module, function))


DATABASE = {"BatchConflict", "DatabaseUnavailable"}
NEON = {"NeonUnavailable", "SecretUnavailable"}
NEEDS = {
    "clients.connection(": DATABASE | NEON,
    "clients.neon(": NEON,
    "clients.storage()": {"StorageUnavailable"},
    "clients.athena()": {"AthenaUnavailable"},
    "clients.catalog()": {"AthenaUnavailable"},
}


@pytest.mark.parametrize(
    ("name", "state"),
    [pytest.param(name, state, id=name) for name, state in tasks() if name != "Notify"],
)
def test_a_state_retries_whatever_may_pass_in_the_services_that_it_calls(
    name: str, state: dict[str, object]
) -> None:
    handler = ROOT / "functions" / name.lower().replace(" ", "_") / "handler.py"
    source = handler.read_text()
    needed = set().union(*(errors for call, errors in NEEDS.items() if call in source))
    clauses = state["Retry"]
    assert isinstance(clauses, list)
    retried = {error for clause in clauses for error in clause["ErrorEquals"]}
    assert needed <= retried, name
