"""Our own authorisation servers, and the message clients that the operator has registered.

Each organisation has its own issuer with its own keys (:class:`OwnIssuers`), so a token, an assertion
or a key of one organisation means nothing to another (docs/decisions, 0007). The address of an issuer
cannot be guessed, so trying addresses does not reveal which organisations are served here.

A client is registered here regardless of which server vouches for it, our own or the organisation's
(:class:`Registrations`). A token therefore never permits more than its registration does, routing knows every
client and its addresses, and a client that is removed is refused immediately, even with a token that has not
expired.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from samdrift.contracts.messageclients import AddressPattern, Scope
from samdrift.contracts.principals import Role
from samdrift.net.issuers import ExternalIssuer, KeysAt
from samdrift.vault.registry import Registry
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.keys import PublicKeys

PATH = "/v1/oauth2/{name}"

METADATA = "/.well-known/oauth-authorization-server" + PATH
"""Path of an issuer's metadata: in front of the issuer's own path (RFC 8414 3.1)."""


class OwnIssuers:
    """The issuers of the organisations that are served here, all below one address."""

    def __init__(
        self, address: str, registry: Registry, organisations: Collection[ParticipantIdentifier]
    ) -> None:
        """Create the issuers; ``address`` is interface D's address for clients: ``https://`` and a host."""
        self.address = address
        self._registry = registry
        self._organisations = organisations
        self._named: dict[str, ParticipantIdentifier] = {}
        self._read: tuple[int, int] | None = None
        """Version of the registry, and number of organisations, from which the names were read."""

    def url(self, organisation: ParticipantIdentifier) -> str:
        """Return the issuer identifier; :class:`LookupError` if the organisation has no vault here."""
        name = self._name(organisation)
        if name is None:
            raise LookupError("the organisation has no message service here")
        return self.address + PATH.format(name=name)

    def token_endpoint(self, organisation: ParticipantIdentifier) -> str:
        return self.url(organisation) + "/token"

    def organisation(self, name: str) -> ParticipantIdentifier | None:
        """Return the organisation whose issuer has that name in its address, if any."""
        now = self._registry.changes, len(self._organisations)
        if now != self._read:
            names = ((self._name(each), each) for each in self._organisations)
            self._named = {named: each for named, each in names if named is not None}
            self._read = now
        return self._named.get(name)

    def vouched_for_by(self, issuer: str) -> ParticipantIdentifier | None:
        """Return the organisation to which an issuer identifier belongs, if any."""
        prefix = self.address + PATH.format(name="")
        return self.organisation(issuer.removeprefix(prefix)) if issuer.startswith(prefix) else None

    def _name(self, organisation: ParticipantIdentifier) -> str | None:
        registration = self._registry.find(organisation, Role.MESSAGE_SERVICE)
        return registration.public_name if registration else None


@dataclass(frozen=True, slots=True)
class Share:
    """The part of an organisation's functional addresses that belongs to one client."""

    client: str
    patterns: tuple[AddressPattern, ...]
    default: bool = False

    def covers(self, address: str) -> bool:
        return any(pattern.covers(address) for pattern in self.patterns)


class Routing:
    """The shares of all message clients of one organisation.

    A client has the addresses that its patterns cover. Where patterns of several clients cover an address,
    all of them see its messages. An address that no pattern covers belongs to the one default client, so that
    every message is in some client's mailbox.

    Clauses: content-specification 2.1 sentence 1.
    """

    def __init__(self, shares: Iterable[Share]) -> None:
        """Create the routing; :class:`ValueError` if more than one client is the default."""
        self._shares = tuple(shares)
        if sum(share.default for share in self._shares) > 1:
            raise ValueError("only one message client can be the default")

    def clients(self, address: str) -> tuple[str, ...]:
        """Return the clients that receive messages to ``address``: those that cover it, or the default."""
        covering = tuple(share.client for share in self._shares if share.covers(address))
        return covering or tuple(share.client for share in self._shares if share.default)

    def unassigned(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return the ``addresses`` that are not assigned to any client, in order."""
        return tuple(address for address in sorted(addresses) if not self.clients(address))

    def others(self, client: str) -> tuple[AddressPattern, ...] | None:
        """Return all other clients' patterns for the default client, and ``None`` for any other client."""
        if not any(share.default and share.client == client for share in self._shares):
            return None
        return tuple(
            pattern for share in self._shares if share.client != client for pattern in share.patterns
        )


@dataclass(frozen=True, slots=True)
class MessageClient:
    """A message client of one organisation."""

    id: str
    patterns: tuple[AddressPattern, ...]
    scopes: frozenset[Scope]
    keys: PublicKeys | KeysAt | None = None
    """Keys that verify its assertions; a client without keys uses the organisation's own server."""
    default: bool = False
    """True for the client that receives messages to addresses covered by no client's patterns."""


_OF_READERS = frozenset({Scope.LIST, Scope.READ, Scope.DELETE})


@dataclass(frozen=True, slots=True)
class OrganisationClients:
    """The message clients of one organisation, and its authorisation server if it has one."""

    clients: Mapping[str, MessageClient] = field(default_factory=dict)
    external: ExternalIssuer | None = None

    def readers(self, address: str) -> tuple[str, ...]:
        """Return the clients that may list or read messages to and from an address."""
        reading = (one for one in self.clients.values() if one.scopes & _OF_READERS)
        return Routing(Share(one.id, one.patterns, one.default) for one in reading).clients(address)

    @property
    def routing(self) -> Routing:
        return Routing(Share(one.id, one.patterns, one.default) for one in self.clients.values())


class Registrations:
    """Registrations of all organisations. An issuer vouches for clients of only one organisation."""

    def __init__(self, organisations: Mapping[ParticipantIdentifier, OrganisationClients]) -> None:
        """Create the registrations; :class:`ValueError` if two organisations name the same issuer."""
        self._organisations = organisations
        self._issuers: dict[str, ParticipantIdentifier] = {}
        for organisation, registered in self._organisations.items():
            if registered.external is not None:
                if registered.external.issuer in self._issuers:
                    raise ValueError("an authorisation server vouches for the clients of one organisation")
                self._issuers[registered.external.issuer] = organisation

    def of(self, organisation: ParticipantIdentifier) -> OrganisationClients:
        return self._organisations.get(organisation, _NONE)

    def vouched_for_by(self, issuer: str) -> ParticipantIdentifier | None:
        """Return the organisation whose own authorisation server has this issuer identifier, if any."""
        return self._issuers.get(issuer)


_NONE = OrganisationClients()

Registered = Callable[[], Registrations]
"""A function that returns the current registrations."""
