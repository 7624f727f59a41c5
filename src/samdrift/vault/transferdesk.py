"""The operator's desk: everything that the operator's staff can do in an organisation's access point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from samdrift.audit.entries import LogEntry
from samdrift.contracts.transfer import TransferReason
from samdrift.vault.accesspoint import AccessPointVault, Standing
from samdrift.vault.events import VaultEvent
from samdrift.vault.records import Attempt, TransferStatus

_OF_TRANSFERS = "ap:transfer:"


@dataclass(frozen=True, slots=True)
class TransferHistory:
    """A transfer's status, its attempts, and the entries about it in the organisation's log."""

    status: TransferStatus
    attempts: Sequence[Attempt]
    log: Sequence[LogEntry]


class TransferDesk:
    """The operator's staff's access to the open vault of an access point (invariant 10).

    Staff act on transfers, never on content: nothing here reads, writes or names an envelope's bytes, and
    nothing can be taken from an inbox. Their actions are recorded in the organisation's log under their
    names.
    """

    def __init__(self, vault: AccessPointVault) -> None:
        self._vault = vault

    async def waiting(self, limit: int) -> tuple[TransferStatus, ...]:
        """Return transfers that are not final, the next one to be attempted first."""
        return await self._vault.waiting(limit)

    async def history(self, identifier: str) -> TransferHistory | None:
        """Return a transfer with all its attempts, by its own id or its envelope's."""
        status = await self._vault.status(identifier)
        if status is None:
            return None
        entries = await self._vault.find_log(status.envelope_id, event=_OF_TRANSFERS)
        return TransferHistory(status, await self._vault.attempts(status.id), entries)

    async def retry(self, identifier: str, *, now: datetime) -> Standing:
        """Make a waiting transfer due now; return the state that it was in."""
        status = await self._vault.status(identifier)
        if status is None:
            return Standing.UNKNOWN
        stood = await self._vault.hasten(status.id, now=now)
        if stood is Standing.WAITING:
            self._vault.record(VaultEvent.AP_TRANSFER_HASTENED, **_facts(status))
        return stood

    async def give_up(self, identifier: str, *, now: datetime, why: str) -> Standing:
        """End a waiting transfer as failed; return the state that it was in.

        The sender's message service learns the reason, ``why``.
        """
        status = await self._vault.status(identifier)
        if status is None:
            return Standing.UNKNOWN
        stood = await self._vault.give_up(status.id, now=now, why=why)
        if stood is Standing.WAITING:
            reason = TransferReason.GIVEN_UP.value
            self._vault.record(VaultEvent.AP_TRANSFER_FAILED, **_facts(status), reason=reason, detail=why)
        return stood

    async def refused(self, limit: int) -> tuple[LogEntry, ...]:
        """Return log entries about refused envelopes, the latest first; the envelopes are not kept."""
        return await self._vault.refused(limit)

    async def certificate(self, sha256: str) -> bytes | None:
        """Return the certificate, in DER, of a peer that sent refused envelopes."""
        return await self._vault.certificate(sha256)


def _facts(status: TransferStatus) -> dict[str, str]:
    return {
        "transfer": status.id,
        "envelope": status.envelope_id,
        "as4": status.as4_message_id,
        "recipient": status.recipient,
    }
