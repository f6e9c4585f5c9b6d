"""The settings of a function: its environment variables, read and validated once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr, ValidationError

from forecast_sync.contracts.base import Model
from forecast_sync.contracts.run import MAX_BATCH_SIZE
from forecast_sync.errors import ConfigurationInvalid, InvalidInput
from forecast_sync.stack_names import DEFAULT_PROJECT, stack_name

LOCATION = r"^(s3://[A-Za-z0-9._-]+/([^\x00-\x1f\x7f]*/)?)?$"
RUNBOOK = r"^(https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[\w./~%=&?+-]*)?|[\w.-][\w./-]*)$"
"""A URL, or a path in the repository."""
OF_ONE_TABLE = ("scope", "adopts_unnamed")
"""What ``for_table`` decides, and no environment variable."""
TABLES = r"^([a-z_][a-z0-9_]*(,[a-z_][a-z0-9_]*)*)?$"


class Settings(Model):
    """The settings of one deployment; each field is the environment variable of its name.

    ``tables`` names the table files of a stack, separated by commas. ``table_file``,
    ``forecast_table_name`` (in Glue) and ``data_location`` belong to one of them: where there are
    several, ``for_table`` gives each its own, and before that ``data_location`` is the bucket.
    ``scope`` is then the table's name, and None before.
    ``data_location`` and ``athena_output_location`` are ``s3://bucket/prefix/``; ``page_bytes``
    counts compressed bytes; ``max_scan_bytes`` is what a run that reads the whole lake by itself
    may read; ``reject_percent`` is a percentage of the window's rows;
    ``history_days`` must exceed the 14 days in which a run can be redriven. ``lookback_hours`` is
    ignored: a version that is rolled back to reads it. ``reserved_loaders`` is the loader's
    reserved concurrency, 0 for none.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    environment: Literal["dev", "production"]
    athena_db_name: str = ""
    athena_output_location: Annotated[str, Field(pattern=LOCATION)] = ""
    athena_workgroup: str = "primary"
    forecast_table_name: str = "forecast"
    table_file: str = "forecast"
    tables: Annotated[str, Field(pattern=TABLES)] = ""
    scope: str | None = None
    adopts_unnamed: bool = False
    data_location: Annotated[str, Field(pattern=LOCATION)] = ""
    batch_size: Annotated[int, Field(ge=1, le=MAX_BATCH_SIZE)] = 10_000
    page_bytes: Annotated[int, Field(ge=1)] = 16 * 1024 * 1024
    athena_usd_per_terabyte: Annotated[float, Field(ge=0)] = 5
    max_scan_bytes: Annotated[int, Field(ge=0)] = 10**12
    verify_checksum: bool = True
    load_concurrency: Annotated[int, Field(ge=1, le=1000)] = 100
    reserved_loaders: Annotated[int, Field(ge=0, le=1000)] = 0
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
    def table_names(self) -> tuple[str, ...]:
        """The tables that the stack syncs, in the order in which ``Tables`` names them."""
        return tuple(dict.fromkeys((self.tables or self.table_file).split(",")))

    @property
    def has_several_tables(self) -> bool:
        """Whether a request has to say which table it is about."""
        return len(self.table_names) > 1

    def require_table(self, name: str | None) -> str:
        """The table of this name, or the only one; raises ``InvalidInput`` with the list."""
        if name is None and not self.has_several_tables:
            return self.table_names[0]
        if name in self.table_names:
            return name
        known = ", ".join(self.table_names)
        if name is None:
            raise InvalidInput(f"This stack syncs several tables: name one of {known} as `table`.")
        raise InvalidInput(
            f"This stack doesn't sync {name}: its tables are {known}. Add it to the parameter "
            "Tables, or name another one."
        )

    def for_table(self, name: str, prefix: str, *, adopts_unnamed: bool = False) -> Settings:
        """The settings of one of several tables, which is read from the folder ``prefix``.

        ``adopts_unnamed`` is whether what an older version has recorded about this folder, which
        named no table, belongs to it.
        The only table of a stack has the settings that the template has given it.
        """
        if not self.has_several_tables:
            return self
        bucket = self.data_location.removeprefix("s3://").partition("/")[0]
        own = {
            "table_file": name,
            "forecast_table_name": name,
            "data_location": f"s3://{bucket}/{prefix}",
            "scope": name,
            "adopts_unnamed": adopts_unnamed,
        }
        return self.model_copy(update=own)

    @property
    def has_database_url(self) -> bool:
        """Whether one database serves every branch."""
        return bool(self.database_url.get_secret_value() or self.database_url_secret_arn)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings; raises ``ConfigurationInvalid`` naming every invalid variable."""
        values = {
            name: environ[name.upper()]
            for name in cls.model_fields
            if name not in OF_ONE_TABLE and environ.get(name.upper())
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
