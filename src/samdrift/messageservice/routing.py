"""Which message clients get the messages of a functional address (issue 4, internal routing).

A client has the addresses that its patterns cover. Where patterns of several
clients cover an address, all of them see its messages. What no pattern covers
belongs to the one client that is the default, so that no message lies where
nobody looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from samdrift.contracts.messageclients import AddressPattern


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

    Clauses: content-specification 2.1 sentence 1.
    """

    def __init__(self, shares: Iterable[Share]) -> None:
        """:class:`ValueError` when more than one is the default."""
        self._shares = tuple(shares)
        if sum(share.default for share in self._shares) > 1:
            raise ValueError("only one message client can be the default")

    def clients(self, address: str) -> tuple[str, ...]:
        """Who gets what comes to ``address``; nobody when no pattern covers it and there is no default."""
        covering = tuple(share.client for share in self._shares if share.covers(address))
        return covering or tuple(share.client for share in self._shares if share.default)

    def unassigned(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Those of ``addresses`` that nobody gets, in order."""
        return tuple(address for address in sorted(addresses) if not self.clients(address))

    def others(self, client: str) -> tuple[AddressPattern, ...] | None:
        """For the default: the patterns of all others, whose addresses are not left to it."""
        if not any(share.default and share.client == client for share in self._shares):
            return None
        return tuple(
            pattern for share in self._shares if share.client != client for pattern in share.patterns
        )
