"""Hand-over and registration of conversations by a person; both are logged before anything leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from samdrift.contracts.principals import Purpose
from samdrift.messageclient.desk import Changed, NotHere, TooLongForPdf
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.handover.content import Content, HandOver
from samdrift.messageclient.mail import Act, Message, Part, Reading, Stage
from samdrift.messageclient.reading import conversation_of, documents_of, require_reason
from samdrift.messageclient.scope import Scope
from samdrift.rights import Right
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.mailrecords import MailRecord
from samdrift.vault.messageclient import MessageClientVault

_AT_ONCE, _MAX_BYTES = 200, 4 << 20
"""Numbers of messages, and of bytes in them, above which no further ones are read at the same time."""
_MAX_PDF_BYTES = 4 << 20
"""Maximum size of the texts in one PDF as stored, since they are all in memory; some 700 pages."""


class HandOverDesk:
    """The part of a desk for hand-over and registration; see :class:`~samdrift.messageclient.desk.Desk`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def handed_over(
        self, conversation: str, messages: Sequence[str], parts: frozenset[Part]
    ) -> HandOver:
        """Open messages to hand them over; content, and data from the message service, is read later."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            found = await scope.conversation(vault, conversation, Right.READ)
            await require_reason(scope, vault, found)
            all_mail = await vault.mail_of(found.id)
            mail = [one for one in all_mail if not messages or one.id in messages]
            if not mail or len(mail) < len(set(messages)):
                raise NotHere("message", next(iter({*messages} - {one.id for one in mail}), ""))
            people = await scope.people(vault)
            if Part.PDF in parts and len(mail) > 1:
                await _require_fitting_pdf(vault, mail)
            ids = [one.id for one in mail]
            await vault.note_reading(ids, scope.person.id, Act.HANDED_OVER.value, now=scope.now())
            shown = await conversation_of(scope, vault, found, mail, people, None)
            address = next(one.address for one in await vault.mailboxes() if one.id == found.mailbox)
            readings: defaultdict[str, list[Reading]] = defaultdict(list)
            for each in await vault.readings(ids):
                reading = Reading(people[each.person], Act(each.act), each.first_at, each.last_at)
                readings[each.message].append(reading)
            for one in mail:
                vault.record(
                    MKEvent.MK_READING_HANDED_OVER,
                    message=one.content["message_id"],
                    conversation=one.content["conversation_id"],
                    mailbox=found.mailbox,
                    parts=" ".join(sorted(parts)),
                )
        notes = shown.notes if Part.NOTES in parts else ()
        return HandOver(
            conversation=replace(shown, notes=notes, drafts=()),
            organisation=scope.organisation.value,
            address=address,
            parts=parts,
            readings={message: tuple(found) for message, found in readings.items()},
            contents=_Contents(scope, shown.messages, with_files=Part.FILES in parts),
            remote={one.id: one.content["remote_id"] for one in mail if one.content.get("remote_id")},
            proofs=scope.proofs,
            person=scope.person,
            at=scope.now(),
        )

    async def register(self, conversation: str, version: int, number: str) -> int:
        """Record a conversation's number in the organisation's own records, or remove it."""
        scope = self._scope
        async with scope.open(Purpose.PROCESS) as vault:
            found = await scope.conversation(vault, conversation, Right.READ, Right.WRITE)
            content = {"number": number} if number else None
            known = replace(found, version=version)
            new = await vault.keep_registration(known, scope.person.id, content, now=scope.now())
            if new <= 0:
                raise Changed(-new)
            vault.record(
                MKEvent.MK_CONVERSATION_REGISTERED,
                conversation=found.id,
                mailbox=found.mailbox,
                action="registered" if number else "taken-back",
            )
        return new

    async def hold(self, conversation: str, version: int, reason: str) -> int:
        """Protect a conversation from disposal, for a given reason; an empty reason ends that."""
        scope = self._scope
        async with scope.open(Purpose.PROCESS) as vault:
            found = await scope.conversation(vault, conversation, Right.READ, Right.WRITE)
            content = {"reason": reason} if reason else None
            known = replace(found, version=version)
            new = await vault.keep_hold(known, scope.person.id, content, now=scope.now())
            if new <= 0:
                raise Changed(-new)
            vault.record(
                MKEvent.MK_CONVERSATION_HELD,
                conversation=found.id,
                mailbox=found.mailbox,
                action="held" if reason else "ended",
            )
        return new


class _Contents:
    """Messages with their content, read in openings of their own while the previous ones are in use."""

    def __init__(self, scope: Scope, messages: Sequence[Message], *, with_files: bool) -> None:
        self._scope = scope
        self._messages = messages
        self._with_files = with_files

    async def __aiter__(self) -> AsyncIterator[Content]:
        read = 0
        while read < len(self._messages):
            some = await self._some(self._messages[read : read + _AT_ONCE])
            read += len(some)
            while some:
                yield some.pop(0)

    async def _some(self, messages: Sequence[Message]) -> list[Content]:
        """Read messages until they are large enough together."""
        found, size = list[Content](), 0
        async with self._scope.open(Purpose.READ) as vault:
            for one in messages:
                content, size_of = await self._content(vault, one)
                found.append(content)
                size += size_of
                if size >= _MAX_BYTES:
                    break
        return found

    async def _content(self, vault: MessageClientVault, one: Message) -> tuple[Content, int]:
        """Return a message with its content, and the size; :class:`UnknownRecord` if it was disposed of."""
        mail = await vault.mail([one.id])
        if not mail:
            raise UnknownRecord
        documents = (await documents_of(vault, mail))[one.id]
        files = [file for document in documents for file in document.files if self._with_files]
        bodies = {file.id: await vault.file_body(file.id, one.draft or one.id) for file in files}
        unread = one.stage is Stage.UNREADABLE and not one.too_large
        raw = await vault.mail_body(one.id) if unread else None
        size = sum(len(text) for each in documents for text in (*each.texts, *each.plain))
        size += sum(file.size for file in files)
        return Content(replace(one, documents=documents), bodies, raw), size


async def _require_fitting_pdf(vault: MessageClientVault, mail: Sequence[MailRecord]) -> None:
    """Raise :class:`TooLongForPdf` if messages have more text than one PDF may have."""
    size = 0
    for start in range(0, len(mail), _AT_ONCE):
        bodies = await vault.mail_bodies([one.id for one in mail[start : start + _AT_ONCE]])
        size += sum(body.size for body in bodies.values())
        if size > _MAX_PDF_BYTES:
            raise TooLongForPdf
