"""Requests for access tokens, and tokens for clients that authenticate by a signed JWT (api-mt-mk 5).

Only the client credentials grant is supported, without refresh tokens (RFC 6749 4.4.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from urllib.parse import parse_qsl

from samdrift.contracts.clock import Clock
from samdrift.contracts.messageclients import AUTH_ID, LONGEST_SECONDS, Scope
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.oauth.keyring import Keyring
from samdrift.messageservice.oauth.registrations import MessageClient, OwnIssuers, Registered
from samdrift.net.keysource import KeysUnavailable
from samdrift.vault.gate import Gate
from samdrift.wire.crypto.keys import Random
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import Claims, JwtInvalid, UnverifiedJwt, signed
from samdrift.wire.jose.keys import PublicKey, PublicKeys

LONGEST = 64 * 1024
"""Maximum size of a request in bytes."""

_GRANT = "client_credentials"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MOST = 50


class OAuthError(Exception):
    """A token request is refused (RFC 6749 5.2).

    ``text`` is for the client and reveals nothing that it does not already know; ``reason`` is for the
    organisation's log.
    """

    def __init__(self, code: str, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.reason = reason or text


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A well-formed token request; its sender has not been verified yet."""

    assertion: str
    client_id: str | None
    scope: tuple[str, ...] | None

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Parse the form; raise :class:`OAuthError` for anything else, or another kind of request."""
        fields = _fields(body)
        grant = fields.get("grant_type")
        if grant is None:
            raise OAuthError("invalid_request", "grant_type is missing")
        if grant != _GRANT:
            raise OAuthError("unsupported_grant_type", f"grant_type is {_GRANT} here")
        if "client_secret" in fields or fields.get("client_assertion_type") != _ASSERTION:
            raise OAuthError(
                "invalid_request", f"clients authenticate with client_assertion_type {_ASSERTION}"
            )
        if not fields.get("client_assertion"):
            raise OAuthError("invalid_request", "client_assertion is missing")
        scope = fields.get("scope")
        return cls(
            fields["client_assertion"], fields.get("client_id"), tuple(scope.split()) if scope else None
        )


def _fields(body: bytes) -> dict[str, str]:
    """Return the fields of a form; a repeated one is refused as ambiguous (RFC 6749 3.2)."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST, errors="strict")
    except ValueError:
        raise OAuthError("invalid_request", "the body is not a form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "a field is repeated")
    return fields


ORGANISATION = "urn:samdrift:organisation"
"""The claim with the participant identifier of the organisation that a token is for."""
TOKEN_TYPE = "at+jwt"  # noqa: S105

_ASSERTION_TYPES = ("", "jwt", "client-authentication+jwt")
_ASSERTION_LASTS = timedelta(minutes=5)
_LONGEST_ID = 256
_UNKNOWN = "the client could not be authenticated"


@dataclass(frozen=True, slots=True)
class Issued:
    """An issued access token with its lifetime and scope, as in the response (RFC 6749 5.1)."""

    token: str
    seconds: int
    scope: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """A client that has been authenticated by an assertion."""

    client: MessageClient
    mark: bytes
    """Digest that identifies the assertion, which is valid only once."""
    until: datetime


class TokenIssuing:
    """Decisions of the token endpoint, for all organisations."""

    def __init__(
        self,
        issuers: OwnIssuers,
        gate: Gate,
        registered: Registered,
        keyring: Keyring,
        clock: Clock,
        rng: Random,
        lifetime: timedelta,
    ) -> None:
        self._issuers = issuers
        self._gate = gate
        self._registered = registered
        self._keyring = keyring
        self._clock = clock
        self._rng = rng
        self._seconds = min(int(lifetime.total_seconds()), LONGEST_SECONDS)

    async def issue(self, organisation: ParticipantIdentifier, request: TokenRequest) -> Issued:
        """Issue a token for the organisation; raise :class:`OAuthError` if the client gets none.

        Its issue and the use of the assertion are stored durably before the client receives it.

        Clauses: api-mt-mk 4.1 step 2, 4.2 step 2, 5 sentence 2.
        """
        shown = await self._authenticated(organisation, request)
        client, now = shown.client, self._clock()
        scope = " ".join(sorted(_granted(client, request.scope)))
        principal = Principal(PrincipalKind.SYSTEM, client.id, organisation.value)
        async with self._gate.open(principal, organisation, Role.MESSAGE_SERVICE, Purpose.AUTHORISE) as vault:
            keys = vault.token_keys(now=now)
            key = keys[0]
            claims = self._claims(organisation, client, scope, now)
            header = {"typ": TOKEN_TYPE, "kid": PublicKey.named(key.public).kid or ""}
            token = signed(header, claims, key)
            vault.expect()
            vault.record(MTEvent.MT_TOKEN_ISSUED, client=client.id, token=str(claims["jti"]), scope=scope)
            if not await vault.use_assertion(shown.mark, until=shown.until, now=now):
                raise OAuthError("invalid_client", "the assertion has been used before")
        self._keyring.seen(organisation, keys)
        return Issued(token, self._seconds, scope)

    def _claims(
        self, organisation: ParticipantIdentifier, client: MessageClient, scope: str, now: datetime
    ) -> Mapping[str, object]:
        """Return the claims of a token: those of RFC 9068 2.2, and the additions of api-mt-mk 5.2."""
        issued = int(now.timestamp())
        return {
            "iss": self._issuers.url(organisation),
            "sub": client.id,
            "client_id": client.id,
            "azp": client.id,
            "aud": self._issuers.address,
            "iat": issued,
            "exp": issued + self._seconds,
            "jti": self._rng(16).hex(),
            "scope": scope,
            AUTH_ID: [str(pattern) for pattern in client.patterns],
            ORGANISATION: organisation.value,
        }

    async def _authenticated(self, organisation: ParticipantIdentifier, request: TokenRequest) -> _Shown:
        """Authenticate the client that made the assertion (RFC 7523 3).

        Until the signature is verified, every failure looks the same and takes the same work, so that it does
        not reveal which clients exist. After that the client is informed of the error.
        """
        clients = self._registered().of(organisation).clients
        try:
            assertion = UnverifiedJwt.read(request.assertion)
            client = clients.get(assertion.issuer)
            keys = client.keys if client and client.keys else _another(clients)
            fitting = await self._keyring.client(keys, assertion)
            claims = assertion.verified(fitting, types=_ASSERTION_TYPES)
        except JwtInvalid as invalid:
            raise OAuthError("invalid_client", _UNKNOWN, invalid.text) from None
        except KeysUnavailable as failure:
            raise OAuthError("invalid_client", _UNKNOWN, str(failure)) from None
        if client is None or client.keys is None:
            raise OAuthError("invalid_client", _UNKNOWN, "the client is not registered with a key")
        try:
            return self._shown(organisation, client, claims, request)
        except JwtInvalid as invalid:
            raise OAuthError("invalid_client", f"the assertion is refused: {invalid.text}") from None

    def _shown(
        self,
        organisation: ParticipantIdentifier,
        client: MessageClient,
        claims: Claims,
        request: TokenRequest,
    ) -> _Shown:
        """Check that a client's assertion is for us and valid now; return it with its mark of use."""
        if claims.text("sub") != client.id or request.client_id not in (None, client.id):
            raise JwtInvalid("it names two clients")
        ours = {self._issuers.url(organisation), self._issuers.token_endpoint(organisation)}
        named = claims.texts("aud")
        if not named or not ours.issuperset(named):
            raise JwtInvalid("the claim aud is neither this issuer nor its token endpoint, alone")
        until = claims.check_times(self._clock(), _ASSERTION_LASTS, issued=False)
        number = claims.text("jti")
        if len(number) > _LONGEST_ID:
            raise JwtInvalid(f"the claim jti has more than {_LONGEST_ID} characters")
        own_number = f"{len(client.id)} {client.id} {number}".encode("utf-8", "surrogatepass")
        mark = hashlib.sha256(own_number).digest()
        return _Shown(client, mark, until)


def _another(clients: Mapping[str, MessageClient]) -> PublicKeys:
    """Return keys to try for a client that does not exist, so that its refusal takes as long as others."""
    held = (client.keys for client in clients.values())
    return next((keys for keys in held if isinstance(keys, PublicKeys)), PublicKeys(()))


def _granted(client: MessageClient, asked: tuple[str, ...] | None) -> frozenset[Scope]:
    """Return the scopes that the client asked for, or all of its scopes if it asked for none."""
    if asked is None:
        return client.scopes
    scopes = frozenset(map(Scope.named, asked))
    granted = frozenset(scope for scope in scopes if scope in client.scopes)
    if granted != scopes:
        raise OAuthError("invalid_scope", "the client is not allowed every scope that it requests")
    return granted
