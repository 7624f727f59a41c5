"""Drafts, which are shared in a mailbox with one writer at a time, and their files.

A file is never on disk in the clear.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import NoReturn

from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Purpose
from samdrift.messageclient import content, drafts
from samdrift.messageclient.desk import (
    MAX_DRAFTS,
    MAX_FILES,
    Changed,
    DraftClosed,
    DraftTaken,
    NotHere,
    NotReady,
    TooManyKept,
)
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.mail import (
    Act,
    Draft,
    DraftContent,
    DraftKind,
    DraftStage,
    FileContent,
    Problem,
    ProblemCode,
    Stage,
    TextTemplate,
)
from samdrift.messageclient.presets import text_templates
from samdrift.messageclient.scope import OF_DRAFTS, People, Scope, require_id
from samdrift.rights import Right
from samdrift.vault.bodies import Body, BodyWriter, new_id
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.mailrecords import DraftRecord, FileRecord, MailRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.filetypes import Detector, Kind, agrees, canonical

_ON_THE_WAY = frozenset({Stage.WINDOW, Stage.OUTBOX})
_MAX_NAME = 256


class WritingDesk:
    """The part of a desk for drafts; methods as in :class:`~samdrift.messageclient.desk.Desk`."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def drafts(self, mailbox: str | None = None) -> tuple[Draft, ...]:
        """Return drafts that have not been sent, the latest first."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            if mailbox is None:
                chosen = [one.id for one in await scope.mailboxes(vault, *OF_DRAFTS)]
            else:
                chosen = [(await scope.mailbox(vault, mailbox, *OF_DRAFTS)).id]
            found = await vault.drafts(chosen)
            files = await vault.files_of([one.id for one in found])
            people = await scope.people(vault)
            vault.record(
                MKEvent.MK_READING_LIST, folder="drafts", mailbox=mailbox or "", lines=str(len(found))
            )
        of_draft = defaultdict[str, list[FileRecord]](list)
        for file in files:
            of_draft[file.owner].append(file)
        return tuple(drafts.draft_shown(one, of_draft[one.id], people) for one in found)

    async def draft(self, draft: str) -> Draft:
        """Open a draft."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            found = await scope.draft(vault, draft, *OF_DRAFTS)
            vault.record(MKEvent.MK_READING_DRAFT, draft=found.id)
            return await shown(scope, vault, found)

    async def draft_file(self, draft: str, file: str) -> FileContent:
        """Open a file of a draft."""
        scope = self._scope
        async with scope.open(Purpose.READ) as vault:
            found = await scope.draft(vault, draft, *OF_DRAFTS)
            files = await vault.files_of([found.id])
            named = next((one for one in files if one.id == file), None)
            if named is None:
                raise NotHere("file", file)
            body = await vault.file_body(named.id, found.id)
            vault.record(MKEvent.MK_READING_DRAFT, draft=found.id, file=named.id)
        return FileContent(content.file_of(named), body)

    async def text_templates(self, mailbox: str) -> tuple[TextTemplate, ...]:
        """Return the text templates of a mailbox in which the person writes, by title."""
        async with self._scope.open(Purpose.READ) as vault:
            place = await self._scope.mailbox(vault, mailbox, Right.WRITE)
            return await text_templates(vault, place.id)

    # --- beginning ----------------------------------------------------------------------------------------

    async def new_draft(self, mailbox: str, content: DraftContent | None = None) -> Draft:
        """Start a message."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            place = await scope.mailbox(vault, mailbox, Right.WRITE)
            if place.retired:
                raise NotHere("ended mailbox", mailbox)
            return await self._begin(vault, self._new(place.id, content or DraftContent(), DraftKind.NEW))

    async def reply(self, message: str) -> Draft:
        """Start a reply, or an addition to a message sent from here.

        Recipient, subject and references of both sides are filled in.
        """
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            mail, found = await scope.message(vault, message, Right.READ, Right.WRITE)
            kind = DraftKind.ADDITION if mail.direction is Direction.OUT else DraftKind.ANSWER
            begun = replace(
                self._new(found.mailbox, self._named(drafts.answer_to(mail)), kind),
                conversation=found.id,
                reply_to=mail.id,
                seen=await self._seen(vault, mail),
            )
            return await self._begin(vault, begun)

    async def send_again(self, message: str) -> Draft:
        """Start a new message with the content and files of a sent one, to which it refers.

        This is refused for a message that is still about to leave, because that one will be sent.
        """
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            mail, found = await scope.message(vault, message, Right.READ, Right.WRITE)
            if mail.direction is not Direction.OUT or mail.stage in _ON_THE_WAY:
                raise NotHere("sent message", message)
            typed = self._named(drafts.once_more(mail, await _texts(vault, mail.id)))
            begun = replace(
                self._new(found.mailbox, typed, DraftKind.AGAIN),
                conversation=found.id,
                reply_to=mail.id,
                seen=await self._seen(vault, mail),
            )
            files = await vault.files_of([mail.draft or mail.id])
            return await self._begin(vault, begun, files)

    async def _seen(self, vault: MessageClientVault, answered: MailRecord) -> int:
        """Return how many messages precede the first that the person has not seen, in order of arrival.

        They have seen what they read, what they wrote, and what they answer. The page on which they begin may
        be out of date, and lack what came since.
        """
        came = sorted(await vault.mail_of(answered.conversation), key=lambda one: one.id)
        person, seen = self._scope.person.id, {answered.id}
        for reading in await vault.readings([one.id for one in came]):
            if reading.person == person and reading.act == Act.READ:
                seen.add(reading.message)
        unseen = (n for n, one in enumerate(came) if one.id not in seen and one.author != person)
        return next(unseen, len(came))

    def _named(self, typed: DraftContent) -> DraftContent:
        """Return a draft's content with the recipients' names from the address book."""
        return replace(typed, recipients=tuple(self._scope.named(each) for each in typed.recipients))

    def _new(self, mailbox: str, typed: DraftContent, kind: DraftKind) -> DraftRecord:
        return DraftRecord(
            id=new_id(),
            mailbox=mailbox,
            conversation=None,
            reply_to=None,
            seen=None,
            version=0,
            stage=DraftStage.OPEN.value,
            writer=self._scope.person.id,
            saved_at=self._scope.now(),
            asked_by=None,
            approved_by=None,
            until=None,
            content=drafts.draft_content(typed, kind),
        )

    async def _begin(
        self, vault: MessageClientVault, begun: DraftRecord, files: tuple[FileRecord, ...] = ()
    ) -> Draft:
        if await vault.drafts_of(begun.writer, begun.mailbox) >= MAX_DRAFTS:
            raise TooManyKept(MAX_DRAFTS)
        await vault.keep_draft(begun)
        for file in files:
            again = replace(file, id=new_id(), owner=begun.id)
            try:
                await vault.add_draft_file(again, None, begun.writer)
            except UnknownRecord:  # Its message has been disposed of meanwhile.
                raise NotHere("file", file.id) from None
        vault.record(MKEvent.MK_DRAFT_CHANGED, draft=begun.id, action="begun", mailbox=begun.mailbox)
        return await shown(self._scope, vault, replace(begun, version=1 + len(files)))

    # --- changing -----------------------------------------------------------------------------------------

    async def save_draft(self, draft: str, version: int, content: DraftContent) -> int:
        """Save the typed text, and return the new version, which is unchanged if the text is."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.WRITE)
            require_writer(scope, found, await scope.people(vault))
            require_version(found, version)
            if content == drafts.typed(found.content):
                return found.version
            return await change_draft(
                vault,
                replace(
                    found,
                    stage=DraftStage.OPEN.value,
                    asked_by=None,
                    approved_by=None,
                    saved_at=scope.now(),
                    content=drafts.draft_content(content, drafts.kind_of(found), found.content["declined"]),
                ),
                "saved",
            )

    async def take_over_draft(self, draft: str) -> Draft:
        """Become the draft's writer; the previous one is informed at their next save."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.WRITE)
            require_changeable(found)
            if found.writer == scope.person.id:
                return await shown(scope, vault, found)
            taken = replace(found, writer=scope.person.id)
            version = await change_draft(vault, taken, "taken-over")
            return await shown(scope, vault, replace(taken, version=version))

    async def discard_draft(self, draft: str, version: int) -> None:
        """Delete a draft with its files."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.WRITE)
            require_writer(scope, found, await scope.people(vault))
            require_version(found, version)
            if not await vault.drop_draft(found):
                await changed_meanwhile(vault, found)
            vault.record(MKEvent.MK_DRAFT_CHANGED, draft=found.id, action="discarded")

    async def news_read(self, draft: str, messages: int) -> None:
        """Record that the person has read the draft's conversation up to number ``messages``."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.WRITE)
            require_writer(scope, found, await scope.people(vault))
            for one in await vault.conversations_by_id([found.conversation or ""]):
                await vault.see_news(found.id, scope.person.id, min(messages, one.messages))

    # --- files --------------------------------------------------------------------------------------------

    async def upload(self, draft: str, name: str, media_type: str) -> DraftUpload:
        """Start adding a file; only the writer may do so."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.WRITE)
            require_writer(scope, found, await scope.people(vault))
            files = await vault.files_of([found.id])
        name = name[:_MAX_NAME]
        room = drafts.room_for(drafts.typed(found.content), files, name, file_types(name, media_type))
        return DraftUpload(scope, found.id, name, media_type, room)

    async def remove_file(self, draft: str, file: str) -> None:
        """Remove a file from a draft."""
        scope = self._scope
        async with scope.open(Purpose.COMPOSE) as vault:
            found = await scope.draft(vault, draft, Right.WRITE)
            require_writer(scope, found, await scope.people(vault))
            require_id("file", file)
            if not await vault.drop_draft_file(file, found.id, scope.person.id):
                await changed_meanwhile(vault, found)
            vault.record(MKEvent.MK_DRAFT_CHANGED, draft=found.id, action="file-removed", file=file)


