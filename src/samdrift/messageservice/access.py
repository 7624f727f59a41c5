"""The rights of a message client, from its access token (api-mt-mk 5.1, 5.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from samdrift.contracts.errors import Temporary
from samdrift.contracts.messageclients import AddressPattern, Scope
from samdrift.contracts.principals import Principal, PrincipalKind
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Access:
    """A message client that has shown who it is: for one organisation, some operations, some addresses."""

    organisation: ParticipantIdentifier
    client: str
    scopes: frozenset[Scope]
    patterns: tuple[AddressPattern, ...]
    others: tuple[AddressPattern, ...] | None = None
    """The addresses of other clients, for the organisation's default client, which has all the rest."""

    person: str = ""
    """The random id of the person whom the client acts for, where the token names one."""

    until: datetime | None = field(default=None, compare=False)
    """The end of the token, where it is known."""

    @property
    def principal(self) -> Principal:
        """The acting principal: a person acting through the client, or the client itself."""
        if self.person:
            return Principal(PrincipalKind.USER, self.person, self.organisation.value, self.client)
        return Principal(PrincipalKind.SYSTEM, self.client, self.organisation.value)

    def covers(self, address: str) -> bool:
        """Return whether the mailbox of this functional address is the client's.

        Clauses: api-mt-mk 5.2 step 2.
        """
        if any(pattern.covers(address) for pattern in self.patterns):
            return True
        return self.others is not None and not any(pattern.covers(address) for pattern in self.others)


class Unauthorized(Exception):
    """A token that opens nothing: why, in a text without content, and as a code of RFC 6750 3.1."""

    def __init__(self, text: str, error: str = "invalid_token") -> None:
        super().__init__(text)
        self.text = text
        self.error = error
        """``invalid_request``, ``invalid_token`` or ``insufficient_scope``."""


class Authorization(Protocol):
    """A resolver of access tokens, from any issuer, to the access that they grant."""

    async def access(self, token: str) -> Access:
        """Return the access that ``token`` grants its bearer now; :class:`Unauthorized` if none."""


class AuthorizationUnavailable(Temporary):
    """The token cannot be verified now: its issuer's keys are unavailable. It may succeed later."""
