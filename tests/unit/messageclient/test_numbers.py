"""Limits on each person's drafts and notes, and pages of long conversations with links to other parts."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.messageclient import handling, reading, writing
from samdrift.messageclient.desk import (
    MAX_DRAFTS,
    MAX_FILES,
    MAX_NOTES,
    ConversationMoved,
    NotReady,
    TooManyKept,
)
from samdrift.messageclient.mail import Act, DraftContent, Folder
from samdrift.rights import Right
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import Office
from tests.unit.messageclient.wholerole import SOC, Visitor, Whole, hrefs, whole_role
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
PDF = b"%PDF-1.7\n"


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Office]:
    yield await Office(installation, organisation).opened()


@pytest_asyncio.fixture
async def whole(installation: Installation) -> AsyncIterator[Whole]:
    async with whole_role(installation) as opened:
        yield opened


async def a_message(whole: Whole, person: str = "anna") -> tuple[Visitor, str, str]:
    """Return the browser of a person who writes in a mailbox, with a conversation and the message in it."""
    await whole.give(person, SOC, Right.READ, Right.WRITE)
    await whole.receives(label="Hej")
    browser = await whole.visit(person)
    listed = await browser.get(f"/mailbox/{SOC}/open")
    conversation = hrefs(listed, r"/conversation/[^\"]+")[0].partition("?")[0]
    (message,) = set(re.findall(r"/message/([^/\"?]+)/", (await browser.get(conversation)).text))
    return browser, conversation, message


def test_nobody_who_works_meets_the_limits() -> None:
    assert MAX_DRAFTS >= 1_000
    assert MAX_FILES >= 500
    assert MAX_NOTES >= 200


async def test_a_person_begins_no_more_drafts_than_so_many_and_is_led_to_them(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script in a person's name could fill a vault; colleagues write as before."""
    monkeypatch.setattr(writing, "MAX_DRAFTS", 2)
    anna, _, message = await a_message(whole)
    first = (await anna.post(f"/message/{message}/reply")).headers["location"]
    await anna.post(f"/draft/{first.rpartition('/')[2]}/save", version="1", subject="Det första", text="x")
    assert (await anna.post(f"/message/{message}/reply")).status_code == 303
    for path in (f"/message/{message}/reply", f"/mailbox/{SOC}/write"):
        refused = await anna.post(path)
        assert (refused.status_code, "Inget utkast påbörjades: du har redan 2" in refused.text) == (409, True)
        assert "Det första" in refused.text, "the page must list the drafts, to send or delete them"
    await whole.give("bo", SOC, Right.READ, Right.WRITE)
    bo = await whole.visit("bo")
    assert (await bo.post(f"/message/{message}/reply")).status_code == 303
    assert (await anna.post(f"{first}/discard", sure="yes", version="2")).status_code == 303
    assert (await anna.post(f"/message/{message}/reply")).status_code == 303


