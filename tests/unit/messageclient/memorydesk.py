"""A desk in memory for tests of the pages: one organisation's mailboxes, with the rules of a real desk."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import NoReturn

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageclient.desk import (
    Changed,
    ConversationMoved,
    DraftClosed,
    DraftTaken,
    NotHere,
    NotReady,
    TooLate,
)
from samdrift.messageclient.handover.content import Content, HandOver
from samdrift.messageclient.live.following import TooManyStreams
from samdrift.messageclient.live.openpages import Change, News, OpenPage, Present, Watch
from samdrift.messageclient.mail import (
    Act,
    Caution,
    Conversation,
    Correspondent,
    Delivery,
    DeliveryEvent,
    Document,
    Draft,
    DraftContent,
    DraftKind,
    DraftMark,
    DraftStage,
    File,
    FileContent,
    Folder,
    Found,
    Hold,
    Identifier,
    Line,
    Lines,
    Mailbox,
    Message,
    Note,
    Part,
    Party,
    Person,
    Problem,
    ProblemCode,
    Reading,
    Reason,
    Recipient,
    RecipientCheck,
    RecipientList,
    Registration,
    Review,
    Search,
    Stage,
    Submitted,
    TextTemplate,
)
from samdrift.messageclient.notices.manning import Manning, Overdue
from samdrift.messageclient.selections import Selection, State, View
from samdrift.rights import Right
from samdrift.web.messagetext import message_text

ANNA, BO, EVA = Person("p-anna", "Anna Andersson"), Person("p-bo", "Bo Berg"), Person("p-eva", "Eva Ek")
ALL = frozenset({Right.READ, Right.WRITE, Right.APPROVE})
OURS = "0203:habo.se"


def plain(text: str) -> str:
    """Return a text without accents and capitals."""
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))


@dataclass
class Office:
    """Everything that the desks of one organisation share."""

    now: Callable[[], datetime]
    boxes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name and address of each mailbox."""
    rights: dict[tuple[str, str], frozenset[Right]] = field(default_factory=dict)
    """Rights by person and mailbox."""
    conversations: dict[str, Conversation] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    room: int = 1 << 20
    """Maximum size of a file in bytes."""
    contents: dict[str, bytes] = field(default_factory=dict)
    readings: list[tuple[str, Reading]] = field(default_factory=list)
    searches: dict[str, Search] = field(default_factory=dict)
    book: list[Correspondent] = field(default_factory=list)
    texts: list[TextTemplate] = field(default_factory=list)
    selections: dict[str, Selection] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    lists: dict[str, RecipientList] = field(default_factory=dict)
    approval: set[str] = field(default_factory=set)
    manning: dict[str, Manning] = field(default_factory=dict)
    undo_seconds: int = 10
    away_since: datetime | None = None
    news: asyncio.Event | None = None
    """Set when there is news for the stream of an open page; ``None`` if streams are not possible."""
    present: dict[str, tuple[Present, ...]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    """Everything that was shown, as an organisation's log would have it."""
    numbers: count[int] = field(default_factory=lambda: count(1))

    def id(self, kind: str) -> str:
        return f"{kind}{next(self.numbers)}"

    def holds(self, message: str) -> tuple[Conversation, Message]:
        for conversation in self.conversations.values():
            for one in conversation.messages:
                if one.id == message:
                    return conversation, one
        raise NotHere("", "")

    def put(self, conversation: Conversation) -> Conversation:
        messages = tuple(replace(each, conversation=conversation.id) for each in conversation.messages)
        conversation = replace(conversation, messages=messages)
        self.conversations[conversation.id] = conversation
        return conversation

    def add(self, conversation: str, message: Message) -> None:
        one = self.conversations[conversation]
        self.put(replace(one, version=one.version + 1, messages=(*one.messages, message)))

    def file(self, name: str, media_type: str, content: bytes) -> File:
        file = File(self.id("f"), name, media_type, len(content))
        self.contents[file.id] = content
        return file


@dataclass
class InMemory:
    """Content that can be read any number of times."""

    content: bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content


@dataclass
class Contents:
    """Messages of a hand-over that can be read any number of times."""

    contents: Sequence[Content]

    async def __aiter__(self) -> AsyncIterator[Content]:
        for one in self.contents:
            yield one


class MemoryDesk:
    """A :class:`~samdrift.messageclient.desk.Desk` over an office."""

    def __init__(self, office: Office, person: Person) -> None:
        self._office = office
        self._person = person

    @property
    def person(self) -> Person:
        return self._person

    @property
    def away_since(self) -> datetime | None:
        return self._office.away_since

    # --- what an open page learns -----------------------------------------------------------------------

    async def watch(self, view: OpenPage) -> Watch:
        mailbox, state = "", ""
        if view.conversation:
            one = self._one(view.conversation)
            mailbox, state = one.mailbox, str(one.version)
        listed = {one.mailbox for one in self._in(Folder.OPEN, view.mailbox or None)}
        versions = sum(one.version for one in self._office.conversations.values() if one.mailbox in listed)
        return Watch(tuple(sorted(listed)), view.conversation, mailbox, Right.READ, str(versions), state)

    async def news(self, view: OpenPage, shown: tuple[str, str], since: datetime, *, polled: bool) -> News:
        watch = await self.watch(view)
        arrived = sum(
            each.at > since
            for one in self._office.conversations.values()
            for each in one.messages
            if one.mailbox in watch.listed
        )
        others = {
            conversation: tuple(one for one in there if one.person != self._person)
            for conversation, there in self._office.present.items()
        }
        changed = watch.list_state != shown[0], watch.conversation_state != shown[1]
        return News(arrived, *changed, others)

    async def follow(self, view: OpenPage, shown: tuple[str, str], session: bytes) -> AsyncGenerator[Change]:
        if self._office.news is None:
            raise TooManyStreams
        return self._changes(self._office.news)

    async def _changes(self, news: asyncio.Event) -> AsyncGenerator[Change]:
        while True:
            yield Change.ALIVE
            await news.wait()
            news.clear()
            yield Change.NEWS

    def may(self, right: Right, mailbox: str | None = None) -> bool:
        return right in self._office.rights.get((self._person.id, mailbox or ""), frozenset())

    async def refuse(self, kind: str, asked: str) -> NoReturn:
        raise NotHere(kind, asked)

    def _need(self, right: Right, mailbox: str) -> None:
        if not self.may(right, mailbox):
            raise NotHere("", "")

    # --- reading ----------------------------------------------------------------------------------------

    async def mailboxes(self) -> tuple[Mailbox, ...]:
        found = []
        for box, (name, address) in self._office.boxes.items():
            rights = self._office.rights.get((self._person.id, box), frozenset())
            if rights:
                counts = {folder: len(self._in(folder, box)) for folder in Folder}
                drafts = sum(
                    each.mailbox == box and each.stage is not DraftStage.SENT for each in self._drafts()
                )
                found.append(
                    Mailbox(
                        box,
                        name,
                        address,
                        rights,
                        counts,
                        drafts,
                        0,
                        box in self._office.approval,
                        self._office.undo_seconds,
                    )
                )
        return tuple(found)

    def _in(self, folder: Folder, box: str | None) -> list[Conversation]:
        tests: dict[Folder, Callable[[Conversation], bool]] = {
            Folder.UNREAD: lambda one: any(each.was_unread for each in one.messages),
            Folder.MINE: lambda one: not one.done and one.handler == self._person,
            Folder.UNHANDLED: lambda one: not one.done and one.handler is None,
            Folder.OPEN: lambda one: not one.done,
            Folder.DONE: lambda one: one.done,
            Folder.SENT: lambda one: any(each.direction is Direction.OUT for each in one.messages),
        }
        found = [
            one
            for one in self._office.conversations.values()
            if (box is None or one.mailbox == box)
            and self.may(Right.READ, one.mailbox)
            and tests[folder](one)
        ]
        return sorted(found, key=lambda one: one.messages[-1].at, reverse=True)

    def _line(self, one: Conversation) -> Line:
        self._office.seen.append(f"line {one.id}")
        last = one.messages[-1]
        sent = [each for each in one.messages if each.delivery is not None]
        unread = any(each.was_unread for each in one.messages)
        return Line(
            id=one.id,
            version=one.version,
            mailbox=one.mailbox,
            subject=one.subject,
            counterpart=one.counterpart,
            at=last.at,
            confidential=one.confidential,
            references=one.references,
            messages=len(one.messages),
            files=sum(len(document.files) for each in one.messages for document in each.documents),
            unread=unread,
            new_to_me=unread,
            handler=one.handler,
            done=one.done,
            drafts=self._marks(one.id),
            delivery=sent[-1].delivery if sent else None,
            unreadable=any(each.stage is Stage.UNREADABLE and not each.too_large for each in one.messages),
            too_large=any(each.too_large for each in one.messages),
        )

    def _marks(self, conversation: str) -> tuple[DraftMark, ...]:
        return tuple(
            DraftMark(each.id, each.writer, each.saved_at)
            for each in self._office.drafts.values()
            if each.conversation == conversation and each.stage is not DraftStage.SENT
        )

    async def lines(
        self, folder: Folder, mailbox: str | None = None, *, after: str = "", limit: int = 50
    ) -> Lines:
        if mailbox is not None:
            self._need(Right.READ, mailbox)
        found = self._in(folder, mailbox)
        start = int(after or 0)
        page = found[start : start + limit]
        more = str(start + limit) if len(found) > start + limit else ""
        return Lines(tuple(map(self._line, page)), more, self._overdue(mailbox or ""))

    def _overdue(self, mailbox: str) -> Overdue | None:
        hours = self._office.manning.get(mailbox, Manning())
        unread = [
            each for one in self._in(Folder.UNREAD, mailbox) for each in one.messages if each.was_unread
        ]
        due = [(hours.overdue_at(each.at), each) for each in unread]
        overdue = [each for moment, each in due if moment is not None and moment <= self._office.now()]
        if not overdue:
            return None
        oldest = min(overdue, key=lambda each: each.at)
        return Overdue(len(overdue), hours.escalate_after, oldest.conversation)

    def _one(self, conversation: str, right: Right = Right.READ) -> Conversation:
        one = self._office.conversations.get(conversation)
        if one is None:
            raise NotHere("", "")
        self._need(right, one.mailbox)
        return one

    async def conversation(self, conversation: str, before: str = "") -> Conversation:
        return self._open(conversation, Act.READ)

    def _open(self, conversation: str, act: Act) -> Conversation:
        one = self._one(conversation)
        messages = tuple(self._read(each, act) for each in one.messages)
        self._office.put(replace(one, messages=tuple(replace(each, was_unread=False) for each in messages)))
        return replace(one, messages=messages, drafts=self._marks(one.id))

    def _read(self, message: Message, act: Act) -> Message:
        self._office.seen.append(f"{act} {message.id}")
        now = self._office.now()
        self._office.readings.append((message.id, Reading(self._person, act, now, now)))
        persons = {reading.person for seen, reading in self._office.readings if seen == message.id}
        return replace(message, read_by=len(persons))

    async def way(self, message: str) -> Message:
        conversation, one = self._office.holds(message)
        self._need(Right.READ, conversation.mailbox)
        self._office.seen.append(f"way {one.id}")
        return replace(one, documents=())

    async def printed(self, conversation: str, before: str = "") -> Conversation:
        return self._open(conversation, Act.PRINTED)

    async def file(self, message: str, file: str) -> FileContent:
        conversation, one = self._office.holds(message)
        self._need(Right.READ, conversation.mailbox)
        for document in one.documents:
            for each in document.files:
                if each.id == file:
                    self._read(one, Act.FILE)
                    return FileContent(each, self._pieces(file))
        raise NotHere("", "")

    async def _pieces(self, file: str) -> AsyncIterator[bytes]:
        yield self._office.contents[file]

    async def raw(self, message: str) -> FileContent:
        conversation, one = self._office.holds(message)
        self._need(Right.READ, conversation.mailbox)
        self._read(one, Act.RAW)
        self._office.contents["raw"] = b'{"data": 1'
        return FileContent(File("raw", "meddelande.json", "application/json", 10), self._pieces("raw"))

    async def readers(self, message: str) -> tuple[Message, tuple[Reading, ...]]:
        conversation, one = self._office.holds(message)
        self._need(Right.READ, conversation.mailbox)
        found: dict[tuple[Person, Act], Reading] = {}
        for seen, reading in self._office.readings:
            if seen == message:
                before = found.get((reading.person, reading.act), reading)
                found[reading.person, reading.act] = replace(before, last_at=reading.last_at)
        return replace(one, documents=()), tuple(reversed(found.values()))

    async def handed_over(
        self, conversation: str, messages: Sequence[str], parts: frozenset[Part]
    ) -> HandOver:
        one = self._one(conversation, Right.READ)
        chosen = tuple(each for each in one.messages if not messages or each.id in messages)
        if not chosen or len(chosen) < len(messages):
            raise NotHere("", "")
        for each in chosen:
            self._read(each, Act.HANDED_OVER)
        return HandOver(
            conversation=replace(
                one,
                messages=tuple(replace(each, documents=()) for each in chosen),
                notes=one.notes if Part.NOTES in parts else (),
            ),
            organisation=OURS,
            address=self._office.boxes[one.mailbox][1],
            parts=parts,
            readings={each.id: (await self.readers(each.id))[1] for each in chosen},
            contents=Contents(
                [
                    Content(
                        each,
                        {
                            file.id: InMemory(self._office.contents[file.id])
                            for document in each.documents
                            for file in document.files
                            if Part.FILES in parts
                        },
                        InMemory(b"{}") if each.stage is Stage.UNREADABLE else None,
                    )
                    for each in chosen
                ]
            ),
            remote={},
            proofs=None,
            person=self._person,
            at=self._office.now(),
        )

    async def register(self, conversation: str, version: int, number: str) -> int:
        registered = Registration(number, self._person, self._office.now()) if number else None
        return self._change(conversation, version, registered=registered)

    async def hold(self, conversation: str, version: int, reason: str) -> int:
        held = Hold(reason, self._person, self._office.now()) if reason else None
        return self._change(conversation, version, held=held)

    # --- what a conversation is ---------------------------------------------------------------------------

    async def colleagues(self, mailbox: str) -> tuple[Person, ...]:
        self._need(Right.READ, mailbox)
        known = {ANNA.id: ANNA, BO.id: BO, EVA.id: EVA}
        return tuple(
            known[person]
            for (person, box), rights in self._office.rights.items()
            if box == mailbox and Right.WRITE in rights
        )

    def _change(self, conversation: str, version: int, **changes: object) -> int:
        one = self._one(conversation, Right.WRITE)
        if one.version != version:
            raise Changed(one.version)
        self._office.put(replace(one, version=version + 1, **changes))  # type: ignore[arg-type]
        return version + 1

    async def take(self, conversation: str, version: int) -> int:
        return self._change(conversation, version, handler=self._person)

    async def release(self, conversation: str, version: int) -> int:
        return self._change(conversation, version, handler=None)

    async def hand_over(self, conversation: str, version: int, to: str) -> int:
        one = self._one(conversation, Right.WRITE)
        for person in await self.colleagues(one.mailbox):
            if person.id == to:
                return self._change(conversation, version, handler=person)
        raise NotHere("", "")

    async def set_done(self, conversation: str, version: int, *, done: bool) -> int:
        return self._change(conversation, version, done=done)

    async def move(self, conversation: str, version: int, mailbox: str) -> int:
        self._need(Right.WRITE, mailbox)
        return self._change(conversation, version, mailbox=mailbox)

    async def add_note(self, conversation: str, text: str) -> Note:
        one = self._one(conversation, Right.WRITE)
        note = Note(self._office.id("n"), self._person, self._office.now(), text)
        self._office.put(replace(one, version=one.version + 1, notes=(*one.notes, note)))
        return note

    # --- writing ------------------------------------------------------------------------------------------

    def _drafts(self) -> list[Draft]:
        return [each for each in self._office.drafts.values() if self.may(Right.WRITE, each.mailbox)]

    async def drafts(self, mailbox: str | None = None) -> tuple[Draft, ...]:
        found = [
            each
            for each in self._drafts()
            if mailbox in (None, each.mailbox) and each.stage is not DraftStage.SENT
        ]
        return tuple(sorted(found, key=lambda each: each.saved_at, reverse=True))

    async def new_draft(self, mailbox: str, content: DraftContent | None = None) -> Draft:
        self._need(Right.WRITE, mailbox)
        return self._begin(mailbox, content or DraftContent(), None, None)

    def _begin(
        self,
        mailbox: str,
        content: DraftContent,
        conversation: str | None,
        reply_to: str | None,
        kind: DraftKind = DraftKind.NEW,
    ) -> Draft:
        draft = Draft(
            id=self._office.id("d"),
            kind=kind,
            version=1,
            mailbox=mailbox,
            conversation=conversation,
            reply_to=reply_to,
            seen=self._office.conversations[conversation].version if conversation else None,
            content=content,
            files=(),
            stage=DraftStage.OPEN,
            writer=self._person,
            saved_at=self._office.now(),
            asked_by=None,
            approved_by=None,
            declined="",
            size=0,
            until=None,
        )
        self._office.drafts[draft.id] = draft
        return draft

    async def reply(self, message: str) -> Draft:
        conversation, one = self._office.holds(message)
        self._need(Right.WRITE, conversation.mailbox)
        sender = one.sender if one.direction is Direction.IN else one.recipient
        to = Recipient(sender.organisation, sender.address, sender.organisation_name, sender.address_name)
        content = DraftContent(
            (to,),
            f"Sv: {one.subject}",
            "",
            one.confidential,
            references=one.recipient.references,
            recipient_persons=sender.persons,
            recipient_references=sender.references,
        )
        kind = DraftKind.ANSWER if one.direction is Direction.IN else DraftKind.ADDITION
        return self._begin(conversation.mailbox, content, conversation.id, message, kind)

    async def send_again(self, message: str) -> Draft:
        conversation, one = self._office.holds(message)
        self._need(Right.WRITE, conversation.mailbox)
        to = one.recipient
        content = DraftContent(
            (Recipient(to.organisation, to.address, to.organisation_name, to.address_name),),
            one.subject,
            "\n\n".join(text for document in one.documents for text in document.plain),
            one.confidential,
        )
        return self._begin(conversation.mailbox, content, conversation.id, message, DraftKind.AGAIN)

    def _draft(self, draft: str, right: Right = Right.WRITE) -> Draft:
        one = self._office.drafts.get(draft)
        if one is None:
            raise NotHere("", "")
        self._need(right, one.mailbox)
        return one

    async def draft(self, draft: str) -> Draft:
        return self._draft(draft, Right.READ)

    def _mine(self, draft: str, version: int | None = None) -> Draft:
        one = self._draft(draft)
        if one.stage not in (DraftStage.OPEN, DraftStage.APPROVED):
            raise DraftClosed(one.stage)
        if one.writer != self._person:
            raise DraftTaken(one.writer, one.saved_at)
        if version is not None and version != one.version:
            raise Changed(one.version)
        return one

    def _keep(self, draft: Draft, **changes: object) -> Draft:
        changed = replace(draft, version=draft.version + 1, saved_at=self._office.now(), **changes)  # type: ignore[arg-type]
        size = sum(each.size for each in changed.files) * 4 // 3 + len(changed.content.text.encode())
        self._office.drafts[draft.id] = replace(changed, size=size)
        return self._office.drafts[draft.id]

    async def save_draft(self, draft: str, version: int, content: DraftContent) -> int:
        one = self._mine(draft, version)
        return self._keep(one, content=content, stage=DraftStage.OPEN, approved_by=None).version

    async def take_over_draft(self, draft: str) -> Draft:
        return self._keep(self._draft(draft), writer=self._person)

    async def discard_draft(self, draft: str, version: int) -> None:
        self._mine(draft, version)
        del self._office.drafts[draft]

    async def upload(self, draft: str, name: str, media_type: str) -> MemoryUpload:
        self._mine(draft)
        return MemoryUpload(self, self._office, draft, name, media_type)

    def kept(self, draft: str, file: File) -> None:
        one = self._draft(draft)
        self._keep(one, files=(*one.files, file))

    async def remove_file(self, draft: str, file: str) -> None:
        one = self._mine(draft)
        self._keep(one, files=tuple(each for each in one.files if each.id != file))

    async def draft_file(self, draft: str, file: str) -> FileContent:
        for each in self._draft(draft, Right.READ).files:
            if each.id == file:
                return FileContent(each, self._pieces(file))
        raise NotHere("", "")

    async def news_read(self, draft: str, messages: int) -> None:
        one = self._draft(draft)
        assert one.conversation is not None
        version = self._office.conversations[one.conversation].version
        self._office.drafts[draft] = replace(one, seen=min(messages, version))

    async def review(self, draft: str) -> Review:
        one = self._draft(draft, Right.READ)
        used = {(each.recipient.organisation, each.recipient.address): each for each in self._office.book}
        checks = []
        for to in one.content.recipients:
            known = used.get((to.organisation, to.address))
            first = known is not None and known.used == 0
            cautions = {Caution.NOT_LISTED} if known is None else {Caution.FIRST_TIME} if first else set()
            checks.append(RecipientCheck(to, frozenset(cautions), known.last_used_at if known else None))
        return Review(
            one,
            (*_problems(one), *self._gone(one)),
            tuple(checks),
            one.mailbox in self._office.approval,
            self._office.undo_seconds,
            30_000_000,
        )

    def _gone(self, one: Draft) -> list[Problem]:
        listed = {(each.recipient.organisation, each.recipient.address) for each in self._office.book}
        gone = [to for to in one.content.recipients if (to.organisation, to.address) not in listed]
        return [Problem(ProblemCode.UNKNOWN_RECIPIENT, "recipients", recipient=to) for to in gone]

    async def ask_approval(self, draft: str, version: int) -> int:
        one = self._mine(draft, version)
        return self._keep(one, stage=DraftStage.APPROVAL, asked_by=self._person).version

    def _asked(self, draft: str, version: int) -> Draft:
        one = self._draft(draft, Right.APPROVE)
        if one.stage is not DraftStage.APPROVAL or one.asked_by == self._person:
            raise DraftClosed(one.stage)
        if one.version != version:
            raise Changed(one.version)
        return one

    async def approve(self, draft: str, version: int) -> int:
        one = self._asked(draft, version)
        return self._keep(one, stage=DraftStage.APPROVED, approved_by=self._person).version

    async def decline(self, draft: str, version: int, reason: str) -> int:
        return self._keep(self._asked(draft, version), stage=DraftStage.OPEN, declined=reason).version

    async def withdraw(self, draft: str, version: int) -> int:
        one = self._draft(draft)
        if one.stage is not DraftStage.APPROVAL or one.version != version:
            raise DraftClosed(one.stage)
        if one.writer != self._person:
            raise DraftTaken(one.writer, one.saved_at)
        return self._keep(one, stage=DraftStage.OPEN, asked_by=None).version

    async def submit(self, draft: str, version: int) -> Submitted:
        one = self._draft(draft)
        if one.stage is DraftStage.WINDOW:
            assert one.until is not None
            return Submitted(draft, (), one.conversation or "", one.until)
        one = self._mine(draft, version)
        if problems := (*_problems(one), *self._gone(one)):
            raise NotReady(problems)
        if one.conversation is not None:
            conversation = self._office.conversations[one.conversation]
            if one.seen != conversation.version:
                raise ConversationMoved(
                    conversation.version, conversation.messages[-1:], conversation.version
                )
        until = self._office.now() + timedelta(seconds=self._office.undo_seconds)
        self._keep(one, stage=DraftStage.WINDOW, until=until)
        return Submitted(draft, (), one.conversation or "", until)

    async def undo(self, draft: str) -> Draft:
        one = self._draft(draft)
        if one.stage is not DraftStage.WINDOW or one.until is None or self._office.now() >= one.until:
            raise TooLate
        return self._keep(one, stage=DraftStage.OPEN, until=None)

    async def outbox(self, mailbox: str | None = None) -> tuple[Message, ...]:
        return tuple(
            each
            for one in self._office.conversations.values()
            for each in one.messages
            if self.may(Right.READ, one.mailbox) and each.stage in (Stage.OUTBOX, Stage.NOT_SENT)
        )

    # --- finding ------------------------------------------------------------------------------------------

    async def begin_search(self, search: Search) -> str:
        token = self._office.id("token")
        self._office.searches[token] = search
        return token

    async def found(self, token: str) -> tuple[Search, Found]:
        search = self._office.searches.get(token)
        if search is None:
            raise NotHere("", "")
        among = [one for folder in (Folder.OPEN, Folder.DONE) for one in self._in(folder, search.mailbox)]
        words = plain(search.words)
        fits = [one for one in among if words in plain(f"{one.subject} {one.counterpart}")]
        return search, Found(tuple(map(self._line, fits)), len(among), len(among), complete=True)

    async def say_why(self, conversation: str, reason: Reason) -> None:
        self._office.seen.append(f"why {conversation} {reason}")

    # --- selections and lists -----------------------------------------------------------------------------

    async def begin_selection(self, selection: Selection) -> str:
        token = self._office.id("selection")
        self._office.selections[token] = selection
        return token

    async def selected(self, token: str, *, after: str = "", limit: int = 50) -> tuple[Selection, Lines]:
        selection = self._office.selections.get(token)
        if selection is None:
            raise NotHere("", "")
        return selection, self._selected(selection)

    def _selected(self, selection: Selection) -> Lines:
        folder = {State.DONE: Folder.DONE, State.UNREAD: Folder.UNREAD}.get(selection.state, Folder.OPEN)
        words = plain(selection.organisation)
        found = [one for one in self._in(folder, selection.mailbox) if words in plain(str(one.counterpart))]
        return Lines(tuple(map(self._line, found)), "")

    async def views(self) -> tuple[View, ...]:
        return tuple(self._office.views.values())

    async def view(self, view: str, *, after: str = "", limit: int = 50) -> tuple[View, Lines]:
        if view not in self._office.views:
            raise NotHere("", "")
        return self._office.views[view], self._selected(self._office.views[view].selection)

    async def keep_view(self, token: str, name: str, *, for_mailbox: bool = False) -> str:
        selection, _ = await self.selected(token)
        kept = View(self._office.id("view"), name, selection, selection.mailbox if for_mailbox else None)
        self._office.views[kept.id] = kept
        return kept.id

    async def drop_view(self, view: str) -> None:
        await self.view(view)
        del self._office.views[view]

    async def lists(self) -> tuple[RecipientList, ...]:
        return tuple(self._office.lists.values())

    async def keep_list(self, kept: RecipientList) -> str:
        kept = replace(kept, id=kept.id or self._office.id("list"))
        self._office.lists[kept.id] = kept
        return kept.id

    async def drop_list(self, kept: str) -> None:
        if self._office.lists.pop(kept, None) is None:
            raise NotHere("", "")

    async def text_templates(self, mailbox: str) -> tuple[TextTemplate, ...]:
        self._need(Right.WRITE, mailbox)
        return tuple(self._office.texts)

    async def correspondents(self, words: str, limit: int = 20) -> tuple[Correspondent, ...]:
        found = [each for each in self._office.book if plain(words) in plain(str(each.recipient))]
        return tuple(sorted(found, key=lambda each: (not each.favourite, -each.used))[:limit])

    async def correspondent(self, key: str) -> Recipient | None:
        found = (each.recipient for each in self._office.book)
        return next((one for one in found if f"{one.organisation} {one.address}" == key), None)

    async def set_favourite(self, recipient: Recipient, *, favourite: bool) -> None:
        self._office.book = [
            replace(each, favourite=favourite) if each.recipient == recipient else each
            for each in self._office.book
        ]


class MemoryUpload:
    """A file on its way into a draft; only PDF counts as a type that can be sent."""

    def __init__(self, desk: MemoryDesk, office: Office, draft: str, name: str, media_type: str) -> None:
        self._desk, self._office, self._draft = desk, office, draft
        self._name, self._media_type = name, media_type
        self._content = bytearray()

    async def write(self, piece: bytes) -> None:
        self._content += piece
        if len(self._content) > self._office.room:
            raise NotReady((Problem(ProblemCode.TOO_LARGE, "files", self._name),))

    async def close(self) -> None:
        if not self._content.startswith(b"%PDF"):
            raise NotReady((Problem(ProblemCode.FILE_TYPE, "files", self._name),))
        file = self._office.file(self._name, "application/pdf", bytes(self._content))
        self._desk.kept(self._draft, file)

    async def discard(self) -> None:
        self._content.clear()


def _problems(draft: Draft) -> Sequence[Problem]:
    content = draft.content
    found = []
    if not content.recipients:
        found.append(Problem(ProblemCode.NO_RECIPIENT, "recipients"))
    if not content.subject.strip():
        found.append(Problem(ProblemCode.NO_SUBJECT, "subject"))
    if not content.text.strip() and not draft.files:
        found.append(Problem(ProblemCode.EMPTY, "text"))
    if not all(each.extension and each.label for each in content.persons):
        found.append(Problem(ProblemCode.REFERENCE, "persons"))
    return found


def message(
    office: Office,
    sender: Party,
    recipient: Party,
    subject: str,
    text: str,
    at: datetime,
    *,
    files: Sequence[File] = (),
    author: Person | None = None,
    unread: bool = False,
    status: MessageStatus | None = None,
    stage: Stage | None = None,
    events: Sequence[DeliveryEvent] = (),
    dated_at: datetime | None = None,
    confidential: bool = True,
) -> Message:
    """Return a message; one with an author was sent by this organisation."""
    out = author is not None
    stage = stage or (Stage.HANDED_OVER if out else Stage.ARRIVED)
    number = office.id("m")
    return Message(
        id=number,
        message_id=f"3f2c1a90-{number}",
        conversation="",
        conversation_id="c",
        direction=Direction.OUT if out else Direction.IN,
        sender=sender,
        recipient=recipient,
        subject=subject,
        confidential=confidential,
        at=at,
        dated_at=dated_at or at,
        documents=(Document("Meddelande", (str(message_text(text)),), (text,), tuple(files)),),
        stage=stage,
        delivery=Delivery(stage, status, at, None, "", tuple(events)) if out else None,
        refers_to=None,
        author=author,
        read_by=0,
        was_unread=unread,
    )


def conversation(office: Office, mailbox: str, *messages: Message, **more: object) -> Conversation:
    """Put messages into a mailbox as one conversation."""
    first = messages[0]
    theirs = first.sender if first.direction is Direction.IN else first.recipient
    one = Conversation(
        id=office.id("c"),
        version=1,
        mailbox=mailbox,
        subject=first.subject,
        counterpart=theirs,
        confidential=any(each.confidential for each in messages),
        references=(),
        handler=None,
        handler_away=False,
        done=False,
        messages=messages,
        notes=(),
        drafts=(),
    )
    return office.put(replace(one, **more))  # type: ignore[arg-type]


def reference(root: str, value: str) -> Identifier:
    """Return a reference whose text is its value."""
    return Identifier(root, value, value)
