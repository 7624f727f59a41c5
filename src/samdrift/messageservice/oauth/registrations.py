"""Our own authorisation servers, and the message clients that the operator has registered.

Each organisation is an issuer of its own, with keys of its own (:class:`OwnIssuers`). So a
token, an assertion or a key of one organisation means nothing to another (docs/decisions,
0007). The address of an issuer cannot be guessed: trying addresses does not show
which organisations are served here.

A client is registered here regardless of which server vouches for it, our own or the organisation's
(:class:`Registrations`). So a token never opens more than its registration does, routing
knows every client and its addresses, and a client that is removed is refused
immediately, also with a token that has not yet ended.
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
"""RFC 8414 3.1: in front of the issuer's own path."""


class OwnIssuers:
    """The issuers of the organisations that are served here, below one address."""

    def __init__(
        self, address: str, registry: Registry, organisations: Collection[ParticipantIdentifier]
    ) -> None:
        """``address`` is where interface D is for its clients, ``https://`` and a host."""
        self.address = address
        self._registry = registry
        self._organisations = organisations
        self._named: dict[str, ParticipantIdentifier] = {}
        self._read: tuple[int, int] | None = None
        """The registry and the number of organisations that the names were read from."""

    def url(self, organisation: ParticipantIdentifier) -> str:
        """The issuer identifier; :class:`LookupError` when the organisation has no vault here."""
        name = self._name(organisation)
        if name is None:
            raise LookupError("the organisation has no message service here")
        return self.address + PATH.format(name=name)

    def token_endpoint(self, organisation: ParticipantIdentifier) -> str:
        return self.url(organisation) + "/token"

    def organisation(self, name: str) -> ParticipantIdentifier | None:
        """Return the organisation whose issuer has that name in its address."""
        now = self._registry.changes, len(self._organisations)
        if now != self._read:
            names = ((self._name(each), each) for each in self._organisations)
            self._named = {named: each for named, each in names if named is not None}
            self._read = now
        return self._named.get(name)

    def vouched_for_by(self, issuer: str) -> ParticipantIdentifier | None:
        """The organisation whose issuer that is."""
        prefix = self.address + PATH.format(name="")
        return self.organisation(issuer.removeprefix(prefix)) if issuer.startswith(prefix) else None

    def _name(self, organisation: ParticipantIdentifier) -> str | None:
        registration = self._registry.find(organisation, Role.MESSAGE_SERVICE)
        return registration.public_name if registration else None


@dataclass(frozen=True, slots=True)
class Share:
    """One client's part of the organisation's functional addresses."""

    client: str
    patterns: tuple[AddressPattern, ...]
    default: bool = False

    def covers(self, address: str) -> bool:
        return any(pattern.covers(address) for pattern in self.patterns)


class Routing:
    """The shares of all message clients of one organisation.

    A client has the addresses that its patterns cover. Where patterns of several clients cover an address,
    all of them see its messages. An address that no pattern covers belongs to the one client that is the
    default, so that every message is in someone's mailbox.

    Clauses: content-specification 2.1 sentence 1.
    """

    def __init__(self, shares: Iterable[Share]) -> None:
        """:class:`ValueError` when more than one is the default."""
        self._shares = tuple(shares)
        if sum(share.default for share in self._shares) > 1:
            raise ValueError("only one message client can be the default")

    def clients(self, address: str) -> tuple[str, ...]:
        """Return the clients that get messages to ``address``: those that cover it, or the default."""
        covering = tuple(share.client for share in self._shares if share.covers(address))
        return covering or tuple(share.client for share in self._shares if share.default)

    def unassigned(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return those of ``addresses`` that no client gets, in order."""
        return tuple(address for address in sorted(addresses) if not self.clients(address))

    def others(self, client: str) -> tuple[AddressPattern, ...] | None:
        """Return, for the default client, the patterns of all others, whose addresses are not left to it."""
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
    """The keys of its assertions; without them, the organisation's own server vouches for it."""
    default: bool = False
    """True for the client that gets messages to addresses covered by no client's patterns."""


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
    """Registrations of all organisations. An issuer vouches for clients of one organisation alone."""

    def __init__(self, organisations: Mapping[ParticipantIdentifier, OrganisationClients]) -> None:
        """:class:`ValueError` when two organisations name the same issuer."""
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
        """The organisation whose own authorisation server that is."""
        return self._issuers.get(issuer)


_NONE = OrganisationClients()

Registered = Callable[[], Registrations]
"""A function that returns the current registrations."""
