"""A stack goes from the release before the file ledger to the present one, back, and on again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from localcloud import cloud
from localcloud.protocol import Athena

from tests.lake import MORNING, make_rows, reference
from tests.waiting import eventually
from tests.workflow.deployed import Deployed, Ended
from tests.workflow.project import copied_project
from tests.workflow.releases import Releases, unpack

SUCCEEDED = ("SUCCEEDED", "")
SUPERSEDED = ("FAILED", "Superseded")


@dataclass
class Upgrade:
    """A deployed stack, and the templates of the two releases that it goes between."""

    deployed: Deployed
    releases: Releases
    present: Path
    former: Path

    def upload(self, number: int) -> None:
        """A new file with rows of its own, and a newer version of the last file's last row."""
        rows = make_rows(
            range(number * 10 - 1, number * 10 + 10),
            y_50=float(number),
            updated_at=MORNING + timedelta(hours=number),
        )
        self.deployed.upload(f"file-{number:02}", rows)

    def succeed(self) -> Ended:
        """A run of its own that succeeds and leaves every row as the lake has it."""
        eventually(self._is_idle, 60, "the end of all runs")
        ended = self.deployed.succeed()
        table, expected = self.deployed.table(), reference(self.deployed.files)
        assert {key: table.get(key) for key in expected} == expected
        return ended

    def succeed_with_what_is_new(self) -> None:
        """Such a run that no upgrade has made a full one."""
        ended = self.succeed()
        [(low, reason)] = self.deployed.query(
            "SELECT window_low, window_reason FROM forecast_sync_status WHERE run_id = %s",
            [ended.name],
        )
        assert low is not None, f"a full run was caused: {reason}"

    def fail_while_loading(self) -> Ended:
        """A run whose rows the target has refused; it would take them now."""
        refuse = "ALTER TABLE forecast_data ADD CONSTRAINT refused CHECK (y_50 < 0) NOT VALID"
        self.deployed.execute(refuse)
        ended = self.deployed.run()
        assert (ended.status, ended.entered[-1]) == ("FAILED", "Load pages")
        self.deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT refused")
        eventually(lambda: not self._is_recorded_as_running(ended), what="the failure's record")
        return ended

    @contextmanager
    def started(self) -> Iterator[str]:
        """A run that works on its queries for the length of a block."""
        with self.deployed.held_query():
            arn = self.deployed.start()
            eventually(lambda: "Wait for Athena" in self.deployed.entered(arn), what="a query")
            yield arn

    def _is_idle(self) -> bool:
        """Whether no run works; a redriven one may have started another."""
        return not self.deployed.client("stepfunctions").list_executions(
            stateMachineArn=self.deployed.cloud.state_machine_arn, statusFilter="RUNNING"
        )["executions"]

    def _is_recorded_as_running(self, ended: Ended) -> bool:
        return self.deployed.query(
            "SELECT status FROM forecast_sync_status WHERE run_id = %s", [ended.name]
        ) == [("running",)]


@pytest.fixture(scope="module")
def upgrade(tmp_path_factory: pytest.TempPathFactory, athena: Athena) -> Iterator[Upgrade]:
    folder = tmp_path_factory.mktemp("project")
    with copied_project(folder, wait_scale=0.02, athena=athena) as project:
        project.react_to_uploads(False)
        former = unpack("before-the-file-ledger", tmp_path_factory.mktemp("former"))
        releases = Releases(project, folder / "layers/core")
        yield Upgrade(project, releases, cloud.TEMPLATE, former)


@pytest.mark.timeout(300)
def test_an_upgrade_a_way_back_and_an_upgrade_again(upgrade: Upgrade) -> None:
    """With a run that works and one that has failed each time; nobody waits for the other."""
    deployed, releases = upgrade.deployed, upgrade.releases
    releases.install(upgrade.former)
    upgrade.upload(1)
    upgrade.succeed()
    upgrade.upload(2)
    failed = upgrade.fail_while_loading()

    with upgrade.started() as arn:
        releases.install(upgrade.present)
    assert _outcome(deployed.wait(arn)) in (SUCCEEDED, SUPERSEDED)
    # The first that the new release does in this database: its tables aren't extended yet.
    assert _outcome(deployed.redrive(failed)) in (SUCCEEDED, SUPERSEDED)
    upgrade.upload(3)
    upgrade.succeed_with_what_is_new()
    upgrade.upload(4)
    failed = upgrade.fail_while_loading()

    with upgrade.started() as arn:
        releases.install(upgrade.former)
    # It goes back to a state whose function the former release hasn't got, as deploy.md says.
    assert _outcome(deployed.wait(arn)) == ("FAILED", "Lambda.ResourceNotFoundException")
    assert _outcome(deployed.redrive(failed)) == SUCCEEDED
    upgrade.upload(5)
    upgrade.succeed()
    # What the former release doesn't see: the row of file 2 counts again that this one's replaced.
    deployed.delete("file-03")

    releases.install(upgrade.present)
    upgrade.upload(6)
    upgrade.succeed_with_what_is_new()
    assert deployed.succeed(sync_type="full").changed[:2] == (0, 0)


def _outcome(ended: Ended) -> tuple[str, str]:
    return ended.status, ended.error
