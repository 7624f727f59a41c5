"""What a message client may do, as its access token says (api-mt-mk 5.1, 5.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from samdrift.contracts.principals import Principal, PrincipalKind
from samdrift.wire.identifiers import ParticipantIdentifier


class Scope(StrEnum):
    """Each opens one operation of interface D (api-mt-mk 5.1, "Behörighetsstyrande scope")."""

    SEND = "urn:sdk.api:sendMessages"
    LIST = "urn:sdk.api:getMessageByFilter"
    READ = "urn:sdk.api:getMessage"
    DELETE = "urn:sdk.api:deleteMessage"

    @classmethod
    def named(cls, name: str) -> Self | None:
        """The scope that a token names; for sending, the OpenAPI file and the text spell it differently."""
        try:
            return cls(_OTHER_SPELLINGS.get(name, name))
        except ValueError:
            return None


_OTHER_SPELLINGS = {"urn:sdk.api:sendMessage": Scope.SEND.value}


@dataclass(frozen=True, slots=True)
class AddressPattern:
    """A functional address, or with one ``*`` many of them (api-mt-mk 5.2 ``auth_id``)."""

    before: str
    after: str | None
    """What follows the ``*``; ``None`` when there is none, and the address is meant as it is."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern; :class:`ValueError` when it is empty or has more than one ``*``."""
        before, star, after = text.partition("*")
        if not text or "*" in after:
            raise ValueError("an address pattern is a functional address with at most one *")
        return cls(before, after if star else None)

    def __str__(self) -> str:
        return self.before if self.after is None else f"{self.before}*{self.after}"

    def covers(self, address: str) -> bool:
        if self.after is None:
            return address == self.before
        long_enough = len(address) >= len(self.before) + len(self.after)
        return long_enough and address.startswith(self.before) and address.endswith(self.after)


@dataclass(frozen=True, slots=True)
class Access:
    """A message client that has shown who it is: for one organisation, some operations, some addresses."""

    organisation: ParticipantIdentifier
    client: str
    scopes: frozenset[Scope]
    patterns: tuple[AddressPattern, ...]
    others: tuple[AddressPattern, ...] | None = None
    """For the organisation's default client: what belongs to its other clients; it has all the rest."""

    @property
    def principal(self) -> Principal:
        return Principal(PrincipalKind.SYSTEM, self.client, self.organisation.value)

    def covers(self, address: str) -> bool:
        """Whether the mailbox of this functional address is the client's.

        Clauses: api-mt-mk 5.2 step 2.
        """
        if any(pattern.covers(address) for pattern in self.patterns):
            return True
        return self.others is not None and not any(pattern.covers(address) for pattern in self.others)


def patterns(texts: Iterable[str]) -> tuple[AddressPattern, ...]:
    """Patterns of a claim or a setting; :class:`ValueError` as with :meth:`AddressPattern.parse`."""
    return tuple(AddressPattern.parse(text) for text in texts)


class Unauthorized(Exception):
    """A token that opens nothing: why, in a text without content, and as a code of RFC 6750 3.1."""

    def __init__(self, text: str, error: str = "invalid_token") -> None:
        super().__init__(text)
        self.text = text
        self.error = error
        """``invalid_request``, ``invalid_token`` or ``insufficient_scope``."""


class Authorization(Protocol):
    """Tells what an access token opens, whoever issued it."""

    async def access(self, token: str) -> Access:
        """What the bearer of ``token`` may do now; :class:`Unauthorized` when that is nothing."""


class AuthorizationUnavailable(Exception):
    """Nobody can tell now whether a token is good: its issuer's keys cannot be had. Later it may be."""
