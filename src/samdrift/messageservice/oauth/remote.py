"""Fetches the JWK Sets of others over HTTPS, and finds them by an issuer's metadata.

Where to look stands in the operator's configuration, or in metadata that lie at
the issuer itself; a token never tells it (RFC 8725 3.10).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from samdrift.messageservice.oauth.keys import PublicKeys
from samdrift.messageservice.oauth.keysource import KeysUnavailable
from samdrift.net.client import FetchLimits, HttpClient, NoAnswer, fetch
from samdrift.net.issuers import ExternalIssuer, KeysAt
from samdrift.wire.errors import WireError
from samdrift.wire.webaddress import web_address

_LIMITS = FetchLimits(max_bytes=256 * 1024, seconds=5.0)

ClientFor = Callable[[Path | None], HttpClient]
"""The HTTP client that trusts the issuers in a bundle, or Mozilla's."""


async def fetched_keys(client_for: ClientFor, where: KeysAt) -> PublicKeys:
    """The JWK Set there, or :class:`KeysUnavailable`."""
    body = await _get(client_for(where.tls_issuers), where.url)
    if body is None:
        raise KeysUnavailable(f"nothing at {where.url}")
    try:
        return PublicKeys.read(body)
    except ValueError as error:
        raise KeysUnavailable(f"what lies at {where.url} {error}") from None


async def issuer_keys(client_for: ClientFor, external: ExternalIssuer) -> PublicKeys:
    """The keys of an organisation's own authorisation server, or :class:`KeysUnavailable`."""
    return await fetched_keys(client_for, external.keys or await _discovered(client_for, external))


async def _discovered(client_for: ClientFor, external: ExternalIssuer) -> KeysAt:
    """Where the metadata of an issuer say that its keys are, which must be at the issuer (RFC 8414 3)."""
    client = client_for(external.tls_issuers)
    for address in _metadata_addresses(external.issuer):
        body = await _get(client, address)
        if body is not None:
            return KeysAt(_keys_address(external.issuer, body), external.tls_issuers)
    raise KeysUnavailable(f"{external.issuer} has no metadata")


def _metadata_addresses(issuer: str) -> tuple[str, str]:
    """Where an issuer's metadata are: RFC 8414 3.1, and where OpenID Connect has them."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )


def _keys_address(issuer: str, metadata: bytes) -> str:
    try:
        document: Any = json.loads(metadata)
        address = web_address(document["jwks_uri"], "jwks_uri")
        named = document["issuer"]
    except (ValueError, TypeError, KeyError, RecursionError, WireError):
        raise KeysUnavailable(f"the metadata of {issuer} are not usable") from None
    if named != issuer:
        raise KeysUnavailable(f"the metadata of {issuer} are another issuer's")
    if urlsplit(address)[:2] != urlsplit(issuer)[:2]:
        raise KeysUnavailable(f"the keys of {issuer} lie elsewhere, and their address is to be configured")
    return address


async def _get(client: HttpClient, address: str) -> bytes | None:
    """What lies there; ``None`` when nothing does."""
    try:
        answer = await fetch(client, address, _LIMITS, headers={"accept": "application/json"})
    except NoAnswer as failure:
        raise KeysUnavailable(f"{address} gives no answer ({failure.kind})") from None
    return answer.body if answer.status == 200 else None
