"""Sending of messages to the message service after their undo window, and tracking of their delivery.

Clauses: api-mt-mk 4.1.

A message has its own ``messageId`` before it is posted for the first time. If no answer came, it is looked
for by that id among the messages sent from its address, and posted again under the same id only if it is not
there. It is therefore sent only once, even if a process was killed at any moment. A message that was not
accepted by its deadline is not sent.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from samdrift.client.errors import InterfaceError, Refused
from samdrift.client.mailbox import Filter, Mailbox
from samdrift.client.outgoing import Attachment, Correspondent, Labelled, OutgoingDocument, OutgoingMessage
from samdrift.contracts.clock import Clock
from samdrift.contracts.cover import NotCovered
from samdrift.contracts.errors import Temporary
from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.principals import Purpose
from samdrift.contracts.statements import RightsBehind
from samdrift.contracts.transfer import TransferReason
from samdrift.messageclient import content
from samdrift.messageclient.content import Head, Json
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import FOLLOWED_FOR, Identifier, Recipient, Stage
from samdrift.vault.mailrecords import MailRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.identifiers import ParticipantIdentifier

_BATCH = 20
LEASE = timedelta(minutes=15)
"""Time for which this process holds claimed messages; no request takes longer than that."""
_CUT_AT_MOST = 5
"""Maximum number of consecutive outages after which an interrupted message does not wait for its lease."""
_FIRST_PAUSE = timedelta(seconds=5)
_MAX_PAUSE = timedelta(minutes=10)
_MAX_UNHEARD_PAUSE = timedelta(seconds=20)
"""Time between two queries for a status when no events report changes."""
_MAX_LISTED = 5_000
"""Maximum number of listed messages, newest first, among which a message is searched for."""
_FAILED = frozenset({MessageStatus.REJECTED, MessageStatus.MESSAGE_EXCHANGE_ERROR, MessageStatus.ERROR})
"""Statuses that a person must know of: as far as is known, the recipient does not have the message."""
_AGAIN = frozenset({401, 403, 408, 425, 429})
"""HTTP statuses that refuse the caller or the moment, rather than the message."""

Vaults = WorkerGate[MessageClientVault]


class Sending:
    """Sending for one organisation."""

    def __init__(
        self,
        vaults: Vaults,
        organisation: ParticipantIdentifier,
        service: Mailbox,
        clock: Clock,
        hears: Callable[[], bool] = lambda: False,
    ) -> None:
        """``hears`` returns whether events of the message service currently report changes of status."""
        self._vaults = vaults
        self._organisation = organisation
        self._service = service
        self._clock = clock
        self._hears = hears
        self._cut: dict[str, int] = {}
        """Claimed messages that a vault outage interrupted, with the number of consecutive interruptions."""

    async def release(self, ended: Collection[str]) -> None:
        """Release messages claimed by ended processes, also by this one if another took over for a time."""
        async with self._vaults.open(self._organisation, Purpose.SEND) as vault:
            await vault.release_claims(ended, now=self._clock())
        self._cut.clear()

    async def turn(self) -> datetime | None:
        """Do the work that is due, and return when the next is due; ``None`` if nothing is waiting.

        An outage of the message service delays its messages and is not raised. An outage of the vault is
        raised, and the next turns resume the interrupted messages, a few times; after other errors, messages
        wait for their lease to expire.
        """
        async with self._vaults.open(self._organisation, Purpose.SEND) as vault:
            await vault.end_windows(now=self._clock())
            claimed = await vault.claim_mail(now=self._clock(), lease=LEASE, limit=_BATCH)
            wanted = [*{*self._cut, *claimed}]
            mail = await vault.mail(wanted) if wanted else ()
        cut, self._cut = self._cut, {}
        left = {one.id: cut.get(one.id, 0) for one in mail}
        try:
            for one in mail:
                if one.stage == Stage.OUTBOX:
                    await self._send(one, again=one.id in cut or one.attempts > 1)
                    del left[one.id]
            await self._follow([one for one in mail if one.stage == Stage.HANDED_OVER])
        except Temporary:
            self._cut = {message: times + 1 for message, times in left.items() if times < _CUT_AT_MOST}
            raise
        async with self._vaults.open(self._organisation, Purpose.SEND) as vault:
            return await vault.next_due()

    # --- to the message service ---------------------------------------------------------------------------

    async def _send(self, mail: MailRecord, *, again: bool) -> None:
        """Hand a message over; with ``again`` the message service may already have it."""
        try:
            found = await self._look_for([mail]) if again else {}
            head = found.get(mail.id)
            if head is None and self._is_late(mail):
                await self._end(mail, Stage.NOT_SENT, mail.delivery.get("reason", ""), "not taken in time")
                return
            if head is None:
                (await self._vaults.cover(self._organisation)).require_sending()
            remote = head.remote_id if head else await self._posted(mail)
        except NotCovered:
            code = TransferReason.NOT_COVERED.value
            await self._end(mail, Stage.NOT_SENT, code, code)
        except Refused as refused:
            if refused.status in _AGAIN:
                await self._postpone(mail, str(refused), refused.for_logs)
            else:
                await self._end(mail, Stage.REFUSED, str(refused), refused.for_logs)
        except InterfaceError as outage:
            await self._postpone(mail, str(outage), outage.for_logs)
        except RightsBehind as behind:
            await self._postpone(mail, str(behind), behind.service)
        else:
            await self._handed_over(mail, remote)

    def _is_late(self, mail: MailRecord) -> bool:
        return mail.deadline is not None and self._clock() >= mail.deadline

    async def _posted(self, mail: MailRecord) -> str:
        """Post a message with :meth:`_post`; a refusal is ignored if the message turns out to be there."""
        try:
            return await self._post(mail)
        except Refused:
            found = await self._look_for([mail])
            if mail.id not in found:
                raise
            return found[mail.id].remote_id

    async def _post(self, mail: MailRecord) -> str:
        """Post a message and return its id at the message service; empty if none is returned."""
        async with self._vaults.open(self._organisation, Purpose.SEND) as vault:
            documents = json.loads(await (await vault.mail_body(mail.id)).read_all())["documents"]
            owner = mail.draft or mail.id
            files = {
                file.id: Attachment(
                    file.content["name"],
                    (await vault.file_body(file.id, owner)).__aiter__,
                    file.content["type"],
                )
                for file in await vault.files_of([owner])
            }
        location = await self._service.send(_outgoing(mail, documents, files))
        return location.rstrip("/").rpartition("/")[2]

    async def _look_for(self, mail: Sequence[MailRecord], status: str = "") -> dict[str, Head]:
        """Return those of the given messages that the message service has, optionally with one status."""
        found: dict[str, Head] = {}
        by_address: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for one in mail:
            by_address[one.content["sender"]["address"]][one.content["message_id"]] = one.id
        for address, wanted in by_address.items():
            listed, which = 0, Filter(status=status, sender_address=address)
            async with contextlib.aclosing(self._service.list(which)) as heads:
                async for resource in heads:
                    head = content.head(resource)
                    if head.message_id in wanted:
                        found[wanted[head.message_id]] = head
                    listed += 1
                    if listed == _MAX_LISTED or set(wanted.values()) <= found.keys():
                        break
        return found

    async def _handed_over(self, mail: MailRecord, remote: str) -> None:
        recipient = _recipient(mail)
        async with self._vaults.open(self._organisation, Purpose.SEND) as vault:
            now = self._clock()
            moved = await vault.move_mail(
                mail,
                stage=Stage.HANDED_OVER.value,
                status=None,
                now=now,
                due=now + _FIRST_PAUSE,
                attempts=0,
                remote_id=remote or None,
                content=dict(mail.content) | {"remote_id": remote or mail.content["message_id"]},
            )
            if moved:
                vault.use_address(
                    content.address_mark(recipient), content.recipient_content(recipient), now=now
                )
                vault.record(MKEvent.MK_MESSAGE_HANDED_OVER, message=mail.content["message_id"])

    async def _postpone(self, mail: MailRecord, reason: str, logged: str) -> None:
        now = self._clock()
        due = now + _pause(mail.attempts)
        if mail.deadline is not None and now < mail.deadline < due:
            due = mail.deadline
        async with self._vaults.open(self._organisation, Purpose.SEND) as vault:
            await vault.move_mail(
                mail,
                stage=mail.stage,
                status=mail.status,
                now=now,
                due=due,
                attempts=mail.attempts,
                delivery=dict(mail.delivery) | {"reason": reason},
            )
            vault.record(
                MKEvent.MK_MESSAGE_POSTPONED,
                message=mail.content["message_id"],
                reason=logged,
            )

    async def _end(self, mail: MailRecord, stage: Stage, reason: str, logged: str) -> None:
        """End the sending of a message: ``reason`` is shown to the person, ``logged`` goes into the log."""
        async with self._vaults.open(self._organisation, Purpose.SEND) as vault:
            await vault.move_mail(
                mail,
                stage=stage.value,
                status=None,
                now=self._clock(),
                due=None,
                attempts=mail.attempts,
                delivery=dict(mail.delivery) | {"reason": reason},
            )
            await _reopen(vault, mail)
            vault.record(
                MKEvent.MK_MESSAGE_NOT_SENT,
                message=mail.content["message_id"],
                stage=stage.value,
                reason=logged,
            )

    # --- what became of it --------------------------------------------------------------------------------

    async def _follow(self, mail: Sequence[MailRecord]) -> None:
        """Request the status of messages that were handed over to the message service."""
        if not mail:
            return
        try:
            found = await self._waiting(mail)
            found |= await self._look_for([one for one in mail if one.id not in found])
        except InterfaceError:
            found = {}
        same = defaultdict[timedelta, list[str]](list)
        for one in mail:
            head = found.get(one.id)
            if self._is_over(one, one.status) or (head is not None and _is_news(one, head)):
                await self._followed(one, head)
            else:
                same[self._pause(one)].append(one.id)
        if same:
            async with self._vaults.open(self._organisation, Purpose.SEND) as vault:
                for pause, messages in same.items():
                    vault.put_off_mail(messages, due=self._clock() + pause)

    async def _waiting(self, mail: Sequence[MailRecord]) -> dict[str, Head]:
        """Return messages that are still waiting for a receipt, from a list that stays short."""
        wait = MessageStatus.WAITING_FOR_RECEIPT.value
        found = await self._look_for([one for one in mail if one.status == wait], wait)
        return {message: head for message, head in found.items() if head.status == wait}

    def _pause(self, mail: MailRecord) -> timedelta:
        longest = _MAX_PAUSE if self._hears() else _MAX_UNHEARD_PAUSE
        return min(_pause(mail.attempts), longest)

    def _is_over(self, mail: MailRecord, status: str | None) -> bool:
        known = content.status_of(status or "")
        return (known is not None and known.final) or self._clock() - mail.at > FOLLOWED_FOR

    async def _followed(self, mail: MailRecord, head: Head | None) -> None:
        now = self._clock()
        status = head.status if head and head.status else mail.status
        over, known = self._is_over(mail, status), content.status_of(status or "")
        changed = status != mail.status
        steps = content.delivery_content(status or "", head.events) if head else None
        async with self._vaults.open(self._organisation, Purpose.SEND) as vault:
            await vault.move_mail(
                mail,
                stage=mail.stage,
                status=status,
                now=now,
                due=None if over else now + (_FIRST_PAUSE if changed else self._pause(mail)),
                attempts=0 if changed else mail.attempts,
                delivery=steps,
            )
            if changed:
                vault.record(
                    MKEvent.MK_MESSAGE_MOVED_ON, message=mail.content["message_id"], status=status or ""
                )
            if (changed and known in _FAILED) or (over and not (known is not None and known.final)):
                await _reopen(vault, mail)
            if changed and known is MessageStatus.ACCEPTED:
                vault.address_answered(content.address_mark(_recipient(mail)), at=now)


async def _reopen(vault: MessageClientVault, mail: MailRecord) -> None:
    """Reopen the conversation of a message that did not arrive if it is done, so that people notice."""
    for found in await vault.conversations_by_id([mail.conversation]):
        if (
            found.done
            and await vault.change_conversation(
                found, handler=found.handler, done=False, mailbox=found.mailbox
            )
            > 0
        ):
            vault.record(
                MKEvent.MK_CONVERSATION_CHANGED,
                conversation=found.id,
                case=found.id,
                action="reopened",
                mailbox=found.mailbox,
                handler=found.handler or "",
            )


def _is_news(mail: MailRecord, head: Head) -> bool:
    """Return whether the message service reports something about a message that is new to the vault."""
    status = head.status or mail.status
    return status != mail.status or content.delivery_content(status or "", head.events) != mail.delivery


def _pause(attempts: int) -> timedelta:
    return min(_FIRST_PAUSE * (1 << min(attempts, 10)), _MAX_PAUSE)


def _recipient(mail: MailRecord) -> Recipient:
    party = content.party(mail.content["recipient"])
    return Recipient(party.organisation, party.address, party.organisation_name, party.address_name)


def _outgoing(
    mail: MailRecord, documents: Sequence[Json], files: Mapping[str, Attachment]
) -> OutgoingMessage:
    return OutgoingMessage(
        message_id=mail.content["message_id"],
        sender=_correspondent(mail.content["sender"]),
        recipient=_correspondent(mail.content["recipient"]),
        label=mail.content["subject"],
        documents=tuple(
            OutgoingDocument(
                name=document["name"],
                texts=tuple(document["texts"]),
                attachments=tuple(files[file] for file in document["files"] if file in files),
            )
            for document in documents
        ),
        confidentiality=mail.confidential,
        conversation_id=mail.content["conversation_id"],
        ref_to_message_id=mail.content["refers_to"] or "",
    )


def _correspondent(kept: Json) -> Correspondent:
    party = content.party(kept)
    return Correspondent(
        party.organisation,
        party.address,
        party.address_name,
        tuple(map(_labelled, party.persons)),
        tuple(map(_labelled, party.references)),
    )


def _labelled(one: Identifier) -> Labelled:
    return Labelled(one.root, one.extension, one.label)
