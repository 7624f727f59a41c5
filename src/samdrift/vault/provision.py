"""Makes and drops vaults: the only part that logs in as the database's administrator."""

from __future__ import annotations

from collections.abc import Collection
from typing import Self

from samdrift.contracts.principals import Role
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier


class Provisioner:
    """For installation and for adding and removing organisations."""

    @classmethod
    async def connect(cls, settings: VaultSettings) -> Self:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    async def install(self) -> None:
        """Make or migrate the registry; harmless when repeated."""
        raise NotImplementedError

    async def add_organisation(
        self, organisation: ParticipantIdentifier, roles: Collection[Role]
    ) -> dict[Role, str]:
        """Make the organisation's vaults; those that exist stay. Gives the vault id per role, for the key store."""
        raise NotImplementedError

    async def drop(self, organisation: ParticipantIdentifier, role: Role) -> None:
        """Remove a vault with everything in it and destroy its keys."""
        raise NotImplementedError
