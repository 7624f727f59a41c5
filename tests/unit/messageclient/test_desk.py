"""A person's desk: lists, conversations, files, drafts, submitting and undoing, over a real vault."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import unicodedata
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from samdrift.contracts.addressbook import Listing
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Role
from samdrift.messageclient import finding
from samdrift.messageclient.desk import (
    Changed,
    ConversationMoved,
    Desk,
    DraftClosed,
    DraftTaken,
    NotHere,
    NotReady,
    OwnApproval,
    TooLate,
)
from samdrift.messageclient.drafts import MAX_RECIPIENTS
from samdrift.messageclient.fetching import Fetching
from samdrift.messageclient.live.openpages import OpenPage
from samdrift.messageclient.mail import (
    Act,
    Caution,
    DraftContent,
    DraftStage,
    Folder,
    Identifier,
    Part,
    ProblemCode,
    Recipient,
    Search,
    Stage,
)
from samdrift.messageclient.notices.manning import Manning
from samdrift.rights import Right
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.wire.addressbook import AddressBookCopy, Organisation, OrganisationKind
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import ADDRESS, ALL, Office
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
PDF = b"%PDF-1.7\n" + b"x" * 200_000
OTHER = Recipient("0203:mullsjo.se", "skola:0203:mullsjo.se", "Mullsjö kommun", "Elevhälsan")
TO = Recipient("0203:mullsjo.se", "registrator:0203:mullsjo.se", "Mullsjö kommun", "Registrator")
TYPED = DraftContent((TO,), "Svar", "**Hej** igen")


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Office]:
    yield await Office(installation, organisation).opened()


async def received(office: Office, **message: object) -> str:
    """Let a message arrive; return its conversation."""
    await office.receives(**message)
    return (await office.desk("bo").lines(Folder.OPEN, "box")).lines[0].id


async def written(desk: Desk, typed: DraftContent = TYPED) -> tuple[str, int]:
    draft = await desk.new_draft("box", typed)
    return draft.id, draft.version


async def content_of(desk: Desk, message: str, file: str) -> bytes:
    return b"".join([piece async for piece in (await desk.file(message, file)).pieces])


# --- reading ----------------------------------------------------------------------------------------------


async def test_a_conversation_is_listed_opened_and_counts_as_read_by_each(office: Office) -> None:
    """The organisation's log has everything that is shown, and the readers can be seen.

    content-specification 4.3.2 sentence 9, 4.3.3.2 sentence 2
    """
    conversation = await received(office, files=(("a.pdf", "application/pdf", PDF),))
    anna, bo = office.desk("anna"), office.desk("bo")
    (box,) = await anna.mailboxes()
    assert (box.counts[Folder.UNREAD], box.counts[Folder.UNHANDLED]) == (1, 1)
    (line,) = (await anna.lines(Folder.UNREAD, "box")).lines
    assert (line.id, line.subject, line.unread, line.new_to_me) == (conversation, "Orosanmälan", True, True)
    (message,) = (await anna.conversation(conversation)).messages
    assert message.was_unread
    assert message.sender.references == (Identifier("dnr", "SN 2026-1", "Dnr"),)
    assert message.documents[0].texts == ("<p><strong>Hej</strong><br>\nvi ses</p>\n",)
    (file,) = message.documents[0].files
    assert await content_of(anna, message.id, file.id) == PDF
    assert (await anna.lines(Folder.UNREAD)).lines == ()
    (line,) = (await bo.lines(Folder.OPEN, "box")).lines
    assert (line.unread, line.new_to_me) == (False, True)
    _, readers = await bo.readers(message.id)
    assert {(each.person.name, each.act) for each in readers} == {
        ("Anna Ek", Act.READ),
        ("Anna Ek", Act.FILE),
    }
    seen = {event for event, _ in await office.events()}
    assert {"mk:reading:list", "mk:reading:conversation", "mk:reading:file", "mk:reading:readers"} <= seen


async def test_an_answer_that_came_first_follows_what_it_answers(office: Office) -> None:
    """The order is by ``refToMessageId``; if it is unknown or circular, messages stay in order of time.

    content-specification 4.3.2 sentence 7, sentence 8
    """
    for identity, refers in (("b", "a"), ("x", "nowhere"), ("c", "b"), ("a", ""), ("p", "q"), ("q", "p")):
        await office.receives(message_id=identity, conversation="one", refToMessageId=refers)
    (line,) = (await office.desk().lines(Folder.OPEN, "box")).lines
    shown = await office.desk().conversation(line.id)
    assert [one.message_id for one in shown.messages] == ["a", "b", "x", "c", "p", "q"]


async def test_what_has_lain_unread_for_longer_than_the_mailbox_allows_is_over_its_list(
    office: Office,
) -> None:
    """The notice ends once a person opens it, and never covers done conversations or other mailboxes."""
    anna = office.desk("anna")
    oldest = await received(office, label="nr 1")
    await received(office, label="nr 2")
    office.now += timedelta(hours=3)
    await received(office, label="nr 3")
    assert (await anna.lines(Folder.UNREAD, "box")).overdue is None
    day_and_night = Manning(hours=((0, 1440),) * 7, holidays=False, escalate_after=2)
    async with office.vault() as vault:
        for mailbox in ("box", "other"):
            vault.keep_manning(mailbox, day_and_night.content(), now=office.now)
    for folder in (Folder.UNREAD, Folder.OPEN, Folder.UNHANDLED):
        overdue = (await anna.lines(folder, "box")).overdue
        assert overdue is not None
        assert (overdue.messages, overdue.hours, overdue.oldest) == (2, 2, oldest)
    assert (await anna.lines(Folder.DONE, "box")).overdue is None
    assert (await office.desk("bo").lines(Folder.UNREAD, "other")).overdue is None
    await anna.conversation(oldest)
    overdue = (await anna.lines(Folder.UNREAD, "box")).overdue
    assert overdue is not None
    assert overdue.messages == 1
    assert overdue.oldest != oldest


async def test_a_message_that_is_too_large_is_in_the_list_and_says_so_and_has_no_raw_form(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samdrift.client.mailbox._LARGE", 20_000)
    conversation = await received(office, text="a" * 30_000)
    anna = office.desk("anna")
    (line,) = (await anna.lines(Folder.UNREAD, "box")).lines
    assert (line.unreadable, line.too_large, line.subject) == (False, True, "Orosanmälan")
    (message,) = (await anna.conversation(conversation)).messages
    assert (message.too_large, message.documents) == (True, ())
    with pytest.raises(NotHere):
        await anna.raw(message.id)
    handed = await anna.handed_over(conversation, [], frozenset())
    assert [one.raw async for one in handed.contents] == [None]


async def test_an_older_message_that_is_too_large_is_still_said_to_be_that_in_the_list(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = str(uuid4())
    with monkeypatch.context() as small:
        small.setattr("samdrift.client.mailbox._LARGE", 20_000)
        first = await received(office, text="a" * 30_000, conversation=thread)
    assert await received(office, label="Kortare nu", conversation=thread) == first
    (line,) = (await office.desk("anna").lines(Folder.UNREAD, "box")).lines
    assert (line.messages, line.subject) == (2, "Kortare nu")
    assert (line.unreadable, line.too_large) == (False, True)


async def test_pages_of_a_list_follow_each_other(office: Office) -> None:
    for number in range(3):
        await received(office, label=f"nr {number}")
    anna = office.desk()
    first = await anna.lines(Folder.OPEN, limit=2)
    second = await anna.lines(Folder.OPEN, after=first.next, limit=2)
    assert [line.subject for line in (*first.lines, *second.lines)] == ["nr 2", "nr 1", "nr 0"]
    assert second.next == ""


async def test_what_is_in_another_mailbox_or_organisation_is_not_here_alike(
    office: Office, installation: Installation
) -> None:
    """Every method that accepts an id answers as if it existed nowhere, and the attempt is in the log."""
    conversation = await received(office, files=(("a.txt", "text/plain", b"a"),))
    anna = office.desk("anna")
    (message,) = (await anna.conversation(conversation)).messages
    file = message.documents[0].files[0].id
    draft = (await anna.reply(message.id)).id
    elsewhere = await Office(installation, await installation.organisation(ROLES)).opened()
    async with elsewhere.vault() as vault:
        await vault.keep_mailbox(MailboxRecord("third", "x:0203:habo.se", "X"))
    office.given["cia", "other"] = ALL
    for desk in (elsewhere.desk("anna"), office.desk("cia")):
        attempts = [
            *(desk.lines(folder, "box") for folder in [Folder.OPEN] if desk.person.id == "cia"),
            desk.conversation(conversation),
            desk.printed(conversation),
            desk.handed_over(conversation, (), frozenset(Part)),
            desk.register(conversation, 1, "SN 1"),
            desk.hold(conversation, 1, "x"),
            desk.way(message.id),
            desk.file(message.id, file),
            desk.raw(message.id),
            desk.readers(message.id),
            *(desk.watch(OpenPage("box")) for _ in range(desk.person.id == "cia")),
            desk.watch(OpenPage(conversation=conversation)),
            desk.news(OpenPage(conversation=conversation), ("", ""), office.now, polled=True),
            desk.follow(OpenPage(conversation=conversation, writing=True), ("", ""), b"session"),
            desk.take(conversation, 1),
            desk.release(conversation, 1),
            desk.hand_over(conversation, 1, desk.person.id),
            desk.set_done(conversation, 1, done=True),
            desk.move(conversation, 1, "other"),
            desk.add_note(conversation, "x"),
            desk.reply(message.id),
            desk.send_again(message.id),
            desk.draft(draft),
            desk.save_draft(draft, 1, TYPED),
            desk.take_over_draft(draft),
            desk.discard_draft(draft, 1),
            desk.upload(draft, "a.txt", "text/plain"),
            desk.remove_file(draft, file),
            desk.draft_file(draft, file),
            desk.news_read(draft, 1),
            desk.review(draft),
            desk.ask_approval(draft, 1),
            desk.approve(draft, 1),
            desk.decline(draft, 1, "no"),
            desk.withdraw(draft, 1),
            desk.submit(draft, 1),
            desk.undo(draft),
        ]
        for attempt in attempts:
            with pytest.raises(NotHere) as denied:
                await attempt
            assert str(denied.value) == "there is nothing here that you may see"
        where = office if desk.person.id == "cia" else elsewhere
        logged = [event for event, _ in await where.events() if event == "mk:access:denied"]
        assert len(logged) == len(attempts)
    assert (await anna.draft(draft)).content.recipients == (TO_OF_SENDER,)


TO_OF_SENDER = Recipient("0203:mullsjo.se", "registrator:0203:mullsjo.se", "", "Registrator")


async def test_one_who_may_read_cannot_change_or_write(office: Office) -> None:
    conversation = await received(office)
    office.given["dag", "box"] = frozenset({Right.READ})
    dag = office.desk("dag")
    (message,) = (await dag.conversation(conversation)).messages
    for attempt in (
        dag.take(conversation, 1),
        dag.reply(message.id),
        dag.new_draft("box"),
        dag.drafts("box"),
    ):
        with pytest.raises(NotHere):
            await attempt


# --- handling ---------------------------------------------------------------------------------------------


async def test_a_conversation_has_one_handler_and_the_slower_of_two_learns_it(office: Office) -> None:
    conversation = await received(office)
    anna, bo = office.desk("anna"), office.desk("bo")
    version = (await anna.conversation(conversation)).version
    taken = await anna.take(conversation, version)
    with pytest.raises(Changed) as changed:
        await bo.take(conversation, version)
    assert changed.value.version == taken
    assert (await bo.conversation(conversation)).handler == (await anna.colleagues("box"))[0]
    assert (await anna.mailboxes())[0].counts[Folder.MINE] == 1
    given = await anna.hand_over(conversation, taken, "bo")
    with pytest.raises(NotHere):
        await anna.hand_over(conversation, given, "cia")
    done = await bo.set_done(conversation, given, done=True)
    assert [line.id for line in (await anna.lines(Folder.DONE)).lines] == [conversation]
    released = await bo.release(conversation, done)
    assert (await bo.conversation(conversation)).handler is None
    note = await anna.add_note(conversation, "Ring först")
    assert (await bo.conversation(conversation)).notes == (
        note.__class__(note.id, note.author.__class__("anna", "Anna Ek"), note.at, "Ring först"),
    )
    assert released < (await bo.conversation(conversation)).version


async def test_a_conversation_moves_with_its_drafts_and_its_answer_comes_from_where_it_began(
    office: Office,
) -> None:
    conversation = await received(office)
    anna, bo = office.desk("anna"), office.desk("bo")
    opened = await anna.conversation(conversation)
    draft = await anna.reply(opened.messages[0].id)
    version = await anna.take(conversation, opened.version)
    with pytest.raises(NotHere):
        await anna.move(conversation, version, "other")
    await bo.move(conversation, version, "other")
    with pytest.raises(NotHere):
        await anna.conversation(conversation)
    moved = await bo.conversation(conversation)
    assert (moved.mailbox, moved.handler) == ("other", None)
    taken = await bo.take_over_draft(draft.id)
    saved = await bo.save_draft(draft.id, taken.version, TYPED)
    sent = await bo.submit(draft.id, saved)
    assert sent.conversation == conversation
    assert (await bo.way(sent.messages[0])).sender.address == ADDRESS


async def test_an_answer_names_the_organisation_that_it_goes_to_as_the_address_book_does(
    office: Office,
) -> None:
    """A message does not name the organisation; a person who answers must see the recipient's name."""
    conversation = await received(office)
    anna = office.desk("anna")
    (message,) = (await anna.conversation(conversation)).messages
    participant = ParticipantIdentifier.parse(message.sender.organisation)
    kind = OrganisationKind.ORGANISATION
    named = Organisation("1", participant, "", "Mullsjö kommun", "", "", "SE", kind, None)
    office.book.copy = AddressBookCopy(office.now, (named,), ())
    (recipient,) = (await anna.reply(message.id)).content.recipients
    assert recipient.organisation_name == "Mullsjö kommun"


