"""Handling of a conversation: its handler, whether it is done, its mailbox, and its notes.

Every change names the version that it was decided on; if a colleague was faster, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from samdrift.contracts.principals import Purpose
from samdrift.messageclient.desk import MAX_NOTES, Changed, NotHere, TooManyKept
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import Note, Person
from samdrift.messageclient.scope import Scope
from samdrift.rights import Right
from samdrift.vault.bodies import new_id
from samdrift.vault.mailrecords import ConversationRecord, NoteRecord


class HandlingDesk:
    """The part of a desk for handling; methods as in :class:`~samdrift.messageclient.desk.Desk`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def colleagues(self, mailbox: str) -> tuple[Person, ...]:
        """Return the people who may write in a mailbox, by name."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            found = await scope.mailbox(vault, mailbox, Right.READ, Right.WRITE)
            people = await scope.people(vault)
        return people.sorted(scope.permissions.holders(Right.WRITE, found.id))

    async def take(self, conversation: str, version: int) -> int:
        """Become the handler of a conversation."""
        return await self._change(
            conversation, version, "taken", lambda one: replace(one, handler=self._scope.person.id)
        )

    async def release(self, conversation: str, version: int) -> int:
        """Leave a conversation without a handler."""
        return await self._change(conversation, version, "released", lambda one: replace(one, handler=None))

    async def hand_over(self, conversation: str, version: int, to: str) -> int:
        """Make a colleague the handler, who must have the right to write in the mailbox."""

        def given(one: ConversationRecord) -> ConversationRecord:
            if to not in self._scope.permissions.holders(Right.WRITE, one.mailbox):
                raise NotHere("person", to)
            return replace(one, handler=to)

        return await self._change(conversation, version, "handed-over", given)

    async def set_done(self, conversation: str, version: int, *, done: bool) -> int:
        """Mark a conversation as done, or as not done."""
        act = "done" if done else "reopened"
        return await self._change(conversation, version, act, lambda one: replace(one, done=done))

    async def move(self, conversation: str, version: int, mailbox: str) -> int:
        """Move a conversation to another mailbox; a handler without the right to write there is removed."""

        def moved(one: ConversationRecord) -> ConversationRecord:
            scope = self._scope
            stays = one.handler in scope.permissions.holders(Right.WRITE, mailbox)
            return replace(one, mailbox=mailbox, handler=one.handler if stays else None)

        return await self._change(conversation, version, "moved", moved)

    async def add_note(self, conversation: str, text: str) -> Note:
        """Add an internal note, which is never sent."""
        scope = self._scope
        async with scope.open(Purpose.PROCESS) as vault:
            found = await scope.conversation(vault, conversation, Right.READ, Right.WRITE)
            note = NoteRecord(new_id(), found.id, scope.person.id, scope.now(), {"text": text})
            if not await vault.add_note(note):
                raise NotHere("conversation", conversation)
            # Counted after adding, while other changes of the conversation wait; an exception rolls the
            # addition back.
            if await vault.notes_of(scope.person.id, found.id) > MAX_NOTES:
                raise TooManyKept(MAX_NOTES)
            vault.record(MKEvent.MK_CONVERSATION_NOTED, conversation=found.id, note=note.id)
        return Note(note.id, scope.person, note.at, text)

    async def _change(
        self,
        conversation: str,
        version: int,
        act: str,
        changed: Callable[[ConversationRecord], ConversationRecord],
    ) -> int:
        scope = self._scope
        async with scope.open(Purpose.PROCESS) as vault:
            found = await scope.conversation(vault, conversation, Right.READ, Right.WRITE)
            after = changed(found)
            if after.mailbox != found.mailbox:
                place = await scope.mailbox(vault, after.mailbox, Right.WRITE)
                if place.retired:
                    raise NotHere("ended mailbox", place.id)
            new = await vault.change_conversation(
                replace(found, version=version),
                handler=after.handler,
                done=after.done,
                mailbox=after.mailbox,
            )
            if new <= 0:
                raise Changed(-new)
            vault.record(
                MKEvent.MK_CONVERSATION_CHANGED,
                conversation=found.id,
                case=found.id,
                action=act,
                mailbox=after.mailbox,
                handler=after.handler or "",
            )
        return new
