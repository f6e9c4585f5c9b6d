"""Records and publishes executions that ended badly, which they can't do themselves.

A rule for Step Functions' status changes calls this, after the execution has ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from forecast_sync.config import Settings
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.events import EndedExecution, RecordedFailure
from forecast_sync.contracts.run import ExecutionIdentity, Run
from forecast_sync.errors import ForecastSyncError, InvalidInput, TransientError
from forecast_sync.lease import lease
from forecast_sync.notify import outages
from forecast_sync.notify.notifier import notify_failure, notify_unresolved
from forecast_sync.record.outcome import record_failure, record_stray_end
from forecast_sync.resolve.run import ResolveRequest, resolve_run

if TYPE_CHECKING:
    from forecast_sync.adapters.neon import NeonClient
    from forecast_sync.adapters.postgres import Connection
    from forecast_sync.adapters.sns import Topic
    from forecast_sync.adapters.stepfunctions import Execution, Workflow


class Failure(NamedTuple):
    """An execution that ended badly, and why, in one line that begins with the error's name."""

    identity: ExecutionIdentity
    execution: Execution
    message: str

    @property
    def key(self) -> tuple[str, int]:
        """What makes it one failure: a redriven execution can fail again."""
        return self.identity.execution_arn, self.execution.redrive_count


@dataclass(frozen=True)
class FailureRecorder:
    """Records and publishes failures; one per container, which remembers what it has published.

    ``find_neon(run_id)`` gives the Neon API, or None when one database serves every branch;
    ``connect(neon_branch_id, run_id)`` connects to a branch's database. Both are called only when
    needed, because they may be what has failed. ``settings_named(table)`` gives the settings of a
    run's table. ``published`` holds the keys of published failures:
    Lambda delivers an event again when ``record`` raises, as it does while Neon or the database is
    out of reach.
    """

    workflow: Workflow
    topic: Topic
    settings: Settings
    find_neon: Callable[[str], NeonClient | None]
    connect: Callable[[str | None, str], Connection]
    settings_named: Callable[[str | None], Settings]
    published: set[tuple[str, int]] = field(default_factory=set)

    def record(self, ended: EndedExecution) -> RecordedFailure:
        """Record and publish how an execution ended, unless the event is outdated.

        An execution that was redriven since, or has succeeded, is left alone. A run whose branch
        can't be resolved has no database to be recorded in: its failure is only published. For a
        run whose table is no longer in the stack, only the lease is ended.
        """
        failure = self._read_failure(ended)
        if failure is None:
            return RecordedFailure(recorded=False)
        try:
            run = self._resolve(failure)
        except ForecastSyncError as error:
            self._publish_unresolved(failure)
            if isinstance(error, TransientError):
                raise
            return RecordedFailure(recorded=False)
        if run.table not in self.settings.table_names:
            return RecordedFailure(recorded=self._record_without_table(failure, run))
        return RecordedFailure(recorded=self._record_and_publish(failure, run))

    def _read_failure(self, ended: EndedExecution) -> Failure | None:
        """What Step Functions knows about the execution now; None when it hasn't failed."""
        execution = self.workflow.describe(ended.execution_arn)
        if execution is None or not execution.ended_badly:
            return None
        identity = ExecutionIdentity.model_validate(
            {
                "run_id": ended.name,
                "execution_arn": ended.execution_arn,
                "started_at": execution.started_at,
            }
        )
        message = self.workflow.failure_of(ended.execution_arn, execution)
        return Failure(identity, execution, message)

    def _resolve(self, failure: Failure) -> Run:
        payload = {"input": _read_input(failure.execution), "execution": failure.identity}
        neon = self.find_neon(failure.identity.run_id)
        request = parse_payload(ResolveRequest, payload)
        return resolve_run(neon, self.settings, request, has_ended=True)

    def _record_without_table(self, failure: Failure, run: Run) -> bool:
        """Record a run whose input names no table of the stack, if the database knows it.

        When it began, the stack may have had others, or only one: then the run's row names it.
        """
        try:
            connection = self.connect(run.neon_branch_id, run.run_id)
            table = lease.find_table(connection, run.run_id)
        except ForecastSyncError:
            self._publish_unresolved(failure)
            raise
        if table in self.settings.table_names:
            return self._record_and_publish(failure, run.model_copy(update={"table": table}))
        self._publish_unresolved(failure)
        if table is None:
            return False
        record_stray_end(
            connection,
            run,
            table,
            failure.message,
            failure.execution.redrive_count,
            failure.execution.stopped_at,
        )
        return True

    def _publish_unresolved(self, failure: Failure) -> None:
        if not self._is_known(failure, has_states=False):
            notify_unresolved(self.topic, self.settings, failure.identity, failure.message)
            self.published.add(failure.key)

    def _record_and_publish(self, failure: Failure, run: Run) -> bool:
        """Publish it even if it can't be recorded; the error of that is raised afterwards."""
        connection, settings = None, self.settings_named(run.table)
        try:
            connection = self.connect(run.neon_branch_id, run.run_id)
            return record_failure(
                connection,
                self.workflow,
                settings,
                run,
                failure.message,
                failure.execution.redrive_count,
                failure.execution.stopped_at,
            )
        finally:
            is_published = notify_failure(
                connection,
                self.topic,
                settings,
                run,
                failure.message,
                failure.execution.stopped_at,
                partial(self._is_known, failure),
            )
            if is_published:
                self.published.add(failure.key)

    def _is_known(self, failure: Failure, *, has_states: bool) -> bool:
        """Whether people know already: from this container, or from the branch's run before.

        The run before is asked unless the branch's database has the last published states. An
        outage can't be among these, even if it is over when it is recorded.
        """
        if failure.key in self.published:
            return True
        if has_states and not outages.is_outage(failure.message):
            return False
        return outages.is_known(
            self.workflow,
            self.settings,
            failure.identity.execution_arn,
            failure.execution,
            failure.message,
        )


def _read_input(execution: Execution) -> Any:
    try:
        return json.loads(execution.input)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The execution's input can't be read: {error}.") from None