# --- writing ----------------------------------------------------------------------------------------------


async def test_a_draft_has_one_writer_and_every_change_a_version(office: Office) -> None:
    anna, bo = office.desk("anna"), office.desk("bo")
    draft, version = await written(anna)
    assert await anna.save_draft(draft, version, TYPED) == version
    longer = DraftContent((TO,), "Svar", "mer")
    saved = await anna.save_draft(draft, version, longer)
    with pytest.raises(Changed):
        await anna.save_draft(draft, version, TYPED)
    with pytest.raises(DraftTaken) as taken:
        await bo.save_draft(draft, saved, TYPED)
    assert taken.value.writer.name == "Anna Ek"
    assert (await bo.take_over_draft(draft)).content == longer
    with pytest.raises(DraftTaken):
        await anna.save_draft(draft, saved, TYPED)
    (listed,) = await anna.drafts("box")
    assert listed.writer.name == "Bo Al"
    await bo.discard_draft(draft, listed.version)
    assert await anna.drafts() == ()


async def test_files_of_a_draft_are_kept_as_they_are_and_judged_by_their_content(office: Office) -> None:
    anna = office.desk()
    draft, _ = await written(anna)
    upload = await anna.upload(draft, "beslut.pdf", "application/octet-stream")
    for start in range(0, len(PDF), 50_000):
        await upload.write(PDF[start : start + 50_000])
    await upload.close()
    for name, data, code in (("a.pdf", b"MZ\0\0", ProblemCode.FILE_TYPE), ("b.pdf", b"", ProblemCode.EMPTY)):
        wrong = await anna.upload(draft, name, "application/pdf")
        await wrong.write(data)
        with pytest.raises(NotReady) as refused:
            await wrong.close()
        assert refused.value.problems[0].code is code
    large = await anna.upload(draft, "c.pdf", "application/pdf")
    with pytest.raises(NotReady) as refused:
        await large.write(bytes(31 << 20))
    assert refused.value.problems[0].code is ProblemCode.TOO_LARGE
    (file,) = (await anna.draft(draft)).files
    assert (file.name, file.media_type, file.size) == ("beslut.pdf", "application/pdf", len(PDF))
    pieces = (await anna.draft_file(draft, file.id)).pieces
    assert b"".join([piece async for piece in pieces]) == PDF
    before = office.installation.objects(office.organisation)
    await anna.remove_file(draft, file.id)
    assert (await anna.draft(draft)).files == ()
    assert len(before) - len(office.installation.objects(office.organisation)) == 1


