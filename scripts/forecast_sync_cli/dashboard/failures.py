"""What can go wrong between the page and the deployment, and how the page says it."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError
from forecast_sync.errors import ForecastSyncError

from forecast_sync_cli.client.deployment import why_unreachable
from forecast_sync_cli.errors import UserError

FAILURES = (UserError, ForecastSyncError, ClientError, BotoCoreError)


class Refused(UserError):
    """The deployment has answered, but not with what was asked for."""


class UnknownTable(Refused):
    """The stack doesn't sync the table in the page's address; ``tables`` are those that it does."""

    def __init__(self, name: str, tables: tuple[str, ...]) -> None:
        noun = "its tables are" if len(tables) > 1 else "its only table is"
        super().__init__(f"this stack doesn't sync {name}: {noun} {', '.join(tables)}")
        self.tables = tables


def explain(error: Exception) -> str:
    """Why something can't be shown or done, as the beginning of a sentence."""
    reason = why_unreachable(error) if isinstance(error, BotoCoreError) else str(error)
    return reason[:1].upper() + reason[1:]
