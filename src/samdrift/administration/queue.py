"""The operator's view of transfers over all organisations of an installation, and actions on them.

Each organisation is opened separately, and its log records who asked. A transfer that is named without its
organisation is first searched for, which reveals nothing about the other organisations and leaves no entry in
their logs: the requester's proof names the transfer, and concerns only its own organisation. A vault that
cannot be reached is named, and does not hide other organisations' transfers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from samdrift.audit.entries import LogEntry
from samdrift.contracts.errors import for_operator
from samdrift.contracts.principals import Principal, PrincipalKind, Proof, Purpose, Role
from samdrift.vault.accesspoint import Standing
from samdrift.vault.errors import VaultError
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
        self.unreached: dict[ParticipantIdentifier, str] = {}
        """Organisations whose vaults could not be asked, and why. The error of the only one is raised."""

    async def waiting(self, limit: int) -> AsyncIterator[tuple[ParticipantIdentifier, TransferStatus]]:
        """Transfers that are not final; of each organisation the ``limit`` that are due first."""
        for organisation in self._organisations():
            found: Sequence[TransferStatus] = ()
            with self._each(organisation):
                async with self._gate.operate(self._principal, organisation) as desk:
                    found = await desk.waiting(limit)
            for status in found:
                yield organisation, status

    async def history(self, identifier: str) -> tuple[ParticipantIdentifier, TransferHistory] | None:
        """A transfer by its own id or its envelope's, with all that was tried."""
        if (owner := await self._owner(identifier)) is None:
            return None
        async with self._gate.operate(self._principal, owner) as desk:
            found = await desk.history(identifier)
        return None if found is None else (owner, found)

    async def retry(self, identifier: str, now: datetime) -> Retried:
        """Have a transfer attempted now if it waits."""
        if (owner := await self._owner(identifier)) is None:
            return Retried(Standing.UNKNOWN)
        async with self._gate.operate(self._principal, owner) as desk:
            stood = await desk.retry(identifier, now=now)
            found = await desk.history(identifier)
        return Retried(Standing.UNKNOWN) if found is None else Retried(stood, owner, found.status)

    async def give_up(self, identifier: str, why: str, now: datetime) -> Standing:
        """End a transfer if it waits, as failed; returns its state before."""
        if (owner := await self._owner(identifier)) is None:
            return Standing.UNKNOWN
        async with self._gate.operate(self._principal, owner) as desk:
            return await desk.give_up(identifier, now=now, why=why)

    async def refused(self, limit: int) -> Sequence[Refusal]:
        """Envelopes that were refused, the latest first: for each organisation, and for none of them."""
        found = [Refusal("", entry) for entry in await self._gate.refused(limit) if self._only is None]
        for organisation in self._organisations():
            with self._each(organisation):
                async with self._gate.operate(self._principal, organisation) as desk:
                    found += [Refusal(organisation.value, entry) for entry in await desk.refused(limit)]
        return sorted(found, key=lambda refusal: refusal.entry.at, reverse=True)[:limit]

    async def _owner(self, identifier: str) -> ParticipantIdentifier | None:
        """Return the organisation that has a transfer: the one named, or the one where it is found."""
        if self._only is not None:
            return self._only
        finder = self._gate.worker(f"queue by {self._principal.name}", Role.ACCESS_POINT)
        for organisation in self._organisations():
            known = False
            with self._each(organisation):
                async with finder.open(organisation, Purpose.OPERATE) as vault:
                    known = await vault.has_transfer(identifier)
            if known:
                return organisation
        return None

    @contextmanager
    def _each(self, organisation: ParticipantIdentifier) -> Iterator[None]:
        """Note an unreachable vault, and continue if several organisations are asked."""
        try:
            yield
        except VaultError as error:
            if self._only is not None:
                raise
            self.unreached[organisation] = for_operator(error)

    def _organisations(self) -> Sequence[ParticipantIdentifier]:
        if self._only is not None:
            return (self._only,)
        return self._gate.registry.hosted(Role.ACCESS_POINT)