class DraftUpload:
    """A file that is being added to a draft: :class:`~samdrift.messageclient.desk.Upload`.

    It is sealed as it arrives, and becomes part of the draft once it is complete and its type is known. If
    the upload breaks off, its content is removed immediately; after a killed process, by the upkeep of the
    vault.
    """

    def __init__(self, scope: Scope, draft: str, name: str, media_type: str, room: int) -> None:
        self._scope = scope
        self._draft = draft
        self._name = name
        self._media_type = media_type
        self._room = room
        self._size = 0
        self._detector = Detector()
        self._opening = AsyncExitStack()
        self._begun: tuple[MessageClientVault, BodyWriter] | None = None

    async def write(self, piece: bytes) -> None:
        """Store the next piece; :class:`NotReady` if the message would become too large."""
        self._size += len(piece)
        if self._size > self._room:
            await self.discard()
            self._refuse(ProblemCode.TOO_LARGE)
        _, writer = await self._begin()
        await writer.write(piece)
        self._detector.feed(piece)

    async def close(self) -> None:
        """Add the complete file to the draft; :class:`NotReady` if it is empty, of a wrong type, or too many.

        The person's rights are checked again, because much time may have passed since the start.
        """
        try:
            await self._keep()
        finally:
            await self.discard()

    async def discard(self) -> None:
        """Drop the file, unless it has been added already."""
        await self._opening.aclose()

    async def _keep(self) -> None:
        if not self._size:
            self._refuse(ProblemCode.EMPTY)
        vault, writer = await self._begin()
        body = await writer.finish()
        kind = file_type(self._name, self._media_type, await self._kind(body))
        if not kind:
            self._refuse(ProblemCode.FILE_TYPE)
        scope = self._scope
        await scope.renew()
        async with self._opening:
            found = await scope.draft(vault, self._draft, Right.WRITE)
            kept = {"name": self._name, "type": kind}
            file = FileRecord(new_id(), found.id, 0, body.size, body.id, kept)
            if not await vault.add_draft_file(file, body, scope.person.id):
                await changed_meanwhile(vault, found)
            # Counted after adding, while files added at the same time wait; a refusal rolls the addition
            # back.
            if len(await vault.files_of([found.id])) > MAX_FILES:
                self._refuse(ProblemCode.TOO_MANY_FILES)
            vault.record(MKEvent.MK_DRAFT_CHANGED, draft=found.id, action="file-added", file=file.id)

    async def _begin(self) -> tuple[MessageClientVault, BodyWriter]:
        """Return the open vault and the file's writer; the database is not used before the file's end."""
        if self._begun is None:
            scope, enter = self._scope, self._opening.enter_async_context
            await enter(scope.uploads.turn(scope.organisation, scope.person.id))
            vault = await enter(scope.open(Purpose.COMPOSE))
            self._begun = vault, vault.new_body()
        return self._begun

    async def _kind(self, body: Body) -> Kind:
        """Return the kind of content, for which part of an archive may be read back from the sealed body."""
        wanted = await asyncio.to_thread(self._detector.wanted)
        part = b"" if wanted is None else await _part(body, wanted)
        return await asyncio.to_thread(self._detector.kind, part)

    def _refuse(self, code: ProblemCode) -> NoReturn:
        raise NotReady([Problem(code, "files", self._name)])


