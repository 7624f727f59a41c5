"""Role MK, put together: an origin for each organisation that is served in it.

The pages and what they need of the vault come with the web client; until then an origin says
whether its organisation is served.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from starlette.types import ASGIApp

from samdrift.contracts.principals import Role
from samdrift.net.origins import by_host, origin
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier


class MessageClientRole:
    """The role as one process has it."""

    def __init__(self, gate: Gate, hosts: Mapping[str, ParticipantIdentifier]) -> None:
        """``hosts`` are the organisations that are served, by the name of the host of each one's origin."""
        self._gate = gate
        self._hosts = hosts

    def application(self) -> ASGIApp:
        """The origins of all organisations, each at its host."""
        return by_host({host: origin(partial(self._serves, whose)) for host, whose in self._hosts.items()})

    def _serves(self, organisation: ParticipantIdentifier) -> bool:
        return self._gate.registry.serves(organisation, Role.MESSAGE_CLIENT)
