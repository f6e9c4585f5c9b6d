# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""The local S3 as the local Athena uses it."""

from __future__ import annotations

from ministack.services import s3

from localcloud.athena.engine import NO_SUCH_BUCKET, SYSTEM, WRITE_FAILED, QueryError


def list_keys(bucket: str, prefix: str) -> list[str]:
    """The keys under a prefix. Raises ``QueryError`` when there is no such bucket."""
    stored = s3._buckets.get(bucket)
    if stored is None:
        raise QueryError(
            f"The specified bucket does not exist: {bucket}", error_type=NO_SUCH_BUCKET
        )
    return sorted(key for key in list(stored["objects"]) if key.startswith(prefix))


def put(bucket: str, key: str, content: bytes) -> None:
    """Write one object. Raises ``QueryError``, retryable, when that fails."""
    headers = {"content-type": "binary/octet-stream", "content-length": str(len(content))}
    try:
        status, _, body = s3._put_object(bucket, key, content, headers)
    except OSError as error:
        status, body = 500, str(error.strerror)
    if status >= 300:
        raise QueryError(
            f"Writing s3://{bucket}/{key} failed: {body!r}",
            category=SYSTEM,
            error_type=WRITE_FAILED,
            retryable=True,
        )