async def test_a_recipient_that_has_vanished_since_the_review_is_refused_at_the_send_by_name(
    office: Office,
) -> None:
    """None of the recipients is sent anything, the draft is unchanged, and earlier messages stay sent."""
    anna = office.desk()
    other = Recipient("0203:jonkoping.se", "x:0203:jonkoping.se", "Jönköpings kommun", "X")
    draft, version = await written(anna, DraftContent((TO, other), "Svar", "text"))
    assert (await anna.review(draft)).problems == ()
    office.book.vanished.add(other.address)
    with pytest.raises(NotReady) as refused:
        await anna.submit(draft, version)
    (problem,) = refused.value.problems
    assert (problem.code, problem.recipient) == (ProblemCode.UNKNOWN_RECIPIENT, other)
    assert await anna.outbox() == ()
    kept = await anna.draft(draft)
    assert (kept.version, kept.stage, kept.content.text) == (version, DraftStage.OPEN, "text")
    office.book.vanished.clear()
    sent = await anna.submit(draft, version)
    office.book.vanished.add(other.address)
    assert await anna.submit(draft, version) == sent


async def test_what_is_in_the_way_of_sending_is_named(office: Office) -> None:
    anna = office.desk()
    office.book.vanished.add(TO.address)
    draft, version = await written(
        anna, DraftContent((TO,), "x" * 257, "", references=(Identifier("", "1", "x"),))
    )
    review = await anna.review(draft)
    assert {each.code for each in review.problems} == {
        ProblemCode.SUBJECT_TOO_LONG,
        ProblemCode.EMPTY,
        ProblemCode.REFERENCE,
        ProblemCode.UNKNOWN_RECIPIENT,
    }
    assert review.recipients[0].cautions == {Caution.FIRST_TIME, Caution.NOT_LISTED}
    with pytest.raises(NotReady):
        await anna.submit(draft, version)
    assert await anna.outbox() == ()


