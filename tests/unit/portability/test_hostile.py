"""A faulty export is refused before any of it is stored."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pyrage
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.attestation import agefile
from samdrift.attestation.archive import ArchiveReader, ArchiveWriter, Member
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.attestation.signatures import holds
from samdrift.audit.chain import link
from samdrift.audit.entries import Happening
from samdrift.contracts.principals import Role
from samdrift.portability import importing, layout
from samdrift.portability.checking import Checking, check
from samdrift.portability.exporting import Exported
from samdrift.portability.importing import take_in
from samdrift.vault.portability.parts import MESSAGES, former_log_part, from_bytes
from tests import pki
from tests.unit.portability.conftest import Move, moving
from tests.vaults import MINUTE, NOW, Installation

Files = list[tuple[str, bytes]]
PAGE, TEXT, CHAIN = "mt/messages/000001.jsonl", "mt/receipts/receipt", "mt/log/000001.jsonl"


class Memory:
    """A file in memory, which an archive is written to and read from."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = io.BytesIO(data)

    async def write(self, data: bytes) -> None:
        self.data.write(data)

    async def read(self, size: int) -> bytes:
        return self.data.read(size)


def listed(tar: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return [(each.name, archive.extractfile(each).read()) for each in archive]  # type: ignore[union-attr]


async def packed(files: Files) -> bytes:
    """Return an archive of these files with correct lists of digests, and the signature as it was."""
    into = Memory()
    writer, sums, top = ArchiveWriter(into, 0), list[str](), list[str]()
    for name, data in files:
        if name.endswith(".sha256"):
            data, sums = "".join(sums).encode(), []
            top.append(await writer.add(name, data))
        elif name == layout.SUMS_FILE:
            data = "".join(top).encode()
            await writer.add(name, data)
        else:
            if name == layout.MANIFEST_FILE:
                data = _about(data, top, files)
            line = await writer.add(name, data)
            (sums if "/" in name else top).append(line)
    await writer.end()
    return into.data.getvalue()


def _about(manifest: bytes, top: list[str], files: Files) -> bytes:
    document = json.loads(manifest)
    before = files[: [name for name, _ in files].index(layout.SUMS_FILE)]
    document["files"]["sha256sums"] = sha256("".join(top).encode()).hexdigest()
    document["files"]["count"] = len(before)
    document["files"]["bytes"] = sum(len(data) for _, data in before)
    return json.dumps(document).encode()


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Files], Files]:
    """Return a change of the first file whose name has this prefix."""

    def apply(files: Files) -> Files:
        first = next(each for each, _ in files if each.startswith(name))
        return [(each, change(data) if each == first else data) for each, data in files]

    return apply


def without(name: str) -> Callable[[Files], Files]:
    def apply(files: Files) -> Files:
        first = next(each for each, _ in files if each.startswith(name))
        return [(each, data) for each, data in files if each != first]

    return apply


def line(change: Callable[[dict[str, object]], object]) -> Callable[[bytes], bytes]:
    """Return a change of the first record of a page."""

    def apply(data: bytes) -> bytes:
        first, *rest = data.splitlines()
        document = json.loads(first)
        change(document)
        return b"\n".join([json.dumps(document).encode(), *rest]) + b"\n"

    return apply


@dataclass(frozen=True)
class Gone:
    """An organisation that has left, with its export."""

    move: Move
    exported: Exported
    clear: bytes


@pytest_asyncio.fixture(scope="module")
async def gone(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Gone:
    move = await moving(installation, tmp_path_factory.mktemp("hostile"))
    exported = await move.export()
    await move.leave()
    return Gone(move, exported, move.clear())


@pytest.fixture
def move(gone: Gone) -> Move:
    """Restore the export to its original state; return the organisation."""
    gone.move.pack(gone.clear)
    return gone.move


@pytest.fixture
def exported(gone: Gone) -> Exported:
    return gone.exported


JUNK = b"[" + b"[]," * (1 << 20) + b"[]]\n"
"""Three megabytes of small values, which would occupy a hundred in memory."""


def test_a_line_of_many_values_is_refused_before_it_is_parsed() -> None:
    """Parsing 63 MB of them occupied 1.8 GB."""
    tracemalloc.start()
    try:
        with pytest.raises(MoveError, match="is longer than the limit of a line"):
            layout.read_page(MESSAGES, "page", JUNK)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(JUNK)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["x" * (2 << 20), '\\"[],' * (1 << 19)], ids=["plain", "with quotes"])
