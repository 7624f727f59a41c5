"""Hand-over: the content of a package, its entry in the log before it leaves, and registration numbers."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import sys
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from samdrift.client.errors import NotOffered, Unreachable
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Role
from samdrift.messageclient.desk import Changed, NotHere, TooLongForPdf
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.handover import desk as handover_desk
from samdrift.messageclient.handover import pdf as pdf_module
from samdrift.messageclient.handover.blocks import blocks
from samdrift.messageclient.handover.content import Content, HandOver
from samdrift.messageclient.handover.document import Document
from samdrift.messageclient.handover.package import MANIFEST, digests, package
from samdrift.messageclient.handover.pdf import NoPdf, Typesetter
from samdrift.messageclient.handover.typesetting import typeset
from samdrift.messageclient.mail import (
    Act,
    Conversation,
    File,
    Folder,
    Message,
    Part,
    Party,
    Person,
    Reading,
    Stage,
)
from samdrift.messageclient.mail import Document as MailDocument
from samdrift.messageclient.pages.shown import Shown
from samdrift.rights import Right
from samdrift.vault.errors import UnknownRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.web.assets import Assets
from samdrift.web.hostile import safe_name
from samdrift.web.messagetext import message_text
from samdrift.web.pages import Pages
from samdrift.web.texts import Language
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.day import MULLSJO, SOC
from tests.unit.messageclient.desks import Office
from tests.unit.messageclient.mailroom import TEXTS, Mailroom
from tests.unit.messageclient.memorydesk import Contents, InMemory, MemoryDesk, message
from tests.vaults import NOW, Installation

ROLES = (Role.MESSAGE_CLIENT,)
HABO = "0203:habo.se"
ALL = frozenset(Part)
AT = datetime(2026, 11, 26, 9, 42, tzinfo=UTC)
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 2000


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Office]:
    yield await Office(installation, organisation).opened()


@pytest.fixture
def room() -> Mailroom:
    return Mailroom()


@dataclass
class Service:
    """A message service that has evidence, or a reason for having none."""

    failure: Exception | None = None
    asked: list[tuple[str, bool]] = field(default_factory=list)

    async def evidence(self, message_id: str, *, original: bool = False) -> AsyncIterator[bytes]:
        self.asked.append((message_id, original))
        if self.failure is not None:
            raise self.failure
        yield b"tar " * 1000
        yield b"end"

    async def raw(self, message_id: str) -> AsyncIterator[bytes]:
        self.asked.append((message_id, True))
        yield b'{"data": "as it came"}'


async def unpacked(pieces: AsyncIterator[bytes]) -> dict[str, bytes]:
    content = b"".join([piece async for piece in pieces])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


async def begun(office: Office, **message: object) -> str:
    """Make a conversation with two messages that arrived, the first with a file; return it."""
    thread = {"conversation": "11111111-1111-4111-8111-111111111111"}
    await office.receives(label="Orosanmälan", files=(("a b.pdf", "application/pdf", PDF),), **thread)
    await office.receives(label="Mer om det", text="Andra texten", **thread)
    return (await office.desk().lines(Folder.OPEN, "box")).lines[0].id


# --- the package ------------------------------------------------------------------------------------------


async def test_a_package_has_the_files_as_they_are_and_a_digest_of_each_thing(office: Office) -> None:
    conversation = await begun(office)
    office.proofs = Service()
    handover = await office.desk().handed_over(conversation, (), ALL)
    inside = await unpacked(package(handover, b"%PDF", "Läs"))
    manifest = json.loads(inside.pop(MANIFEST))
    assert inside["meddelande-1/filer/1-a b.pdf"] == PDF
    assert inside["meddelande-1/kvittenser.tar"] == b"tar " * 1000 + b"end"
    assert inside["meddelanden.pdf"] == b"%PDF"
    first = json.loads(inside["meddelande-1/meddelande.json"])
    assert first["label"] == "Orosanmälan"
    assert first["digitalDocument"][0]["contentFiles"][0]["in"] == "meddelande-1/filer/1-a b.pdf"
    assert json.loads(inside["meddelande-2/meddelande.json"])["digitalDocument"][0]["contentTextBody"] == [
        "Andra texten"
    ]
    told = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in inside.items()}
    assert {name: (one["size"], one["sha256"]) for name, one in manifest["files"].items()} == told
    assert [one["missing"] for one in manifest["messages"]] == [{}, {}]
    assert (manifest["made_by"], manifest["address"]) == ("anna", "inkorg01:0203:habo.se")


async def test_that_it_leaves_is_in_the_log_first_and_all_can_see_who_took_it(office: Office) -> None:
    conversation = await begun(office)
    before = len(await office.events())
    handover = await office.desk().handed_over(conversation, (), frozenset({Part.FILES}))
    logged = [ids for event, ids in (await office.events())[before:] if "handed-over" in event]
    assert [(one["mailbox"], one["parts"]) for one in logged] == [("box", "files")] * 2
    assert {one["message"] for one in logged} == {m.message_id for m in handover.conversation.messages}
    _, readings = await office.desk("bo").readers(handover.conversation.messages[0].id)
    assert [(one.person.id, one.act) for one in readings] == [("anna", Act.HANDED_OVER)]


async def test_one_message_alone_goes_along_and_none_of_another_conversation(office: Office) -> None:
    conversation = await begun(office)
    await office.receives(label="Något annat")
    other = (await office.desk().lines(Folder.OPEN, "box")).lines[0].id
    (foreign,) = (await office.desk().conversation(other)).messages
    first, second = (await office.desk().conversation(conversation)).messages
    handover = await office.desk().handed_over(conversation, (second.id,), ALL)
    assert [one.id for one in handover.conversation.messages] == [second.id]
    inside = await unpacked(package(handover, None, ""))
    assert not any("filer/" in name for name in inside)
    assert b"Orosanm" not in b"".join(inside.values())
    for wanted in ((foreign.id,), (first.id, foreign.id)):
        with pytest.raises(NotHere):
            await office.desk().handed_over(conversation, wanted, ALL)


async def test_notes_go_along_only_where_they_are_asked_for(office: Office) -> None:
    conversation = await begun(office)
    await office.desk().add_note(conversation, "Ringde mamman")
    for parts, there in ((ALL - {Part.NOTES}, False), (ALL, True)):
        handover = await office.desk().handed_over(conversation, (), parts)
        inside = await unpacked(package(handover, None, ""))
        assert (b"Ringde mamman" in inside[MANIFEST]) is there


async def test_what_another_message_service_lacks_is_said_in_words(office: Office) -> None:
    """Such a service only has the original as JSON."""
    conversation = await begun(office)
    office.proofs = Service(NotOffered())
    handover = await office.desk().handed_over(conversation, (), ALL)
    inside = await unpacked(package(handover, None, ""))
    assert inside["meddelande-1/original.json"] == b'{"data": "as it came"}'
    missing = json.loads(inside[MANIFEST])["messages"][0]["missing"]
    assert set(missing) == {"evidence"}
    assert "another supplier's" in missing["evidence"]


async def test_a_message_service_that_is_down_leaves_the_rest_whole(office: Office) -> None:
    conversation = await begun(office)
    office.proofs = Service(Unreachable("the message service answered with HTTP status 503"))
    handover = await office.desk().handed_over(conversation, (), frozenset({Part.EVIDENCE, Part.FILES}))
    inside = await unpacked(package(handover, None, ""))
    assert inside["meddelande-1/filer/1-a b.pdf"] == PDF
    missing = json.loads(inside[MANIFEST])["messages"][0]["missing"]
    assert missing == {"evidence": "the message service answered with HTTP status 503"}


async def test_a_message_that_cannot_be_shown_goes_along_as_it_came(office: Office) -> None:
    await office.receives(label="Trasig", digitalDocument=None)
    line = (await office.desk().lines(Folder.OPEN, "box")).lines[0]
    handover = await office.desk().handed_over(line.id, (), ALL)
    inside = await unpacked(package(handover, None, ""))
    kept = json.loads(inside["meddelande-1/meddelande.json"])
    assert kept["data"]["attributes"]["label"] == "Trasig", (
        "the message must be included as the message service wrote it"
    )


class Endless:
    """A file of 30 MB that is never in one piece."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(480):
            yield bytes(1 << 16)


