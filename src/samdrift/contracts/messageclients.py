"""Message clients: names, scopes, address patterns (api-mt-mk 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

AUTH_ID = "urn:sdk.digg.se:auth_id"
"""The claim with functional addresses or patterns of them (api-mt-mk 5.2)."""
CONNECTIONS = 16
"""Connections that one organisation's message client opens, one of them to wait for events."""
LONGEST_SECONDS = 30 * 60
"""Time that an access token may be valid (api-mt-mk 5, "Access token lifetime")."""


class Scope(StrEnum):
    """Each opens one operation of interface D (api-mt-mk 5.1, "Behörighetsstyrande scope").

    ``log`` is ours: it opens the organisation's logs for reading along, and no message.
    """

    SEND = "urn:sdk.api:sendMessages"
    LIST = "urn:sdk.api:getMessageByFilter"
    READ = "urn:sdk.api:getMessage"
    DELETE = "urn:sdk.api:deleteMessage"
    LOG = "log"

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
    """The text after the ``*``; ``None`` for a literal address without one."""

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


def patterns(texts: Iterable[str]) -> tuple[AddressPattern, ...]:
    """Patterns of a claim or a setting; :class:`ValueError` as with :meth:`AddressPattern.parse`."""
    return tuple(AddressPattern.parse(text) for text in texts)