async def test_only_a_first_message_that_answers_nothing_is_to_an_address_to_look_at_twice(
    office: Office,
) -> None:
    """An address that has written to us is known; another recipient of the same answer is not."""
    conversation = await received(office)
    anna = office.desk("anna")
    (message,) = (await anna.conversation(conversation)).messages
    draft = await anna.reply(message.id)
    (answered,) = draft.content.recipients
    both = replace(draft.content, recipients=(answered, Recipient("0203:eda.se", "x:0203:eda.se")))
    await anna.save_draft(draft.id, draft.version, both)
    checks = {check.recipient: check.cautions for check in (await anna.review(draft.id)).recipients}
    assert list(checks.values()) == [frozenset(), {Caution.FIRST_TIME}]
    fresh, _ = await written(anna, replace(TYPED, recipients=(answered,)))
    assert (await anna.review(fresh)).recipients[0].cautions == {Caution.FIRST_TIME}


async def test_sent_is_sent_once_and_can_be_undone_for_a_time(office: Office) -> None:
    """A second tab or click does not send twice, and a message in its undo window does not change."""
    anna = office.desk()
    draft, version = await written(anna)
    sent = await anna.submit(draft, version)
    again = None
    with contextlib.suppress(DraftClosed, Changed):
        again = await anna.submit(draft, version)
    assert again == sent
    (waiting,) = await anna.outbox("box")
    assert (waiting.id, waiting.stage, waiting.direction) == (sent.messages[0], Stage.WINDOW, Direction.OUT)
    assert waiting.author is not None
    for attempt in (
        anna.save_draft(draft, version + 1, TYPED),
        anna.upload(draft, "a.txt", "text/plain"),
        anna.discard_draft(draft, version + 1),
        anna.take_over_draft(draft),
        anna.remove_file(draft, "x"),
    ):
        (refused,) = await asyncio.gather(attempt, return_exceptions=True)
        assert isinstance(refused, DraftClosed)
    undone = await anna.undo(draft)
    assert (undone.stage, undone.content) == (DraftStage.OPEN, TYPED)
    assert await anna.outbox() == ()
    with pytest.raises(TooLate):
        await anna.undo(draft)
    again = await anna.submit(draft, undone.version)
    assert again.messages != sent.messages
    office.pass_by(11)
    async with office.vault() as vault:
        assert await vault.end_windows(now=office.now) == again.messages
    with pytest.raises(TooLate):
        await anna.undo(draft)
    assert (await anna.outbox())[0].stage is Stage.OUTBOX


