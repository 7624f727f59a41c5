"""Scopes, address patterns and limits of message clients (api-mt-mk 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

AUTH_ID = "urn:sdk.digg.se:auth_id"
"""Name of the claim that lists functional addresses or patterns of them (api-mt-mk 5.2)."""
CONNECTIONS = 16
"""Connections that an organisation's message client opens, including one that waits for events."""
LONGEST_SECONDS = 30 * 60
"""Maximum lifetime of an access token in seconds (api-mt-mk 5, "Access token lifetime")."""


class Scope(StrEnum):
    """A scope that permits one operation of interface D (api-mt-mk 5.1, "Behörighetsstyrande scope").

    ``log`` is an addition of ours: it permits reading the organisation's logs, and no messages.
    """

    SEND = "urn:sdk.api:sendMessages"
    LIST = "urn:sdk.api:getMessageByFilter"
    READ = "urn:sdk.api:getMessage"
    DELETE = "urn:sdk.api:deleteMessage"
    LOG = "log"

    @classmethod
    def named(cls, name: str) -> Self | None:
        """Return the scope with a name used in a token, or ``None`` if the name is unknown.

        The specification's text and its OpenAPI file spell the scope for sending differently; both names are
        accepted.
        """
        try:
            return cls(_OTHER_SPELLINGS.get(name, name))
        except ValueError:
            return None


_OTHER_SPELLINGS = {"urn:sdk.api:sendMessage": Scope.SEND.value}


@dataclass(frozen=True, slots=True)
class AddressPattern:
    """A functional address, or a pattern with one ``*`` that matches several (api-mt-mk 5.2 ``auth_id``)."""

    before: str
    after: str | None
    """Text after the ``*``; ``None`` for a literal address."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a pattern; raise :class:`ValueError` if it is empty or has more than one ``*``."""
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


def patterns(texts: Iterable[str]) -> tuple[AddressPattern, ...]:
    """Parse the patterns of a claim or a setting.

    Raises :class:`ValueError` like :meth:`AddressPattern.parse`.
    """
    return tuple(AddressPattern.parse(text) for text in texts)
