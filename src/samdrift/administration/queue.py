"""The operator's view of transfers of all organisations of an installation, and actions on them.

Each organisation is opened separately, and its log records the requester. A transfer that is named without
its organisation is searched for first, which reveals nothing about other organisations and leaves no entry in
their logs: the requester's proof names the transfer, and concerns only its own organisation. A vault that
cannot be reached is reported, and does not hide other organisations' transfers.
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
    """A refused envelope, as facts; ``organisation`` is empty if it was for none that is served here."""

    organisation: str
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class Retried:
    """A transfer to be attempted immediately: its state before, its organisation, and its state now."""

    stood: Standing
    organisation: ParticipantIdentifier | None = None
    """``None`` if no transfer has that id."""
    status: TransferStatus | None = None


class TransferQueues:
    """Queues of all access points of one installation, as accessed by one member of its staff."""

    def __init__(
        self,
        gate: Gate,
        name: str,
        only: ParticipantIdentifier | None = None,
        proof: Proof | None = None,
    ) -> None:
        """Create it; ``only`` excludes all other organisations; ``proof`` is included in each log entry."""
        self._gate = gate
        self._principal = Principal(PrincipalKind.OPERATOR, name, proof=proof)
        self._only = only
        self.unreached: dict[ParticipantIdentifier, str] = {}
        """Organisations whose vaults could not be opened, with the reason.

        If only one organisation is asked, its error is raised instead.
        """

    async def waiting(self, limit: int) -> AsyncIterator[tuple[ParticipantIdentifier, TransferStatus]]:
        """Yield transfers that are not final: the first ``limit`` due ones of each organisation."""
        for organisation in self._organisations():
            found: Sequence[TransferStatus] = ()
            with self._each(organisation):
                async with self._gate.operate(self._principal, organisation) as desk:
                    found = await desk.waiting(limit)
            for status in found:
                yield organisation, status

    async def history(self, identifier: str) -> tuple[ParticipantIdentifier, TransferHistory] | None:
        """Return a transfer and its attempts, by its own id or its envelope's, or ``None``."""
        if (owner := await self._owner(identifier)) is None:
            return None
        async with self._gate.operate(self._principal, owner) as desk:
            found = await desk.history(identifier)
        return None if found is None else (owner, found)

    async def retry(self, identifier: str, now: datetime) -> Retried:
        """Schedule an immediate attempt at a transfer, if it is waiting."""
        if (owner := await self._owner(identifier)) is None:
            return Retried(Standing.UNKNOWN)
        async with self._gate.operate(self._principal, owner) as desk:
            stood = await desk.retry(identifier, now=now)
            found = await desk.history(identifier)
        return Retried(Standing.UNKNOWN) if found is None else Retried(stood, owner, found.status)

    async def give_up(self, identifier: str, why: str, now: datetime) -> Standing:
        """End a waiting transfer as failed; return its state before."""
        if (owner := await self._owner(identifier)) is None:
            return Standing.UNKNOWN
        async with self._gate.operate(self._principal, owner) as desk:
            return await desk.give_up(identifier, now=now, why=why)

    async def refused(self, limit: int) -> Sequence[Refusal]:
        """Return refused envelopes, the latest first, including those for no organisation here."""
        found = [Refusal("", entry) for entry in await self._gate.refused(limit) if self._only is None]
        for organisation in self._organisations():
            with self._each(organisation):
                async with self._gate.operate(self._principal, organisation) as desk:
                    found += [Refusal(organisation.value, entry) for entry in await desk.refused(limit)]
        return sorted(found, key=lambda refusal: refusal.entry.at, reverse=True)[:limit]

    async def _owner(self, identifier: str) -> ParticipantIdentifier | None:
        """Return the organisation of a transfer: the one named, or the one where it is found."""
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
        """Record an unreachable vault and continue, if several organisations are asked."""
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
