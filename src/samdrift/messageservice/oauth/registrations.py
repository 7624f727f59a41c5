"""Which message clients there are, and who vouches for them: what the operator has registered.

A client is registered here whoever vouches for it, our own authorisation
server or the organisation's. So a token never opens more than its registration
does, routing knows every client, and a client that is removed is refused at
once, also with a token that has not yet ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from samdrift.contracts.messageclients import AddressPattern, Scope
from samdrift.messageservice.oauth.keys import PublicKeys
from samdrift.messageservice.routing import Routing, Share
from samdrift.net.issuers import ExternalIssuer, KeysAt
from samdrift.wire.identifiers import ParticipantIdentifier


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
