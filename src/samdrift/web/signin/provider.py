"""An organisation's OpenID Connect service: its metadata and keys, and our authentication to it.

Clauses: architecture-sad 5.4 step 2.

A person enters its issuer, so every call uses the client for such addresses
(:mod:`samdrift.net.entered`). Metadata and keys are cached, which bridges short outages.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

from samdrift.contracts.clock import Clock
from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer
from samdrift.net.keysource import KeptKeys, KeysUnavailable
from samdrift.web.signin.kept import Kept, ProviderUnavailable
from samdrift.wire.crypto.keys import TokenKey
from samdrift.wire.errors import WireError
from samdrift.wire.jose.jwt import UnverifiedJwt, client_assertion
from samdrift.wire.jose.keys import Algorithm, PublicKey, PublicKeys
from samdrift.wire.webaddress import place_of, web_address

WELL_KNOWN = "/.well-known/openid-configuration"
_LIMITS = FetchLimits(max_bytes=256 * 1024, seconds=5.0)


class Fetches(Protocol):
    """The client for addresses entered by a person (:class:`samdrift.net.entered.EnteredAddressClient`)."""

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """GET ``url``, or POST ``content`` to it; raise :class:`samdrift.net.client.NoAnswer`."""


Authenticate = Callable[[str, datetime], Awaitable[tuple[Mapping[str, str], Mapping[str, str]]]]
"""Function that returns header fields and form fields that authenticate us to an issuer."""


TokenKeys = Callable[[], Awaitable[Sequence[TokenKey]]]
"""Function that returns the organisation's keys for its own statements, the one in use first."""


def by_key(client_id: str, keys: TokenKeys) -> Authenticate:
    """Authenticate with a signed statement (``private_key_jwt``); a key's ``kid`` is its thumbprint."""

    async def authenticate(issuer: str, now: datetime) -> tuple[Mapping[str, str], Mapping[str, str]]:
        key = (await keys())[0]
        assertion = client_assertion(client_id, issuer, secrets.token_urlsafe(16), now, key)
        return {}, {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }

    return authenticate


def by_secret(client_id: str, secret: str) -> Authenticate:
    """Authenticate with a shared secret (``client_secret_basic``)."""

    async def authenticate(issuer: str, now: datetime) -> tuple[Mapping[str, str], Mapping[str, str]]:
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}, {}

    return authenticate


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """An organisation's sign-in service as entered by its administrator."""

    issuer: str
    client_id: str
    levels: tuple[str, ...]
    """Levels of assurance (``acr``) that are accepted, the preferred one first."""
    algorithms: frozenset[Algorithm] = frozenset(Algorithm)
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "name"
    claims: tuple[str, ...] = ()
    """Further claims that are kept with a session, such as groups."""
    longest_since: timedelta | None = None
    """Maximum time since the person authenticated; sent as ``max_age``."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The part of an issuer's metadata that we need (OpenID Connect Discovery 3)."""

    authorization: str
    token: str
    keys: str
    end_session: str | None
    names_issuer: bool
    """True if its answers name the issuer (RFC 9207)."""

    @classmethod
    def read(cls, body: bytes, issuer: str) -> Metadata:
        """Read a metadata document; raise :class:`ProviderUnavailable` if it does not fit the issuer."""
        try:
            document: dict[str, Any] = json.loads(body)
            if document["issuer"] != issuer:
                raise ProviderUnavailable("the metadata of the sign-in service are another issuer's")
            if "S256" not in document.get("code_challenge_methods_supported", ["S256"]):
                raise ProviderUnavailable("the sign-in service does not support PKCE with S256")
            end_session = document.get("end_session_endpoint")
            return cls(
                web_address(document["authorization_endpoint"], "authorization_endpoint"),
                web_address(document["token_endpoint"], "token_endpoint"),
                web_address(document["jwks_uri"], "jwks_uri"),
                None if end_session is None else web_address(end_session, "end_session_endpoint"),
                document.get("authorization_response_iss_parameter_supported") is True,
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, WireError):
            raise ProviderUnavailable("the metadata of the sign-in service are not usable") from None


class Provider:
    """One organisation's sign-in service, over the network."""

    def __init__(
        self,
        settings: ProviderSettings,
        authenticate: Authenticate,
        client: Fetches,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._authenticate = authenticate
        self._client = client
        self._clock = clock
        self._metadata = Kept(self._fetch_metadata, clock, place_of(settings.issuer))
        self._keys = KeptKeys(self._fetch_keys, clock)

    async def metadata(self) -> Metadata:
        """Return the issuer's metadata; raise :class:`ProviderUnavailable` if they are unavailable."""
        return await self._metadata.now()

    async def keys(self, token: UnverifiedJwt) -> tuple[PublicKey, ...]:
        """Return the issuer's keys that may have signed ``token``, fetching them again for an unknown key."""
        try:
            return await self._keys.fitting(token)
        except KeysUnavailable:
            raise ProviderUnavailable("the keys of the sign-in service are not available") from None

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> str | None:
        """Exchange a code for an ID token (OpenID Connect Core 3.1.3); ``None`` when it is refused."""
        metadata = await self.metadata()
        headers, form = await self._authenticate(self.settings.issuer, self._clock())
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self.settings.client_id,
            "code_verifier": verifier,
            **form,
        }
        answer = await self._call(
            metadata.token,
            content=urlencode(fields).encode(),
            headers={"content-type": "application/x-www-form-urlencoded", **headers},
        )
        if answer.status >= 500:
            raise ProviderUnavailable("the sign-in service does not redeem codes now")
        try:
            token = json.loads(answer.body)["id_token"] if answer.status == 200 else None
        except (ValueError, TypeError, KeyError, RecursionError):
            token = None
        return token if isinstance(token, str) else None

    async def _fetch_metadata(self) -> Metadata:
        issuer = self.settings.issuer
        answer = await self._call(issuer.rstrip("/") + WELL_KNOWN)
        if answer.status != 200:
            text = f"the sign-in service has no metadata: it answers {answer.status}"
            raise ProviderUnavailable(text, reported=answer.status >= 500)
        return Metadata.read(answer.body, issuer)

    async def _fetch_keys(self) -> PublicKeys:
        try:
            answer = await self._call((await self.metadata()).keys)
            if answer.status != 200:
                text = f"instead of keys it answers {answer.status}"
                raise ProviderUnavailable(text, reported=answer.status >= 500)
            return PublicKeys.read(answer.body)
        except (ProviderUnavailable, ValueError) as failure:
            reported = isinstance(failure, ProviderUnavailable) and failure.reported
            place = place_of(self.settings.issuer)
            raise KeysUnavailable(f"the sign-in service {place}: {failure}", reported=reported) from None

    async def _call(
        self, url: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        try:
            return await self._client.fetch(
                url, _LIMITS, content=content, headers={"accept": "application/json", **(headers or {})}
            )
        except NoAnswer as failure:
            text = f"the sign-in service does not answer ({failure.kind})"
            raise ProviderUnavailable(text, reported=failure.fault is not HttpFault.FORBIDDEN) from None
