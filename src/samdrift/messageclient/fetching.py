"""Fetching of new messages from the message service into the organisation's own store, each once and whole.

Clauses: api-mt-mk 4.2.

Messages are listed by the status ``NEW``, page after page, and never by time, since time filters use the
sender's own time stamp. A message is streamed into the vault, its files sealed as they arrive, and stored in
one transaction. An unreadable one is kept as received, and is not fetched again either. Stored messages stay
at the message service for as long as its own rules require.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from samdrift.client.errors import (
    InterfaceError,
    NotUnderstood,
    Refused,
    TooLarge,
    Unreachable,
    Unreadable,
)
from samdrift.client.jsonstream import FilePiece, FilePlace
from samdrift.client.mailbox import Filter, Mailbox
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Purpose
from samdrift.messageclient import content
from samdrift.messageclient.content import Head, Json
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import Party, Recipient, Stage
from samdrift.messageclient.permissions import Assignments
from samdrift.messageclient.rules import Rules
from samdrift.vault.bodies import Body, BodyWriter, new_id
from samdrift.vault.mailrecords import FileRecord, MailboxRecord, MailRecord, NewMail
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.filetypes import PDF, canonical
from samdrift.wire.identifiers import ParticipantIdentifier

_BATCH = 200
"""Number of messages of a list that are looked up in the vault together."""
_MAX_REMEMBERED = 50_000
_MAX_FAILURES = 3
"""Number of consecutive failures to deliver messages before the message service is left for later."""
_CERTAIN, _CERTAIN_AFTER = 3, timedelta(minutes=10)
"""Number of failures with a message, and time between the first and the last, that make a fault permanent."""
_FIRST_PAUSE, _MAX_PAUSE = timedelta(minutes=1), timedelta(hours=1)
"""Time before a message that the service lists but does not deliver is requested again: first, longest."""
_UNTYPED = "application/octet-stream"

Vaults = WorkerGate[MessageClientVault]


@dataclass(slots=True)
class Round:
    """The outcome of one look at the message service."""

    stored: int = 0
    unreadable: int = 0
    gone: int = 0
    """Number of messages that were listed but refused on request; another client may have deleted them."""
    ends: float = math.inf
    """Time of the event loop after which no further message is started, so that others are not delayed."""
    over: bool = False
    """True if that time came before everything was fetched: there may be more."""


class NotHandedOut(Temporary):
    """A listed message was answered with something else; the message service itself is available."""

    def __init__(self) -> None:
        super().__init__(
            "a message that the message service lists could not be read; it will be requested again"
        )


@dataclass(slots=True)
class _Trouble:
    """A listed message that could not be fetched yet."""

    since: datetime
    times: int = 0
    again: datetime | None = None
    """Time before which the message is not requested again; ``None`` to request it at the next look."""

    def waits(self, now: datetime) -> bool:
        """Return whether the message is not requested now."""
        return self.again is not None and now < self.again <= now + _MAX_PAUSE


class Fetching:
    """Fetching of new messages for one organisation."""

    def __init__(
        self, vaults: Vaults, organisation: ParticipantIdentifier, service: Mailbox, clock: Clock
    ) -> None:
        self._vaults = vaults
        self._organisation = organisation
        self._service = service
        self._clock = clock
        self._rules = Rules(Assignments(vaults, clock), organisation)
        self._here = set[str]()
        """Ids at the message service of messages that are known to be stored here."""
        self._troubled = dict[str, _Trouble]()
        """Listed messages that could not be fetched, by their ids at the message service."""

    async def look(self, *, whole: bool = True, seconds: float = math.inf) -> Round:
        """Fetch new messages: at least one, and no further one after ``seconds``.

        With ``whole`` a list is read to its end; otherwise only until all messages of a batch are known. That
        suffices if the message service lists in the order of arrival, as most do.
        """
        done = Round(ends=asyncio.get_running_loop().time() + seconds)
        async with contextlib.aclosing(self._batches(Filter(status=MessageStatus.NEW.value))) as batches:
            async for batch in batches:
                missing = self._due(await self._missing(batch, Direction.IN))
                await self._fetch_all(missing, Direction.IN, done)
                if done.over or (not missing and not whole):
                    break
        return done

    async def take(self, remote_ids: Collection[str]) -> bool:
        """Fetch new messages by the ids from events, at a cost independent of how many others exist.

        Returns false if one could not be fetched in that way: a list has more information.
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

    async def take_sent(self, remote_ids: Collection[str]) -> None:
        """Fetch messages that another client of the organisation has sent, by the ids from events.

        Most were sent from here, which is recognised by the ``messageId``: many message services use it as
        their own id, so it is known even before the vault has the latter. Messages that cannot be fetched in
        this way are found in a list.
        """
        asked = [each for each in remote_ids if each not in self._here]
        if not asked:
            return
        async with self._vaults.open(self._organisation, Purpose.RECEIVE) as vault:
            known = frozenset[str]().union(*await vault.known_mail(asked, asked, Direction.OUT))
            own = {one.address for one in await vault.mailboxes()}
        for each in asked:
            if each not in known:
                with contextlib.suppress(NotUnderstood, Refused, Unreadable):
                    await self._store_readable(each, Direction.OUT, own)
        self._remember(set(asked))

    async def look_sent(self, address: str, *, whole: bool = True, seconds: float = math.inf) -> Round:
        """Fetch messages that another client has sent from an address, to show them as sent.

        With ``whole`` the list is read to its end, and ``seconds`` limits the time, as in :meth:`look`.
        """
        done = Round(ends=asyncio.get_running_loop().time() + seconds)
        async with contextlib.aclosing(self._batches(Filter(sender_address=address))) as batches:
            async for batch in batches:
                sent = [each for each in batch if each.sender.address == address]
                missing = self._due(await self._missing(sent, Direction.OUT))
                await self._fetch_all(missing, Direction.OUT, done)
                if done.over or (not missing and not whole):
                    break
        return done

    async def _batches(self, which: Filter) -> AsyncGenerator[list[Head]]:
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
        """Return the messages that are not stored, oldest first, from a list that starts with the newest."""
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

    def _due(self, missing: list[Head]) -> list[Head]:
        """Return the messages that may be fetched now; those that failed before come last."""
        now = self._clock()
        waits = {each for each, one in self._troubled.items() if one.waits(now)}
        due = [each for each in missing if each.remote_id not in waits]
        return sorted(due, key=lambda each: each.remote_id in self._troubled)

    def _remember(self, remote_ids: set[str]) -> None:
        """Remember messages as stored; at the limit, forget all earlier ones."""
        if len(self._here) + len(remote_ids) > _MAX_REMEMBERED:
            self._here.clear()
        self._here |= remote_ids

    async def _fetch_all(self, missing: list[Head], direction: Direction, done: Round) -> None:
        """Fetch messages one by one; a failing message does not delay others, an outage ends the run.

        A message that is refused or fails repeatedly is requested at growing intervals. One that is answered
        with something that is not a message (:class:`NotHandedOut`) is finally kept as received.
        """
        failed: Unreachable | None = None
        failures, time = 0, asyncio.get_running_loop().time
        for place, listed in enumerate(missing):
            if place and time() >= done.ends:
                done.over = True
                break
            try:
                await self._fetch(listed, direction, done)
                failures = 0
            except Refused as refused:
                done.gone += 1
                await self._trouble_with(listed, refused)
            except Unreachable as failure:
                await self._trouble_with(listed, failure)
                failed, failures = failure, failures + 1
                if failures == _MAX_FAILURES:
                    break
        if isinstance(failed, NotUnderstood):
            raise NotHandedOut
        if failed is not None:
            raise failed

    async def _trouble_with(self, listed: Head, failure: InterfaceError) -> None:
        """Record that a message could not be fetched; the third failure is logged."""
        now = self._clock()
        if len(self._troubled) == _MAX_REMEMBERED:
            self._troubled.clear()
        one = self._troubled.setdefault(listed.remote_id, _Trouble(now))
        one.since = min(one.since, now)
        one.times += 1
        if one.times < _CERTAIN:
            return
        if not isinstance(failure, NotUnderstood):
            one.again = now + min(_FIRST_PAUSE * (1 << min(one.times - _CERTAIN, 10)), _MAX_PAUSE)
        if one.times == _CERTAIN:
            async with self._vaults.open(self._organisation, Purpose.RECEIVE) as vault:
                facts = {"message": listed.message_id, "reason": failure.for_logs}
                vault.record(MKEvent.MK_MESSAGE_NOT_FETCHED, **facts)

    async def _fetch(self, listed: Head, direction: Direction, done: Round) -> None:
        try:
            stored = await self._store_readable(listed.remote_id, direction)
        except Unreadable as fault:
            stored = await self._store_unreadable(listed, direction, fault)
            done.unreadable += stored
        except NotUnderstood as fault:
            if not self._is_its_own(listed):
                raise
            stored = await self._store_unreadable(listed, direction, fault)
            done.unreadable += stored
        done.stored += stored
        self._troubled.pop(listed.remote_id, None)
        self._remember({listed.remote_id})

    def _is_its_own(self, listed: Head) -> bool:
        """Return whether a message was answered unintelligibly so often that it is kept as received."""
        one = self._troubled.get(listed.remote_id)
        return one is not None and one.times + 1 >= _CERTAIN and self._clock() - one.since >= _CERTAIN_AFTER

    async def _store_readable(
        self, remote_id: str, direction: Direction, own: Collection[str] | None = None
    ) -> bool:
        """Fetch and store a message; false if it is already here, or not sent from an address in ``own``."""
        async with self._vaults.open(self._organisation, Purpose.RECEIVE) as vault:
            files = _Files(vault.new_body)
            resource = await self._service.get(remote_id, files)
            read = content.head(resource)
            if own is not None and read.sender.address not in own:
                return False
            documents, records, bodies = files.placed(resource)
            stage = Stage.ARRIVED if direction is Direction.IN else Stage.HANDED_OVER
            body = await _written(vault, content.document_content_bytes(documents))
            head = content.with_remote_id(read, remote_id)
            new = self._new(head, direction, stage, body, len(records))
            return await self._store(vault, new, head, direction, records, bodies)

    async def _store_unreadable(self, listed: Head, direction: Direction, fault: InterfaceError) -> bool:
        """Store a message as received or, if it is too large for that, only its entry in the list."""
        if not isinstance(fault, TooLarge):
            try:
                return await self._store_raw(listed, direction, fault)
            except TooLarge as larger:
                fault = larger
        async with self._vaults.open(self._organisation, Purpose.RECEIVE) as vault:
            new = self._new(listed, direction, Stage.UNREADABLE, await vault.new_body().finish(), 0)
            new = replace(new, record=content.left_at_service(new.record))
            return await self._store(vault, new, listed, direction, [], [], str(fault))

    async def _store_raw(self, listed: Head, direction: Direction, fault: InterfaceError) -> bool:
        async with self._vaults.open(self._organisation, Purpose.RECEIVE) as vault:
            writer = vault.new_body()
            async for piece in self._service.raw(listed.remote_id):
                await writer.write(piece)
            new = self._new(listed, direction, Stage.UNREADABLE, await writer.finish(), 0)
            return await self._store(vault, new, listed, direction, [], [], str(fault))

    def _new(self, head: Head, direction: Direction, stage: Stage, body: Body, files: int) -> NewMail:
        now, known = self._clock(), content.status_of(head.status)
        followed = direction is Direction.OUT and not (known is not None and known.final)
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
            due_at=now if followed else None,
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
        else:
            _use_address(vault, head.recipient, new.record, now=self._clock())
        facts = {"message": head.message_id, "mailbox": mailbox, "direction": direction.value}
        if fault:
            vault.record(MKEvent.MK_MESSAGE_UNREADABLE, **facts, reason=fault)
        else:
            vault.record(MKEvent.MK_MESSAGE_STORED, **facts)
        return True


