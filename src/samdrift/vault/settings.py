"""Settings of the vaults: the places of their parts, and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from samdrift.keystore.settings import HsmSettings

AMAZON = "https://s3.{region}.amazonaws.com"
"""Address of a region's S3 stores, if no other one is set."""


@dataclass(frozen=True, slots=True)
class S3Settings:
    """A bucket of an S3 store, with the settings to reach it."""

    url: str
    """``s3://BUCKET/PREFIX``."""
    access_key: str
    secret: str = field(repr=False)
    endpoint: str | None = None
    """Address of the store; ``None`` for Amazon's in the region."""
    region: str = "us-east-1"
    issuers: bytes | None = None
    """Certificates of trusted issuers, in PEM, in addition to the system's."""
    bucket_in_host: bool = False
    """True if the endpoint's host names the bucket, so that paths do not."""


ObjectPlace = Path | str | S3Settings
"""A folder, a URL that obstore knows, or a bucket with its credentials."""


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """Places and limits of the vaults; the passphrase and a bucket's secret are the only secrets in it."""

    database: Path | str
    """A folder for the embedded PostgreSQL, or the URL of a cluster, without a password."""
    objects: ObjectPlace
    """Place of bodies that are too large for a row."""
    secrets: Path
    """The key store's folder."""
    seals: Path
    """A folder that is in no backup: destroying a seal in it makes older copies unreadable."""
    passphrase: bytes = field(repr=False)
    vaults: int = 0
    """Expected number of vaults, for which an embedded server is started with enough capacity."""
    connections: int | None = None
    """Maximum number of one process's database connections; ``None`` derives it from the number of vaults."""
    processes: int = 1
    """Number of processes of the installation, which share the server's connections evenly."""
    connections_per_vault: int = 8
    """Maximum number of connections for one vault, so that it cannot starve the others."""
    idle: timedelta | None = None
    """Time for which an unused connection stays open; ``None`` derives it from the number of vaults."""
    tokens: HsmSettings | None = None
    database_logins: tuple[str, ...] = ()
    """Logins that are not ours and may reach every vault, in a cluster of the operator's own."""
    other_users: bool = False
    """True if processes of other Unix users log in to the embedded PostgreSQL."""
