"""Files on their way into a draft: sealed as they arrive, judged at the end."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.messageclient.desk import Changed, Desk, DraftClosed, NotHere, NotReady
from samdrift.messageclient.mail import DraftContent, ProblemCode, Recipient
from samdrift.messageclient.scope import Uploads
from samdrift.vault.bodies import Body, new_id
from samdrift.vault.mailrecords import FileRecord
from samdrift.vault.messageclient import MessageClientVault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import Office
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
PIECE = 1 << 16
WORD = "b47d3 Lönegatan"
PDF = b"%PDF-1.7\n" + os.urandom(2 << 20) + WORD.encode()
MEGABYTE = 1 << 20
TO = Recipient("0203:mullsjo.se", "registrator:0203:mullsjo.se", "", "Registrator")


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> AsyncIterator[Office]:
    yield await Office(installation, organisation).opened()


async def begun(desk: Desk) -> str:
    return (await desk.new_draft("box", DraftContent((TO,), "Svar", "text"))).id


async def added(desk: Desk, draft: str, name: str, data: bytes, piece: int = PIECE) -> None:
    upload = await desk.upload(draft, name, "application/octet-stream")
    for start in range(0, len(data), piece):
        await upload.write(data[start : start + piece])
    await upload.close()


def stored(office: Office) -> list[Path]:
    """Return everything in the object store, including incomplete objects."""
    return [each for each in office.installation.objects(office.organisation) if each.is_file()]


async def test_a_file_is_sealed_as_it_comes_and_gone_when_it_breaks_off(office: Office) -> None:
    anna = office.desk()
    draft = await begun(anna)
    upload = await anna.upload(draft, "beslut.pdf", "application/pdf")
    for start in range(0, len(PDF), PIECE):
        await upload.write(PDF[start : start + PIECE])
    await upload.discard()
    assert stored(office) == []
    await added(anna, draft, "beslut.pdf", PDF)
    (sealed,) = stored(office)
    assert sealed.stat().st_size > len(PDF)
    assert WORD.encode() not in sealed.read_bytes()
    (file,) = (await anna.draft(draft)).files
    assert b"".join([each async for each in (await anna.draft_file(draft, file.id)).pieces]) == PDF


async def test_memory_does_not_grow_with_the_file(office: Office) -> None:
    anna = office.desk()
    draft = await begun(anna)
    piece = bytes(PIECE)
    upload = await anna.upload(draft, "bild.png", "image/png")
    await upload.write(b"\x89PNG\r\n\x1a\n")
    tracemalloc.start()
    try:
        for _ in range(20 * MEGABYTE // PIECE):
            await upload.write(piece)
        await upload.close()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MEGABYTE
    assert (await anna.draft(draft)).files[0].size > 20 * MEGABYTE


@pytest.mark.parametrize("content_types_last", [False, True])
async def test_the_type_of_a_document_is_read_from_the_middle_of_it(
    office: Office, *, content_types_last: bool
) -> None:
    written = BytesIO()
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/w"'
        ' ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>'
        "</Types>"
    )
    parts = [("[Content_Types].xml", types.encode()), ("w", os.urandom(2 * MEGABYTE))]
    with ZipFile(written, "w", ZIP_STORED) as archive:
        for name, data in reversed(parts) if content_types_last else parts:
            archive.writestr(name, data)
        archive.writestr("more", os.urandom(2 * MEGABYTE))
    anna = office.desk()
    draft = await begun(anna)
    await added(anna, draft, "beslut.docx", written.getvalue())
    assert (await anna.draft(draft)).files[0].media_type.endswith("wordprocessingml.document")
    with pytest.raises(NotReady) as refused:
        await added(anna, draft, "beslut.docx", written.getvalue() + b"more")
    assert [each.code for each in refused.value.problems] == [ProblemCode.FILE_TYPE]


async def test_what_is_over_the_limit_is_refused_as_it_comes_and_leaves_nothing(office: Office) -> None:
    anna = office.desk()
    draft = await begun(anna)
    upload = await anna.upload(draft, "beslut.pdf", "application/pdf")
    for _ in range(22):
        await upload.write(bytes(MEGABYTE))
    assert len(stored(office)) == 1
    with pytest.raises(NotReady) as refused:
        await upload.write(bytes(MEGABYTE))
    assert [each.code for each in refused.value.problems] == [ProblemCode.TOO_LARGE]
    assert stored(office) == []


@pytest.mark.parametrize(
    ("text", "files", "fits", "too_large"),
    [("&" * 4_000_000, 0, 8_500_000, 8_600_000), ("text", 200, 23_300_000, 23_400_000)],
    ids=["escaped characters", "files"],
)
async def test_the_room_for_a_file_is_what_the_rest_of_the_message_leaves(
    office: Office, text: str, files: int, fits: int, too_large: int
) -> None:
    """An ampersand takes five bytes in XML, and the element of a small file more than its content."""
    anna = office.desk()
    draft = (await anna.new_draft("box", DraftContent((TO,), "Svar", text))).id
    async with office.vault() as vault:
        for number in range(files):
            body = await _stored(vault, b"%PDF-1.7\n")
            kept = {"name": f"{number:03} " + "&" * 252, "type": "application/pdf"}
            file = FileRecord(new_id(), draft, 0, body.size, body.id, kept)
            assert await vault.add_draft_file(file, body, "anna")
    upload = await anna.upload(draft, "beslut.pdf", "application/pdf")
    await upload.write(bytes(fits))
    with pytest.raises(NotReady) as refused:
        await upload.write(bytes(too_large - fits))
    assert [each.code for each in refused.value.problems] == [ProblemCode.TOO_LARGE]


async def _stored(vault: MessageClientVault, data: bytes) -> Body:
    writer = vault.new_body()
    await writer.write(data)
    return await writer.finish()


async def test_a_grant_that_is_removed_while_a_file_is_on_its_way_keeps_it_out(office: Office) -> None:
    anna, bo = office.desk(), office.desk("bo")
    draft = await begun(anna)
    upload = await anna.upload(draft, "beslut.pdf", "application/pdf")
    await upload.write(PDF)
    del office.given["anna", "box"]
    with pytest.raises(NotHere):
        await upload.close()
    assert stored(office) == []
    assert (await bo.draft(draft)).files == ()
    assert [event for event, _ in await office.events()].count("mk:access:denied") == 1


async def test_a_draft_that_is_taken_over_or_sent_meanwhile_has_no_such_file(office: Office) -> None:
    anna, bo = office.desk(), office.desk("bo")
    draft = await begun(anna)
    upload, late = [await anna.upload(draft, "beslut.pdf", "application/pdf") for _ in range(2)]
    for each in (upload, late):
        await each.write(PDF)
    taken = await bo.take_over_draft(draft)
    with pytest.raises(Changed):
        await upload.close()
    await bo.submit(draft, taken.version)
    with pytest.raises(DraftClosed):
        await late.close()
    assert stored(office) == []


async def test_one_person_has_a_limited_number_of_files_on_their_way(office: Office) -> None:
    uploads = Uploads()
    async with asyncio.TaskGroup() as group:
        reached = list[str]()
        over = asyncio.Event()

        async def send(person: str) -> None:
            async with uploads.turn(office.organisation, person):
                reached.append(person)
                await over.wait()

        for _ in range(6):
            group.create_task(send("anna"))
        group.create_task(send("bo"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert (reached.count("anna"), reached.count("bo")) == (4, 1)
        over.set()
    assert reached.count("anna") == 6
