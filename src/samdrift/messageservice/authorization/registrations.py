"""Which message clients there are, and who vouches for them: what the operator has registered.

A client is registered here whoever vouches for it, our own authorisation
server or the organisation's. So a token never opens more than its registration
does, routing knows every client, and a client that is removed is refused at
once, also with a token that has not yet ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from samdrift.messageservice.access import AddressPattern, Scope
from samdrift.messageservice.authorization.keys import Algorithm, PublicKeys
from samdrift.messageservice.routing import Routing, Share
from samdrift.wire.identifiers import ParticipantIdentifier

AUTH_ID = "urn:sdk.digg.se:auth_id"
"""The claim with functional addresses or patterns of them (api-mt-mk 5.2)."""
LONGEST_SECONDS = 30 * 60
"""How long an access token may be valid (api-mt-mk 5, "Access token lifetime")."""


@dataclass(frozen=True, slots=True)
class KeysAt:
    """A JWK Set that is fetched over HTTPS."""

    url: str
    tls_issuers: Path | None = None
    """Bundle (PEM) of issuers of TLS certificates; Mozilla's when absent."""


@dataclass(frozen=True, slots=True)
class MessageClient:
    """A message client of one organisation."""

    id: str
    patterns: tuple[AddressPattern, ...]
    scopes: frozenset[Scope]
    keys: PublicKeys | KeysAt | None = None
    """What its assertions are verified with; without, the organisation's own server vouches for it."""
    default: bool = False
    """Whether it gets what comes to addresses that no client's patterns cover."""


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """An organisation's own authorisation server."""

    issuer: str
    audience: str
    """What its tokens for interface D name in ``aud``."""
    keys: KeysAt | None = None
    """Its JWK Set; when absent, its metadata tell where that is."""
    tls_issuers: Path | None = None
    """For its metadata, as in :class:`KeysAt`."""
    auth_id_claim: str = AUTH_ID
    client_claim: str = "client_id"
    algorithms: frozenset[Algorithm] = frozenset(Algorithm)
    token_type: str = "at+jwt"  # noqa: S105
    """The ``typ`` of its access tokens (RFC 9068 2.1)."""


@dataclass(frozen=True, slots=True)
class OrganisationClients:
    """The message clients of one organisation, and its authorisation server if it has one."""

    clients: Mapping[str, MessageClient] = field(default_factory=dict)
    external: ExternalIssuer | None = None

    @property
    def routing(self) -> Routing:
        return Routing(Share(one.id, one.patterns, one.default) for one in self.clients.values())


class Registrations:
    """Of all organisations. An issuer vouches for the clients of one organisation and no other."""

    def __init__(self, organisations: Mapping[ParticipantIdentifier, OrganisationClients]) -> None:
        """:class:`ValueError` when two organisations name the same issuer."""
        self._organisations = dict(organisations)
        self._issuers: dict[str, ParticipantIdentifier] = {}
        for organisation, registered in self._organisations.items():
            if registered.external is not None:
                if registered.external.issuer in self._issuers:
                    raise ValueError("an authorisation server vouches for the clients of one organisation")
                self._issuers[registered.external.issuer] = organisation

    def of(self, organisation: ParticipantIdentifier) -> OrganisationClients:
        return self._organisations.get(organisation, _NONE)

    def vouched_for_by(self, issuer: str) -> ParticipantIdentifier | None:
        """The organisation whose own authorisation server that is."""
        return self._issuers.get(issuer)


_NONE = OrganisationClients()

Registered = Callable[[], Registrations]
"""Gives what is registered now."""
