# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Gives objects uploaded in parts the time at which their upload began, as S3 does."""

from __future__ import annotations

from typing import Any

from ministack.services import s3


def install() -> None:
    """Make ministack give a completed multipart upload the time at which it began."""
    complete = s3._complete_multipart_upload

    def complete_with_beginning(bucket: str, key: str, body: bytes, query: Any, *rest: Any) -> Any:
        upload = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
        answer = complete(bucket, key, body, query, *rest)
        if upload is not None and answer[0] == 200:
            record = s3._buckets[bucket]["objects"][key]
            record["last_modified"] = upload["created"]
            if s3.S3_PERSIST:
                s3._persist_object(bucket, key, record)
        return answer

    s3._complete_multipart_upload = complete_with_beginning
