"""What is written in a conversation that was moved stays in the mailbox that it was moved to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.messageclient.desk import Changed, Desk, NotHere
from samdrift.messageclient.mail import Draft, DraftStage, Folder, Message, Recipient, Submitted
from samdrift.vault.mailrecords import ConversationRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import ADDRESS, OTHER_ADDRESS, Office
from tests.unit.messageclient.memorydesk import BO
from tests.unit.messageclient.test_desk import TO, received
from tests.unit.messageclient.test_pages_over_vault import OverVault
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
THIRD = Recipient("0203:tredje.se", "sdk.a:0203:tredje.se", "Tredje", "A")


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Office]:
    yield await Office(installation, organisation).opened()


async def moved(office: Office) -> str:
    """Move a conversation from ``box``, where only Anna works now, to ``other``, where only Bo does."""
    conversation = await received(office, conversation="c", message_id="m-1")
    await move(office.desk("bo"), conversation, "other")
    del office.given["bo", "box"]
    return conversation


async def move(desk: Desk, conversation: str, mailbox: str) -> None:
    await desk.move(conversation, (await desk.conversation(conversation)).version, mailbox)


async def begun(desk: Desk, conversation: str, *more: Recipient, text: str = "HEMLIGT") -> tuple[Draft, int]:
    """Begin a reply to the conversation's first message; return it with its version."""
    draft = await desk.reply((await desk.conversation(conversation)).messages[-1].id)
    content = replace(draft.content, recipients=(*draft.content.recipients, *more), text=text)
    return draft, await desk.save_draft(draft.id, draft.version, content)


async def answered(desk: Desk, conversation: str, *more: Recipient, text: str = "HEMLIGT") -> Submitted:
    draft, version = await begun(desk, conversation, *more, text=text)
    return await submitted(desk, draft.id, version)


async def submitted(desk: Desk, draft: str, version: int) -> Submitted:
    try:
        return await desk.submit(draft, version)
    except Changed as changed:
        raise AssertionError("it would have been in another mailbox") from changed


async def to(desk: Desk, recipient: Recipient, sent: Submitted) -> Message:
    messages = [await desk.way(each) for each in sent.messages]
    return next(one for one in messages if one.recipient.organisation == recipient.organisation)


async def sent_to(office: Office, person: str, mailbox: str) -> list[str]:
    """Return the organisations of the conversations that a person finds in the folder for sent ones."""
    lines = (await office.desk(person).lines(Folder.SENT, mailbox)).lines
    return sorted(line.counterpart.organisation for line in lines)


async def not_sent(office: Office, messages: tuple[str, ...]) -> None:
    """Let messages end without having been sent."""
    office.pass_by(60)
    async with office.vault() as vault:
        await vault.end_windows(now=office.now)
        for one in await vault.mail(messages):
            await vault.move_mail(one, stage="not-sent", status=None, now=office.now, due=None, attempts=1)


@pytest.mark.parametrize("how", ["reply to one more", "sent again to another"])
async def test_what_is_written_to_another_organisation_is_where_its_writer_works_and_nowhere_else(
    office: Office, how: str
) -> None:
    conversation = await moved(office)
    bo = office.desk("bo")
    if how == "reply to one more":
        sent = await answered(bo, conversation, THIRD)
    else:
        first = await answered(bo, conversation)
        await not_sent(office, first.messages)
        draft = await bo.send_again(first.messages[0])
        content = replace(draft.content, recipients=(THIRD,))
        sent = await submitted(bo, draft.id, await bo.save_draft(draft.id, draft.version, content))
    assert await sent_to(office, "anna", "box") == []
    assert await sent_to(office, "bo", "other") == [TO.organisation, THIRD.organisation]
    message = await to(bo, THIRD, sent)
    assert message.sender.address == OTHER_ADDRESS, "an answer to it must arrive where it was written"
    (read,) = (await bo.conversation(message.conversation)).messages
    assert read.documents[0].plain == ("HEMLIGT",)
    with pytest.raises(NotHere):
        await office.desk("anna").way(message.id)


async def test_an_answer_to_what_was_written_to_another_organisation_arrives_beside_it(
    office: Office,
) -> None:
    bo, conversation = office.desk("bo"), await moved(office)
    message = await to(bo, THIRD, await answered(bo, conversation, THIRD))
    await office.receives(
        sender=THIRD.organisation,
        from_=THIRD.address,
        to=message.sender.address,
        conversation=message.conversation_id,
        label="Svar",
    )
    assert len((await bo.conversation(message.conversation)).messages) == 2
    assert (await office.desk("anna").lines(Folder.OPEN, "box")).lines == ()


