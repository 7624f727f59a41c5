"""The end of a conversation's way: registered in the organisation's own records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from samdrift.vault.database.session import call
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.mailrecords import Content, ConversationRecord, RegistrationRecord, opened, sealed
from samdrift.vault.mailwriting import MailWriting

_KEEP_REGISTRATION = call("keep_registration", 5)
_REGISTRATIONS = "SELECT id, person, at, sealed FROM registrations WHERE id = ANY($1::text[])"


class MailKeeping(MailWriting):
    """Registrations, in a message client's vault."""

    async def keep_registration(
        self, conversation: ConversationRecord, person: str, content: Content | None, *, now: datetime
    ) -> int:
        """Register a conversation, or take that back; the new version, or less than 0 if it has another."""
        place = f"registration {conversation.id}"
        value = None if content is None else sealed(content, place, self._sealer)
        values = (conversation.id, conversation.version, person, now, value)
        ((version,),) = await self._work.query(_KEEP_REGISTRATION, *values)
        if version is None:
            raise UnknownRecord
        return int(version)

    async def registrations(self, conversations: Sequence[str]) -> dict[str, RegistrationRecord]:
        """Return the registrations of those of some conversations that are registered."""
        rows = await self._work.query(_REGISTRATIONS, list(conversations))
        return {
            each: RegistrationRecord(each, person, at, opened(value, f"registration {each}", self._sealer))
            for each, person, at, value in rows
        }
