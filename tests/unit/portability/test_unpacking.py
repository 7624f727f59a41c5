"""An organisation reads its export without any installation, whatever it has received."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import stat
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyrage
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.contracts.messages import Direction
from samdrift.portability.exporting import Exported
from samdrift.portability.messagefolder import MessageFolder
from samdrift.portability.unpacking import Unpacked, unpack
from samdrift.vault.records import MessageRecord
from samdrift.wire.sdkmessage import Document, SdkMessage, build, file_from_bytes
from tests.movable import LARGE
from tests.pki import key, root
from tests.unit.cli.commandline import in_process
from tests.unit.portability.conftest import MT, Files, Move, moving
from tests.unit.portability.test_hostile import PAGE, changed, line, listed, packed, without
from tests.unit.wire.sdkmessage.samples import FULL
from tests.vaults import NOW, Installation, body, message, receipt

Change = Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]

EVIL = {
    "../../etc/passwd": "passwd",
    "..\\..\\Windows\\system.ini": "system.ini",
    "/etc/shadow": "shadow",
    "..": "bilaga",
    "con.txt": "_con.txt",
    "-rf \u202egpj.exe": "rf _gpj.exe",
    "beslut.pdf": "beslut.pdf",
    "BESLUT.pdf": "BESLUT (2).pdf",
    "å" * 190 + ".docx": "å" * 57 + ".docx",
}
"""Names of attachments, and of the files that they are unpacked to."""
CONTENT = bytes(range(256)) * 5
TEXT = "Hej\u009b2J <&>\n10\u00a0000 kr 😀"
FORMULA = '=HYPERLINK("http://evil";"se här")'
HOSTILE = replace(
    FULL,
    documents=(
        Document(
            "1",
            "../dokument",
            "1",
            tuple(file_from_bytes(name, "application/pdf", CONTENT + name.encode()) for name in EVIL),
            (TEXT, "mer"),
        ),
        Document("2", None, "2", (file_from_bytes("beslut.pdf", "application/pdf", b"%PDF-1.4"),)),
    ),
)
BROKEN = b"!</tns:content>".join(build(HOSTILE).rsplit(b"</tns:content>", 1))
"""A message whose last attachment is not base64."""


@dataclass(frozen=True)
class Left:
    """An organisation's export, its clear text, and the unpacked result."""

    move: Move
    exported: Exported
    clear: bytes
    hostile: MessageRecord
    broken: MessageRecord
    xml: bytes
    unpacked: Unpacked

    @property
    def out(self) -> Path:
        return self.move.folder / "out"

    @property
    def folder(self) -> Path:
        """Return the folder of the hostile message."""
        return self.out / "messages" / f"in-{self.hostile.id}"


async def receive(move: Move, xml: bytes, item: str) -> MessageRecord:
    came = message(Direction.IN, label=FORMULA)
    async with move.installation.open(move.organisation, MT) as vault:
        reply = receipt(came.id)
        await vault.receive(
            came, await body(vault, xml), reply, b"<receipt/>", item_id=item, now=NOW, lease=None
        )
    return came


