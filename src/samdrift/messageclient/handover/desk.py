"""Hand-over and registration of conversations by a person; both are logged before anything leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from samdrift.contracts.principals import Purpose
from samdrift.messageclient.content import is_left_at_service
from samdrift.messageclient.desk import Changed, NotHere
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import Act, HandOver, Part, Reading, Stage
from samdrift.messageclient.reading import conversation_of, require_reason
from samdrift.messageclient.scope import Scope
from samdrift.rights import Right


class HandOverDesk:
    """The part of a desk for hand-over and registration; see :class:`~samdrift.messageclient.desk.Desk`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def handed_over(
        self, conversation: str, messages: Sequence[str], parts: frozenset[Part]
    ) -> HandOver:
        """Open messages to hand them over; data from the message service is fetched later."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            found = await scope.conversation(vault, conversation, Right.READ)
            await require_reason(scope, vault, found)
            all_mail = await vault.mail_of(found.id)
            mail = [one for one in all_mail if not messages or one.id in messages]
            if not mail or len(mail) < len(set(messages)):
                raise NotHere("message", next(iter({*messages} - {one.id for one in mail}), ""))
            people = await scope.people(vault)
            shown = await conversation_of(scope, vault, found, mail, people, Act.HANDED_OVER)
            address = next(one.address for one in await vault.mailboxes() if one.id == found.mailbox)
            owners = {one.id: one.draft or one.id for one in mail}
            files = {
                file.id: await vault.file_body(file.id, owners[one.id])
                for one in shown.messages
                for document in one.documents
                for file in document.files
                if Part.FILES in parts
            }
            unread = [one for one in mail if one.stage == Stage.UNREADABLE and not is_left_at_service(one)]
            raw = {one.id: await vault.mail_body(one.id) for one in unread}
            readings: defaultdict[str, list[Reading]] = defaultdict(list)
            for each in await vault.readings([one.id for one in mail]):
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
            files=files,
            raw=raw,
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
