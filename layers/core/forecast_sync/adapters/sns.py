"""SNS: publishes what people should know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from forecast_sync.text.visible import visible

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

SUBJECT_LIMIT = 100


class Topic:
    """One SNS topic."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, subject: str, text: str, chat: str) -> None:
        """Publish ``text``, and ``chat`` to those who subscribe over HTTP(S), as chat clients do.

        The subject is made what SNS allows: at most 100 characters of ASCII, on one line.
        """
        subject = visible(subject).encode("ascii", "backslashreplace").decode("ascii")
        self._client.publish(
            TopicArn=self._arn,
            Subject=subject[:SUBJECT_LIMIT],
            MessageStructure="json",
            Message=json.dumps({"default": text, "http": chat, "https": chat}),
        )
