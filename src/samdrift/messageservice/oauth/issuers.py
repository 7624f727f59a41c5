"""Our own authorisation server: one issuer per organisation, each with keys of its own.

So a token, an assertion or a key of one organisation means nothing to another
(docs/decisions, 0007). The address of an issuer cannot be guessed: who tries
addresses does not learn which organisations are served here.
"""

from __future__ import annotations

from collections.abc import Collection

from samdrift.contracts.principals import Role
from samdrift.vault.registry import Registry
from samdrift.wire.identifiers import ParticipantIdentifier

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
        return next((each for each in self._organisations if self._name(each) == name), None)

    def vouched_for_by(self, issuer: str) -> ParticipantIdentifier | None:
        """The organisation whose issuer that is."""
        prefix = self.address + PATH.format(name="")
        return self.organisation(issuer.removeprefix(prefix)) if issuer.startswith(prefix) else None

    def _name(self, organisation: ParticipantIdentifier) -> str | None:
        registration = self._registry.find(organisation, Role.MESSAGE_SERVICE)
        return registration.public_name if registration else None
