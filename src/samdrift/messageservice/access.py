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
    """An authenticated message client: its organisation, and the operations and addresses that it may use."""

    organisation: ParticipantIdentifier
    client: str
    scopes: frozenset[Scope]
    patterns: tuple[AddressPattern, ...]
    others: tuple[AddressPattern, ...] | None = None
    """Address patterns of all other clients, for the organisation's default client, which has the rest."""

    person: str = ""
    """Random id of the person for whom the client acts, if the token names one."""

    until: datetime | None = field(default=None, compare=False)
    """Expiry time of the token, if known."""

    @property
    def principal(self) -> Principal:
        """Return the acting principal: a person acting through the client, or the client itself."""
        if self.person:
            return Principal(PrincipalKind.USER, self.person, self.organisation.value, self.client)
        return Principal(PrincipalKind.SYSTEM, self.client, self.organisation.value)

    def covers(self, address: str) -> bool:
        """Return whether the client may use the mailbox of this functional address.

        Clauses: api-mt-mk 5.2 step 2.
        """
        if any(pattern.covers(address) for pattern in self.patterns):
            return True
        return self.others is not None and not any(pattern.covers(address) for pattern in self.others)


class Unauthorized(Exception):
    """A token that is not accepted: an explanation without content, and an error code of RFC 6750 3.1."""

    def __init__(self, text: str, error: str = "invalid_token") -> None:
        super().__init__(text)
        self.text = text
        self.error = error
        """``invalid_request``, ``invalid_token`` or ``insufficient_scope``."""


class Authorization(Protocol):
    """A source of the rights that an access token grants, regardless of its issuer."""

    async def access(self, token: str) -> Access:
        """Return the access that ``token`` grants now; raise :class:`Unauthorized` if it grants none."""


class AuthorizationUnavailable(Temporary):
    """The token cannot be verified because its issuer's keys are unavailable; a later attempt may succeed."""
