"""Which organisations are hosted in which roles: all that is shared between vaults."""

from __future__ import annotations

from samdrift.contracts.principals import Role
from samdrift.wire.identifiers import ParticipantIdentifier


class Registry:
    """The registry as this process knows it; kept up to date while the gate is open."""

    def serves(self, organisation: ParticipantIdentifier, role: Role) -> bool:
        raise NotImplementedError

    def organisations(self, role: Role) -> tuple[ParticipantIdentifier, ...]:
        raise NotImplementedError