def test_a_line_of_one_long_text_is_read(text: str) -> None:
    """A peer's message may contain one, and the organisation could otherwise never move again."""
    with pytest.raises(MoveError, match="a record has unexpected facts"):
        layout.read_page(MESSAGES, "page", json.dumps({"files": {}, "text": text}).encode())


def stanzas(data: bytes, number: int) -> bytes:
    """Return an encrypted file with that many recipients in its header."""
    end = data.index(b"\n--- ") + 1
    stanza = data[data.index(b"-> ") : end]
    return data[: data.index(b"-> ")] + stanza * number + data[end:]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: stanzas(data, 21),
        lambda data: stanzas(data, 60_000),
        lambda data: data.replace(b"\n--- ", b"\n-> x\n" + (b"A" * 64 + b"\n") * 2000 + b"\n--- ", 1),
        lambda data: data.replace(b"\n--- ", b"\n-> " + b"x" * (1 << 20) + b"\n\n--- ", 1),
        lambda data: _armored(stanzas(data, 21)),
    ],
    ids=["one more than 20", "60 000", "a long body", "a long line", "as text"],
)
async def test_a_header_of_many_recipients_is_refused_before_any_of_them_is_tried(
    move: Move, exported: Exported, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]
) -> None:
    """60 000 took minutes, and no signature was needed."""
    file = move.folder / "export.age"
    file.write_bytes(change(file.read_bytes()))
    tried: list[object] = []
    monkeypatch.setattr(pyrage, "decrypt_io", lambda *given: tried.append(given))
    error = await refused(move, exported)
    assert (error.fault, tried) == (MoveFault.NOT_AN_EXPORT, [])
    assert "is encrypted for more than 20 recipients" in str(error)


async def test_a_file_as_text_and_for_twenty_recipients_is_read(move: Move, exported: Exported) -> None:
    """The twentieth stanza has no recipient; the library adds it to each header."""
    to = [pyrage.x25519.Identity.generate().to_public() for _ in range(18)]
    data = pyrage.encrypt(move.clear(), [*to, move.key.to_public()])
    (move.folder / "export.age").write_bytes(_armored(data))
    agefile.check_header(move.folder / "export.age")
    async with agefile.decrypting(move.folder / "export.age", [move.key]) as source:
        assert await source.read(1 << 30) == move.clear()


def _armored(data: bytes) -> bytes:
    encoded = base64.b64encode(data)
    text = b"\n".join(encoded[at : at + 64] for at in range(0, len(encoded), 64))
    return b"-----BEGIN AGE ENCRYPTED FILE-----\n" + text + b"\n-----END AGE ENCRYPTED FILE-----\n"


async def test_an_older_export_is_not_taken_over(move: Move, exported: Exported) -> None:
    """The signer is right and the logs are whole, but later messages would be sent again."""
    for digest, said in ((None, "--manifest"), ("0" * 64, exported.manifest_sha256)):
        order = move.order(exported.signer, take_over=True, digest=digest)
        with pytest.raises(MoveError) as caught:
            await take_in(move.administration, order)
        assert caught.value.fault is MoveFault.OTHER_EXPORT
        assert said in str(caught.value)
    registry = move.installation.gate.registry
    assert [role for role in Role if registry.find(move.organisation, role)] == []


