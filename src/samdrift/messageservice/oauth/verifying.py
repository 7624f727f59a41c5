"""Verification of access tokens from our own issuers and the organisations' (RFC 9068 4, RFC 8725).

The issuer determines the organisation, according to the operator's configuration and never by a claim. A
token never permits more than its client is registered for.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from samdrift.contracts.clock import Clock
from samdrift.contracts.messageclients import AUTH_ID, LONGEST_SECONDS, AddressPattern, Scope
from samdrift.messageservice.access import Access, AuthorizationUnavailable, Unauthorized
from samdrift.messageservice.oauth.issuing import TOKEN_TYPE
from samdrift.messageservice.oauth.keyring import Keyring
from samdrift.messageservice.oauth.persons import Persons
from samdrift.messageservice.oauth.registrations import (
    MessageClient,
    OrganisationClients,
    OwnIssuers,
    Registered,
)
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.net.cache import TimedCache
from samdrift.net.issuers import ExternalIssuer
from samdrift.net.keysource import KeysUnavailable
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import Claims, JwtInvalid, UnverifiedJwt
from samdrift.wire.jose.keys import PublicKey

_LONGEST = timedelta(seconds=LONGEST_SECONDS)
_MAX_KNOWN = 2_000
"""Maximum number of tokens remembered as having a valid signature."""


class TokenVerifying:
    """Implementation of :class:`~samdrift.messageservice.access.Authorization` for interface D."""

    def __init__(
        self,
        issuers: OwnIssuers,
        registered: Registered,
        keyring: Keyring,
        profiles: Mapping[ParticipantIdentifier, OrganisationProfile],
        clock: Clock,
        persons: Persons,
    ) -> None:
        self._issuers = issuers
        self._registered = registered
        self._keyring = keyring
        self._profiles = profiles
        self._clock = clock
        self._persons = persons
        self._known: TimedCache[bytes, tuple[tuple[PublicKey, ...], tuple[str, ...], Claims]]
        self._known = TimedCache(_MAX_KNOWN)
        """Keys, types and claims of verified tokens, by the tokens' digests."""

    async def access(self, token: str) -> Access:
        """Return the access that a token grants.

        Raises :class:`Unauthorized`, or :class:`AuthorizationUnavailable`.
        """
        try:
            unverified = UnverifiedJwt.read(token)
            own = self._issuers.vouched_for_by(unverified.issuer)
            if own is not None:
                return await self._own(own, token, unverified)
            theirs = self._registered().vouched_for_by(unverified.issuer)
            if theirs is not None and theirs in self._profiles:
                return await self._external(theirs, token, unverified)
        except JwtInvalid as invalid:
            raise Unauthorized(f"the access token is refused: {invalid.text}") from None
        except KeysUnavailable:
            raise AuthorizationUnavailable from None
        raise Unauthorized("the access token is refused: its issuer is unknown")

    async def _own(self, organisation: ParticipantIdentifier, text: str, token: UnverifiedJwt) -> Access:
        keys = await self._keyring.own(organisation, token)
        claims = self._verified(text, token, keys, (TOKEN_TYPE,))
        until = self._check(claims, self._issuers.address)
        clients = self._registered().of(organisation)
        client = _client(clients, claims.text("client_id"))
        if client.keys is None:
            raise JwtInvalid("another authorisation server vouches for the client")
        named = claims.texts(AUTH_ID)
        patterns = (pattern for pattern in client.patterns if str(pattern) in named)
        others = clients.routing.others(client.id)
        return Access(organisation, client.id, _scopes(claims, client), tuple(patterns), others, until=until)

    async def _external(self, organisation: ParticipantIdentifier, text: str, token: UnverifiedJwt) -> Access:
        clients = self._registered().of(organisation)
        external = clients.external
        if external is None or external.issuer != token.issuer:
            raise JwtInvalid("its issuer is unknown")
        if token.algorithm not in external.algorithms:
            raise JwtInvalid("its signature algorithm is not taken")
        keys = await self._keyring.external(external, token)
        claims = self._verified(text, token, keys, (external.token_type,))
        until = self._check(claims, external.audience)
        client = _client(clients, claims.text(external.client_claim))
        if client.keys is not None:
            raise JwtInvalid("another authorisation server vouches for the client")
        addresses = self._addresses(organisation, clients, client, _patterns(claims, external))
        person = await self._persons.named_by(organisation, client.id, external.issuer, claims)
        return Access(organisation, client.id, _scopes(claims, client), addresses, person=person, until=until)

    def _verified(
        self, text: str, token: UnverifiedJwt, keys: tuple[PublicKey, ...], types: tuple[str, ...]
    ) -> Claims:
        """Return the claims of a token that one of ``keys`` has signed.

        A client presents its token with each call, and a stream checks it repeatedly, so the signature by the
        same keys is verified only once. Everything that can change in the meantime is checked each time.
        """
        digest, now = hashlib.sha256(text.encode()).digest(), self._clock()
        known = self._known.get(digest, now)
        if known is not None and known[1] == types and _the_same(known[0], keys):
            return known[2]
        claims = token.verified(keys, types=types)
        self._known.put(digest, (keys, types, claims), now + _LONGEST)
        return claims

    def _check(self, claims: Claims, audience: str) -> datetime:
        """Refuse a token for another audience or time; return its expiry time."""
        if audience not in claims.texts("aud"):
            raise JwtInvalid("it is for another audience")
        return claims.check_times(self._clock(), _LONGEST, issued=True)

    def _addresses(
        self,
        organisation: ParticipantIdentifier,
        clients: OrganisationClients,
        client: MessageClient,
        claimed: Collection[AddressPattern],
    ) -> tuple[AddressPattern, ...]:
        """Return the organisation's functional addresses that both token and registration permit."""
        routing = clients.routing
        return tuple(
            AddressPattern(address, None)
            for address in sorted(self._profiles[organisation].functional_addresses)
            if client.id in routing.clients(address) and any(each.covers(address) for each in claimed)
        )


def _the_same(known: tuple[PublicKey, ...], keys: tuple[PublicKey, ...]) -> bool:
    """Return whether the keys are identical objects, not only equal by a library's comparison."""
    return len(known) == len(keys) and all(map(operator.is_, known, keys))


def _client(clients: OrganisationClients, name: str) -> MessageClient:
    client = clients.clients.get(name)
    if client is None:
        raise JwtInvalid("its client is not registered")
    return client


def _scopes(claims: Claims, client: MessageClient) -> frozenset[Scope]:
    """Return the scopes that the token names and the client may have; unknown names are ignored."""
    named = (Scope.named(name) for text in claims.texts("scope") for name in text.split())
    return frozenset(scope for scope in named if scope is not None) & client.scopes


def _patterns(claims: Claims, external: ExternalIssuer) -> tuple[AddressPattern, ...]:
    try:
        return tuple(AddressPattern.parse(text) for text in claims.texts(external.auth_id_claim))
    except ValueError:
        raise JwtInvalid(f"the claim {external.auth_id_claim} is not a list of address patterns") from None
