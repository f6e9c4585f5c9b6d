"""The settings of a function: its environment variables, read and validated once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr, ValidationError

from forecast_sync.contracts.base import Model
from forecast_sync.contracts.run import MAX_BATCH_SIZE
from forecast_sync.errors import ConfigurationInvalid
from forecast_sync.stack_names import DEFAULT_PROJECT, stack_name

LOCATION = r"^(s3://[A-Za-z0-9._-]+/([^\x00-\x1f\x7f]*/)?)?$"
RUNBOOK = r"^(https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[\w./~%=&?+-]*)?|[\w.-][\w./-]*)$"
"""A URL, or a path in the repository."""


class Settings(Model):
    """The settings of one deployment; each field is the environment variable of its name.

    ``data_location`` and ``athena_output_location`` are ``s3://bucket/prefix/``; ``page_bytes``
    counts compressed bytes; ``max_scan_bytes`` is what a run that reads the whole lake by itself
    may read; ``reject_percent`` is a percentage of the window's rows;
    ``history_days`` must exceed the 14 days in which a run can be redriven. ``lookback_hours`` is
    ignored: a version that is rolled back to reads it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    environment: Literal["dev", "production"]
    athena_db_name: str = ""
    athena_output_location: Annotated[str, Field(pattern=LOCATION)] = ""
    athena_workgroup: str = "primary"
    forecast_table_name: str = "forecast"
    table_file: str = "forecast"
    data_location: Annotated[str, Field(pattern=LOCATION)] = ""
    batch_size: Annotated[int, Field(ge=1, le=MAX_BATCH_SIZE)] = 10_000
    page_bytes: Annotated[int, Field(ge=1)] = 16 * 1024 * 1024
    athena_usd_per_terabyte: Annotated[float, Field(ge=0)] = 5
    max_scan_bytes: Annotated[int, Field(ge=0)] = 10**12
    verify_checksum: bool = True
    load_concurrency: Annotated[int, Field(ge=1, le=1000)] = 100
    lookback_hours: Annotated[float, Field(ge=0)] = 6
    reject_percent: Annotated[float, Field(ge=0, le=100)] = 1
    reject_rows: Annotated[int, Field(ge=1)] = 100
    history_days: Annotated[int, Field(ge=15)] = 90
    neon_api_url: str = "https://console.neon.tech/api/v2"
    neon_project_id: str = ""
    neon_database_name: str = ""
    neon_role_name: str = ""
    neon_api_key: SecretStr = SecretStr("")
    neon_api_key_secret_arn: str = ""
    database_url: SecretStr = SecretStr("")
    database_url_secret_arn: str = ""
    state_machine_arn: str = ""
    topic_arn: str = ""
    freshness_goal_hours: Annotated[float, Field(gt=0)] = 8
    notify_rejected_rows: Annotated[int, Field(ge=1)] = 1
    notify_successes: bool = False
    runbook_url: Annotated[str, Field(pattern=RUNBOOK)] = "docs/runbook.md"

    @property
    def deployment(self) -> str:
        """``PROJECT-ENVIRONMENT``, the beginning of every name in the deployment."""
        machine = self.state_machine_arn.rpartition(":")[2]
        return machine or stack_name(DEFAULT_PROJECT, self.environment)

    @property
    def project_name(self) -> str:
        """The stack's ``ProjectName``."""
        return self.deployment.removesuffix(f"-{self.environment}")

    @property
    def has_database_url(self) -> bool:
        """Whether one database serves every branch."""
        return bool(self.database_url.get_secret_value() or self.database_url_secret_arn)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings; raises ``ConfigurationInvalid`` naming every invalid variable."""
        values = {
            name: environ[name.upper()] for name in cls.model_fields if environ.get(name.upper())
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            mistakes = "; ".join(
                f"{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors()
            )
            raise ConfigurationInvalid(
                f"Invalid environment variables: {mistakes}. Correct them in template.yaml."
            ) from None