async def _part(body: Body, wanted: range) -> bytes:
    place, part = 0, bytearray()
    async with contextlib.aclosing(body.reader().pieces()) as pieces:
        async for piece in pieces:
            part += piece[max(wanted.start - place, 0) : max(wanted.stop - place, 0)]
            place += len(piece)
            if place >= wanted.stop:
                break
    return bytes(part)


async def shown(scope: Scope, vault: MessageClientVault, record: DraftRecord) -> Draft:
    """Return a draft with its files, in the form that pages show."""
    return drafts.draft_shown(record, await vault.files_of([record.id]), await scope.people(vault))


def require_changeable(record: DraftRecord) -> None:
    """Raise :class:`DraftClosed` if a draft cannot be changed."""
    if record.stage not in drafts.CHANGEABLE:
        raise DraftClosed(DraftStage(record.stage))


def require_writer(scope: Scope, record: DraftRecord, people: People) -> None:
    """Raise :class:`DraftClosed`, or :class:`DraftTaken` if another person writes in the draft."""
    require_changeable(record)
    if record.writer != scope.person.id:
        raise DraftTaken(people[record.writer], record.saved_at)


def require_version(record: DraftRecord, version: int) -> None:
    """Raise :class:`Changed` if a draft has another version."""
    if record.version != version:
        raise Changed(record.version)


