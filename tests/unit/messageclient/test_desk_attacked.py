"""Attacks on the desk and its input: two tabs, a detour through another mailbox, hostile messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.messageclient import content
from samdrift.messageclient.desk import Changed, NotHere, NotReady
from samdrift.messageclient.mail import DraftStage, Folder, ProblemCode
from samdrift.web.formats import Formats
from samdrift.web.texts import Language
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import Office
from tests.unit.messageclient.test_desk import TYPED, received, written
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Office]:
    yield await Office(installation, organisation).opened(needs_approval=True)


async def test_a_file_that_a_second_tab_adds_or_removes_is_not_sent_unseen(office: Office) -> None:
    """Only what was looked at is approved or sent: a file changes the draft as anything else does."""
    anna, bo = office.desk("anna"), office.desk("bo")
    draft, version = await written(anna)
    upload = await anna.upload(draft, "a.txt", "text/plain")
    await upload.write(b"text")
    await upload.close()
    with pytest.raises(Changed):
        await anna.ask_approval(draft, version)
    version = (await anna.draft(draft)).version
    approved = await bo.approve(draft, await anna.ask_approval(draft, version))
    (file,) = (await anna.draft(draft)).files
    await anna.remove_file(draft, file.id)
    with pytest.raises(Changed):
        await anna.submit(draft, approved)
    now = await anna.draft(draft)
    assert (now.stage, now.approved_by) == (DraftStage.OPEN, None)


async def test_a_conversation_that_was_moved_needs_the_approval_that_its_address_asks_for(
    office: Office,
) -> None:
    """The message leaves from the first mailbox's address, so another mailbox does not bypass its rule."""
    conversation = await received(office)
    bo = office.desk("bo")
    opened = await bo.conversation(conversation)
    await bo.move(conversation, opened.version, "other")
    draft = await bo.reply(opened.messages[0].id)
    version = await bo.save_draft(draft.id, draft.version, TYPED)
    assert (await bo.review(draft.id)).needs_approval
    with pytest.raises(NotReady) as refused:
        await bo.submit(draft.id, version)
    assert refused.value.problems[0].code is ProblemCode.NOT_APPROVED


async def test_an_id_that_a_sender_chose_hides_no_message_of_the_message_service(office: Office) -> None:
    """A sender who guesses the message service's next id does not keep another message out."""
    await office.receives(messageId="resource-2", label="Den första")
    await office.receives(label="Den andra")
    lines = (await office.desk("bo").lines(Folder.OPEN, "box")).lines
    assert {line.subject for line in lines} == {"Den första", "Den andra"}


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00"])
def test_a_time_stamp_at_an_end_of_the_calendar_can_be_shown(moment: str) -> None:
    head = content.head({"id": "1", "attributes": {"creationDateTime": moment}})
    if head.dated_at is not None:
        assert Formats(Language.SWEDISH, datetime.now(UTC)).longer(head.dated_at)


def test_a_message_of_many_long_texts_is_not_read_as_markdown() -> None:
    """A text within the limits, a thousand times over, would keep all organisations waiting for minutes."""
    one = {"digitalDocument": [{"contentTextBody": ["# a\n"] * 5}] * 200}
    found = content.documents({"attributes": one})
    assert not content.is_laborious(found[:1])
    assert content.is_laborious(found)
    assert content.is_laborious([content.DocumentText("", ("x" * 40_000,) * 3, ())])
    assert content.document_content(found[0], [])["html"][0] == "<h3>a</h3>\n"
    assert content.document_content(found[0], [], plain=True)["html"][0] == '<p class="plain"># a\n</p>'


async def test_an_id_that_is_none_is_not_here_alike(office: Office) -> None:
    """An id with a character that the database cannot store is as unknown as any other."""
    bo = office.desk("bo")
    draft, _ = await written(bo)
    attempts = (
        bo.conversation("\0"),
        bo.way("\0"),
        bo.file("\0", "\0"),
        bo.draft("\0"),
        bo.found("\0"),
        bo.take("\0", 1),
        bo.submit("\0", 1),
        bo.undo("\0"),
        bo.remove_file(draft, "\0"),
    )
    answers = [(await asyncio.gather(attempt, return_exceptions=True))[0] for attempt in attempts]
    assert {type(answer) for answer in answers} == {NotHere}
    assert (await bo.lines(Folder.OPEN, after=f"{office.now.isoformat()}_\0")).lines == ()


async def test_an_organisation_that_knows_the_id_of_a_conversation_gets_one_of_its_own(
    office: Office,
) -> None:
    """Its messages do not appear among another organisation's."""
    await office.receives(conversation="c-1", label="Från Mullsjö")
    await office.receives(
        conversation="c-1", label="Från en annan", sender="0203:annan.se", from_="a:0203:annan.se"
    )
    await office.receives(conversation="c-1", label="Mer från Mullsjö")
    anna = office.desk("anna")
    lines = (await anna.lines(Folder.OPEN, "box")).lines
    found = {}
    for line in lines:
        opened = await anna.conversation(line.id)
        found[opened.counterpart.organisation] = [one.subject for one in opened.messages]
    assert found == {
        "0203:mullsjo.se": ["Från Mullsjö", "Mer från Mullsjö"],
        "0203:annan.se": ["Från en annan"],
    }
    theirs = next(line for line in lines if line.counterpart.organisation == "0203:mullsjo.se")
    first = (await anna.conversation(theirs.id)).messages[0]
    draft = await office.desk("anna").reply(first.id)
    version = await anna.save_draft(draft.id, draft.version, replace(draft.content, text="Svar"))
    version = await office.desk("bo").approve(draft.id, await anna.ask_approval(draft.id, version))
    sent = await anna.submit(draft.id, version)
    assert sent.conversation == theirs.id, "an answer must stay in the conversation that it answers"


async def test_what_a_message_refers_to_in_another_mailbox_is_not_named(office: Office) -> None:
    await office.receives(message_id="m-1", to="miljo:0203:habo.se", label="I den andra brevlådan")
    await office.receives(refToMessageId="m-1", label="Nämner den")
    await office.receives(message_id="m-3", label="I samma")
    await office.receives(refToMessageId="m-3", label="Nämner den i samma")
    anna = office.desk("anna")
    refers = {}
    for line in (await anna.lines(Folder.OPEN, "box")).lines:
        (one,) = (await anna.conversation(line.id)).messages
        refers[one.subject] = one.refers_to is not None
    assert refers == {"Nämner den": False, "I samma": False, "Nämner den i samma": True}
