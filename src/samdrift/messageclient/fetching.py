"""Fetching: new messages of the message service into the organisation's own store, each once and whole.

Clauses: api-mt-mk 4.2.

The status ``NEW`` is asked for, page after page, never by time: filters of time go by the sender's own time
stamp. A message streams into the vault, its files sealed as they come, and is stored in one transaction; one
that cannot be read is kept as it came, and is not fetched again either. What is stored stays at the message
service, whose own rules say for how long.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from samdrift.client.errors import Refused, Unreachable, Unreadable
from samdrift.client.jsonstream import FilePiece, FilePlace
from samdrift.client.mailbox import Filter, Mailbox
from samdrift.contracts.clock import Clock
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Purpose
from samdrift.messageclient import content
from samdrift.messageclient.content import Head, Json
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import Stage
from samdrift.messageclient.permissions import Assignments
from samdrift.messageclient.rules import Rules
from samdrift.vault.bodies import Body, BodyWriter, new_id
from samdrift.vault.mailrecords import FileRecord, MailboxRecord, MailRecord, NewMail
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.filetypes import PDF, canonical
from samdrift.wire.identifiers import ParticipantIdentifier

_BATCH = 200
"""Messages of a list that are looked for in the vault together."""
_MAX_REMEMBERED = 50_000
_MOST_FAILURES = 3
"""Messages in a row that the message service fails to hand out, before it is left for later."""
_UNTYPED = "application/octet-stream"

Vaults = WorkerGate[MessageClientVault]


@dataclass(slots=True)
class Round:
    """The outcome of one look at the message service."""

    stored: int = 0
    unreadable: int = 0
    gone: int = 0
    """Listed, and not handed out when it was asked for: another client has deleted it."""


class Fetching:
    """Fetches what is new for one organisation."""

    def __init__(
        self, vaults: Vaults, organisation: ParticipantIdentifier, service: Mailbox, clock: Clock
    ) -> None:
        self._vaults = vaults
        self._organisation = organisation
        self._service = service
        self._clock = clock
        self._rules = Rules(Assignments(vaults, clock), organisation)
        self._here = set[str]()
        """Ids of the message service for messages that are known to be stored."""

    async def look(self, *, whole: bool = True) -> Round:
        """Fetch what is new.

        A list is read to its end when it is ``whole``; else only until a batch of it is known, which is
        enough where the message service lists in the order of arrival, as most do.
        """
        done = Round()
        async for batch in self._batches(Filter(status=MessageStatus.NEW.value)):
            missing = await self._missing(batch, Direction.IN)
            await self._fetch_all(missing, Direction.IN, done)
            if not missing and not whole:
                break
        return done

    async def take(self, remote_ids: Collection[str]) -> bool:
        """Fetch new messages by the ids that events have named, which costs the same however many lie there.

        False where one could not be had in that way: a list says more of it.
        """
        asked = [each for each in remote_ids if each not in self._here]
        if not asked:
            return True
        async with self._vaults.open(self._organisation, Purpose.RECEIVE) as vault:
            _, known = await vault.known_mail((), asked, Direction.IN)
        self._remember(set(known))
        for each in asked:
            if each in known:
                continue
            try:
                await self._store_readable(each, Direction.IN)
            except (Refused, Unreadable):
                return False
            self._remember({each})
        return True

    async def look_sent(self, address: str) -> Round:
        """Fetch what another client of the organisation has sent from an address: it shows as sent."""
        done = Round()
        async for batch in self._batches(Filter(sender_address=address)):
            sent = [each for each in batch if each.sender.address == address]
            await self._fetch_all(await self._missing(sent, Direction.OUT), Direction.OUT, done)
        return done

    async def _batches(self, which: Filter) -> AsyncIterator[list[Head]]:
        batch: list[Head] = []
        async with contextlib.aclosing(self._service.list(which)) as listed:
            async for resource in listed:
                if (found := content.head(resource)).remote_id:
                    batch.append(found)
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    async def _missing(self, batch: list[Head], direction: Direction) -> list[Head]:
        """Return those that are not stored, the last of the list first, since the newest begins it."""
        asked = [each for each in batch if each.remote_id not in self._here]
        if not asked:
            return []
        ids, remote_ids = ({one.message_id for one in asked}, {one.remote_id for one in asked})
        async with self._vaults.open(self._organisation, Purpose.RECEIVE) as vault:
            known, known_remote = await vault.known_mail(ids, remote_ids, direction)
        missing = [
            each
            for each in reversed(asked)
            if each.message_id not in known and each.remote_id not in known_remote
        ]
        self._remember(remote_ids - {each.remote_id for each in missing})
        return missing

    def _remember(self, remote_ids: set[str]) -> None:
        """Keep in mind what is stored; beyond a number, begin anew rather than grow."""
        if len(self._here) + len(remote_ids) > _MAX_REMEMBERED:
            self._here.clear()
        self._here |= remote_ids

    async def _fetch_all(self, missing: list[Head], direction: Direction, done: Round) -> None:
        """Fetch one after the other; one that cannot be had holds up no other, an outage ends it."""
        failed: Unreachable | None = None
        failures = 0
        for listed in missing:
            try:
                await self._fetch(listed, direction, done)
                failures = 0
            except Unreachable as failure:
                failed, failures = failure, failures + 1
                if failures == _MOST_FAILURES:
                    break
        if failed is not None:
            raise failed

    async def _fetch(self, listed: Head, direction: Direction, done: Round) -> None:
        try:
            stored = await self._store_readable(listed.remote_id, direction)
        except Unreadable as fault:
            stored = await self._store_raw(listed, direction, fault)
            done.unreadable += stored
        except Refused:
            done.gone += 1
            return
        done.stored += stored
        self._remember({listed.remote_id})

    async def _store_readable(self, remote_id: str, direction: Direction) -> bool:
        async with self._vaults.open(self._organisation, Purpose.RECEIVE) as vault:
            files = _Files(vault.new_body)
            resource = await self._service.get(remote_id, files)
            read = content.head(resource)
            documents, records, bodies = files.placed(resource)
            stage = Stage.ARRIVED if direction is Direction.IN else Stage.HANDED_OVER
            body = await _written(vault, content.document_content_bytes(documents))
            head = content.with_remote_id(read, remote_id)
            new = self._new(head, direction, stage, body, len(records))
            return await self._store(vault, new, head, direction, records, bodies)

    async def _store_raw(self, listed: Head, direction: Direction, fault: Unreadable) -> bool:
        async with self._vaults.open(self._organisation, Purpose.RECEIVE) as vault:
            writer = vault.new_body()
            async for piece in self._service.raw(listed.remote_id):
                await writer.write(piece)
            new = self._new(listed, direction, Stage.UNREADABLE, await writer.finish(), 0)
            return await self._store(vault, new, listed, direction, [], [], str(fault))

    def _new(self, head: Head, direction: Direction, stage: Stage, body: Body, files: int) -> NewMail:
        now = self._clock()
        record = MailRecord(
            id=new_id(),
            conversation=new_id(),
            direction=direction,
            stage=stage.value,
            status=head.status or None,
            draft=None,
            author=None,
            at=now if direction is Direction.IN else _sent_at(head, now),
            dated_at=head.dated_at,
            since=now,
            confidential=head.confidential,
            due_at=None,
            deadline=None,
            attempts=0,
            opened_at=None,
            files=files,
            content=head.content(),
            delivery=content.delivery_content(head.status, head.events) if direction is Direction.OUT else {},
        )
        other = head.sender if direction is Direction.IN else head.recipient
        thread = content.thread_of(head.conversation_id, other.organisation)
        return NewMail(record, head.message_id, thread, body, head.remote_id, head.refers_to)

    async def _store(
        self,
        vault: MessageClientVault,
        new: NewMail,
        head: Head,
        direction: Direction,
        files: list[FileRecord],
        bodies: list[Body],
        fault: str = "",
    ) -> bool:
        own = head.recipient if direction is Direction.IN else head.sender
        mailbox = await _mailbox(vault, own.address, own.address_name)
        owned = [_of(file, new.record.id) for file in files]
        conversation = await vault.store_mail(new, mailbox, owned, bodies)
        if conversation is None:
            return False
        if direction is Direction.IN:
            await self._rules.apply(vault, conversation, head.sender, head.subject)
        facts = {"message": head.message_id, "mailbox": mailbox, "direction": direction.value}
        if fault:
            vault.record(MKEvent.MK_MESSAGE_UNREADABLE, **facts, reason=fault)
        else:
            vault.record(MKEvent.MK_MESSAGE_STORED, **facts)
        return True


class _Files:
    """Seals each file of a message as it comes."""

    def __init__(self, new_body: Callable[[], BodyWriter]) -> None:
        self._new_body = new_body
        self._writers: dict[FilePlace, BodyWriter] = {}
        self._beginnings: dict[FilePlace, bytes] = {}
        self._bodies: dict[FilePlace, Body] = {}

    async def write(self, piece: FilePiece) -> None:
        writer = self._writers.get(piece.place)
        if writer is None:
            writer = self._writers[piece.place] = self._new_body()
            self._beginnings[piece.place] = (piece.data or b"")[:1024]
        if piece.data is None:
            self._bodies[piece.place] = await writer.finish()
        else:
            await writer.write(piece.data)

    def placed(self, resource: Json) -> tuple[list[dict[str, Any]], list[FileRecord], list[Body]]:
        """Return the documents with the ids of their files, the files, and their bodies."""
        documents: list[dict[str, Any]] = []
        records: list[FileRecord] = []
        bodies: list[Body] = []
        found = content.documents(resource)
        plain = content.is_laborious(found)
        for number, document in enumerate(found):
            ids = []
            for place, named in enumerate(document.files):
                at = FilePlace(number, place)
                body = self._bodies.get(at)
                if body is None:
                    raise Unreadable(f"an attached file has no content (digitalDocument/{number})")
                kept = {"name": named.name, "type": _type(named.content_type, self._beginnings[at])}
                records.append(FileRecord(new_id(), "", len(records), body.size, body.id, kept))
                bodies.append(body)
                ids.append(records[-1].id)
            documents.append(content.document_content(document, ids, plain=plain))
        return documents, records, bodies


def _type(declared: str, beginning: bytes) -> str:
    """Return the type of a file; what is called PDF, which alone is shown in a page, must begin as one."""
    kind = canonical(declared)
    if kind == PDF and b"%PDF-" not in beginning:
        return _UNTYPED
    return kind or _UNTYPED


def _of(file: FileRecord, owner: str) -> FileRecord:
    return FileRecord(file.id, owner, file.place, file.size, file.body, file.content)


def _sent_at(head: Head, now: datetime) -> datetime:
    """Return when another client sent a message: its own time stamp, unless that lies ahead."""
    return min(head.dated_at or now, now)


async def _written(vault: MessageClientVault, data: bytes) -> Body:
    writer = vault.new_body()
    await writer.write(data)
    return await writer.finish()


async def _mailbox(vault: MessageClientVault, address: str, name: str) -> str:
    """Return the mailbox of an address; one that nobody has set up is begun, and nobody has rights to it."""
    for mailbox in await vault.mailboxes():
        if mailbox.address == address:
            return mailbox.id
    new = MailboxRecord(new_id(), address, name or address)
    if not await vault.keep_mailbox(new):
        return await _mailbox(vault, address, name)
    vault.record(MKEvent.MK_MAILBOX_CHANGED, mailbox=new.id, action="begun")
    return new.id