async def test_who_looks_at_who_has_read_a_message_or_at_its_way_has_not_read_it(office: Office) -> None:
    """It stays unread for everyone, that person is not among its readers, and no content was shown."""
    conversation = await received(office, files=(("a.txt", "text/plain", b"a"),))
    bo = office.desk("bo")
    async with office.vault() as vault:
        (mail,) = await vault.mail_of(conversation)
    for shown in (await bo.way(mail.id), (await bo.readers(mail.id))[0]):
        assert (shown.subject, shown.documents, shown.read_by) == ("Orosanmälan", (), 0)
    assert (await bo.readers(mail.id))[1] == ()
    (line,) = (await bo.lines(Folder.UNREAD, "box")).lines
    assert (line.unread, line.new_to_me) == (True, True)
    seen = {event for event, _ in await office.events()}
    assert {"mk:reading:way", "mk:reading:readers"} <= seen
    assert "mk:reading:message" not in seen


async def test_who_saw_a_line_of_the_outbox_has_not_read_the_message(office: Office) -> None:
    """The person is neither in the list of readers nor in their number."""
    anna, bo = office.desk(), office.desk("bo")
    draft, version = await written(anna)
    (message,) = (await anna.submit(draft, version)).messages
    (line,) = await bo.outbox("box")
    assert (line.subject, line.documents, line.read_by) == (TYPED.subject, (), 0)
    assert await anna.readers(message) == (line, ())
    assert await bo.way(message) == line
    (read,) = (await bo.conversation(line.conversation)).messages
    assert read.documents[0].plain == (TYPED.text,)
    assert [one.person.id for one in (await anna.readers(message))[1]] == ["bo"]


async def test_several_recipients_get_a_message_and_a_conversation_each(office: Office) -> None:
    anna = office.desk()
    other = Recipient("0203:jonkoping.se", "x:0203:jonkoping.se", "", "")
    draft, version = await written(anna, DraftContent((TO, other), "Svar", "text"))
    sent = await anna.submit(draft, version)
    messages = [await anna.way(each) for each in sent.messages]
    assert {one.recipient.address for one in messages} == {TO.address, other.address}
    assert len({one.message_id for one in messages} | {one.conversation_id for one in messages}) == 4


async def test_an_answer_returns_references_and_stops_where_something_new_came(office: Office) -> None:
    """content-specification 4.3.2: the sender's references come back to it."""
    conversation = await received(office, message_id="m-1", conversation="c")
    anna = office.desk()
    (first,) = (await anna.conversation(conversation)).messages
    draft = await anna.reply(first.id)
    assert draft.content.recipient_references == first.sender.references
    version = await anna.save_draft(
        draft.id, draft.version, DraftContent(draft.content.recipients, "Sv", "text")
    )
    await anna.take(conversation, (await anna.conversation(conversation)).version)
    await received(office, message_id="m-2", conversation="c", label="Mer")
    with pytest.raises(ConversationMoved) as moved:
        await anna.submit(draft.id, version)
    assert [one.subject for one in moved.value.news] == ["Mer"]
    assert ("Anna Ek", Act.READ) in {
        (each.person.name, each.act) for each in (await anna.readers(moved.value.news[0].id))[1]
    }
    await received(office, message_id="m-3", conversation="c", label="Ännu mer")
    await anna.news_read(draft.id, moved.value.messages)
    with pytest.raises(ConversationMoved) as moved:
        await anna.submit(draft.id, version)
    assert [one.subject for one in moved.value.news] == ["Ännu mer"], (
        "a message that arrived later must stop sending again"
    )
    await anna.news_read(draft.id, moved.value.messages)
    sent = await anna.submit(draft.id, version)
    answer = await anna.way(sent.messages[0])
    assert (answer.conversation_id, answer.refers_to) == ("c", first.id)


