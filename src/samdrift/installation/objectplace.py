"""The place where an installation stores bodies: a folder, or a bucket with the secret that opens it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from samdrift.config.credentials import credential_file
from samdrift.config.errors import shown
from samdrift.config.model import VaultConfig
from samdrift.config.objects import S3Config
from samdrift.config.passphrase import read_named
from samdrift.config.toml import ConfigError
from samdrift.vault.settings import AMAZON, ObjectPlace, S3Settings
from samdrift.wire.webaddress import place_of


def object_place(vaults: VaultConfig, environment: Mapping[str, str] = os.environ) -> ObjectPlace:
    """Return the place of bodies; :class:`ConfigError` if the secret of a bucket is unavailable.

    A file with the secret must be private to its owner. A credential has the permissions that systemd gave
    it.
    """
    store = vaults.s3
    if store is None or not isinstance(vaults.objects, str):
        return vaults.objects
    return S3Settings(
        vaults.objects,
        store.access_key,
        _secret(store, environment),
        store.endpoint,
        store.region,
        _issuers(store),
        store.bucket_in_host,
    )


def place_in_words(vaults: VaultConfig) -> str:
    """Return the place of bodies as operators see it: the folder, or host and port of the store."""
    if not isinstance(vaults.objects, str):
        return shown(vaults.objects)
    if vaults.s3 is None:
        return vaults.objects.partition(":")[0]
    return place_of(vaults.s3.endpoint or AMAZON.format(region=vaults.s3.region))


def database_in_words(database: Path | str) -> str:
    """Return the place of the database as operators see it: its folder, or its hosts with their ports."""
    if isinstance(database, Path):
        return shown(database)
    address = urlsplit(database)
    return address.netloc.rpartition("@")[2] or ",".join(parse_qs(address.query).get("host", ["localhost"]))


def _secret(store: S3Config, environment: Mapping[str, str]) -> str:
    where = f"vaults.s3.{'secret_credential' if store.secret_file is None else 'secret_file'}"
    if store.secret_file is not None:
        content = read_named(store.secret_file, where)
    else:
        file = credential_file(store.secret_credential, environment)
        if file is None:
            raise ConfigError(where, "no credentials were handed over: start it by systemd")
        content = read_named(file, where, Path.read_bytes)
    try:
        secret = content.decode("ascii").strip()
    except UnicodeError:
        raise ConfigError(where, "is not text in ASCII") from None
    if not secret:
        raise ConfigError(where, "the secret is empty")
    return secret


def _issuers(store: S3Config) -> bytes | None:
    try:
        return None if store.tls_issuers is None else store.tls_issuers.read_bytes()
    except OSError as error:
        cause = (error.strerror or "").lower()
        raise ConfigError("vaults.s3.tls_issuers", f"cannot be read: {cause}") from None
