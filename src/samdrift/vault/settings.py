"""Where the vaults' parts are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from samdrift.keystore.settings import HsmSettings

AMAZON = "https://s3.{region}.amazonaws.com"
"""Address of the stores of a region, where no other one is named."""


@dataclass(frozen=True, slots=True)
class S3Settings:
    """A bucket of an S3 store, and what reaches it."""

    url: str
    """``s3://BUCKET/PREFIX``."""
    access_key: str
    secret: str = field(repr=False)
    endpoint: str | None = None
    """Address of the store; Amazon's, by the region, when it is ``None``."""
    region: str = "us-east-1"
    issuers: bytes | None = None
    """In PEM, in addition to those that the system trusts."""
    bucket_in_host: bool = False
    """The endpoint names the bucket, and a path does not."""


ObjectPlace = Path | str | S3Settings
"""A folder, a URL that obstore knows, or a bucket with its credentials."""


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """Places and limits. The passphrase and a bucket's secret, which are not shown, are all the secrets."""

    database: Path | str
    """A folder for the embedded PostgreSQL, or the URL of a cluster, without a password."""
    objects: ObjectPlace
    """Place of bodies that are too large for a row."""
    secrets: Path
    """The key store's folder."""
    seals: Path
    """A folder that no backup contains: destroying a seal in it makes older copies unreadable."""
    passphrase: bytes = field(repr=False)
    vaults: int = 0
    """Vaults that are expected, for which an embedded server is started with room enough."""
    connections: int | None = None
    """Most database connections of one process, over all vaults; by their number when it is ``None``."""
    processes: int = 1
    """Processes of the installation that share the server's room for connections, evenly."""
    connections_per_vault: int = 8
    """Limit of connections for one vault, so that it cannot starve the others."""
    idle: timedelta | None = None
    """Time for which an unused connection stays open; by the number of vaults when it is ``None``."""
    tokens: HsmSettings | None = None
    other_users: bool = False
    """Processes of other Unix users log in to the embedded PostgreSQL."""
