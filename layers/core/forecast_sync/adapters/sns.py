"""SNS: publishes notifications."""

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
        """Publish ``text``, or ``chat`` to subscribers over HTTP(S), which chat clients are.

        The subject is converted to what SNS allows: one line of at most 100 ASCII characters.
        """
        subject = visible(subject).encode("ascii", "backslashreplace").decode("ascii")
        self._client.publish(
            TopicArn=self._arn,
            Subject=subject[:SUBJECT_LIMIT],
            MessageStructure="json",
            Message=json.dumps({"default": text, "http": chat, "https": chat}),
        )