async def test_what_is_written_after_a_move_is_not_in_what_was_begun_with_another_organisation_before_it(
    office: Office,
) -> None:
    """Both conversations began with one reply to two; only one of them was moved."""
    conversation = await received(office, conversation="c", message_id="m-1")
    anna, bo = office.desk("anna"), office.desk("bo")
    before = await to(anna, THIRD, await answered(anna, conversation, THIRD, text="FÖRE"))
    await move(bo, conversation, "other")
    del office.given["bo", "box"]
    bo = office.desk("bo")
    after = await to(bo, THIRD, await answered(bo, conversation, THIRD))
    assert after.conversation != before.conversation
    assert len((await anna.conversation(before.conversation)).messages) == 1
    again = await to(bo, THIRD, await answered(bo, conversation, THIRD))
    assert again.conversation == after.conversation, "the conversation goes on where its writer works"
    assert again.conversation_id == after.conversation_id


async def test_what_is_written_where_the_other_conversation_was_moved_away_begins_one_of_its_own(
    office: Office,
) -> None:
    conversation = await received(office, conversation="c", message_id="m-1")
    anna, bo = office.desk("anna"), office.desk("bo")
    first = await to(anna, THIRD, await answered(anna, conversation, THIRD))
    await move(bo, first.conversation, "other")
    second = await to(anna, THIRD, await answered(anna, conversation, THIRD))
    assert second.conversation != first.conversation
    assert second.conversation_id != first.conversation_id
    assert len((await bo.conversation(first.conversation)).messages) == 1


async def test_two_conversations_that_were_moved_together_go_on_from_where_they_began(office: Office) -> None:
    conversation = await received(office, conversation="c", message_id="m-1")
    anna, bo = office.desk("anna"), office.desk("bo")
    first = await to(anna, THIRD, await answered(anna, conversation, THIRD))
    for each in (conversation, first.conversation):
        await move(bo, each, "other")
    second = await to(bo, THIRD, await answered(bo, conversation, THIRD))
    assert (second.conversation, second.sender.address) == (first.conversation, ADDRESS)


async def test_what_was_undone_and_is_sent_from_yet_another_mailbox_is_there_alone(office: Office) -> None:
    conversation = await received(office, conversation="c", message_id="m-1")
    bo = office.desk("bo")
    await move(bo, conversation, "other")
    draft, version = await begun(bo, conversation, THIRD)
    await bo.submit(draft.id, version)
    draft = await bo.undo(draft.id)
    await move(bo, conversation, "box")
    await submitted(bo, draft.id, draft.version)
    assert await sent_to(office, "bo", "other") == []
    assert await sent_to(office, "bo", "box") == [TO.organisation, THIRD.organisation]


async def test_a_conversation_that_moves_while_a_reply_is_sent_gets_nothing_of_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = await received(office, conversation="c", message_id="m-1")
    anna, bo = office.desk("anna"), office.desk("bo")
    first = await to(anna, THIRD, await answered(anna, conversation, THIRD))
    found = MessageClientVault.conversation_with

    async def moved_since(vault: MessageClientVault, home: str, thread: str) -> ConversationRecord | None:
        known = await found(vault, home, thread)
        if known is not None and known.id == first.conversation:
            await move(bo, known.id, "other")
        return known

    draft, version = await begun(anna, conversation, THIRD)
    with monkeypatch.context() as patched:
        patched.setattr(MessageClientVault, "conversation_with", moved_since)
        with pytest.raises(Changed):
            await anna.submit(draft.id, version)
    assert len((await bo.conversation(first.conversation)).messages) == 1
    assert (await anna.draft(draft.id)).stage is DraftStage.OPEN
    await anna.submit(draft.id, version)


async def test_the_review_names_the_address_that_the_message_is_sent_from(office: Office) -> None:
    bo, conversation = office.desk("bo"), await moved(office)
    draft, _ = await begun(bo, conversation, THIRD)
    checks = (await bo.review(draft.id)).recipients
    assert [(one.recipient.organisation, one.sent_from) for one in checks] == [
        (TO.organisation, "Socialtjänst"),
        (THIRD.organisation, ""),
    ]
    page = await (await OverVault(office).visit(BO)).get(f"/draft/{draft.id}/review")
    assert re.findall(r"Skickas från ([^,]+), eftersom", page.text) == ["Socialtjänst"]
