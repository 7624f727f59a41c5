"""A bucket in an S3 store for bodies, as declared in the configuration file.

::

    [vaults]
    objects = "s3://samdrift-bodies/production"

    [vaults.s3]
    endpoint = "https://s3.example.se"
    access_key = "GK31c2f218a2e44f485b94239e"
    secret_file = "s3-secret"

The store may be Amazon's or any other with the same interface.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from samdrift.config.keys import Key
from samdrift.config.kinds import CREDENTIAL, FLAG, PATH, TEXT, is_loopback, kind
from samdrift.config.reading import Breaches
from samdrift.config.toml import Table
from samdrift.config.values import text


def _endpoint(value: Any) -> str:
    """Read the store's address, which must use TLS unless it is on this machine.

    Anyone who could read a request on the network could repeat it for some minutes and so remove a body.
    """
    address = text(value).rstrip("/")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ValueError("is not an address that begins with https://") from None
    plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not parts.hostname or parts.query or parts.fragment or port == 0:
        raise ValueError("is not an address that begins with https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("contains a user or a password: use access_key and secret_file instead")
    if parts.scheme != "https" and not plain:
        raise ValueError("does not begin with https://; a store without TLS must be on this machine")
    return address


@dataclass(frozen=True, slots=True)
class S3Config:
    """The S3 store that has the bucket of `objects`."""

    access_key: Annotated[
        str, Key("Id of the access key.", TEXT, since="0.2", example='"GK31c2f218a2e44f485b94239e"')
    ]
    secret_file: Annotated[
        Path | None,
        Key(
            "File with the secret of the access key.",
            PATH,
            otherwise="`secret_credential`",
            since="0.2",
            example='"s3-secret"',
        ),
    ] = None
    secret_credential: Annotated[
        str,
        Key(
            "Credential from systemd with the secret, instead of `secret_file`.",
            CREDENTIAL,
            otherwise="`secret_file`",
            since="0.2",
            example='"samdrift-s3-secret"',
        ),
    ] = ""
    endpoint: Annotated[
        str | None,
        Key(
            "Where the store is.",
            kind("https:// address, or http:// on this machine", _endpoint),
            otherwise="Amazon's, by the region",
            since="0.2",
            example='"https://s3.example.se"',
        ),
    ] = None
    region: Annotated[str, Key("Region of the bucket, which requests are signed for.", TEXT, since="0.2")] = (
        "us-east-1"
    )
    tls_issuers: Annotated[
        Path | None,
        Key(
            "Issuers that may vouch for the store, in PEM, in addition to those that the system trusts.",
            PATH,
            otherwise="those that the system trusts",
            since="0.2",
            example='"ca.pem"',
        ),
    ] = None
    bucket_in_host: Annotated[
        bool, Key("The bucket is named by the endpoint's host, and not in paths.", FLAG, since="0.2")
    ] = False


def check_secret(store: S3Config, _: Table) -> Breaches:
    """Require the secret in exactly one place."""
    if (store.secret_file is None) == (not store.secret_credential):
        yield "secret_file", "or secret_credential: one of them is required"


def check_objects(objects: Path | str, store: S3Config | None) -> Breaches:
    """Require a bucket when a store is configured, and reject a URL that contains a user or password."""
    if isinstance(objects, Path):
        if store is not None:
            yield "s3", "is for objects in a bucket, and objects is a folder"
        return
    parts = urlsplit(objects)
    if parts.username is not None or parts.password is not None:
        yield "objects", "contains a user or a password: use vaults.s3 instead"
    elif store is not None and (parts.scheme != "s3" or not parts.hostname):
        yield "objects", "is not s3:// and a bucket, and vaults.s3 says where that is"