async def test_a_package_of_30_mb_is_never_held_whole() -> None:
    handover = invented(files=(File("f", "stor.pdf", "application/pdf", 480 << 16),))
    (message,) = handover.conversation.messages
    content = Content(message, {"f": Endless()}, None)
    handover = HandOver(**{**fields_of(handover), "contents": Contents([content])})
    await digests(content)
    tracemalloc.start()
    size = 0
    async for piece in package(handover, None, ""):
        size += len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 480 << 16
    assert peak < 2 << 20


async def test_a_package_of_a_long_conversation_has_few_of_its_texts_in_memory(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender decides how many messages there are; each has up to a million characters."""
    monkeypatch.setattr(handover_desk, "_MAX_BYTES", 1 << 19)
    conversation = await long_one(office, messages=16, text="漢" * 300_000)
    tracemalloc.start()
    handover = await office.desk().handed_over(conversation, (), frozenset({Part.FILES}))
    size = sum([len(piece) async for piece in package(handover, None, "")])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 16 * 500
    assert peak < 12 << 20, "all texts together take 20 MB"


async def long_one(office: Office, messages: int, text: str) -> str:
    """Receive a conversation and return it."""
    for number in range(1, messages):
        office.service.receives(label=f"{number}", text=text, conversation="c", message_id=f"m{number}")
    await office.receives(label="Sist", text=text, conversation="c", message_id="last")
    return (await office.desk().lines(Folder.OPEN, "box")).lines[0].id


async def test_more_text_than_one_pdf_may_have_is_refused_before_anything_is_logged(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover_desk, "_MAX_PDF_BYTES", 100_000)
    conversation = await long_one(office, messages=3, text="a" * 40_000)
    before = await office.events()
    with pytest.raises(TooLongForPdf):
        await office.desk().handed_over(conversation, (), ALL)
    assert MKEvent.MK_READING_HANDED_OVER not in [event for event, _ in await office.events()][len(before) :]
    handover = await office.desk().handed_over(conversation, (), ALL - {Part.PDF})
    assert len([one async for one in handover.contents]) == 3
    first = handover.conversation.messages[0].id
    assert (await office.desk().handed_over(conversation, (first,), ALL)).parts == ALL


async def test_a_message_that_is_disposed_of_under_way_breaks_the_package_off(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> tuple[()]:
        return ()

    handover = await office.desk().handed_over(await begun(office), (), ALL)
    monkeypatch.setattr(MessageClientVault, "mail", gone)
    with pytest.raises(UnknownRecord):
        await unpacked(package(handover, None, ""))


@given(st.text(max_size=400))
def test_a_file_is_unpacked_in_its_folder_whatever_it_is_called(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert len(safe) <= 101
    assert PurePosixPath(safe).name == safe
    assert not set('\\/:*?"<>|\0\n\r') & set(safe)
    assert safe.strip(" .") == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..\\..\\x.exe", "_.._x.exe"),
        ("fakturaexe.pdf\u202efdp.exe", "fakturaexe.pdf_fdp.exe"),
        ("CON.pdf", "_CON.pdf"),
        ("", "fil"),
        ("Beslut åäö (1).pdf", "Beslut åäö (1).pdf"),
        ("Ansökan a\u030a.pdf", "Ansökan å.pdf"),
        ("\ud800.pdf", "_.pdf"),
        ("x" * 300 + ".pdf", "x" * 96 + ".pdf"),
    ],
)
def test_hostile_names_of_files(name: str, safe: str) -> None:
    assert safe_name(name) == safe


# --- registered -------------------------------------------------------------------------------------------


async def test_a_registered_conversation_shows_its_number_and_it_can_be_taken_back(office: Office) -> None:
    conversation = await begun(office)
    desk = office.desk()
    version = (await desk.conversation(conversation)).version
    new = await desk.register(conversation, version, "SN 2026/123")
    shown = await office.desk("bo").conversation(conversation)
    assert shown.registered is not None
    assert (shown.registered.number, shown.registered.person.name) == ("SN 2026/123", "Anna Ek")
    (line,) = (await desk.lines(Folder.OPEN, "box")).lines
    assert line.registered == shown.registered
    with pytest.raises(Changed):
        await desk.register(conversation, version, "SN 2026/124")
    await desk.register(conversation, new, "")
    assert (await desk.conversation(conversation)).registered is None
    logged = [ids for event, ids in await office.events() if event == MKEvent.MK_CONVERSATION_REGISTERED]
    assert [one["action"] for one in logged] == ["registered", "taken-back"]
    assert "2026/123" not in str(logged), "the number is content, which must not be logged"


async def test_one_who_may_read_alone_takes_a_package_and_registers_nothing(office: Office) -> None:
    conversation = await begun(office)
    office.given["cia", "box"] = frozenset({Right.READ})
    cia = office.desk("cia")
    assert (await cia.handed_over(conversation, (), ALL)).conversation.messages
    with pytest.raises(NotHere):
        await cia.register(conversation, 2, "SN 1")
    office.given["cia", "box"] = frozenset({Right.WRITE, Right.MANAGE})
    with pytest.raises(NotHere):
        await cia.handed_over(conversation, (), ALL)


# --- the document -----------------------------------------------------------------------------------------


def fields_of(handover: HandOver) -> dict[str, Any]:
    return {name: getattr(handover, name) for name in handover.__slots__}


def invented(text: str = "Hej", subject: str = "Ärende", files: tuple[File, ...] = ()) -> HandOver:
    """Make up a hand-over of one message without a vault."""
    sender = Party("0203:mullsjo.se", "x:0203:mullsjo.se", "Mullsjö kommun", "Registrator")
    document = MailDocument("SDK", (str(message_text(text)),), (text,), files)
    message = Message(
        id="m",
        message_id="19c7e876-ef6f-4fb0-bccb-e93e3ab6e69f",
        conversation="c",
        conversation_id="29c7e876-ef6f-4fb0-bccb-e93e3ab6e69f",
        direction=Direction.IN,
        sender=sender,
        recipient=Party("0203:habo.se", "y:0203:habo.se", "Habo kommun", "Socialtjänst"),
        subject=subject,
        confidential=True,
        at=AT,
        dated_at=AT,
        documents=(document,),
        stage=Stage.ARRIVED,
        delivery=None,
        refers_to=None,
        author=None,
        read_by=0,
        was_unread=False,
    )
    conversation = Conversation(
        id="c",
        version=1,
        mailbox="box",
        subject=subject,
        counterpart=sender,
        confidential=True,
        references=(),
        handler=None,
        handler_away=False,
        done=False,
        messages=(message,),
        notes=(),
        drafts=(),
    )
    return HandOver(
        conversation=conversation,
        organisation="0203:habo.se",
        address="y:0203:habo.se",
        parts=ALL,
        readings={},
        contents=Contents([Content(message, {file.id: InMemory(b"x") for file in files}, None)]),
        remote={},
        proofs=None,
        person=Person("anna", "Anna Ek"),
        at=AT,
    )


def written(handover: HandOver) -> dict[str, Any]:
    wording = Pages(TEXTS, Assets(), lambda: AT).lasting_wording(Language.SWEDISH)
    return Document(Shown(wording, handover.person), handover, "Habo kommun", {}).content()


@pytest.mark.parametrize("act", Act)
def test_whatever_somebody_has_done_with_a_message_has_words_in_the_pdf(act: Act) -> None:
    """A reason given for opening the conversation is one of these."""
    seen = Reading(Person("bo", "Bo Ek"), act, AT, AT)
    handover = HandOver(**{**fields_of(invented()), "readings": {"m": (seen,)}})
    (message,) = written(handover)["messages"]
    assert [one["who"] for one in message["readers"]] == ["Bo Ek"] * (act is not Act.HANDED_OVER)
    assert all(one["how"] for one in message["readers"])


HOSTILE = (
    '#panic("x")',
    '#read("/etc/passwd")',
    '#import "@preview/x:1.0.0"',
    "$ #panic() $",
    "\\ #sys.inputs \" ' ` ``` @label <label> */ // [ ] { } #",
    "\u202e\u0000\ufeff\u200b\U0010ffff \ud800".encode("utf-8", "replace").decode(),
    "😀 漢字 العربية 👨‍👩‍👧 e\u0301\u0301\u0301\u0301\u0301\u0301",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_people_wrote_is_never_markup_and_always_a_pdf(text: str) -> None:
    """If any of it were read as markup, typesetting would fail, or ask for a file."""
    document = json.dumps(written(invented(text, subject=text)), ensure_ascii=False)
    assert typeset(document).startswith(b"%PDF-1.7")


async def test_a_process_of_its_own_without_keys_sets_the_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has none of our environment, and receives only the document to set."""
    monkeypatch.setenv("SAMDRIFT_SECRET", "x")
    started: list[dict[str, Any]] = []
    real = pdf_module.asyncio.create_subprocess_exec

    async def watched(*arguments: str, **options: Any) -> Any:
        started.append({"arguments": arguments, **options})
        return await real(*arguments, **options)

    monkeypatch.setattr(pdf_module.asyncio, "create_subprocess_exec", watched)
    pdf = await Typesetter().pdf(written(invented("Planterat ord")), HABO)
    assert pdf.startswith(b"%PDF-1.7")
    (one,) = started
    assert one["env"].keys() == {"RAYON_NUM_THREADS"}
    assert "Planterat" not in str(one["arguments"])
    assert one["arguments"][0] == sys.executable


async def test_an_organisation_that_has_many_documents_set_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, end = list[str](), asyncio.Event()

    async def run(self: Typesetter, content: bytes) -> bytes:
        begun.append(json.loads(content)["title"])
        await end.wait()
        return b"%PDF"

    monkeypatch.setattr(Typesetter, "_run", run)
    typesetter = Typesetter()
    asked = [("habo", "anna")] * 3 + [("habo", "bo"), ("mullsjo", "karin")]
    async with asyncio.TaskGroup() as tasks:
        for organisation, person in asked:
            document = {"title": f"{person} at {organisation}"}
            tasks.create_task(typesetter.pdf(document, organisation, person))
        await asyncio.sleep(0)
        assert begun == ["anna at habo", "karin at mullsjo"]
        end.set()
    assert begun[2:] == ["anna at habo", "bo at habo", "anna at habo"], "each person in turn"


async def test_without_the_optional_part_it_is_said_that_there_is_no_pdf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pdf_module, "find_spec", lambda name: None)
    assert not Typesetter().available
    with pytest.raises(NoPdf, match="extra pdf"):
        await Typesetter().pdf({}, HABO)