async def test_an_export_that_is_not_the_file_that_was_signed_for_is_not_taken_in(
    move: Move, exported: Exported, gone: Gone
) -> None:
    """The content is the same but encrypted again, and that file was not signed for."""
    digest = sha256((move.folder / "export.age").read_bytes()).hexdigest()
    move.pack(gone.clear)
    with pytest.raises(MoveError, match="was changed after its SHA-256 was computed; nothing was done"):
        await take_in(move.administration, replace(move.order(exported.signer), file_digest=digest))
    registry = move.installation.gate.registry
    assert [role for role in Role if registry.find(move.organisation, role)] == []


async def refused(move: Move, exported: Exported) -> MoveError:
    """Return the error of a refused import, which stores nothing and leaves the organisation unknown."""
    with pytest.raises(MoveError) as caught:
        await move.take_in(exported)
    registry = move.installation.gate.registry
    assert [role for role in Role if registry.find(move.organisation, role)] == []
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("change", "fault", "said"),
    [
        (changed(TEXT, lambda data: data + b" "), MoveFault.DAMAGED, "mt/receipts/receipt/"),
        (changed(TEXT, bytes.swapcase), MoveFault.SIGNATURE, "signature"),
        (changed("certificates.pem", bytes.lower), MoveFault.SIGNATURE, "signature"),
        (without(TEXT), MoveFault.DAMAGED, "is not in its place"),
        (without(PAGE), MoveFault.DAMAGED, "mt/messages/message"),
        (without("mt/log/"), MoveFault.DAMAGED, "mt/log/000001.sha256"),
        (without("manifest.json.sig"), MoveFault.DAMAGED, "manifest.json.sig"),
        (without("format.json"), MoveFault.NOT_AN_EXPORT, "the file is not an export"),
        (changed("format.json", lambda data: data.replace(b"4", b"5")), MoveFault.VERSION, "version"),
        (changed("format.json", lambda data: b"[]"), MoveFault.DAMAGED, "format.json"),
        (
            changed("manifest.json", lambda data: data.replace(b"0203:kommun", b"0203:annan")),
            MoveFault.SIGNATURE,
            "",
        ),
        (changed(PAGE, lambda data: b"\n" + data), MoveFault.DAMAGED, "line 1: is not JSON"),
        (changed(PAGE, lambda data: b"[" * 100_000), MoveFault.DAMAGED, "line 1"),
        (changed(PAGE, lambda data: b""), MoveFault.DAMAGED, "is empty"),
        (changed(PAGE, lambda data: b"\n" * 1001), MoveFault.DAMAGED, "more records than a page may have"),
        (changed(PAGE, lambda data: JUNK), MoveFault.DAMAGED, "line 1: is longer than the limit of a line"),
        (changed(PAGE, line(lambda one: one.pop("status"))), MoveFault.DAMAGED, "line 1"),
        (changed(PAGE, line(lambda one: one.update(status="NO"))), MoveFault.DAMAGED, "the fact status"),
        (changed(PAGE, line(lambda one: one.update(size=-1))), MoveFault.DAMAGED, "the fact size"),
        (changed(PAGE, line(lambda one: one.update(created_at="now"))), MoveFault.DAMAGED, "created_at"),
        (changed(PAGE, line(lambda one: one.update(id="a\0"))), MoveFault.DAMAGED, "the fact id"),
        (
            changed("ap/transfers/", line(lambda one: one.update(sender="0203:annan.se"))),
            MoveFault.OTHER_ORGANISATION,
            "in the name of another organisation",
        ),
        (
            changed(
                "manifest.json", lambda data: data.replace(b'"mt/messages": 5', b'"mt/messages": Infinity')
            ),
            MoveFault.DAMAGED,
            "manifest.json",
        ),
        (changed(CHAIN, lambda data: b"\n".join(data.splitlines()[1:])), MoveFault.CHAIN, "after entry 0"),
        (changed(CHAIN, lambda data: data.replace(b"worker", b"broker")), MoveFault.CHAIN, "mt/log"),
    ],
)
async def test_what_was_changed_is_refused(
    move: Move, exported: Exported, change: Callable[[Files], Files], fault: MoveFault, said: str
) -> None:
    """This holds even if all digests match, so that only the content is wrong."""
    move.pack(await packed(change(listed(move.clear()))))
    error = await refused(move, exported)
    assert said in str(error)
    assert error.fault is fault


