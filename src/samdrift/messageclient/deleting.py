"""Deletion of stored messages at the message service, if the organisation has chosen that.

Clauses: api-mt-mk 4.1 step 8, 4.2 step 7.

A message is deleted there only after a verified backup of the vault contains it, and never at an address that
another client also reads, because that client would lose it. Messages disposed of here are deleted there too,
by the same rules. A message is marked before its deletion is requested, so that a process that was killed or
got no answer knows at the next attempt why the message is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from samdrift.client.errors import InterfaceError, Refused
from samdrift.client.mailbox import Mailbox
from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Purpose
from samdrift.messageclient.events import MKEvent
from samdrift.vault.maildeletion import BackupRecord, SoleReaderRecord
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.identifiers import ParticipantIdentifier

_BATCH = 50
_LEASE = timedelta(minutes=15)
"""Time for which this process holds claimed messages; no request to the message service takes so long."""
_FIRST_PAUSE, _MAX_PAUSE = timedelta(hours=1), timedelta(days=1)
_MAX_REFUSALS = 5
"""Maximum number of refusals, after which a message is left at the message service."""
_GONE = frozenset({404, 410})
_AGAIN = frozenset({401, 403, 408, 425, 429})
"""HTTP statuses that refuse the caller or the moment, rather than the message."""

Others = Callable[[str], Sequence[str]]
"""Callback that returns the other clients of our own message service that read an address."""


class Reading(StrEnum):
    """The clients that read an address, as far as known."""

    ALONE = "alone"
    """Only this client reads it, so deleting messages affects no other client."""
    OTHERS = "others"
    UNCONFIRMED = "unconfirmed"
    """At another supplier's message service, an administrator must confirm that no other client reads it."""


@dataclass(frozen=True, slots=True)
class DeletionRule:
    """An organisation's choice to have messages deleted at the message service."""

    after: timedelta
    """Time for which a message is kept in both places."""
    interface: str
    """Address of the message service; confirmations count only for the service that they were made for."""
    others: Others | None
    """``None`` for another supplier's message service, because only the organisation knows its clients."""

    def may(self, mailbox: MailboxRecord, confirmed: Mapping[str, SoleReaderRecord]) -> bool:
        """Return whether, as far as is known, no other client reads a mailbox's address."""
        return self.state(mailbox, confirmed) is Reading.ALONE

    def state(self, mailbox: MailboxRecord, confirmed: Mapping[str, SoleReaderRecord]) -> Reading:
        """Return what is known about the readers of a mailbox's address."""
        if self.others is not None:
            return Reading.OTHERS if self.others(mailbox.address) else Reading.ALONE
        known = confirmed.get(mailbox.id)
        alone = known is not None and known.content["interface"] == self.interface
        return Reading.ALONE if alone else Reading.UNCONFIRMED


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A claimed message that is due for deletion, with the number of attempts including this one."""

    id: str
    message_id: str
    remote_id: str
    attempt: int
    disposed: bool
    """True for a message that is no longer stored here."""


class Deleting:
    """Deletion at the message service for one organisation."""

    def __init__(
        self,
        vaults: WorkerGate[MessageClientVault],
        organisation: ParticipantIdentifier,
        service: Mailbox,
        rule: DeletionRule,
        clock: Clock,
    ) -> None:
        self.organisation = organisation
        self._vaults = vaults
        self._service = service
        self._rule = rule
        self._clock = clock

    async def turn(self) -> int:
        """Delete due messages, and return the number of those that are gone from the message service.

        An outage of the message service delays the deletion, and is raised.
        """
        gone = 0
        while claimed := await self._claim():
            for one in claimed:
                gone += await self._delete(one)
        return gone

    async def _claim(self) -> list[_Claimed]:
        now = self._clock()
        async with self._vaults.open(self.organisation, Purpose.DISPOSE) as vault:
            backup = await vault.last_backup()
            if backup is None:
                return []
            confirmed = await vault.sole_readers()
            homes = [one.id for one in await vault.mailboxes() if self._rule.may(one, confirmed)]
            claimed = await self._claim_stored(vault, homes, backup, now)
            for each in await vault.claim_disposed_deletions(
                homes, backup, now=now, lease=_LEASE, limit=_BATCH
            ):
                claimed.append(
                    _Claimed(each.id, each.message_id, each.remote_id, each.attempt, disposed=True)
                )
            for one in claimed:
                if one.attempt == 1:
                    facts = {"message": one.message_id, "backup": backup.id}
                    vault.record(MKEvent.MK_MESSAGE_DELETING, **facts)
        return claimed

    async def _claim_stored(
        self, vault: MessageClientVault, homes: Sequence[str], backup: BackupRecord, now: datetime
    ) -> list[_Claimed]:
        attempts = await vault.claim_deletions(
            homes, backup, stored_before=now - self._rule.after, now=now, lease=_LEASE, limit=_BATCH
        )
        return [
            _Claimed(
                one.id, one.content["message_id"], one.content["remote_id"], attempts[one.id], disposed=False
            )
            for one in (await vault.mail(list(attempts)) if attempts else ())
        ]

    async def _delete(self, one: _Claimed) -> bool:
        """Delete one message, which an earlier attempt without an answer may already have deleted."""
        try:
            await self._service.delete(one.remote_id)
        except Refused as refused:
            if refused.status not in _GONE:
                await self._postpone(one, refused, final=refused.status not in _AGAIN)
                return False
        except InterfaceError as outage:
            await self._postpone(one, outage, final=False)
            raise
        async with self._vaults.open(self.organisation, Purpose.DISPOSE) as vault:
            if await self._end(vault, one, "deleted"):
                vault.record(MKEvent.MK_MESSAGE_DELETED, message=one.message_id)
        return True

    async def _end(
        self, vault: MessageClientVault, one: _Claimed, outcome: str | None, due: datetime | None = None
    ) -> bool:
        end = vault.end_disposed_deletion if one.disposed else vault.end_deletion
        return await end(one.id, outcome, now=self._clock(), due=due)

    async def _postpone(self, one: _Claimed, failure: InterfaceError, *, final: bool) -> None:
        over = final and one.attempt >= _MAX_REFUSALS
        due = self._clock() + min(_FIRST_PAUSE * (1 << min(one.attempt, 6)), _MAX_PAUSE)
        async with self._vaults.open(self.organisation, Purpose.DISPOSE) as vault:
            await self._end(vault, one, "refused" if over else None, due)
            if final and (one.attempt == 1 or over):
                vault.record(
                    MKEvent.MK_MESSAGE_UNDELETED,
                    message=one.message_id,
                    reason=failure.for_logs,
                    tried="no more" if over else "again",
                )