async def test_what_is_sent_is_not_counted_among_drafts(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_DRAFTS", 1)
    await office.receives(label="Hej")
    anna = office.desk("anna")
    (line,) = (await anna.lines(Folder.OPEN, "box")).lines
    (message,) = (await anna.conversation(line.id)).messages
    draft = await anna.reply(message.id)
    version = await anna.save_draft(draft.id, draft.version, replace(draft.content, text="Ja"))
    with pytest.raises(TooManyKept):
        await anna.new_draft("box")
    with pytest.raises(TooManyKept):
        await anna.reply(message.id)
    await anna.submit(draft.id, version)
    assert (await anna.reply(message.id)).stage == "open"


async def test_a_draft_has_no_more_files_than_so_many_and_says_which_are_not_in_it(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_FILES", 2)
    anna, _, message = await a_message(whole)
    draft = (await anna.post(f"/message/{message}/reply")).headers["location"]
    files = [(f"Bild {number}.pdf", PDF) for number in range(3)]
    refused = await anna.post_files(draft, files, version="1", subject="Bilder", text="Tre bilder")
    assert refused.status_code == 422
    assert f"Ett meddelande får ha högst {MAX_FILES} filer." in refused.text
    assert "(Bild 2.pdf)" in html.unescape(refused.text)
    assert ("Bild 0.pdf</bdi>" in refused.text, "Bild 2.pdf</bdi>" in refused.text) == (True, False)
    assert ("Tre bilder" in refused.text, 'value="Bilder"' in refused.text) == (True, True)


async def test_a_person_makes_no_more_notes_than_so_many_and_keeps_what_was_written(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All notes are on the page of the conversation; each person's are counted separately."""
    monkeypatch.setattr(handling, "MAX_NOTES", 2)
    anna, conversation, _ = await a_message(whole)
    for _ in range(2):
        assert (await anna.post(f"{conversation}/note", note="Ringt.")).status_code == 303
    refused = await anna.post(f"{conversation}/note", note="Ringt en gång till.")
    assert (refused.status_code, "du har redan skrivit 2 anteckningar här" in refused.text) == (422, True)
    assert "Ringt en gång till.</textarea>" in refused.text
    await whole.give("bo", SOC, Right.READ, Right.WRITE)
    bo = await whole.visit("bo")
    assert (await bo.post(f"{conversation}/note", note="Jag också.")).status_code == 303


async def within(
    monkeypatch: pytest.MonkeyPatch, writing_it: str, begin: Callable[[], Awaitable[object]]
) -> list[object]:
    """Begin a second time just before the first writes; return the results of both.

    The second has half a second to end meanwhile; if it waits for the first, it is not done by then.
    """
    write, others = getattr(MessageClientVault, writing_it), list[asyncio.Future[object]]()

    async def written(vault: MessageClientVault, *values: object) -> object:
        if not others:
            others.append(asyncio.ensure_future(begin()))
            await asyncio.wait(others, timeout=0.5)
        return await write(vault, *values)

    monkeypatch.setattr(MessageClientVault, writing_it, written)
    (first,) = await asyncio.gather(begin(), return_exceptions=True)
    (second,) = await asyncio.gather(*others, return_exceptions=True)
    return [first, second]


async def test_drafts_that_are_begun_at_the_same_moment_are_no_more_than_so_many(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_DRAFTS", 1)
    ended = await within(monkeypatch, "keep_draft", lambda: office.desk("anna").new_draft("box"))
    assert sum(isinstance(each, TooManyKept) for each in ended) == 1
    assert len(await office.desk("anna").drafts("box")) == 1


async def test_notes_that_are_made_at_the_same_moment_are_no_more_than_so_many(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "MAX_NOTES", 1)
    await office.receives(label="Hej")
    (line,) = (await office.desk("anna").lines(Folder.OPEN, "box")).lines
    ended = await within(monkeypatch, "add_note", lambda: office.desk("anna").add_note(line.id, "Ringt."))
    assert sum(isinstance(each, TooManyKept) for each in ended) == 1
    assert len((await office.desk("anna").conversation(line.id)).notes) == 1


async def test_files_that_are_added_at_the_same_moment_are_no_more_than_so_many(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_FILES", 1)
    draft = await office.desk("anna").new_draft("box")

    async def add() -> None:
        upload = await office.desk("anna").upload(draft.id, "Bild.pdf", "application/pdf")
        await upload.write(PDF)
        await upload.close()

    ended = await within(monkeypatch, "add_draft_file", add)
    assert sum(isinstance(each, NotReady) for each in ended) == 1
    assert len((await office.desk("anna").draft(draft.id)).files) == 1


async def test_news_come_part_by_part_and_only_what_was_shown_is_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages that arrived since an answer was begun were shown whole, at whatever length."""
    monkeypatch.setattr(reading, "_MAX_SHOWN", 2)
    await office.receives(label="Hej", conversationId="one")
    anna = office.desk("anna")
    (line,) = (await anna.lines(Folder.OPEN, "box")).lines
    (message,) = (await anna.conversation(line.id)).messages
    draft = await anna.reply(message.id)
    version = await anna.save_draft(
        draft.id, draft.version, DraftContent(draft.content.recipients, "Sv", "text")
    )
    for number in range(5):
        await office.receives(label=f"Nummer {number}", conversationId="one")
    parts = []
    for _ in range(3):
        with pytest.raises(ConversationMoved) as stopped:
            await anna.submit(draft.id, version)
        moved = stopped.value
        parts.append(([one.subject[-1] for one in moved.news], moved.more))
        for one in moved.news:
            assert Act.READ in {each.act for each in (await anna.readers(one.id))[1]}
        await anna.news_read(draft.id, moved.messages)
    assert parts == [(["0", "1"], 3), (["2", "3"], 1), (["4"], 0)]
    await anna.submit(draft.id, version)


async def test_news_of_a_draft_are_no_longer_than_a_page_of_a_conversation(whole: Whole) -> None:
    anna, conversation, message = await a_message(whole)
    draft = (await anna.post(f"/message/{message}/reply")).headers["location"]
    await anna.post(f"{draft}/save", version="1", subject="Svar", text="Ja tack.")
    thread = await whole_thread(whole, conversation)
    for number in range(5):
        body = [f"Nummer {number} " + "x" * 900_000]
        await whole.receives(label="Hej", conversationId=thread, digitalDocument=[{"contentTextBody": body}])
    seen = []
    for more in (3, 1, 0):
        page = await anna.post(f"{draft}/send", version="2")
        assert page.status_code == 409
        seen.append([number for number in range(5) if f"Nummer {number} " in page.text])
        assert (f"Det finns {more} nya meddelanden till efter dessa." in page.text) is (more > 0)
        assert (f'href="{conversation}"' in page.text) is (more > 0)
        shown = re.search(r'name="messages" value="(\d+)"', page.text)
        assert shown is not None
        await anna.post(f"{draft}/news-read", version="2", messages=shown[1])
    assert seen == [[0, 1], [2, 3], [4]]
    assert (await anna.post(f"{draft}/send", version="2")).status_code == 303


async def whole_thread(whole: Whole, conversation: str) -> str:
    """Return the ``conversationId`` of a received conversation."""
    async with whole.installation.open(whole.organisation, Role.MESSAGE_CLIENT) as vault:
        (mail,) = await vault.mail_of(conversation.rpartition("/")[2])
    return str(mail.content["conversation_id"])


async def test_a_long_conversation_is_printed_and_chosen_from_part_by_part_and_says_which(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MAX_SHOWN", 2)
    anna, conversation, _ = await a_message(whole)
    thread = await whole_thread(whole, conversation)
    for number in range(4):
        await whole.receives(label=f"Nummer {number}", conversationId=thread)
    for place, earlier, later in (
        ("print", "Skriv ut dem också", "Gå till de senaste"),
        ("package", "Välj bland tidigare meddelanden", "Välj bland de senaste meddelandena"),
    ):
        address, said = f"{conversation}/{place}", []
        while address:
            page = await anna.get(address)
            said += re.findall(r"Meddelande \d till \d av \d|Meddelande \d av \d", page.text)
            assert (later in page.text) is (len(said) > 1), place
            assert f"{earlier}{later}" not in re.sub("<[^>]*>", "", page.text), (
                "the two links must be separated"
            )
            found = hrefs(page, rf"{conversation}/{place}\?before=[^\"]+")
            address = next((each for each in found if f'href="{each}"' in page.text), "")
            assert (earlier in page.text) is bool(address), place
        assert said == ["Meddelande 4 till 5 av 5", "Meddelande 2 till 3 av 5", "Meddelande 1 av 5"]


async def test_a_short_conversation_is_no_part(whole: Whole) -> None:
    anna, conversation, _ = await a_message(whole)
    for place in ("print", "package"):
        assert "Meddelande 1" not in (await anna.get(f"{conversation}/{place}")).text


async def test_a_fault_on_a_page_of_earlier_messages_shows_these_again(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MAX_SHOWN", 2)
    anna, conversation, _ = await a_message(whole)
    thread = await whole_thread(whole, conversation)
    for number in range(4):
        await whole.receives(label=f"Nummer {number}", conversationId=thread)
    (earlier,) = hrefs(await anna.get(f"{conversation}/package"), rf"{conversation}/package\?before=[^\"]+")
    refused = await anna.post(earlier)
    assert (refused.status_code, "Meddelande 2 till 3 av 5" in refused.text) == (422, True)
    assert f'action="{earlier}"' in refused.text