def _use_address(vault: MessageClientVault, to: Party, sent: MailRecord, *, now: datetime) -> None:
    """Record that the organisation wrote to an address with another client, and any receipt for it."""
    recipient = Recipient(to.organisation, to.address, to.organisation_name, to.address_name)
    vault.use_address(content.address_mark(recipient), content.recipient_content(recipient), now=sent.at)
    if content.status_of(sent.status or "") is MessageStatus.ACCEPTED:
        vault.address_answered(content.address_mark(recipient), at=now)


class _Files:
    """Files of a message, each sealed as it arrives."""

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
    """Return the type of a file; one declared as PDF, which browsers open, must begin as PDF."""
    kind = canonical(declared)
    if kind == PDF and b"%PDF-" not in beginning:
        return _UNTYPED
    return kind or _UNTYPED


def _of(file: FileRecord, owner: str) -> FileRecord:
    return FileRecord(file.id, owner, file.place, file.size, file.body, file.content)


def _sent_at(head: Head, now: datetime) -> datetime:
    """Return when another client sent a message: its own time stamp, or now if that is in the future."""
    return min(head.dated_at or now, now)


async def _written(vault: MessageClientVault, data: bytes) -> Body:
    writer = vault.new_body()
    await writer.write(data)
    return await writer.finish()


async def _mailbox(vault: MessageClientVault, address: str, name: str) -> str:
    """Return the mailbox of an address; a missing one is created, without rights for anyone."""
    for mailbox in await vault.mailboxes():
        if mailbox.address == address:
            return mailbox.id
    new = MailboxRecord(new_id(), address, name or address)
    if not await vault.keep_mailbox(new):
        return await _mailbox(vault, address, name)
    vault.record(MKEvent.MK_MAILBOX_CHANGED, mailbox=new.id, action="begun")
    return new.id