async def change_draft(vault: MessageClientVault, record: DraftRecord, action: str) -> int:
    """Store a changed draft and return its new version; :class:`Changed` if a colleague was faster."""
    if not await vault.keep_draft(record):
        await changed_meanwhile(vault, record)
    vault.record(MKEvent.MK_DRAFT_CHANGED, draft=record.id, action=action, mailbox=record.mailbox)
    return record.version + 1


async def changed_meanwhile(vault: MessageClientVault, record: DraftRecord) -> NoReturn:
    """Raise the error for what has happened to a draft since ``record`` was read."""
    now = await vault.draft(record.id)
    if now is None:
        raise NotHere("draft", record.id)
    require_changeable(now)
    raise Changed(now.version)


def file_type(name: str, media_type: str, kind: Kind) -> str:
    """Return the type that a file is sent as: that of its name or the declared one, if its content agrees.

    Empty if the content agrees with neither, or is not recognised (content-specification 4.3.3.3).
    """
    return next((each for each in file_types(name, media_type) if each and agrees(each, kind)), "")


def file_types(name: str, media_type: str) -> tuple[str, str]:
    """Return the type that a file has by its name, and the declared one; each may be empty."""
    return canonical(mimetypes.guess_type(name)[0] or ""), canonical(media_type)


async def _texts(vault: MessageClientVault, message: str) -> list[str]:
    try:
        stored = json.loads(await (await vault.mail_body(message)).read_all())
    except UnknownRecord:
        raise NotHere("message", message) from None
    return [text for document in stored["documents"] for text in document["texts"]]
