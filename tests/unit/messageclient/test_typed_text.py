"""What a person typed is on the page that refuses it, if a colleague or their own second tab was faster."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.messageclient.mail import DraftContent, Folder
from samdrift.vault.mailrecords import DraftRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import ALL, Office
from tests.unit.messageclient.mailroom import Visitor
from tests.unit.messageclient.memorydesk import ANNA, BO
from tests.unit.messageclient.test_desk import TO
from tests.unit.messageclient.test_pages_over_vault import PDF, OverVault, heading, version_in
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
LONG = "En lång text"


@pytest_asyncio.fixture
async def room(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[OverVault]:
    opened = OverVault(await Office(installation, organisation).opened(needs_approval=True))
    yield opened
    assert opened.scene.failures == []


async def begun(anna: Visitor) -> str:
    return (await anna.post("/mailbox/box/write")).headers["location"]


async def discarded(room: OverVault, path: str) -> None:
    """Let Bo take a draft over and delete it."""
    bo, draft = room.vaults.desk("bo"), path.rpartition("/")[2]
    taken = await bo.take_over_draft(draft)
    await bo.discard_draft(draft, taken.version)


def kept(answer: httpx.Response) -> bool:
    """Return whether a page says that nothing was saved, and has the text."""
    return (answer.status_code, heading(answer.text), LONG in answer.text) == (404, "Inget sparades", True)


async def test_what_was_typed_in_a_draft_that_was_deleted_is_on_the_page_that_says_so(
    room: OverVault,
) -> None:
    anna = await room.visit(ANNA)
    path = await begun(anna)
    await discarded(room, path)
    typed = {"version": "1", "subject": "Ämne", "text": LONG}
    assert kept(await anna.post(path, **typed, review="yes"))
    assert kept(await anna.post(path, ("a.pdf", PDF), **typed, review="yes"))
    assert kept(await anna.post(f"{path}/take-over", **typed))
    reference = await anna.post(path, version="1", reference_kind="dnr", reference_value="SN 1", review="yes")
    assert "SN 1" in reference.text
    earlier = await anna.post(path, version="1", subject="Annat", earlier=f"subject=Ämne&text={LONG}")
    assert ("Annat" in earlier.text, kept(earlier)) == (True, True)
    saved = await anna.post(f"{path}/save", **typed)
    assert (saved.status_code, saved.json()["over"]) == (200, True)
    assert "finns inte längre här" in saved.json()["said"]


async def test_what_was_typed_in_a_reply_that_was_moved_away_is_on_the_page_that_says_so(
    room: OverVault,
) -> None:
    await room.vaults.receives(label="Sak")
    bo, anna = room.vaults.desk("bo"), await room.visit(ANNA)
    line = (await bo.lines(Folder.OPEN, "box")).lines[0]
    one = await bo.conversation(line.id)
    path = (await anna.post(f"/message/{one.messages[0].id}/reply")).headers["location"]
    await bo.move(line.id, one.version, "other")
    assert kept(await anna.post(path, version="1", subject="Sv", text=LONG, review="yes"))
    assert kept(await anna.post(f"/conversation/{line.id}/note", note=LONG))


@pytest.mark.parametrize("looked_at", [2, 3], ids=["at its beginning", "at its end"])
async def test_what_was_typed_in_a_draft_that_is_deleted_during_an_upload_is_on_the_page_that_says_so(
    room: OverVault, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    """The draft is looked at when the form begins, when a file in it begins, and when that ends."""
    anna = await room.visit(ANNA)
    path = await begun(anna)
    found, looks = MessageClientVault.draft, list[str]()

    async def deleted_before(vault: MessageClientVault, draft: str) -> DraftRecord | None:
        looks.append(draft)
        if len(looks) == looked_at:
            monkeypatch.undo()
            await discarded(room, path)
        return await found(vault, draft)

    monkeypatch.setattr(MessageClientVault, "draft", deleted_before)
    answer = await anna.post(path, ("a.pdf", PDF), version="1", subject="Ämne", text=LONG, review="yes")
    assert kept(answer)


async def test_the_reason_for_sending_a_draft_back_is_kept_if_its_writer_was_faster(room: OverVault) -> None:
    anna = room.vaults.desk("anna")
    draft = await anna.new_draft("box", DraftContent((TO,), "Sak", "text"))
    asked = await anna.ask_approval(draft.id, draft.version)
    bo = await room.visit(BO)
    page = await bo.get(f"/draft/{draft.id}/review")
    version = version_in(page.text)
    withdrawn = await anna.withdraw(draft.id, asked)
    back = {"version": version, "reason": LONG}
    answer = await bo.post(f"/draft/{draft.id}/decline", **back)
    assert (answer.status_code, "Det du skrev" in answer.text, LONG in answer.text) == (409, True, True)
    changed = await anna.save_draft(draft.id, withdrawn, replace(draft.content, text="Annat"))
    asked = await anna.ask_approval(draft.id, changed)
    answer = await bo.post(f"/draft/{draft.id}/decline", **back)
    field = re.search(r'<textarea id="reason"[^>]*>([^<]*)</textarea>', answer.text)
    assert field is not None
    assert (answer.status_code, field[1].strip()) == (409, LONG), "it can be sent back with the same reason"
    approved = await room.vaults.desk("bo").approve(draft.id, asked)
    await anna.submit(draft.id, approved)
    answer = await bo.post(f"/draft/{draft.id}/decline", **back)
    assert (answer.status_code, heading(answer.text)) == (409, "Inget har ändrats")
    assert LONG in answer.text


async def test_what_is_typed_to_what_never_was_is_answered_in_the_same_way(room: OverVault) -> None:
    """Whoever guesses an id learns nothing from the page with their own text."""
    room.vaults.given["bo", "other"] = ALL
    hidden = await room.vaults.desk("bo").new_draft("other", DraftContent(subject="Dold"))
    anna = await room.visit(ANNA)
    pages = [
        await anna.post(f"/draft/{each}{end}", version="1", subject="Ämne", text=LONG)
        for end in ("", "/save")
        for each in (hidden.id, "nothing")
    ]
    texts = [re.sub(r'"[\w=-]{60,}"|back=[^"]+', "", each.text) for each in pages]
    assert texts[0] == texts[1]
    assert texts[2] == texts[3]
    assert "Dold" not in "".join(texts)