@pytest_asyncio.fixture(scope="module")
async def left(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Left:
    move = await moving(installation, tmp_path_factory.mktemp("unpacking"))
    xml = build(HOSTILE)
    hostile = await receive(move, xml, "hostile")
    broken = await receive(move, BROKEN, "broken")
    exported = await move.export()
    unpacked = await unpack(move.folder / "export.age", [move.key], move.folder / "out", exported.signer)
    return Left(move, exported, move.clear(), hostile, broken, xml, unpacked)


def inside(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def table(left: Left) -> list[dict[str, str]]:
    text = (left.out / "index.csv").read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


async def test_a_message_and_its_attachments_are_there_byte_for_byte(left: Left) -> None:
    files = inside(left.folder)
    assert files["message.xml"] == left.xml
    assert files["texts/1.txt"] == TEXT.encode()
    for original, name in EVIL.items():
        assert files[f"attachments/{name}"] == CONTENT + original.encode()
    assert files["attachments/beslut (3).pdf"] == b"%PDF-1.4"
    assert len([name for name in files if name.startswith("attachments/")]) == len(EVIL) + 1


async def test_the_original_names_are_in_the_facts(left: Left) -> None:
    facts = json.loads((left.folder / "message.json").read_text())
    first, second = facts["documents"]
    assert [file["fileName"] for file in first["attachments"]] == list(EVIL)
    assert [file["file"] for file in first["attachments"]] == [
        f"attachments/{name}" for name in EVIL.values()
    ]
    assert (first["documentName"], first["texts"]) == ("../dokument", ["texts/1.txt", "texts/2.txt"])
    assert second["attachments"][0]["bytes"] == len(b"%PDF-1.4")
    assert (facts["label"], facts["id"], facts["content"]) == (FORMULA, left.hostile.id, "read")


async def test_people_read_who_what_when_and_the_receipt_without_what_steers_a_terminal(left: Left) -> None:
    text = (left.folder / "message.txt").read_text()
    said = (
        "Inkommet",
        FORMULA,
        "10\u00a0000 kr 😀",
        "../../etc/passwd",
        "beslut (3).pdf",
        "MEDDELANDEKVITTENS",
    )
    assert [each for each in said if each not in text] == []
    assert not {"\u009b", "\u202e"} & set(text)


async def test_receipts_are_with_their_messages(left: Left) -> None:
    (file,) = left.folder.glob("receipt-*.xml")
    assert file.read_bytes() == b"<receipt/>"
    assert json.loads(file.with_suffix(".json").read_text())["message"] == left.hostile.id


async def test_every_message_is_in_the_table_and_no_cell_is_a_formula(left: Left) -> None:
    rows = table(left)
    assert len(rows) == left.exported.manifest.records["mt/messages"] == 7
    (row,) = [row for row in rows if row["Meddelande-id"] == left.hostile.id]
    assert (row["Rubrik"], row["Bilagor"], row["Texter"]) == (f"'{FORMULA}", str(len(EVIL) + 1), "2")
    assert left.out / row["Mapp"] == left.folder
    assert all((left.out / row["Mapp"] / "message.txt").is_file() for row in rows)
    assert [row["Rubrik"] for row in rows if "(" not in row["Rubrik"]].count("") == 1, (
        "only the deleted message may lack a subject"
    )


async def test_a_message_that_cannot_be_read_is_there_as_it_is(left: Left) -> None:
    """Its content came from outside, and must not block access to the rest."""
    assert left.unpacked.unreadable == 4
    bodies = [path.read_bytes() for path in left.out.glob("messages/*/message.xml")]
    assert sorted(bodies) == sorted([b"<m/>", LARGE, left.xml, BROKEN, b"<xhe/>"])
    broken = inside(left.out / "messages" / f"in-{left.broken.id}")
    assert {name for name in broken if "receipt" not in name} == {
        "message.xml",
        "message.json",
        "message.txt",
    }
    unread = [row for row in table(left) if row["Innehåll"].startswith("kunde inte tolkas")]
    assert len(unread) == 4


async def test_everything_else_is_as_in_the_export(left: Left) -> None:
    was, files = dict(listed(left.clear)), inside(left.out)
    same = [name for name in was if name.startswith("ap/") and "/00000" not in name]
    same += ["manifest.json", "manifest.json.sig", "certificate.pem", "certificates.pem", "organisation.json"]
    assert len(same) > 8
    assert [name for name in same if files[name] != was[name]] == []
    for part in ("mt/log", "ap/log", "ap/incoming", "ap/transfers", "mt/processed"):
        assert files[f"{part}.jsonl"] == was[f"{part}/000001.jsonl"], part


async def test_nobody_else_may_read_it(left: Left) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    paths = [left.out, *left.out.rglob("*")]
    assert {mode(path) for path in paths if path.is_dir()} == {0o700}
    assert {mode(path) for path in paths if path.is_file()} == {0o600}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (changed("mt/receipts/receipt", bytes.swapcase), MoveFault.SIGNATURE),
        (changed("mt/messages/message/in-", lambda data: data + b" "), MoveFault.DAMAGED),
        (changed("mt/log/000001.jsonl", lambda data: data.replace(b"worker", b"broker")), MoveFault.CHAIN),
        (changed("ap/transfers/envelope", lambda data: bytes(len(data))), MoveFault.DAMAGED),
        (changed(PAGE, line(lambda one: one.update(direction="../.."))), MoveFault.DAMAGED),
        (without("manifest.json.sig"), MoveFault.DAMAGED),
        (without("format.json"), MoveFault.NOT_AN_EXPORT),
        (lambda files: files[:6], MoveFault.DAMAGED),
    ],
)
async def test_what_was_changed_is_refused_and_leaves_nothing(
    left: Left,
    tmp_path: Path,
    change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]],
    fault: MoveFault,
) -> None:
    """Without --signer too, the signature must hold with the certificate in the file."""
    file = tmp_path / "export.age"
    tar = await packed(change(listed(left.clear)))
    file.write_bytes(pyrage.encrypt(tar, [left.move.key.to_public()]))
    with pytest.raises(MoveError) as caught:
        await unpack(file, [left.move.key], tmp_path / "out", None)
    assert caught.value.fault is fault
    assert [each.name for each in tmp_path.iterdir()] == ["export.age"]


