"""The gate: the only way to an organisation's data, keys and log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Literal, Self, overload

from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Principal, Purpose, Role
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.registry import Registry
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import ParticipantIdentifier


class Gate:
    """Opens vaults for those who may."""

    registry: Registry

    @classmethod
    async def start(cls, settings: VaultSettings) -> Self:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    @overload
    def open(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        role: Literal[Role.ACCESS_POINT],
        purpose: Purpose,
    ) -> AbstractAsyncContextManager[AccessPointVault]: ...

    @overload
    def open(
        self,
        principal: Principal,
        organisation: ParticipantIdentifier,
        role: Literal[Role.MESSAGE_SERVICE],
        purpose: Purpose,
    ) -> AbstractAsyncContextManager[MessageServiceVault]: ...

    def open(
        self, principal: Principal, organisation: ParticipantIdentifier, role: Role, purpose: Purpose
    ) -> AbstractAsyncContextManager[AccessPointVault | MessageServiceVault]:
        """Open the organisation's vault for one unit of work.

        Everything done in it is committed when the block ends and rolled back
        when it raises, with the entry that tells who opened it and why.
        """
        raise NotImplementedError

    def wakeups(self) -> AsyncIterator[tuple[ParticipantIdentifier, Role]]:
        """Vaults in which another worker stored something, as it happens."""
        raise NotImplementedError

    async def operator_log(self, event: AuditEvent, **facts: str) -> None:
        """Write an event that belongs to no hosted organisation in the operator's log."""
        raise NotImplementedError
