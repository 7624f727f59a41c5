"""Delivered transfers, recorded together in the opening of the poll that reports them.

If recorded alone, each would cost an opening of the vault, just for the next poll. So if this process
serves the organisation's polls, the end of a transfer waits a moment for the next one, which records and
reports it (:mod:`samdrift.vault.company`). Until then the transfer stays claimed: if its process is killed,
it is sent again, and the receiver returns the same receipt.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager

from samdrift.contracts.principals import Purpose
from samdrift.scheduling.signals import Signals
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.bodies import IN_ROW
from samdrift.vault.company import Along, Company, Step
from samdrift.vault.records import Transfer
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.identifiers import ParticipantIdentifier

OUTBOUND = "access-point-outbound"
"""Name of the sending worker in logs."""

_COMES_BACK = 1.0
"""Seconds after a poll within which another one is expected."""


class Settling:
    """Recording of the ends of transfers, for every organisation that this access point serves."""

    def __init__(
        self,
        vaults: WorkerGate[AccessPointVault],
        signals: Signals,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vaults = vaults
        self._signals = signals
        self._seconds = seconds
        self._company = Company(vaults, Purpose.SEND, self.notify)
        self._over: defaultdict[ParticipantIdentifier, list[ParticipantIdentifier]] = defaultdict(list)
        self._polls = Counter[ParticipantIdentifier]()
        """Number of polls in progress."""
        self._polled: dict[ParticipantIdentifier, float] = {}
        """Time at which the last poll ended."""
        self.began_to_wait: Callable[[ParticipantIdentifier], None] = lambda organisation: None
        """Called when the end of a transfer begins to wait, which means that its attempt is over."""

    def over(self, organisation: ParticipantIdentifier) -> Sequence[ParticipantIdentifier]:
        """Return the recipient of each transfer whose end waits to be recorded."""
        return self._over.get(organisation, ())

    async def settle(
        self, organisation: ParticipantIdentifier, transfer: Transfer, step: Step[AccessPointVault]
    ) -> None:
        """Record the end of a transfer, durably when this returns; errors are those of a separate opening."""
        if transfer.size <= IN_ROW and self._expects_poll(organisation):
            over, recipient = self._over[organisation], transfer.envelope.recipient
            over.append(recipient)
            self.notify(organisation)
            self.began_to_wait(organisation)
            try:
                if await self._company.joins(organisation, step):
                    return
            finally:
                over.remove(recipient)
        async with self._vaults.open(organisation, Purpose.SEND) as vault:
            vault.expect()
            await step(vault)
        self.notify(organisation)

    def notify(self, organisation: ParticipantIdentifier) -> None:
        """Notify waiting polls of a change that is recorded, or will be recorded together with them."""
        self._signals.notify(organisation)

    def along(
        self, organisation: ParticipantIdentifier
    ) -> AbstractAsyncContextManager[Along[AccessPointVault]]:
        """Hand pending ends over to the opening of a poll, as :meth:`Company.along` does."""
        return self._company.along(organisation)

    async def finish(self) -> None:
        """Record waiting ends immediately."""
        await self._company.finish()

    @contextlib.contextmanager
    def polled(self, organisation: ParticipantIdentifier) -> Iterator[None]:
        """Mark a poll of the organisation as in progress while the context lasts."""
        self._polls[organisation] += 1
        try:
            yield
        finally:
            self._polls[organisation] -= 1
            self._polled[organisation] = self._seconds()

    def _expects_poll(self, organisation: ParticipantIdentifier) -> bool:
        if self._polls[organisation]:
            return True
        last = self._polled.get(organisation)
        return last is not None and self._seconds() - last < _COMES_BACK
