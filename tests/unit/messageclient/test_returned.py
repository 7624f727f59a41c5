"""Every valid message can be replied to, whatever persons and references it names, and however many."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from typing import Any

import httpx
import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.messageclient import drafts
from samdrift.messageclient.mail import Draft, DraftContent, Folder, Identifier, ProblemCode
from samdrift.messageclient.pages.draftforms import MAX_ROWS
from samdrift.messageservice.interface_d import contract
from samdrift.messageservice.interface_d.drafting import draft as built
from samdrift.messageservice.interface_d.problems import Refused
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.sdkmessage import prepare
from tests.unit.messageclient.desks import Office
from tests.unit.messageclient.mailroom import Visitor
from tests.unit.messageclient.memorydesk import ANNA
from tests.unit.messageclient.sparse import incoming
from tests.unit.messageclient.test_desk import TO
from tests.unit.messageclient.test_pages_over_vault import OverVault, version_in
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
UNIT = {"root": "r", "extension": "registrator:0203:mullsjo.se", "label": "Registrator"}
LONG = "\U0001f600" * 256
VALUES = ("", " ", "\u00a0", "x", "x" * 256, "å" * 257, "\U0001f600" * 200, "x" * 300)


@pytest_asyncio.fixture
async def room(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[OverVault]:
    opened = OverVault(await Office(installation, organisation).opened())
    yield opened
    assert opened.scene.failures == []


async def begun(room: OverVault, anna: Visitor, **message: Any) -> tuple[str, httpx.Response]:
    """Begin a reply to a message that arrives; return its path and its form."""
    await room.vaults.receives(**message)
    line = (await room.vaults.desk().lines(Folder.OPEN, "box")).lines[0]
    reply = re.search(r'action="(/message/[^"]+/reply)"', (await anna.get(f"/conversation/{line.id}")).text)
    assert reply is not None
    answer = await anna.post(reply[1])
    return answer.headers["location"], await anna.follow(answer)


async def kept(room: OverVault, path: str) -> Draft:
    return await room.vaults.desk().draft(path.rpartition("/")[2])


def fields(page: str) -> dict[str, str | list[str]]:
    """Return the rows of the form as a browser posts them."""
    found: dict[str, str | list[str]] = {}
    for name in ("references-beside", "persons-beside", "reference-value", "person-name", "person-value"):
        found[name] = re.findall(rf'name="{name}" value="([^"]*)"', page)
    for name in ("reference-kind", "person-kind"):
        selects = re.findall(rf'<select name="{name}".*?</select>', page, re.DOTALL)
        chosen = [re.search(r'value="([^"]*)" selected', each) for each in selects]
        found[name] = [each[1] if each else "dnr" for each in chosen]
    return found


@pytest.mark.parametrize(
    ("side", "named"),
    [
        ("senderAttention", {"attentionPerson": [{"root": "", "extension": "", "label": "Karin Ek"}]}),
        ("senderAttention", {"attentionPerson": [{"label": "Karin Ek"}]}),
        ("senderAttention", {"attentionPerson": [{"root": "1.2.3", "extension": "el"}]}),
        ("senderAttention", {"referenceId": [{"root": "dnr", "extension": "SN 1", "label": ""}]}),
        (
            "senderAttention",
            {"referenceId": [{"root": "dnr", "extension": "S", "label": LONG}]},
        ),
        ("recipientAttention", {"referenceId": [{"root": "dnr", "extension": "SN 1"}]}),
    ],
    ids=["empty id", "name alone", "id alone", "no label", "long label", "ours without label"],
)
async def test_a_reply_returns_what_a_valid_message_names(
    room: OverVault, side: str, named: dict[str, list[dict[str, str]]]
) -> None:
    anna = await room.visit(ANNA)
    unit = incoming()[side]["subOrganization"]
    path, form = await begun(room, anna, **{side: {"subOrganization": unit, **named}})
    typed = {"version": version_in(form.text), "subject": "Sv", "text": "Hej", "review": "yes"}
    reviewed = await anna.post(path, **typed, **fields(form.text))
    assert reviewed.headers.get("location") == f"{path}/review"
    page = await anna.follow(reviewed)
    sent = await anna.post(f"{path}/send", version=version_in(page.text))
    assert sent.headers["location"] == f"{path}/sending"
    content = (await kept(room, path)).content
    if side == "senderAttention":
        found = [*content.recipient_persons, *content.recipient_references]
    else:
        found = [*content.references]
    ((expected,),) = named.values()
    assert found == [Identifier(*(expected.get(each, "") for each in ("root", "extension", "label")))]


async def test_what_no_message_may_name_is_not_returned_and_the_rest_is(room: OverVault) -> None:
    """A careless message service delivers it, and nobody could correct it in the reply."""
    anna = await room.visit(ANNA)
    whole = {"root": "dnr", "extension": "SN 1", "label": "Dnr"}
    person = {"root": "1.2.3", "extension": "el", "label": "Karin Ek"}
    attention = {
        "subOrganization": UNIT,
        "referenceId": [{"extension": "SN 2", "label": "Dnr"}, whole],
        "attentionPerson": [{**person, "extension": "x" * 257}, person],
    }
    path, form = await begun(room, anna, senderAttention=attention)
    content = (await kept(room, path)).content
    assert content.recipient_references == (Identifier("dnr", "SN 1", "Dnr"),)
    assert content.recipient_persons == (Identifier("1.2.3", "el", "Karin Ek"),)
    typed = {"version": version_in(form.text), "subject": "Sv", "text": "Hej", "review": "yes"}
    assert (await anna.post(path, **typed)).headers.get("location") == f"{path}/review"


@pytest.mark.parametrize("kind", ["attentionPerson", "referenceId"])
def test_what_a_draft_may_return_is_what_the_message_service_accepts(kind: str) -> None:
    field = "recipient_persons" if kind == "attentionPerson" else "recipient_references"
    for parts in product(VALUES, repeat=3):
        content = DraftContent((TO,), "Svar", "text", **{field: (Identifier(*parts),)})
        refused = {each.code for each in drafts.problems(content, ())} == {ProblemCode.REFERENCE}
        assert refused is not accepted(kind, *parts), parts


def accepted(kind: str, *parts: str) -> bool:
    """Return whether the message service accepts a message that names a person or reference."""
    named = dict(zip(("root", "extension", "label"), parts, strict=True))
    attributes = incoming(sender="0203:habo.se", recipient="0203:mullsjo.se")
    attributes["recipientAttention"][kind] = [named]
    attributes["creationDateTime"] = "2026-11-27T00:00:00.000Z"
    try:
        data = contract.check({"data": {"type": "messages", "attributes": attributes}})["data"]
    except Refused:
        return False
    identity = attributes["messageId"]
    message = built(data, message_id=identity, conversation_id=identity, created="")
    return not prepare(message).findings


@pytest.mark.parametrize("more", [0, 1, 1000 - MAX_ROWS])
async def test_a_message_that_quotes_very_many_references_is_replied_to(room: OverVault, more: int) -> None:
    """Only the last of them are fields of the form; the rest stay, however often it is saved."""
    anna = await room.visit(ANNA)
    quoted = [{"root": "dnr", "extension": f"d{each}", "label": "Dnr"} for each in range(MAX_ROWS + more)]
    unit = incoming()["recipientAttention"]["subOrganization"]
    path, form = await begun(room, anna, recipientAttention={"subOrganization": unit, "referenceId": quoted})
    before = (await kept(room, path)).content.references
    assert len(before) == len(quoted)
    assert ("skickas som de är" in form.text) is (more > 0)
    rows = fields(form.text)
    rows["reference-value"] = [*rows["reference-value"][1:-1], "SN 7"]  # The first row is removed, one added.
    rows["reference-kind"] = rows["reference-kind"][1:]
    expected = (*before[:more], *before[more + 1 :], Identifier("dnr", "SN 7", "SN 7"))
    version = version_in(form.text)
    for text in ("Hej", "Hej igen"):
        saved = await anna.post(f"{path}/save", version=version, subject="Sv", text=text, **rows)
        assert saved.status_code == 200
        version = saved.json()["fields"]["version"]
        assert (await kept(room, path)).content.references == expected
    reviewed = await anna.post(path, version=version, subject="Sv", text="Hej igen", review="yes", **rows)
    assert reviewed.headers.get("location") == f"{path}/review"
    again = await anna.post(path, version=version, subject="Sv", text="Hej igen", more="yes", **rows)
    assert (await anna.follow(again)).text.count('name="reference-value"') == MAX_ROWS + 1


async def test_a_message_of_another_client_that_names_very_many_persons_is_added_to(room: OverVault) -> None:
    desk = room.vaults.desk()
    anna = await room.visit(ANNA)
    persons = tuple(Identifier("1.2.3", f"p{each}", f"P {each}") for each in range(1000))
    draft = await desk.new_draft("box", DraftContent((TO,), "Svar", "text", persons=persons))
    form = await anna.get(f"/draft/{draft.id}")
    rows = fields(form.text)
    rows["person-name"] = [*rows["person-name"][:-1], "Ny"]
    typed = {"version": version_in(form.text), "subject": "Sv", "text": "Hej"}
    saved = await anna.post(f"/draft/{draft.id}/save", **typed, **rows)
    assert saved.status_code == 200
    content = (await desk.draft(draft.id)).content
    assert content.persons == (*persons[:-1], replace(persons[-1], label="Ny"))
