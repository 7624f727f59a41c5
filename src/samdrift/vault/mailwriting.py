"""Drafts of an organisation's message client, and messages on their way out of it.

A draft has one writer at a time and a version; every change names the version that it was made from. Sending
a draft stores its messages in a stage in which nothing can change but sending can still be undone. The vault
stores that stage, so that it outlives any process.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from samdrift.vault.bodies import Body, new_id
from samdrift.vault.database.session import Row, call
from samdrift.vault.errors import SealBroken
from samdrift.vault.mail import Mail
from samdrift.vault.mailbonds import (
    approval_bond,
    conversation_bond,
    draft_place,
    file_bond,
    require_bond,
)
from samdrift.vault.mailrecords import (
    AddressRecord,
    Content,
    DraftRecord,
    FileRecord,
    MailRecord,
    opened,
    sealed,
)
from samdrift.vault.sealing import Sealer

_DRAFTS = """
SELECT d.id, d.mailbox, d.conversation, d.reply_to, d.seen, d.version, d.stage, d.writer, d.saved_at,
       d.asked_by, d.approved_by, d.until, d.sealed, c.home, c.mailbox, c.bound, d.approval,
       ARRAY(SELECT f.id FROM files f WHERE f.owner = d.id)
FROM {} d LEFT JOIN conversations c ON c.id = d.conversation
"""
_UNSENT = """(
    SELECT *, sum(octet_length(sealed)) OVER (ORDER BY saved_at DESC, id) - octet_length(sealed) AS before
    FROM drafts WHERE {} AND stage NOT IN ('window', 'sent')
)"""
"""Unsent drafts, each with the total length of those that were saved after it."""
MOST_BYTES = 8 << 20
"""Limit on the bytes of drafts that are read together; the last draft may exceed it."""
_COUNT_DRAFTS = call("count_drafts", 2)
_KEEP_DRAFT = call("keep_draft", 2)
_FILES_OF = "SELECT id FROM files WHERE owner = $1"
_ASKED = frozenset({"approval", "approved"})
"""Stages in which a second person has been asked for approval."""
_DROP_DRAFT = "SELECT dropped, remote FROM drop_draft($1, $2)"
_SEE_NEWS = call("see_news", 3)
_ADD_FILE = call("add_draft_file", 7)
_DROP_FILE = "SELECT * FROM drop_draft_file($1, $2, $3)"
_UNDO = "SELECT * FROM undo_sending($1)"
_END_WINDOWS = "SELECT * FROM end_windows($1)"
_CLAIM = "SELECT * FROM claim_mail($1, $2, $3)"
_RELEASE = call("release_mail", 3)
_PARDONED = 5
"""Number of consecutive claims that may be lost with their process and still be released without waiting."""
_MOVE = call("move_mail", 9)
_PUT_OFF = call("put_off_mail", 2)
_NEXT_DUE = "SELECT min(due_at) FROM messages WHERE due_at IS NOT NULL"
_OF_DRAFT = "SELECT id FROM messages WHERE draft = $1 ORDER BY id"
_WAITING = """
SELECT m.id FROM messages m JOIN conversations c ON c.id = m.conversation WHERE c.mailbox = ANY($1::text[])
AND m.stage IN ('window', 'outbox', 'refused', 'not-sent') ORDER BY m.at DESC LIMIT $2
"""
_KEEP_SEARCH = call("keep_search", 4)
_SEARCH = "SELECT sealed FROM searches WHERE id = $1 AND person = $2"
_USE_ADDRESS, _ANSWERED = call("use_address", 4), call("address_answered", 2)
_ADDRESSES = "SELECT id, used, used_at, receipt_at, unanswered, sealed FROM addresses"
_KEEP_FAVOURITE, _DROP_FAVOURITE = call("keep_favourite", 4), call("drop_favourite", 2)
_FAVOURITES = "SELECT id, sealed FROM favourites WHERE person = $1 ORDER BY id"


class MailWriting(Mail):
    """The part of a message client's vault for drafts, outgoing messages, searches and addresses."""

    # --- drafts -------------------------------------------------------------------------------------------

    async def keep_draft(self, draft: DraftRecord) -> bool:
        """Store a new draft, of version 0, or change one; return false if it has another version by now.

        A change raises the version. The draft's mailbox and conversation stay unchanged, as does the number
        of messages that its writer has seen (:meth:`see_news`).
        """
        row = self._draft_row(draft)
        value = sealed(draft.content, _place_of(draft), self._sealer)
        row["sealed"] = f"\\x{value.hex()}"
        if _needs_bond(draft.stage, draft.asked_by, draft.approved_by):
            files = [str(file) for (file,) in await self._work.query(_FILES_OF, draft.id)]
            bond = approval_bond(draft.id, draft.asked_by, draft.approved_by, value, files)
            row["approval"] = f"\\x{self._sealer.mark(bond).hex()}"
        ((kept,),) = await self._work.query(_KEEP_DRAFT, json.dumps(row), draft.version)
        return bool(kept)

    async def draft(self, draft: str) -> DraftRecord | None:
        """Return a draft, or ``None`` if it does not exist."""
        found = await self._drafts(f"{_DRAFTS.format('drafts')} WHERE d.id = $1", draft)
        return found[0] if found else None

    async def drafts(
        self, mailboxes: Collection[str], most: int | None = MOST_BYTES
    ) -> tuple[DraftRecord, ...]:
        """Return unsent drafts in the given mailboxes, the latest first, up to a limit of bytes."""
        return await self._unsent("mailbox", mailboxes, most, "d.saved_at DESC")

    async def drafts_in(
        self, conversations: Collection[str], most: int | None = MOST_BYTES
    ) -> tuple[DraftRecord, ...]:
        """Return unsent drafts in the given conversations, the oldest first, limited as in :meth:`drafts`."""
        return await self._unsent("conversation", conversations, most, "d.saved_at")

    async def drafts_of(self, writer: str, mailbox: str) -> int:
        """Return the number of unsent drafts of a writer in a mailbox.

        This locks the mailbox, so that no other opening begins a draft in it until this unit of work ends.
        """
        ((number,),) = await self._work.query(_COUNT_DRAFTS, writer, mailbox)
        return int(number)

    async def _unsent(
        self, column: str, places: Collection[str], most: int | None, order: str
    ) -> tuple[DraftRecord, ...]:
        unsent = _UNSENT.format(f"{column} = ANY($1::text[])")
        within = "WHERE d.before < coalesce($2::bigint, d.before + 1)"
        return await self._drafts(f"{_DRAFTS.format(unsent)} {within} ORDER BY {order}", list(places), most)

    async def drop_draft(self, draft: DraftRecord) -> bool:
        """Delete a draft with its files; return false if it has another version, or has been sent."""
        rows = await self._work.query(_DROP_DRAFT, draft.id, draft.version)
        for _, remote in rows:
            self._drop_object(remote)
        return bool(rows)

    async def see_news(self, draft: str, writer: str, messages: int) -> bool:
        """Record how many messages of the conversation the writer has seen.

        Returns false if they may not change the draft.
        """
        ((seen,),) = await self._work.query(_SEE_NEWS, draft, writer, messages)
        return bool(seen)

    async def add_draft_file(self, file: FileRecord, body: Body | None, writer: str) -> bool:
        """Add a file to a draft; return false, adding nothing, if ``writer`` may not change the draft.

        Without a body, the file refers to one that another message or draft already has. Adding a file
        cancels an approval of the draft.
        """
        value = sealed(file.content, f"file {file.id}", self._sealer)
        bound = self._sealer.mark(file_bond(file.id, file.owner, file.body))
        if body is not None:
            self._store_body(body)
        ((added,),) = await self._work.query(
            _ADD_FILE, file.id, file.owner, writer, file.size, file.body, value, bound
        )
        return bool(added)

    async def drop_draft_file(self, file: str, draft: str, writer: str) -> bool:
        """Remove a file from a draft; return false if ``writer`` may not change the draft."""
        rows = await self._work.query(_DROP_FILE, file, draft, writer)
        for (remote,) in rows:
            self._drop_object(remote)
        return bool(rows)

    # --- sending ------------------------------------------------------------------------------------------

    async def messages_of_draft(self, draft: str) -> tuple[str, ...]:
        """Return the messages as which a draft was sent."""
        return tuple(message for (message,) in await self._work.query(_OF_DRAFT, draft))

    async def undo_sending(self, draft: str) -> bool:
        """Withdraw the messages of a draft and make it a draft again; return false if it is too late."""
        rows = await self._work.query(_UNDO, draft)
        for (remote,) in rows:
            self._drop_object(remote)
        return bool(rows)

    async def end_windows(self, *, now: datetime) -> tuple[str, ...]:
        """Release messages for sending when the time for undoing is over; return them."""
        return tuple(message for (message,) in await self._work.look(_END_WINDOWS, now))

    async def claim_mail(self, *, now: datetime, lease: timedelta, limit: int) -> tuple[str, ...]:
        """Claim messages that are due: those to hand over, and those to query the status of."""
        return tuple(message for (message,) in await self._work.look(_CLAIM, now, now + lease, limit))

    async def release_claims(self, ended: Collection[str], *, now: datetime) -> int:
        """Release messages and notices claimed by ended processes; return how many may be claimed now.

        An item that loses its process repeatedly may itself be the cause, so it waits for its lease to end.
        """
        ((number,),) = await self._work.look(_RELEASE, list(ended), now, _PARDONED)
        return int(number)

    async def move_mail(
        self,
        mail: MailRecord,
        *,
        stage: str,
        status: str | None,
        now: datetime,
        due: datetime | None,
        attempts: int,
        remote_id: str | None = None,
        content: Content | None = None,
        delivery: Content | None = None,
    ) -> bool:
        """Move a message on to another stage; return false if it is no longer on its way.

        ``content`` and ``delivery`` stay unchanged if they are left out.
        """
        facts = sealed(mail.content if content is None else content, f"message {mail.id}", self._sealer)
        steps = None if delivery is None else sealed(delivery, f"delivery {mail.id}", self._sealer)
        remote = None if remote_id is None else self._sealer.mark(remote_id)
        ((moved,),) = await self._work.query(
            _MOVE, mail.id, stage, status, remote, now, due, attempts, facts, steps
        )
        if moved:
            self._work.after_commit(self._room.tell)
        return bool(moved)

    def put_off_mail(self, messages: Collection[str], *, due: datetime) -> None:
        """Schedule the next status query of messages about which nothing has changed."""
        self._work.arrange(_PUT_OFF, list(messages), due)

    async def next_due(self) -> datetime | None:
        """Return when the next message is due, if any; this query alone leaves no log entry."""
        due: datetime | None = (await self._work.peek(_NEXT_DUE))[0][0]
        return due

    async def waiting(self, mailboxes: Collection[str], limit: int) -> tuple[str, ...]:
        """Return messages that have not reached the message service, the latest first."""
        return tuple(each for (each,) in await self._work.query(_WAITING, list(mailboxes), limit))

    # --- what a person uses -------------------------------------------------------------------------------

    def keep_search(self, token: str, person: str, content: Content, *, now: datetime) -> None:
        """Store a person's search for a day, and remove older searches."""
        self._work.later(
            _KEEP_SEARCH, token, person, now, sealed(content, f"search {token} {person}", self._sealer)
        )

    async def search(self, token: str, person: str) -> dict[str, Any] | None:
        """Return the search that a person stored under a token, if any."""
        rows = await self._work.query(_SEARCH, token, person)
        return opened(rows[0][0], f"search {token} {person}", self._sealer) if rows else None

    def use_address(self, address: str, content: Content, *, now: datetime) -> None:
        """Record that the organisation writes to an address."""
        new = new_id()
        value = sealed(content, f"address {new}", self._sealer)
        self._work.later(_USE_ADDRESS, new, self._sealer.mark(address), now, value)

    def address_answered(self, address: str, *, at: datetime) -> None:
        """Record that a receipt arrived for a message to an address."""
        self._work.later(_ANSWERED, self._sealer.mark(address), at)

    async def addresses(self) -> tuple[AddressRecord, ...]:
        """Return the addresses that the organisation has written to."""
        rows = await self._work.query(_ADDRESSES)
        return tuple(
            AddressRecord(*(opened(value, f"address {each}", self._sealer), *facts))
            for each, *facts, value in rows
        )

    def keep_favourite(self, person: str, address: str, content: Content) -> None:
        """Make an address a favourite of a person."""
        new = new_id()
        value = sealed(content, f"favourite {new} {person}", self._sealer)
        self._work.later(_KEEP_FAVOURITE, new, person, self._sealer.mark(address), value)

    def drop_favourite(self, person: str, address: str) -> None:
        """Remove an address from a person's favourites."""
        self._work.later(_DROP_FAVOURITE, person, self._sealer.mark(address))

    async def favourites(self, person: str) -> tuple[Content, ...]:
        """Return the favourites of a person."""
        rows = await self._work.query(_FAVOURITES, person)
        return tuple(opened(value, f"favourite {each} {person}", self._sealer) for each, value in rows)

    async def _drafts(self, query: str, *values: Any) -> tuple[DraftRecord, ...]:
        rows = await self._work.query(query, *values)
        return tuple(_draft(row, self._sealer) for row in rows)

    @staticmethod
    def _draft_row(draft: DraftRecord) -> dict[str, Any]:
        """Return the columns of a draft that are in the clear."""
        return {
            "id": draft.id,
            "mailbox": draft.mailbox,
            "conversation": draft.conversation,
            "reply_to": draft.reply_to,
            "seen": draft.seen,
            "version": 1,
            "stage": draft.stage,
            "writer": draft.writer,
            "saved_at": draft.saved_at.isoformat(),
            "asked_by": draft.asked_by,
            "approved_by": draft.approved_by,
            "until": draft.until and draft.until.isoformat(),
        }


def _place_of(draft: DraftRecord) -> str:
    return draft_place(draft.id, draft.conversation or draft.mailbox, draft.reply_to, draft.writer)


def _needs_bond(stage: str, asked_by: str | None, approved_by: str | None) -> bool:
    """Return whether a draft needs a mark of its approval: unsent, with approval requested or given."""
    return stage in _ASKED or (stage != "sent" and (asked_by or approved_by) is not None)


def _draft(row: Row, sealer: Sealer) -> DraftRecord:
    """Return the draft in a row; a draft in a conversation has to be in the conversation's mailbox."""
    *facts, value, home, mailbox, bound, approval, files = row
    draft = DraftRecord(*(*facts, {}))
    if draft.conversation is not None:
        require_bond(bound, conversation_bond(draft.conversation, home, mailbox), sealer)
        if draft.mailbox != mailbox:
            raise SealBroken
    if _needs_bond(draft.stage, draft.asked_by, draft.approved_by):
        bond = approval_bond(draft.id, draft.asked_by, draft.approved_by, value, files)
        require_bond(approval, bond, sealer)
    return replace(draft, content=opened(value, _place_of(draft), sealer))
