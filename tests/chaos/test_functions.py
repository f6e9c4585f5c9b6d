"""A function is killed in the middle, or at its time limit; what it had committed isn't redone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from tests.chaos import scene
from tests.lake import MORNING, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

LOADER = "forecast-sync-dev-upsert-batches"


def test_a_loader_is_killed_in_the_middle_of_a_batch(deployed: Deployed) -> None:
    deployed.upload("bulky", scene.bulky_rows(range(30_000)))
    deployed.succeed()
    later = MORNING + timedelta(hours=1)
    deployed.upload("bulky", scene.bulky_rows(range(30_000), dma_id="new", updated_at=later))
    with scene.held_results(deployed):
        arn = deployed.start()
        scene.await_session(deployed, scene.COPYING)
        assert scene.kill_workers(deployed, "upsert-batches")
    scene.finished(deployed, deployed.wait(arn))


def test_all_kept_environments_have_died(deployed: Deployed) -> None:
    """As when Lambda takes warm environments away between two calls."""
    deployed.upload("few", make_rows(range(20)))
    deployed.succeed()
    for function in ("resolve-branch", "read-watermark", "plan-pages", "verify-load"):
        assert scene.kill_workers(deployed, function), function
    deployed.upload("more", make_rows(range(20, 30)))
    scene.finished(deployed, deployed.succeed())


def test_a_loader_reaches_its_time_limit(deployed: Deployed) -> None:
    deployed.upload("bulky", scene.bulky_rows(range(30_000)))
    with timeout(deployed, 12):
        with scene.held_results(deployed):
            arn = deployed.start()
            eventually(lambda: "Sandbox.Timedout" in scene.task_failures(deployed, arn), 60)
        # Afterwards only, because a change of the limit drops an environment that just starts.
        ended = deployed.wait(arn)
    scene.finished(deployed, ended, ids=60_000)


def test_a_loader_stops_in_time_and_its_page_goes_on(deployed: Deployed) -> None:
    """Each call is left so little beyond its reserve that it takes several for a page."""
    deployed.upload("many", make_rows(range(20_000)))
    with timeout(deployed, 31):
        ended = deployed.run(batch_size=50)
    calls = [
        deployed.entered(child).count("Upsert batches") for child in deployed.children(ended.arn)
    ]
    assert max(calls) > 1
    scene.finished(deployed, ended)


@contextmanager
def timeout(deployed: Deployed, seconds: int) -> Iterator[None]:
    """The loader's time limit for the length of a block."""
    functions = deployed.client("lambda")
    before = functions.get_function_configuration(FunctionName=LOADER)["Timeout"]
    functions.update_function_configuration(FunctionName=LOADER, Timeout=seconds)
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=LOADER, Timeout=before)