@pytest.mark.parametrize("page", ["ap/grounds/000001.jsonl", "mt/grounds/000001.jsonl"])
async def test_grounds_under_another_digest_are_refused(move: Move, exported: Exported, page: str) -> None:
    """An answer of another time replaces the one that the log names, with all digests corrected."""
    answer = from_bytes(b"answer").encode()
    change = changed(page, lambda data: data.replace(answer, from_bytes(b"answe2").encode()))
    move.pack(await packed(change(listed(move.clear()))))
    error = await refused(move, exported)
    assert (error.fault, page in str(error)) == (MoveFault.DAMAGED, True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../../etc/passwd", tarfile.REGTYPE),
        ("/etc/passwd", tarfile.REGTYPE),
        ("mt/../format.json", tarfile.REGTYPE),
        ("format.json", tarfile.SYMTYPE),
        ("format.json", tarfile.LNKTYPE),
        ("format.json", tarfile.CHRTYPE),
        ("format.json", tarfile.DIRTYPE),
        ("format.json", tarfile.XHDTYPE),
        ("format.json", tarfile.GNUTYPE_LONGNAME),
        ("format.json", tarfile.GNUTYPE_SPARSE),
    ],
)
async def test_a_tar_file_that_leads_elsewhere_is_refused_at_its_header(name: str, kind: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "../../etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    with pytest.raises(MoveError) as caught:
        await ArchiveReader(Memory(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))).next()
    assert caught.value.fault is MoveFault.DAMAGED


@pytest.mark.parametrize(
    "header",
    [bytes(100) + b"x" * 412, b"x" * 512, b"\xff" * 512, tarfile.TarInfo("a").tobuf()[:300]],
)
async def test_what_is_no_tar_file_is_refused(header: bytes) -> None:
    with pytest.raises(MoveError):
        await ArchiveReader(Memory(header)).next()


async def test_a_file_that_says_it_is_enormous_is_refused_unread(move: Move, exported: Exported) -> None:
    info = tarfile.TarInfo("format.json")
    info.size, info.mode = 8**11 - 1, 0o600
    move.pack(info.tobuf(tarfile.USTAR_FORMAT))
    assert "format.json is larger than such a file may be" in str(await refused(move, exported))


async def test_something_after_the_end_is_refused(move: Move, exported: Exported) -> None:
    move.pack(move.clear() + bytes(512))
    assert (await refused(move, exported)).fault is MoveFault.DAMAGED


@pytest.mark.parametrize("cut", [10, 200, 5000, -1, -60_000])
async def test_a_file_that_was_cut_short_is_refused(move: Move, exported: Exported, cut: int) -> None:
    file = move.folder / "export.age"
    file.write_bytes(file.read_bytes()[:cut])
    assert (await refused(move, exported)).fault in (MoveFault.DAMAGED, MoveFault.NOT_AN_EXPORT)


async def test_a_file_that_was_changed_under_way_is_refused(move: Move, exported: Exported) -> None:
    file = move.folder / "export.age"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert (await refused(move, exported)).fault is MoveFault.DAMAGED


async def test_an_export_for_somebody_else_does_not_open(move: Move, exported: Exported) -> None:
    stranger = replace(move.order(exported.signer), keys=[pyrage.x25519.Identity.generate()])
    with pytest.raises(MoveError) as caught:
        await check(stranger.file, stranger.keys, stranger.signer, move.organisation)
    assert caught.value.fault is MoveFault.OTHER_RECIPIENT


async def test_an_export_that_another_key_has_signed_is_refused(move: Move, exported: Exported) -> None:
    """An attacker who makes an export in an organisation's name does not have its key."""
    assert (await refused(move, replace(exported, signer="00" * 32))).fault is MoveFault.OTHER_SIGNER


