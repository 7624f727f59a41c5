"""Keys that verify tokens: those of our own issuers, of other issuers and of registered clients.

The addresses of other issuers' keys come from the operator's configuration or the issuer's own metadata,
never from a token (RFC 8725 3.10).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from samdrift.contracts.clock import Clock
from samdrift.contracts.messageclients import LONGEST_SECONDS
from samdrift.contracts.principals import Purpose, Role
from samdrift.keystore.keyfiles import KeyStoreError
from samdrift.net.client import FetchLimits, HttpClient, NoAnswer, fetch
from samdrift.net.issuers import ExternalIssuer, KeysAt
from samdrift.net.keysource import Fetch, Keeping, KeptKeys, KeysUnavailable
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.wire.crypto.keys import TokenKey
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import UnverifiedJwt
from samdrift.wire.jose.keys import PublicKey, PublicKeys
from samdrift.wire.webaddress import web_address

WORKER = "authorization"
_OWN = Keeping(fresh=timedelta(seconds=LONGEST_SECONDS + 60))
"""Time to keep our own keys: they are refreshed whenever a token is issued, and last as long as the token."""


class Keyring:
    """Cached keys for verifying tokens; all methods that fetch keys raise :class:`KeysUnavailable`."""

    def __init__(self, gate: Gate, client_for: ClientFor, clock: Clock) -> None:
        self._vaults = gate.worker(WORKER, Role.MESSAGE_SERVICE)
        self._client_for = client_for
        self._clock = clock
        self._kept: dict[ParticipantIdentifier | ExternalIssuer | KeysAt, KeptKeys] = {}

    async def own(self, organisation: ParticipantIdentifier, token: UnverifiedJwt) -> tuple[PublicKey, ...]:
        """Return the keys of the organisation's issuer here that may have signed ``token``."""
        return await self._own(organisation).fitting(token)

    async def published(self, organisation: ParticipantIdentifier) -> PublicKeys:
        """Return all keys of the organisation's issuer here."""
        return await self._own(organisation).all()

    async def external(self, issuer: ExternalIssuer, token: UnverifiedJwt) -> tuple[PublicKey, ...]:
        """Return the keys of an organisation's own authorisation server that may have signed ``token``."""
        return await self._keep(issuer, lambda: issuer_keys(self._client_for, issuer)).fitting(token)

    async def client(self, keys: PublicKeys | KeysAt, token: UnverifiedJwt) -> tuple[PublicKey, ...]:
        """Return the keys of a client that may have signed ``token``."""
        if isinstance(keys, PublicKeys):
            return keys.fitting(token.algorithm, token.kid)
        return await self._keep(keys, lambda: fetched_keys(self._client_for, keys)).fitting(token)

    def seen(self, organisation: ParticipantIdentifier, keys: Iterable[TokenKey]) -> None:
        """Cache keys of the organisation's issuer that the caller has read from an open vault."""
        self._own(organisation).take(_public(keys))

    def _own(self, organisation: ParticipantIdentifier) -> KeptKeys:
        return self._keep(organisation, lambda: self._made_in_place(organisation), _OWN)

    def _keep(
        self,
        whose: ParticipantIdentifier | ExternalIssuer | KeysAt,
        fetch: Fetch,
        keeping: Keeping | None = None,
    ) -> KeptKeys:
        if whose not in self._kept:
            self._kept[whose] = KeptKeys(fetch, self._clock, keeping)
        return self._kept[whose]

    async def _made_in_place(self, organisation: ParticipantIdentifier) -> PublicKeys:
        try:
            async with self._vaults.open(organisation, Purpose.AUTHORISE) as vault:
                keys = vault.token_keys(now=self._clock())
        except (VaultError, KeyStoreError):
            raise KeysUnavailable("a vault cannot provide its keys") from None
        return _public(keys)


def _public(keys: Iterable[TokenKey]) -> PublicKeys:
    return PublicKeys(PublicKey.named(key.public) for key in keys)


_LIMITS = FetchLimits(max_bytes=256 * 1024, seconds=5.0)

ClientFor = Callable[[Path | None], HttpClient]
"""Returns an HTTP client that trusts the issuers in a bundle, or by default Mozilla's."""


async def fetched_keys(client_for: ClientFor, where: KeysAt) -> PublicKeys:
    """Fetch the JWK Set at an address, or raise :class:`KeysUnavailable`."""
    body = await _get(client_for(where.tls_issuers), where.url)
    if body is None:
        raise KeysUnavailable(f"no document at {where.url}")
    try:
        return PublicKeys.read(body)
    except ValueError as error:
        raise KeysUnavailable(f"the document at {where.url} {error}") from None


async def issuer_keys(client_for: ClientFor, external: ExternalIssuer) -> PublicKeys:
    """Fetch the keys of an organisation's own authorisation server, or raise :class:`KeysUnavailable`."""
    return await fetched_keys(client_for, external.keys or await _discovered(client_for, external))


async def _discovered(client_for: ClientFor, external: ExternalIssuer) -> KeysAt:
    """Return the address of an issuer's keys, from metadata published at the issuer itself (RFC 8414 3)."""
    client = client_for(external.tls_issuers)
    for address in _metadata_addresses(external.issuer):
        body = await _get(client, address)
        if body is not None:
            return KeysAt(_keys_address(external.issuer, body), external.tls_issuers)
    raise KeysUnavailable(f"{external.issuer} has no metadata")


def _metadata_addresses(issuer: str) -> tuple[str, str]:
    """Return the addresses where an issuer's metadata may be: by RFC 8414 3.1, and by OpenID Connect."""
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
        raise KeysUnavailable(f"the metadata of {issuer} belong to another issuer")
    if urlsplit(address)[:2] != urlsplit(issuer)[:2]:
        raise KeysUnavailable(f"the keys of {issuer} are at another address, which must be configured")
    return address


async def _get(client: HttpClient, address: str) -> bytes | None:
    """Return the document published at an address, or ``None`` if there is none."""
    try:
        answer = await fetch(client, address, _LIMITS, headers={"accept": "application/json"})
    except NoAnswer as failure:
        raise KeysUnavailable(f"{address} gives no answer ({failure.kind})") from None
    return answer.body if answer.status == 200 else None
