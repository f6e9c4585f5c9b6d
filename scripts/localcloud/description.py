"""A running local cloud, as the person who started it sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import boto3
from pydantic import ConfigDict, Field

from localcloud import private_files
from localcloud.keys import Keys
from localcloud.protocol import CALLS, REGION, Config, Endpoints, EngineName


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where a running local cloud listens, and the keys that were made for it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    endpoint_url: Annotated[str, Field(description="The value for `AWS_ENDPOINT_URL`.")]
    region: str
    bucket: Annotated[str, Field(description="The lake's bucket.")]
    results_bucket: Annotated[str, Field(description="The bucket of query results.")]
    state_machine_arn: str
    api_url: str
    neon_api_url: str
    neon_project_id: str
    neon_api_key: str
    access_key_id: Annotated[str, Field(description="The value for `AWS_ACCESS_KEY_ID`.")]
    secret_access_key: Annotated[str, Field(description="The value for `AWS_SECRET_ACCESS_KEY`.")]
    database_urls: Annotated[dict[str, str], Field(description="By Neon branch.")]
    state_dir: str
    pid: int
    athena: EngineName = "embedded"
    already_running: bool = False

    @classmethod
    def of(cls, config: Config, endpoints: Endpoints, outputs: Mapping[str, str]) -> Cloud:
        """Combine the configuration, the endpoints and the stack's outputs."""
        api_id = (urlsplit(outputs["ApiUrl"]).hostname or "").split(".")[0]
        return cls(
            endpoint_url=endpoints.endpoint_url,
            region=REGION,
            bucket=outputs["DataBucketName"],
            results_bucket=outputs["ResultsBucketName"],
            state_machine_arn=outputs["StateMachineArn"],
            api_url=f"{endpoints.endpoint_url}/_aws/execute-api/{api_id}/$default",
            neon_api_url=endpoints.neon_api_url,
            neon_project_id=config.neon_project_id,
            neon_api_key=config.neon_api_key,
            access_key_id=config.access_key_id,
            secret_access_key=config.secret_access_key,
            database_urls=endpoints.database_urls,
            state_dir=config.state_dir,
            pid=endpoints.pid,
            athena=config.engine,
        )

    @classmethod
    def read(cls, state_dir: Path) -> Cloud | None:
        """The cloud that was last started in ``state_dir``, which may have ended since."""
        text = private_files.read(_file(state_dir))
        if text is None:
            return None
        # A cloud that an older version has started, and `down` must end, took any keys.
        older = {"access_key_id": "test", "secret_access_key": "test"}
        return cls(**{**older, **json.loads(text)})

    def write(self) -> None:
        """Write it atomically, for the owner only: the URLs hold passwords."""
        private_files.write(_file(Path(self.state_dir)), self.to_json())

    def to_json(self) -> str:
        """One object on one line."""
        return json.dumps(asdict(self))

    @property
    def faults_dir(self) -> Path:
        """Where a file makes the local Athena fail."""
        return Path(self.state_dir) / "faults"

    @property
    def calls_dir(self) -> Path:
        """While it exists, each function writes there which AWS calls it makes."""
        return Path(self.state_dir) / CALLS

    def session(self) -> boto3.Session:
        """A boto3 session with this cloud's credentials; clients need ``endpoint_url`` too."""
        return Keys(self.access_key_id, self.secret_access_key, self.neon_api_key).session()

    @property
    def variables(self) -> dict[str, str]:
        """What makes AWS's tools, and ours, use this cloud when it is in their environment."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }


def forget(state_dir: Path) -> None:
    """Remove the description of a cloud that has stopped."""
    _file(state_dir).unlink(missing_ok=True)


def _file(state_dir: Path) -> Path:
    return state_dir / "cloud.json"
