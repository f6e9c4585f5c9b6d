"""SNS: publishes what people should know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

SUBJECT_LIMIT = 100


class Topic:
    """One SNS topic."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, subject: str, message: str) -> None:
        """Publish; the subject is cut to the 100 characters that SNS allows."""
        self._client.publish(TopicArn=self._arn, Subject=subject[:SUBJECT_LIMIT], Message=message)
