"""Two organisations with message clients, an authorisation server of one of them, and a settable clock."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from typing import Any, cast
from urllib.parse import urlencode

import httpx
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey
from starlette.applications import Starlette

from samdrift.audit.entries import LogEntry
from samdrift.contracts.messageclients import AUTH_ID, Scope, patterns
from samdrift.contracts.principals import Role
from samdrift.messageservice.access import Access
from samdrift.messageservice.oauth.endpoint import AuthorizationServer
from samdrift.messageservice.oauth.issuing import TokenIssuing
from samdrift.messageservice.oauth.keyring import Keyring
from samdrift.messageservice.oauth.persons import Persons
from samdrift.messageservice.oauth.registrations import (
    MessageClient,
    OrganisationClients,
    OwnIssuers,
    Registrations,
)
from samdrift.messageservice.oauth.verifying import TokenVerifying
from samdrift.messageservice.settings import OrganisationProfile
from samdrift.net.client import HttpClient, HttpFault, NoAnswer
from samdrift.net.issuers import ExternalIssuer, KeysAt
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.keys import PublicKey, PublicKeys
from tests import pki
from tests.vaults import NOW, Installation

ADDRESS = "https://sdk.operator.test"
THEIR_ISSUER = "https://idp.habo.test/realms/sdk"
THEIR_KEYS = f"{THEIR_ISSUER}/keys"
SCHOOL, CARE, DESK = "sdk.skola.habo.se", "sdk.omsorg.habo.se", "sdk.registrator.habo.se"
MINUTE = timedelta(minutes=1)
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_NUMBERS = count(1)


@cache
def curve_key(number: int = 0) -> ECKey:
    return ECKey.import_key(ec.generate_private_key(ec.SECP256R1()), {"kid": f"ec-{number}"})


@cache
def rsa_key(number: int = 0) -> RSAKey:
    return RSAKey.import_key(pki.key(number))


def public(key: ECKey | RSAKey, kid: str | None = None) -> PublicKey:
    native = key.public_key
    assert isinstance(native, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    return PublicKey.of(native, kid)


def jwk_set(*keys: ECKey | RSAKey, **more: Any) -> bytes:
    return json.dumps({"keys": [{**key.as_dict(private=False), **more} for key in keys]}).encode()


def sign(
    claims: Mapping[str, Any], key: ECKey | RSAKey | OctKey, header: Mapping[str, Any] | None = None
) -> str:
    """Return a token as another library makes it; claims that are ``None`` are left out."""
    payload = json.dumps({name: value for name, value in claims.items() if value is not None}).encode()
    head = {"alg": "ES256", **(header or {})}
    registry = jws.JWSRegistry(algorithms=[head["alg"]], strict_check_header=False)
    return jws.serialize_compact(head, payload, key, registry=registry)


@dataclass
class Web:
    """Documents that issuers and clients publish over HTTPS."""

    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False

    @contextlib.asynccontextmanager
    async def exchange(self, method: str, url: str, *body: Any, **how: Any) -> AsyncIterator[Any]:
        self.asked.append(url)
        if self.down:
            raise NoAnswer(HttpFault.UNREACHABLE)
        yield _Page(self.pages.get(url))

    def client(self, bundle: object) -> HttpClient:
        return cast(HttpClient, self)


@dataclass
class _Page:
    page: bytes | None
    encoded: bool = False
    content_type: str = "application/json"

    @property
    def status(self) -> int:
        return 404 if self.page is None else 200

    async def read(self, most: int) -> bytes:
        return self.page or b""


@dataclass
class Scene:
    """All parts of the scene, made for each test."""

    installation: Installation
    habo: ParticipantIdentifier
    mullsjo: ParticipantIdentifier
    web: Web = field(default_factory=Web)
    now: datetime = NOW
    logged: int = 0
    registered: dict[ParticipantIdentifier, OrganisationClients] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.web.pages[THEIR_KEYS] = jwk_set(curve_key(7))
        own = [client("journal", "*.skola.habo.se", keys=(curve_key(1),)), client("rest", default=True)]
        self.register(self.habo, *own, client("theirs", CARE, external=True), external=EXTERNAL)
        self.register(self.mullsjo, client("journal", "*", keys=(curve_key(2),)))
        gate, profiles = self.installation.gate, {each: profile(each) for each in (self.habo, self.mullsjo)}
        self.issuers = OwnIssuers(ADDRESS, gate.registry, profiles)
        keyring = Keyring(gate, self.web.client, self.clock)
        issuing = TokenIssuing(
            self.issuers, gate, self.known, keyring, self.clock, os.urandom, timedelta(minutes=15)
        )
        persons = Persons(gate, self.clock)
        self.tokens = TokenVerifying(self.issuers, self.known, keyring, profiles, self.clock, persons)
        self.server = AuthorizationServer(self.issuers, issuing, gate, self.known, keyring, self.clock)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(Starlette(routes=self.server.routes())), base_url=ADDRESS
        )

    def clock(self) -> datetime:
        return self.now

    def known(self) -> Registrations:
        return Registrations(self.registered)

    def register(
        self,
        organisation: ParticipantIdentifier,
        *clients: MessageClient,
        external: ExternalIssuer | None = None,
    ) -> None:
        self.registered[organisation] = OrganisationClients({one.id: one for one in clients}, external)

    def unregister(self, organisation: ParticipantIdentifier, name: str) -> None:
        before = self.registered[organisation]
        clients = {key: one for key, one in before.clients.items() if key != name}
        self.registered[organisation] = replace(before, clients=clients)

    # --- asking for a token -------------------------------------------------------------------------

    def assertion(
        self,
        name: str = "journal",
        *,
        key: ECKey | RSAKey | OctKey | None = None,
        header: Mapping[str, Any] | None = None,
        at: ParticipantIdentifier | None = None,
        **changes: Any,
    ) -> str:
        claims = {
            "iss": name,
            "sub": name,
            "aud": self.issuers.token_endpoint(at or self.habo),
            "exp": int((self.now + MINUTE).timestamp()),
            "jti": f"assertion-{next(_NUMBERS)}",
        }
        return sign({**claims, **changes}, key or curve_key(1), header)

    async def ask(
        self, assertion: str | None = None, at: ParticipantIdentifier | None = None, **fields: Any
    ) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
            **fields,
        }
        given = {name: value for name, value in form.items() if value is not None}
        return await self.post(urlencode(given), at)

    async def post(
        self,
        body: str,
        at: ParticipantIdentifier | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        kind = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
        return await self.http.post(
            self.issuers.token_endpoint(at or self.habo), content=body.encode(), headers=kind
        )

    async def token(self, *arguments: Any, **fields: Any) -> str:
        answer = await self.ask(*arguments, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def access(self, token: str) -> Access:
        return await self.tokens.access(token)

    # --- tokens of the organisation's own server ----------------------------------------------------

    def theirs(
        self,
        *,
        key: ECKey | RSAKey | OctKey | None = None,
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        issued = int(self.now.timestamp())
        claims = {
            "iss": THEIR_ISSUER,
            "sub": "theirs",
            "client_id": "theirs",
            "aud": ADDRESS,
            "iat": issued,
            "exp": issued + 600,
            "scope": "urn:sdk.api:getMessage offline_access",
            AUTH_ID: [CARE],
        }
        return sign({**claims, **changes}, key or curve_key(7), {"typ": "at+jwt", **(header or {})})

    async def begin(self) -> None:
        """Ignore the entries that earlier tests have left in the log."""
        self.logged = len(await self._log())

    async def log(self, event: str) -> list[Mapping[str, str]]:
        """Return the facts of entries of that kind in Habo's log since the test began."""
        return [entry.ids for entry in (await self._log())[self.logged :] if entry.event == event]

    async def _log(self) -> tuple[LogEntry, ...]:
        async with self.installation.open(self.habo, Role.MESSAGE_SERVICE) as vault:
            return await vault.log(limit=100_000)


EXTERNAL = ExternalIssuer(THEIR_ISSUER, ADDRESS, KeysAt(THEIR_KEYS))


def client(
    name: str,
    *addresses: str,
    keys: tuple[ECKey | RSAKey, ...] = (),
    default: bool = False,
    external: bool = False,
    scopes: frozenset[Scope] = frozenset(Scope),
) -> MessageClient:
    held = None if external else PublicKeys(map(public, keys or (curve_key(3),)))
    return MessageClient(name, patterns(addresses), scopes, held, default)


def profile(organisation: ParticipantIdentifier) -> OrganisationProfile:
    return OrganisationProfile(organisation, "En kommun", frozenset({SCHOOL, CARE, DESK}))