@pytest.mark.parametrize("came", ["from the other side", "from a colleague"])
async def test_a_reply_that_is_begun_on_an_older_page_stops_at_what_came_since(
    office: Office, came: str
) -> None:
    conversation = await received(office, message_id="m-1", conversation="c")
    anna, bo = office.desk(), office.desk("bo")
    (first,) = (await anna.conversation(conversation)).messages
    if came == "from a colleague":
        theirs = await bo.reply(first.id)
        content = replace(theirs.content, subject="Nytt", text="Svar")
        await bo.submit(theirs.id, await bo.save_draft(theirs.id, theirs.version, content))
    else:
        await received(office, message_id="m-2", conversation="c", label="Nytt")
        await bo.conversation(conversation)
    draft = await anna.reply(first.id)
    version = await anna.save_draft(draft.id, draft.version, replace(draft.content, text="Svar"))
    await stops_at(anna, draft.id, version, ["Nytt"])
    assert (await anna.reply(first.id)).seen == 3, "what stopped one reply has been read"


async def test_a_message_that_is_sent_again_on_an_older_page_stops_at_what_came_since(office: Office) -> None:
    conversation = await received(office, message_id="m-1", conversation="c")
    anna = office.desk()
    (first,) = (await anna.conversation(conversation)).messages
    draft = await anna.reply(first.id)
    content = replace(draft.content, text="Svar")
    sent = await anna.submit(draft.id, await anna.save_draft(draft.id, draft.version, content))
    office.pass_by(60)
    async with office.vault() as vault:
        await vault.end_windows(now=office.now)
    await received(office, message_id="m-2", conversation="c", label="Nytt")
    async with office.vault() as vault:
        (one,) = await vault.mail(sent.messages)
        await vault.move_mail(one, stage="not-sent", status=None, now=office.now, due=None, attempts=1)
    again = await anna.send_again(sent.messages[0])
    assert again.seen == 2
    await stops_at(anna, again.id, again.version, ["Nytt"])


async def stops_at(desk: Desk, draft: str, version: int, subjects: list[str]) -> None:
    moved = None
    try:
        await desk.submit(draft, version)
    except ConversationMoved as stopped:
        moved = stopped
    assert moved is not None, "it was sent past what its writer has not seen"
    assert [one.subject for one in moved.news] == subjects
    await desk.news_read(draft, moved.messages)
    await desk.submit(draft, version)


async def test_what_another_client_answered_meanwhile_is_the_news_though_its_time_is_earlier(
    office: Office,
) -> None:
    """A colleague's answer from another system is shown before the same message is answered twice."""
    conversation = await received(office, message_id="m-1", conversation="c")
    office.pass_by(60)
    await received(office, message_id="m-2", conversation="c", label="Sist")
    anna = office.desk()
    draft = await anna.reply((await anna.conversation(conversation)).messages[-1].id)
    office.service.receives(
        sender=office.organisation.value,
        from_=ADDRESS,
        to=TO.address,
        recipient=TO.organisation,
        conversation="c",
        label="Redan besvarat",
        messageStatus="ACCEPTED",
        creationDateTime=(office.now - timedelta(seconds=30)).isoformat(),
    )
    vaults = office.installation.gate.worker("fetching", Role.MESSAGE_CLIENT)
    async with office.service.running() as client:
        await Fetching(vaults, office.organisation, client, office.clock).look_sent(ADDRESS)
    version = await anna.save_draft(draft.id, draft.version, replace(draft.content, text="Svar"))
    with pytest.raises(ConversationMoved) as moved:
        await anna.submit(draft.id, version)
    assert [one.subject for one in moved.value.news] == ["Redan besvarat"]


async def test_what_was_noted_while_sending_could_be_undone_is_there_when_it_is_sent_again(
    office: Office,
) -> None:
    """The conversation of a new message begins when it is sent, and goes on although that was undone."""
    anna = office.desk("anna")
    draft = await anna.new_draft("box", replace(TYPED, recipients=(TO, OTHER)))
    sent = await anna.submit(draft.id, draft.version)
    lines = (await anna.lines(Folder.SENT, "box")).lines
    noted = next(line.id for line in lines if line.counterpart.address == TO.address)
    await anna.add_note(noted, "Ringde före")
    version = (await anna.conversation(noted)).version
    await anna.register(noted, version, "SN 2026/1")
    undone = await anna.undo(draft.id)
    assert (await anna.lines(Folder.SENT, "box")).lines == ()
    again = await anna.submit(draft.id, undone.version)
    assert set(again.messages).isdisjoint(sent.messages)
    lines = (await anna.lines(Folder.SENT, "box")).lines
    found = {line.counterpart.address: await anna.conversation(line.id) for line in lines}
    assert [note.text for note in found[TO.address].notes] == ["Ringde före"]
    assert found[TO.address].registered is not None
    assert (found[OTHER.address].notes, found[OTHER.address].registered) == ((), None)
    ids = {one.conversation_id for each in found.values() for one in each.messages}
    assert len(ids) == 2


