"""What one cloud has on a Trino: a catalog of its lake, and one for the tables of its UNLOADs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests
import trino

from localcloud.athena.trino_client import TrinoClient
from localcloud.errors import LocalCloudError

CONNECTOR = "hive"
SCHEMA = "unload"
"""Of the tables that UNLOADs are run as."""


@dataclass(frozen=True, slots=True)
class Catalogs:
    """The names and properties of a cloud's catalogs.

    ``cloud`` is the local AWS: ``endpoint``, ``region``, ``access_key``, ``secret_key``.
    ``folder`` is for the metadata of UNLOADs. ``suffix`` tells them from other clouds' catalogs.
    """

    cloud: Mapping[str, str]
    folder: Path
    suffix: str = ""

    @property
    def lake(self) -> str:
        """The name of the catalog over the local Glue, which reads as Athena does."""
        return f"awsdatacatalog{self.suffix}"

    @property
    def unloads(self) -> str:
        """The name of a separate catalog: the table behind an UNLOAD isn't in the user's Glue."""
        return f"unload{self.suffix}"

    @property
    def properties(self) -> dict[str, dict[str, str]]:
        """The properties of each catalog, by its name."""
        cloud = self.cloud
        storage = {
            "fs.native-s3.enabled": "true",
            "s3.endpoint": cloud["endpoint"],
            "s3.region": cloud["region"],
            "s3.aws-access-key": cloud["access_key"],
            "s3.aws-secret-key": cloud["secret_key"],
            "s3.path-style-access": "true",
        }
        lake = {
            "hive.metastore": "glue",
            "hive.metastore.glue.endpoint-url": cloud["endpoint"],
            "hive.metastore.glue.region": cloud["region"],
            "hive.metastore.glue.aws-access-key": cloud["access_key"],
            "hive.metastore.glue.aws-secret-key": cloud["secret_key"],
            "hive.recursive-directories": "true",
            "hive.timestamp-precision": "MILLISECONDS",
        }
        unloads = {
            "hive.metastore": "file",
            "hive.metastore.catalog.dir": "local:///",
            "fs.native-local.enabled": "true",
            "local.location": str(self.folder),
            "hive.non-managed-table-writes-enabled": "true",
            "hive.compression-codec": "GZIP",
            "hive.max-partitions-per-writers": "100",
        }
        return {self.lake: storage | lake, self.unloads: storage | unloads}


@contextmanager
def created(client: TrinoClient, cloud: Mapping[str, str], folder: Path) -> Iterator[Catalogs]:
    """Catalogs on a server that other clouds use too, for the length of a block."""
    folder.mkdir(parents=True, mode=0o700)
    catalogs = Catalogs(cloud, folder, f"_{secrets.token_hex(6)}")
    try:
        for name, properties in catalogs.properties.items():
            values = ", ".join(f"\"{key}\" = '{value}'" for key, value in properties.items())
            client.run(f"CREATE CATALOG {name} USING {CONNECTOR} WITH ({values})")
        client.run(f"CREATE SCHEMA {catalogs.unloads}.{SCHEMA}")
    except (trino.exceptions.Error, requests.RequestException) as error:
        raise LocalCloudError(f"the shared Trino takes no catalog: {error}") from None
    try:
        yield catalogs
    finally:
        for name in catalogs.properties:
            with suppress(trino.exceptions.Error, requests.RequestException):
                client.run(f"DROP CATALOG {name}")