async def test_an_export_of_another_organisation_than_the_named_one_is_refused(
    gone: Gone, tmp_path: Path
) -> None:
    """A key signs only for its organisation, and nothing else would reveal the mix-up."""
    installation = gone.move.installation
    move = replace(gone.move, organisation=await installation.organisation(), folder=tmp_path)
    other = await installation.organisation()
    await move.certify()
    exported = await move.export()
    await move.leave()
    with pytest.raises(MoveError) as caught:
        await take_in(move.administration, replace(move.order(exported.signer), organisation=other))
    assert caught.value.fault is MoveFault.OTHER_ORGANISATION
    assert all(installation.gate.registry.serves(other, role) for role in Role)
    assert not any(installation.gate.registry.find(move.organisation, role) for role in Role)


async def test_a_former_log_begins_where_its_name_says() -> None:
    """A log without a name is refused too, since it could begin anywhere."""
    content = Happening(NOW, "e", "p", "", {}).content()
    previous = bytes(32)
    entry = {"previous": from_bytes(previous), "hash": from_bytes(link(previous, 1, content))}
    facts = {"log": "", "sequence": 1, "content": content.decode()} | entry
    facts |= {"retention": None, "salt": None}
    with pytest.raises(MoveError) as caught:
        await Checking("0203:habo.se").page(former_log_part(Role.MESSAGE_SERVICE), [layout.Record(facts, {})])
    assert caught.value.fault is MoveFault.CHAIN


async def test_an_export_that_becomes_another_while_it_is_taken_in_is_stopped(
    move: Move, exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who can write the file cannot get unchecked content stored."""
    other = await packed(changed(TEXT, bytes.swapcase)(listed(move.clear())))

    async def checked(*arguments: object) -> object:
        found = await check(*arguments)  # type: ignore[arg-type]
        move.pack(other)
        return found

    monkeypatch.setattr(importing, "check", checked)
    with pytest.raises(MoveError, match="was changed while"):
        await move.take_in(exported)


def test_a_certificate_whose_key_nobody_knows_has_signed_nothing() -> None:
    """Its key is on a curve that does not exist."""
    key, who = ec.generate_private_key(ec.SECP256R1()), pki.name("Anybody")
    builder = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + MINUTE)
    known = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    curve = bytes.fromhex("2a8648ce3d0301")
    strange = x509.load_der_x509_certificate(known.replace(curve + b"\x07", curve + b"\x77"))
    assert not holds(b"", b"", strange)


@pytest.mark.parametrize("text", ["", "age1", "age1x", "AGE-SECRET-KEY-1", "ssh-ed25519 AAAA", "@"])
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(MoveError) as caught:
        agefile.recipients([text])
    assert caught.value.fault is MoveFault.RECIPIENT


def test_a_file_of_recipients_and_one_of_keys_are_read_as_age_writes_them(tmp_path: Path) -> None:
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(f"# created: now\n# public key: {key.to_public()}\n{key}\n")
    (tmp_path / "to").write_text(f"# the new supplier\n\n{key.to_public()}\n")
    (found,) = agefile.identities(tmp_path / "key")
    assert agefile.recipients(agefile.lines(tmp_path / "to")) == (str(found.to_public()),)
    with pytest.raises(MoveError):
        agefile.identities(tmp_path / "to")


async def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    """The file passes through the archive and age, both ways, and is far larger than what is ever held."""
    key, size = pyrage.x25519.Identity.generate(), 64 << 20
    path = tmp_path / "large"
    path.touch()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size >> 16):
            yield bytes(1 << 16)

    tracemalloc.start()
    try:
        async with agefile.encrypting(path, [str(key.to_public())]) as sink:
            writer = ArchiveWriter(sink, 0)
            await writer.stream(Member("large", size), pieces())
            await writer.end()
        async with agefile.decrypting(path, [key]) as source:
            reader = ArchiveReader(source)
            member = await reader.next()
            assert member is not None
            assert sum([len(piece) async for piece in reader.pieces(member)]) == size
            assert await reader.next() is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20