async def test_an_organisation_waits_for_its_own_documents_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text can take the full two minutes, so one person could make all others wait by asking ten times."""
    running: list[bytes] = []
    goes_on = asyncio.Event()

    async def run(self: Typesetter, content: bytes) -> bytes:
        running.append(content)
        await goes_on.wait()
        running.remove(content)
        return content

    monkeypatch.setattr(Typesetter, "_run", run)
    monkeypatch.setattr(Typesetter, "available", True)
    typesetter = Typesetter()
    most = pdf_module._MAX_WANTED
    asked = [asyncio.create_task(typesetter.pdf({"text": "long"}, HABO)) for _ in range(most + 3)]
    other = asyncio.create_task(typesetter.pdf({"text": "short"}, "0203:mullsjo.se"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert running == [b'{"text": "long"}', b'{"text": "short"}']
    assert sum(each.done() for each in asked) == 3, "requests above the limit must be refused"
    goes_on.set()
    assert await other == b'{"text": "short"}'
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in ended] == [bytes] * most + [NoPdf] * 3
    assert await typesetter.pdf({"text": "later"}, HABO) == b'{"text": "later"}'


async def test_a_document_that_cannot_be_set_is_said_without_a_word_of_it() -> None:
    with pytest.raises(NoPdf) as failed:
        await Typesetter().pdf({"title": "Planterat"}, HABO)
    assert "Planterat" not in str(failed.value)


def test_a_document_says_what_it_is_about() -> None:
    content = written(invented("**Hej**\nvi ses", files=(File("f", "a\u202eb.pdf", "application/pdf", 10),)))
    (message,) = content["messages"]
    facts = {fact["label"]: fact["value"] for fact in message["facts"]}
    assert facts["Från"] == "Mullsjö kommun, Registrator\n0203:mullsjo.se, x:0203:mullsjo.se"
    assert content["confidential"] == "Omfattas av sekretess enligt avsändaren"
    assert message["heading"] == "Meddelande 1 av 1, inkommet 26 november 2026 10:42"
    assert message["files"][0]["name"] == "a⟦U+202E⟧b.pdf"
    (block,) = message["documents"][0]["blocks"]
    assert [(run["text"], run["bold"]) for run in block["runs"]] == [
        ("Hej", True),
        ("\n", False),
        ("vi ses", False),
    ]


@pytest.mark.parametrize(
    ("directions", "whole"),
    [
        ((Direction.OUT,), "vår egen märkning"),
        ((Direction.IN, Direction.OUT), "avsändaren"),
    ],
)
def test_a_document_says_who_marked_a_message_as_confidential(
    directions: tuple[Direction, ...], whole: str
) -> None:
    """Messages sent from here were "marked by the sender", which readers take for the other party."""
    handover = invented("Hej")
    (message,) = handover.conversation.messages
    messages = tuple(replace(message, direction=each) for each in directions)
    content = written(replace(handover, conversation=replace(handover.conversation, messages=messages)))
    assert content["confidential"] == f"Omfattas av sekretess enligt {whole}"
    by = {Direction.IN: "avsändaren", Direction.OUT: "vår egen märkning"}
    expected = [f"Omfattas av sekretess enligt {by[each]}" for each in directions]
    assert [each["confidential"] for each in content["messages"]] == expected


@given(st.text(alphabet="*_-#1.) \n\tax<&>", max_size=200))
def test_blocks_have_every_word_of_a_text(text: str) -> None:
    found = blocks(str(message_text(text)))
    said = "".join(_texts(found))
    for character in "ax<&>":
        assert said.count(character) == text.count(character)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return (
            [value["text"]] if "text" in value else [one for each in value.values() for one in _texts(each)]
        )
    if isinstance(value, list):
        return [one for each in value for one in _texts(each)]
    return []


# --- the page ---------------------------------------------------------------------------------------------


def the_sip(room: Mailroom) -> str:
    return next(one.id for one in room.office.conversations.values() if "SIP" in one.subject)


async def test_the_package_is_downloaded_as_it_was_chosen(room: Mailroom) -> None:
    path = f"/conversation/{the_sip(room)}/package"
    anna = await room.visit()
    page = await anna.get(path)
    assert 'value="pdf" checked' in page.text
    answer = await anna.post(path, parts=["pdf", "files"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert 'attachment; filename="meddelanden-' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("meddelanden.pdf").startswith(b"%PDF-1.7")
        assert json.loads(archive.read(MANIFEST))["made_by"] == "Anna Andersson"
    readers = [reading.act for _, reading in room.office.readings]
    assert Act.HANDED_OVER in readers
    assert room.scene.failures == []


async def test_one_of_200_messages_is_chosen_from_a_list_that_is_one_field(room: Mailroom) -> None:
    sip, anna = the_sip(room), await room.visit()
    for number in range(len(room.office.conversations[sip].messages), 200):
        room.office.add(sip, message(room.office, MULLSJO, SOC, f"Fråga {number}", "Text", NOW))
    path = f"/conversation/{sip}/package"
    page = await anna.get(path)
    assert (page.text.count("<option"), 'type="radio"' in page.text) == (201, False)
    assert '<option value="">Hela samtalet, 200 meddelanden</option>' in page.text
    chosen = room.office.conversations[sip].messages[7]
    refused = await anna.post(path, message=chosen.id)
    assert f'<option value="{chosen.id}" selected>' in refused.text
    answer = await anna.post(path, message=chosen.id, parts=["files"])
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (one,) = json.loads(archive.read(MANIFEST))["messages"]
    assert one["messageId"] == chosen.message_id
    nowhere = await anna.post(path, message="elsewhere", parts=["files"])
    assert nowhere.status_code == 404


async def test_nothing_chosen_is_said_and_nothing_leaves(room: Mailroom) -> None:
    anna = await room.visit()
    answer = await anna.post(f"/conversation/{the_sip(room)}/package")
    assert (answer.status_code, "Välj vad som ska följa med" in answer.text) == (422, True)
    assert Act.HANDED_OVER not in [reading.act for _, reading in room.office.readings]


async def test_a_conversation_that_is_too_long_for_a_pdf_is_said_to_be_and_the_rest_can_be_had(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over = MemoryDesk.handed_over

    async def long(
        desk: MemoryDesk, conversation: str, messages: Sequence[str], parts: frozenset[Part]
    ) -> HandOver:
        if Part.PDF in parts:
            raise TooLongForPdf
        return await handed_over(desk, conversation, messages, parts)

    monkeypatch.setattr(MemoryDesk, "handed_over", long)
    anna, path = await room.visit(), f"/conversation/{the_sip(room)}/package"
    refused = await anna.post(path, parts=["pdf", "files"])
    assert refused.status_code == 422
    assert "Samtalet är för långt för en PDF. Välj ett meddelande i taget" in refused.text
    assert (await anna.post(path, parts=["files"])).status_code == 200


async def test_without_the_optional_part_everything_else_can_be_had(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_module, "find_spec", lambda name: None)
    anna, path = await room.visit(), f"/conversation/{the_sip(room)}/package"
    page = await anna.get(path)
    assert "Här finns ingen PDF." in page.text
    assert 'value="pdf"' not in page.text
    assert (await anna.post(path, parts=["pdf"])).status_code == 503
    assert (await anna.post(path, parts=["files"])).status_code == 200


async def test_a_conversation_is_marked_as_registered_on_the_page_and_shows_in_the_list(
    room: Mailroom,
) -> None:
    sip = the_sip(room)
    anna, path = await room.visit(), f"/conversation/{sip}/registered"
    version = str(room.office.conversations[sip].version)
    assert (await anna.post(path, version=version)).status_code == 422
    page = await anna.follow(await anna.post(path, version=version, number="SN 2026/123"))
    assert "SN 2026/123" in page.text
    assert "Registrerat som SN 2026/123." in (await anna.get(f"/conversation/{sip}")).text
    assert (await anna.post(path, version=version, number="SN 9")).status_code == 409
    version = str(room.office.conversations[sip].version)
    await anna.follow(await anna.post(path, version=version, act="take-back"))
    assert "SN 2026/123" not in (await anna.get(f"/conversation/{sip}")).text


async def test_a_package_of_what_was_sent_from_here_is_not_said_to_be_marked_by_its_sender(
    room: Mailroom,
) -> None:
    anna = await room.visit()
    ours = next(one for one in room.office.conversations.values() if one.subject == "Intyg om närvaro")
    page = await anna.get(f"/conversation/{ours.id}/package")
    assert ("enligt vår egen märkning" in page.text, "enligt avsändaren" in page.text) == (True, False)
    theirs = await anna.get(f"/conversation/{the_sip(room)}/package")
    assert ("enligt vår egen märkning" in theirs.text, "enligt avsändaren" in theirs.text) == (False, True)
