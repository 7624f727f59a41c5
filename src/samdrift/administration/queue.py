"""The operator's view of transfers over all organisations of an installation, and actions on them.

Each organisation is opened for itself, and its log says who asked. What is
looked for without naming its organisation is asked of one after the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Principal, PrincipalKind, Proof, Role
from samdrift.vault.accesspoint import Standing
from samdrift.vault.gate import Gate
from samdrift.vault.records import TransferStatus
from samdrift.vault.transferdesk import TransferHistory
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Refusal:
    """An envelope that was refused, as facts; ``organisation`` is empty when none was to get it."""

    organisation: str
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class Retried:
    """A transfer that was to be attempted now: how it stood, whose it is, and where it is now."""

    stood: Standing
    organisation: ParticipantIdentifier | None = None
    """``None`` where no transfer is known by that id."""
    status: TransferStatus | None = None


class TransferQueues:
    """The queues of all access points of one installation, in the hands of one member of its staff."""

    def __init__(
        self,
        gate: Gate,
        name: str,
        only: ParticipantIdentifier | None = None,
        proof: Proof | None = None,
    ) -> None:
        """``only`` leaves every other organisation alone; ``proof`` is in the entries of all logs."""
        self._gate = gate
        self._principal = Principal(PrincipalKind.OPERATOR, name, proof=proof)
        self._only = only

    async def waiting(self, limit: int) -> AsyncIterator[tuple[ParticipantIdentifier, TransferStatus]]:
        """Transfers that are not final; of each organisation the ``limit`` that are due first."""
        for organisation in self._organisations():
            async with self._gate.operate(self._principal, organisation) as desk:
                found = await desk.waiting(limit)
            for status in found:
                yield organisation, status

    async def history(self, identifier: str) -> tuple[ParticipantIdentifier, TransferHistory] | None:
        """A transfer by its own id or its envelope's, with all that was tried."""
        for organisation in self._organisations():
            async with self._gate.operate(self._principal, organisation) as desk:
                found = await desk.history(identifier)
            if found is not None:
                return organisation, found
        return None

    async def retry(self, identifier: str, now: datetime) -> Retried:
        """Have a transfer attempted now if it waits."""
        for organisation in self._organisations():
            async with self._gate.operate(self._principal, organisation) as desk:
                stood = await desk.retry(identifier, now=now)
                found = await desk.history(identifier) if stood is not Standing.UNKNOWN else None
            if found is not None:
                return Retried(stood, organisation, found.status)
        return Retried(Standing.UNKNOWN)

    async def give_up(self, identifier: str, why: str, now: datetime) -> Standing:
        """End a transfer if it waits, as failed; returns how it stood."""
        for organisation in self._organisations():
            async with self._gate.operate(self._principal, organisation) as desk:
                stood = await desk.give_up(identifier, now=now, why=why)
            if stood is not Standing.UNKNOWN:
                return stood
        return Standing.UNKNOWN

    async def refused(self, limit: int) -> Sequence[Refusal]:
        """Envelopes that were refused, the latest first: for each organisation, and for none of them."""
        found = [Refusal("", entry) for entry in await self._gate.refused(limit) if self._only is None]
        for organisation in self._organisations():
            async with self._gate.operate(self._principal, organisation) as desk:
                found += [Refusal(organisation.value, entry) for entry in await desk.refused(limit)]
        return sorted(found, key=lambda refusal: refusal.entry.at, reverse=True)[:limit]

    def _organisations(self) -> Sequence[ParticipantIdentifier]:
        if self._only is not None:
            return (self._only,)
        return self._gate.registry.organisations(Role.ACCESS_POINT)
