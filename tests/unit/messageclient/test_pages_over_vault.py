"""The mail pages over a desk in a real vault: a message arrives, is read, answered, sent and undone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio
from starlette.requests import Request

from samdrift.contracts.principals import Role
from samdrift.messageclient.desk import Desk
from samdrift.messageclient.mail import DraftStage, Folder
from samdrift.rights import Right
from samdrift.web.guards import session_of
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import Office
from tests.unit.messageclient.mailroom import Mailroom
from tests.unit.messageclient.memorydesk import ANNA, BO
from tests.unit.messageclient.test_sending import sending, sent
from tests.unit.web.scene import Clock, Scene
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
PDF = b"%PDF-1.7\n" + b"x" * 100_000


class OverVault(Mailroom):
    """The mail pages with desks over a vault."""

    def __init__(self, vaults: Office) -> None:
        super().__init__(Scene(Clock(vaults.now)))
        self.vaults = vaults

    async def desk(self, request: Request) -> Desk:
        session = session_of(request)
        assert session is not None
        self.scene.clock.now = self.vaults.now
        return self.vaults.desk(session.person.subject)


@pytest_asyncio.fixture
async def room(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[OverVault]:
    opened = OverVault(await Office(installation, organisation).opened())
    yield opened
    assert opened.scene.failures == []


def version_in(text: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', text)
    assert found is not None
    return found[1]


def heading(text: str) -> str:
    found = re.search(r"<h1>\s*([^<]+?)\s*</h1>", text)
    assert found is not None
    return found[1]


async def test_a_message_that_came_in_is_read_answered_with_a_file_sent_and_undone(room: OverVault) -> None:
    await room.vaults.receives(label="Kallelse till möte")
    anna = await room.visit(ANNA)
    listed = await anna.get("/")
    href = re.search(r'href="(/conversation/[^"]+)"', listed.text)
    assert href is not None
    page = await anna.get(href[1].replace("&amp;", "&"))
    assert "Kallelse till möte" in page.text
    reply = re.search(r'action="(/message/[^"]+/reply)"', page.text)
    assert reply is not None
    begun = await anna.post(reply[1])
    form = await anna.follow(begun)
    assert heading(form.text) == "Svara"
    draft = begun.headers["location"]
    saved = await anna.post(f"{draft}/save", version=version_in(form.text), subject="Sv", text="Halv")
    version = saved.json()["fields"]["version"]
    reviewed = await anna.post(
        draft, ("Yttrande.pdf", PDF), version=version, subject="Sv: Kallelse", text="Hel", review="yes"
    )
    page = await anna.follow(reviewed)
    assert "Yttrande.pdf (100 kB)" in page.text
    sent = await anna.post(f"{draft}/send", version=version_in(page.text))
    assert "Skickas till" in (await anna.follow(sent)).text
    away = (await anna.get(href[1].replace("&amp;", "&"))).text
    assert f'<a href="{draft}/sending">Ångra sändningen …</a>' in away, (
        "other pages must link back to the undo window"
    )
    way = re.search(r'href="(/message/[^"]+/way)"', (await anna.get("/outbox")).text)
    assert way is not None
    assert f'href="{draft}/sending"' in (await anna.get(way[1])).text
    assert "Ångra" in (await anna.get(f"{draft}/sending")).text
    older = await anna.post(draft, version=version, subject="Annat", text="Annan text")
    assert (older.status_code, "Annan text" in older.text) == (409, True)
    undone = await anna.post(f"{draft}/undo")
    assert "Hel</textarea>" in (await anna.follow(undone)).text
    kept = await room.vaults.desk("anna").draft(draft.rpartition("/")[2])
    assert (kept.stage, kept.content.text) == (DraftStage.OPEN, "Hel")
    file = re.search(r'href="(/draft/[^"]+/file/[^"]+)"', (await anna.get(draft)).text)
    assert file is not None
    assert (await anna.get(file[1])).content == PDF


async def test_every_page_of_a_mailbox_of_others_is_nowhere_and_the_attempt_is_logged(
    room: OverVault,
) -> None:
    await room.vaults.receives(label="Dold")
    bo, anna = await room.visit(BO), await room.visit(ANNA)
    del room.vaults.given["anna", "box"]
    line = (await room.vaults.desk("bo").lines(Folder.OPEN, "box")).lines[0]
    assert "Dold" in (await bo.get(f"/conversation/{line.id}")).text
    one = await room.vaults.desk("bo").conversation(line.id)
    for path in (
        f"/conversation/{line.id}",
        f"/conversation/{line.id}/print",
        f"/message/{one.messages[0].id}/raw",
        f"/message/{one.messages[0].id}/way",
        f"/message/{one.messages[0].id}/readers",
    ):
        assert (await anna.get(path)).status_code == 404, path
    answer = await anna.post(f"/conversation/{line.id}/take", version=str(line.version))
    assert answer.status_code == 404
    denied = [event for event, _ in await room.vaults.events() if "denied" in event]
    assert len(denied) >= 6


async def test_what_was_sent_and_never_answered_can_be_added_to(room: OverVault) -> None:
    """A conversation of only own messages continues under its id, and refers to the last one sent."""
    message = await sent(room.vaults)
    anna, office = await room.visit(ANNA), room.vaults
    case = (await office.desk().way(message)).conversation
    assert "Komplettera" not in (await anna.get(f"/conversation/{case}")).text, (
        "a message that is not sent yet cannot be added to"
    )
    async with office.service.running() as client:
        office.pass_by(11)
        await sending(office, client).turn()
        page = (await anna.get(f"/conversation/{case}")).text
        assert ("Komplettera" in page, f'action="/message/{message}/reply"' in page) == (True, True)
        begun = await anna.post(f"/message/{message}/reply")
        draft = begun.headers["location"]
        form = await anna.follow(begun)
        saved = await anna.post(
            f"{draft}/save", version=version_in(form.text), subject="Beslut", text="Och bilagan."
        )
        assert heading(form.text) == heading((await anna.get(draft)).text) == "Komplettera"
        version = str(saved.json()["fields"]["version"])
        assert (await anna.post(f"{draft}/send", version=version)).status_code == 303
        office.pass_by(11)
        await sending(office, client).turn()
    again = await anna.follow(await anna.post(f"/message/{message}/again"))
    assert heading(again.text) == "Skicka igen som ett nytt meddelande"
    first, second = office.service.posted
    assert second["refToMessageId"] == first["messageId"]
    assert second["conversationId"] == first["conversationId"]
    assert second["recipientAttention"] == first["recipientAttention"]


async def test_one_who_may_write_but_not_read_confirms_that_there_is_news_and_sends(room: OverVault) -> None:
    office = room.vaults
    await office.receives(label="Sak", conversation="c", message_id="m1")
    (line,) = (await office.desk("anna").lines(Folder.OPEN, "box")).lines
    (message,) = (await office.desk("anna").conversation(line.id)).messages
    draft = await office.desk("anna").reply(message.id)
    content = replace(draft.content, subject="Sv", text="Svar")
    await office.desk("anna").save_draft(draft.id, draft.version, content)
    await office.receives(label="Hemlig rubrik", conversation="c", message_id="m2")
    office.given["bo", "box"] = frozenset({Right.WRITE})
    bo, place = await room.visit(BO), f"/draft/{draft.id}"
    await bo.post(f"{place}/take-over")
    version = version_in((await bo.get(f"{place}/review")).text)
    refused = await bo.post(f"{place}/send", version=version)
    assert refused.status_code == 409
    assert "Något nytt har kommit i samtalet, som du inte får läsa." in refused.text
    assert "Hemlig rubrik" not in refused.text
    assert f'action="{place}/send"' not in refused.text
    shown = re.search(r'name="messages" value="(\d+)"', refused.text)
    assert shown is not None
    await bo.post(f"{place}/news-read", version=version, messages=shown[1])
    assert (await bo.post(f"{place}/send", version=version)).headers["location"] == f"{place}/sending"


async def test_a_search_offers_the_mailboxes_that_the_person_reads(room: OverVault) -> None:
    room.vaults.given |= {("bo", "box"): frozenset({Right.WRITE}), ("bo", "other"): frozenset({Right.READ})}
    page = (await (await room.visit(BO)).get("/search")).text
    assert ('<option value="other"' in page, '<option value="box"' in page) == (True, False)


async def test_a_character_that_no_message_can_have_is_a_space_in_the_draft(room: OverVault) -> None:
    """A word processor writes a line break as U+000B; the message service would refuse the message."""
    anna = await room.visit(ANNA)
    begun = await anna.post("/mailbox/box/write")
    draft, version = begun.headers["location"], version_in((await anna.follow(begun)).text)
    fields = {"subject": "Ru\x0bbrik\uffff.", "text": "En\x0btext\nmed 😀", "review": "yes"}
    await anna.post(draft, ("a\uffffb.pdf", PDF), version=version, **fields)
    kept = await room.vaults.desk("anna").draft(draft.rpartition("/")[2])
    assert (kept.content.subject, kept.content.text) == ("Ru brik .", "En text\nmed 😀")
    assert [file.name for file in kept.files] == ["a b.pdf"]
