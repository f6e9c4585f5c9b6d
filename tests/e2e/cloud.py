"""A local cloud as the tests of commands prepare it, and what then stands in it."""

from __future__ import annotations

from typing import Any

import boto3
import psycopg

from tests.lake import to_parquet


def client(service: str, cloud: dict[str, Any]) -> Any:
    session = boto3.Session(
        cloud["access_key_id"], cloud["secret_access_key"], region_name=cloud["region"]
    )
    return session.client(service, endpoint_url=cloud["endpoint_url"])  # type: ignore[call-overload]


def variables(cloud: dict[str, Any]) -> dict[str, Any]:
    """What points a command to the cloud."""
    return {
        "AWS_ENDPOINT_URL": cloud["endpoint_url"],
        "AWS_ACCESS_KEY_ID": cloud["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": cloud["secret_access_key"],
    }


def execute(cloud: dict[str, Any], statement: str, branch: str = "dev") -> None:
    with psycopg.connect(cloud["database_urls"][branch]) as connection:
        connection.execute(statement.encode())


def rows_of(cloud: dict[str, Any], query: str, branch: str = "dev") -> list[tuple[Any, ...]]:
    with psycopg.connect(cloud["database_urls"][branch]) as connection:
        return connection.execute(query.encode()).fetchall()


def upload(cloud: dict[str, Any], name: str, rows: list[dict[str, Any]]) -> None:
    client("s3", cloud).put_object(
        Bucket=cloud["bucket"], Key=f"forecast/{name}.parquet", Body=to_parquet(rows)
    )