def another_end(manifest: bytes) -> bytes:
    document = json.loads(manifest)
    document["logs"]["mt"]["entries"] += 1
    return json.dumps(document).encode()


async def test_a_log_that_ends_elsewhere_than_was_signed_is_refused(left: Left, tmp_path: Path) -> None:
    """The signer does not matter: a log that was cut off at the end is still a whole chain."""
    files = dict(listed(await packed(changed("manifest.json", another_end)(listed(left.clear)))))
    files["manifest.json.sig"] = key(0).sign(files["manifest.json"], PKCS1v15(), SHA256())
    files["certificate.pem"] = root("Somebody", 0).certificate.public_bytes(Encoding.PEM)
    tar = await packed(list(files.items()))
    (tmp_path / "export.age").write_bytes(pyrage.encrypt(tar, [left.move.key.to_public()]))
    with pytest.raises(MoveError) as caught:
        await unpack(tmp_path / "export.age", [left.move.key], tmp_path / "out", None)
    assert caught.value.fault is MoveFault.CHAIN
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("ours", "signer", "cut", "fault"),
    [
        (False, None, None, MoveFault.OTHER_RECIPIENT),
        (True, "00" * 32, None, MoveFault.OTHER_SIGNER),
        (True, None, -5000, MoveFault.DAMAGED),
    ],
)
async def test_anothers_export_and_half_of_one_leave_nothing(
    left: Left, tmp_path: Path, ours: bool, signer: str | None, cut: int | None, fault: MoveFault
) -> None:
    (tmp_path / "export.age").write_bytes((left.move.folder / "export.age").read_bytes()[:cut])
    keys = [left.move.key if ours else pyrage.x25519.Identity.generate()]
    with pytest.raises(MoveError) as caught:
        await unpack(tmp_path / "export.age", keys, tmp_path / "out", signer)
    assert caught.value.fault is fault
    assert [each.name for each in tmp_path.iterdir()] == ["export.age"]


async def test_a_folder_that_is_there_is_left_alone_and_what_a_killed_one_left_is_not(
    left: Left, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / ".out.part" / "messages").mkdir(parents=True)
    (tmp_path / ".out.part" / "index.csv").write_text("half")
    (tmp_path / ".out.part" / "elsewhere").symlink_to(left.out)
    export = left.move.folder / "export.age", [left.move.key]
    with pytest.raises(MoveError) as caught:
        await unpack(*export, tmp_path / "out", None)
    assert (caught.value.fault, list((tmp_path / "out").iterdir())) == (MoveFault.TARGET, [])
    (tmp_path / "out").rmdir()
    await unpack(*export, tmp_path / "out", None)
    assert inside(tmp_path / "out") == inside(left.out)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


async def test_the_command_needs_the_file_and_its_key_alone(left: Left, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{left.move.key}\n")
    export = left.move.folder / "export.age", "--identity", tmp_path / "key", "--out", tmp_path / "out"
    ended = await asyncio.to_thread(in_process, "org", "unpack", *export, "--json")
    assert ended.status == 0, ended.complaints
    assert ended.document["signer_sha256"] == left.exported.signer
    assert inside(tmp_path / "out") == inside(left.out)
    signer = "--signer", left.exported.signer
    again = await asyncio.to_thread(in_process, "org", "unpack", *export, *signer)
    assert (again.status, again.output) == (2, "")
    assert again.complaints.endswith("already exists\n")


async def xml_in_pieces(message: SdkMessage, attachment: int) -> AsyncIterator[bytes]:
    """Yield a message whose attachment is far larger than what is ever held."""
    mark = b64encode(b"%PDF-1.4").decode().encode()
    before, after = build(message).split(mark)
    yield before
    for _ in range(attachment >> 16):
        yield b64encode(bytes(3 << 14))
    yield after


async def test_memory_does_not_grow_with_an_attachment(tmp_path: Path) -> None:
    small = replace(FULL, documents=(HOSTILE.documents[1],))
    small = replace(small, documents=(replace(small.documents[0], index="1"),))
    written = MessageFolder(tmp_path / "message", {})
    tracemalloc.start()
    try:
        async for _ in written.write(xml_in_pieces(small, 24 << 20)):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written.content == "read"
    assert (tmp_path / "message" / "attachments" / "beslut.pdf").read_bytes() == bytes(18 << 20)
    assert peak < 4 << 20