async def test_what_comes_in_place_of_an_answer_that_was_undone_is_news(office: Office) -> None:
    """The number of messages is the same as before, but one of them is another."""
    conversation = await received(office, message_id="m-1", conversation="c")
    anna, bo = office.desk(), office.desk("bo")
    (first,) = (await anna.conversation(conversation)).messages
    draft, theirs = await anna.reply(first.id), await bo.reply(first.id)
    content = replace(theirs.content, text="Svar")
    await bo.submit(theirs.id, await bo.save_draft(theirs.id, theirs.version, content))
    version = await anna.save_draft(draft.id, draft.version, content)
    await anna.news_read(draft.id, 2)
    await bo.undo(theirs.id)
    await received(office, message_id="m-2", conversation="c", label="Nytt")
    with pytest.raises(ConversationMoved) as moved:
        await anna.submit(draft.id, version)
    assert [one.subject for one in moved.value.news] == ["Nytt"]


async def test_a_second_person_approves_and_a_change_takes_the_approval_away(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    office = await Office(installation, organisation).opened(needs_approval=True)
    anna, bo = office.desk("anna"), office.desk("bo")
    draft, version = await written(anna)
    with pytest.raises(NotReady) as refused:
        await anna.submit(draft, version)
    assert refused.value.problems[0].code is ProblemCode.NOT_APPROVED
    asked = await anna.ask_approval(draft, version)
    with pytest.raises(DraftClosed):
        await anna.save_draft(draft, asked, DraftContent((TO,), "annat", "x"))
    with pytest.raises(OwnApproval):
        await anna.approve(draft, asked)
    declined = await bo.decline(draft, asked, "Fel mottagare")
    assert (await anna.draft(draft)).declined == "Fel mottagare"
    approved = await bo.approve(draft, await anna.ask_approval(draft, declined))
    changed = await anna.save_draft(draft, approved, DraftContent((TO,), "annat", "x"))
    with pytest.raises(NotReady):
        await anna.submit(draft, changed)
    approved = await bo.approve(draft, await anna.ask_approval(draft, changed))
    upload = await anna.upload(draft, "a.txt", "text/plain")
    await upload.write(b"text")
    await upload.close()
    (found,) = await asyncio.gather(anna.draft(draft), return_exceptions=True)
    assert getattr(found, "stage", found) is DraftStage.OPEN
    with pytest.raises(Changed):
        await anna.submit(draft, approved)
    with_file = (await anna.draft(draft)).version
    with pytest.raises(NotReady):
        await anna.submit(draft, with_file)
    approved = await bo.approve(draft, await anna.ask_approval(draft, with_file))
    await anna.submit(draft, approved)
    assert (await anna.undo(draft)).stage is DraftStage.APPROVED


async def test_who_asked_a_second_person_withdraws_that_and_changes_the_draft(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    office = await Office(installation, organisation).opened(needs_approval=True)
    anna, bo = office.desk("anna"), office.desk("bo")
    draft, version = await written(anna)
    asked = await anna.ask_approval(draft, version)
    with pytest.raises(DraftTaken):
        await bo.withdraw(draft, asked)
    with pytest.raises(Changed):
        await anna.withdraw(draft, version)
    withdrawn = await anna.withdraw(draft, asked)
    now = await anna.draft(draft)
    assert (now.stage, now.asked_by, now.declined) == (DraftStage.OPEN, None, "")
    with pytest.raises(DraftClosed):
        await bo.approve(draft, withdrawn)
    with pytest.raises(NotReady):
        await anna.submit(draft, withdrawn)
    changed = await anna.save_draft(draft, withdrawn, DraftContent((TO,), "annat", "x"))
    approved = await bo.approve(draft, await anna.ask_approval(draft, changed))
    with pytest.raises(DraftClosed):
        await anna.withdraw(draft, approved)
    await anna.submit(draft, approved)
    sent = (await anna.draft(draft)).version
    with pytest.raises(DraftClosed):
        await anna.withdraw(draft, sent)
    assert ("mk:draft:changed", "approval-withdrawn") in [
        (event, ids.get("action", "")) for event, ids in await office.events()
    ]


async def test_no_more_recipients_are_looked_up_than_a_draft_may_have(office: Office) -> None:
    asked = set[str]()

    async def listing(organisation: ParticipantIdentifier, address: str) -> Listing:
        asked.add(address)
        return Listing.LISTED

    office.book.listing = listing  # type: ignore[method-assign]
    anna = office.desk()
    many = tuple(Recipient("0203:x.se", f"{number}:0203:x.se") for number in range(MAX_RECIPIENTS * 3))
    draft = (await anna.new_draft("box", DraftContent(many, "Kallelse", "Hej"))).id
    review = await anna.review(draft)
    assert [one.code for one in review.problems] == [ProblemCode.TOO_MANY_RECIPIENTS]
    with pytest.raises(NotReady) as refused:
        await anna.submit(draft, 1)
    assert [one.code for one in refused.value.problems] == [ProblemCode.TOO_MANY_RECIPIENTS]
    assert len(asked) == MAX_RECIPIENTS
    assert review.draft.content.recipients == many, "all chosen recipients must be kept"


# --- finding ----------------------------------------------------------------------------------------------


async def test_a_search_finds_whatever_the_accents_and_only_for_who_asked(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await received(office, text='Lägenheten på Ågatan, "Näset" i C:\\Å')
    anna, bo = office.desk("anna"), office.desk("bo")
    for words, whole_text, hits in (
        ("OROSANMALAN", False, 1),
        ("sn 2026-1", False, 1),
        ("agatan", False, 0),
        ("agatan lagenheten", True, 1),
        ("agatan annat", True, 0),
        ('"naset" c:\\a', True, 1),
        ('"naset', False, 0),
        ("subject", False, 0),
        ("texts documents", True, 0),
    ):
        token = await anna.begin_search(Search(words, whole_text, None))
        search, found = await anna.found(token)
        assert (search.words, found.complete, found.looked_at, len(found.lines)) == (words, True, 1, hits)
        with pytest.raises(NotHere):
            await bo.found(token)
    office.given["anna", "box"] = frozenset()
    assert (await anna.found(token))[1].of == 0
    monkeypatch.setattr(finding, "SECONDS", 0.0)
    late = await bo.begin_search(Search("x", False, "box"))
    assert (await bo.found(late))[1].complete is False
    assert conversation


def test_every_accent_of_every_language_is_left_out_and_no_letter() -> None:
    def slowly(text: str) -> str:
        apart = unicodedata.normalize("NFKD", text.casefold())
        return "".join(each for each in apart if not unicodedata.combining(each))

    letters = [chr(number) for number in range(0x20, 0x3000) if not 0xD800 <= number < 0xE000]
    for begin in range(0, len(letters), 7):
        text = "".join(letters[begin : begin + 7])
        assert finding.folded(text) == slowly(text)
    assert finding.folded("ÅÄÖ é – Łódź") == "aao e – łodz"


async def test_addresses_that_are_liked_come_first(office: Office) -> None:
    anna = office.desk()
    await anna.set_favourite(TO, favourite=True)
    await anna.set_favourite(TO, favourite=True)
    (found,) = await anna.correspondents("mullsjo registrator")
    assert (found.recipient, found.favourite, found.used) == (TO, True, 0)
    assert await office.desk("bo").correspondents("mullsjö") == ()
    await anna.set_favourite(TO, favourite=False)
    assert await anna.correspondents("") == ()


async def test_looking_for_an_address_takes_no_more_however_much_is_written_and_holds_nobody_up(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form may have 4 MB of words, and a large book takes some tenths of a second for each."""
    looked: list[tuple[str, threading.Thread]] = []
    nearly = finding._nearly

    def noted(wanted: str, words: Iterable[str]) -> Collection[str]:
        looked.append((wanted, threading.current_thread()))
        return nearly(wanted, words)

    monkeypatch.setattr(finding, "_nearly", noted)
    anna = office.desk()
    await anna.set_favourite(TO, favourite=True)
    many = " ".join(f"socialtjanst{letter}{other}" for letter in "abcdefghij" for other in "abcdefghij")
    assert await anna.correspondents(many) == ()
    assert looked == []
    (found,) = await anna.correspondents(" ".join(TO.organisation_name + TO.address_name))
    assert (found.recipient, found.near) == (TO, False), (
        "words of the name must be found, however many there are"
    )
    assert looked == []
    (found,) = await anna.correspondents("mullsjoo " * 10_000)
    assert (found.recipient, found.near) == (TO, True)
    ((word, thread),) = looked
    assert word == "mullsjoo"
    assert thread is not threading.main_thread()


@pytest.mark.parametrize(
    ("written", "fits"),
    [
        ("mulsjö registrator", True),
        ("Mullsjö regitsrator", True),
        ("regisstrattor", True),
        ("mullsjoo", True),
        ("rgistrat", True),
        ("registratur mullsjö", True),
        ("mul gö", False),
        ("mal", False),
        ("registrering", False),
        ("habo", False),
        ("0204", False),
    ],
)
async def test_an_address_is_found_by_a_name_that_is_nearly_right(
    office: Office, written: str, fits: bool
) -> None:
    """Only without an exact match, and marked as such, so that no one writes to a neighbouring address."""
    anna = office.desk()
    await anna.set_favourite(TO, favourite=True)
    other = replace(TO, address="socialtjanst:0203:mullsjo.se", address_name="Socialtjänst")
    await anna.set_favourite(other, favourite=True)
    found = await anna.correspondents(written)
    assert [(one.recipient, one.near) for one in found if one.recipient == TO] == [(TO, True)] * fits
    exact = await anna.correspondents("socialtjanst")
    assert [(one.recipient, one.near) for one in exact] == [(other, False)]
