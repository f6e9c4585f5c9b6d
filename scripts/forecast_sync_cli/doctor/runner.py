"""Runs the checks in order of dependency, each with a result and, if needed, advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from forecast_sync.config import Settings
from forecast_sync.errors import ForecastSyncError
from forecast_sync.stack_names import DEFAULT_PROJECT, stack_name
from forecast_sync.tables import Table

from forecast_sync_cli.client import deployment
from forecast_sync_cli.client.deployment import Deployment, why_unreachable
from forecast_sync_cli.errors import UserError

Status = Literal["ok", "advice", "finding", "skipped"]
Begins = Callable[[str, int], None]
"""Called before each check with its name and the number of checks known so far."""


@dataclass(frozen=True)
class Result:
    """What a check found; ``advice`` says what to do about it, None if nothing."""

    check: str
    status: Status
    found: str
    advice: str | None = None
    table: str | None = None
    """The table that was checked, if there are several."""

    def to_dict(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self)


class Finding(Exception):
    """Something is wrong: what was found, and what to do about it."""

    def __init__(self, found: str, advice: str) -> None:
        super().__init__(found)
        self.advice = advice


class Advice(Finding):
    """Nothing is wrong, but something could be better."""


@dataclass
class Context:
    """The deployment to check, one of its tables or all, and what checks share."""

    environment: str
    git_ref: str | None
    project: str = DEFAULT_PROJECT
    table_name: str | None = None
    found: Deployment | None = None
    shared: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def deployment(self) -> Deployment:
        """The deployment; raises ``UserError`` if there is none."""
        return self.found or deployment.find(self.environment, self.project)

    def each_table(self) -> list[Context]:
        """The same for the selected table, or for each; raises ``UserError``."""
        shared = self.deployment
        chosen = [shared.select_table(self.table_name)] if self.table_name else shared.all_tables()
        return [replace(self, found=each, shared={}) for each in chosen]

    @property
    def settings(self) -> Settings:
        """The settings of the deployed functions."""
        return self.deployment.settings

    @property
    def table(self) -> Table:
        """The table that the deployment syncs."""
        return self.deployment.table

    def early_client(self, service: str) -> Any:
        """A boto3 client that doesn't need the deployment to exist."""
        session, endpoint_url = deployment.open_session()
        return session.client(service, endpoint_url=endpoint_url)  # type: ignore[call-overload]

    def client(self, service: str) -> Any:
        """A boto3 client with the operator's credentials."""
        return self.deployment.client(service)


@dataclass(frozen=True)
class Check:
    """One check; it is skipped if any check that it ``needs`` failed or was skipped.

    If it is ``by_table``, it checks one table, otherwise what all tables share.
    """

    name: str
    run: Callable[[Context], str]
    needs: tuple[str, ...] = ()
    by_table: bool = False


def run_checks(
    context: Context, checks: Sequence[Check], begins: Begins = lambda *_: None
) -> Iterator[Result]:
    """Run one check after the other, skipping those whose needs have failed.

    What tables share is checked once, then each table.
    """
    shared, own = (
        [check for check in checks if check.by_table == by_table] for by_table in (False, True)
    )
    failed: set[str] = set()
    yield from _run_all(context, shared, failed, lambda name: begins(name, len(checks)))
    if not own:
        return
    tables: dict[str | None, Context] = {None: context}
    # If they can't be found, a check above has said why, and a table's checks need that one.
    with suppress(UserError, ForecastSyncError, BotoCoreError, ClientError):
        tables = {each.deployment.table_choice.get("table"): each for each in context.each_table()}
    total = len(shared) + len(own) * len(tables)
    for table, each in tables.items():
        of = f" of {table}" if table else ""
        begin = partial(_begin, begins, of, total)
        for result in _run_all(each, own, {*failed}, begin):
            yield replace(result, table=table)


def _begin(begins: Begins, of: str, total: int, name: str) -> None:
    begins(f"{name}{of}", total)


def _run_all(
    context: Context, checks: Sequence[Check], failed: set[str], begins: Callable[[str], None]
) -> Iterator[Result]:
    """Run these checks, and add those that fail to ``failed``."""
    for check in checks:
        blocked = [name for name in check.needs if name in failed]
        if not blocked:
            begins(check.name)
        result = (
            Result(check.name, "skipped", f"needs {', '.join(blocked)}")
            if blocked
            else _run(context, check)
        )
        if result.status in ("finding", "skipped"):
            failed.add(check.name)
        yield result


def _run(context: Context, check: Check) -> Result:
    try:
        return Result(check.name, "ok", check.run(context))
    except Advice as advice:
        return Result(check.name, "advice", str(advice), advice.advice)
    except Finding as finding:
        return Result(check.name, "finding", str(finding), finding.advice)
    except ClientError as error:
        return Result(check.name, "finding", *_explain(error, context))
    except BotoCoreError as error:
        message = " ".join(why_unreachable(error).split())
        return Result(check.name, "finding", message, "Then run doctor again.")
    except (UserError, ForecastSyncError) as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())
        return Result(check.name, "finding", message, "Fix the cause that is named here.")


def redeploy(context: Context) -> str:
    """What to do if a part of the stack is missing or was changed by hand."""
    command = f".tools/sam/bin/sam deploy --config-env {context.environment}"
    region = deployment.open_session()[0].region_name
    if region != deployment.DEFAULT_REGION:
        command += f" --region {region}"
    if context.project != DEFAULT_PROJECT:
        name = stack_name(context.project, context.environment)
        command += f" --stack-name {name} --s3-prefix {name}"
    deploy = f"`make build`, then `{command}`"
    return f"Deploy template.yaml again: {deploy}."


def _explain(error: ClientError, context: Context) -> tuple[str, str]:
    detail = error.response.get("Error", {})
    code = detail.get("Code", "unknown")
    message = f"AWS answered {error.operation_name} with {code}: {detail.get('Message', '')}"
    if "AccessDenied" in code or code == "UnauthorizedOperation":
        return message, f"Give your own role the permission for {error.operation_name}."
    return message, redeploy(context)
