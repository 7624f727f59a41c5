"""Addresses of all mail pages, in an office with content for each."""

from __future__ import annotations

from dataclasses import replace

from samdrift.messageclient.mail import Search
from samdrift.messageclient.notices.manning import Manning
from tests.unit.messageclient.mailroom import Mailroom
from tests.unit.messageclient.memorydesk import ANNA, BO, MemoryDesk

PDF = b"%PDF-1.7" * 1000


async def paths(room: Mailroom) -> list[str]:
    """Prepare drafts and a search, and return the addresses of the pages."""
    office, desk = room.office, MemoryDesk(room.office, ANNA)
    office.manning["soc"] = Manning(hours=((0, 1440),) * 7, holidays=False, escalate_after=1)
    sip = next(one for one in office.conversations.values() if "SIP" in one.subject)
    rejected = next(one for one in office.conversations.values() if "fel format" in one.subject)
    draft = await desk.reply(sip.messages[-1].id)
    upload = await desk.upload(draft.id, "Yttrande.pdf", "application/pdf")
    await upload.write(PDF)
    await upload.close()
    content = replace(draft.content, text="Tiden passar oss. " * 40)
    leaving = await desk.new_draft("soc", content)
    await desk.submit(leaving.id, leaving.version)
    theirs = await MemoryDesk(office, BO).new_draft("soc", content)
    empty = await desk.new_draft("soc")
    for text in ("Ringt.", "Ringt igen."):  # Two, so that parts of a page repeat.
        await desk.add_note(sip.id, text)
    waiting = await desk.new_draft("soc", content)
    await desk.ask_approval(waiting.id, waiting.version)
    token = await desk.begin_search(Search("mote", whole_text=False, mailbox=None))
    return [
        "/mailbox/soc",
        "/mailbox/reg/open",
        "/mine",
        "/outbox",
        f"/conversation/{sip.id}?in=unread",
        f"/conversation/{sip.id}/print",
        f"/conversation/{sip.id}/package",
        f"/message/{sip.messages[-1].id}/readers",
        f"/message/{rejected.messages[0].id}/way",
        "/drafts",
        f"/draft/{draft.id}",
        f"/draft/{empty.id}",
        f"/draft/{draft.id}/review",
        f"/draft/{leaving.id}/sending",
        f"/draft/{theirs.id}/review",
        f"/draft/{waiting.id}/review",
        "/search",
        f"/search/{token}",
        "/addresses",
    ]
