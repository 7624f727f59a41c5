"""Reading of an export from beginning to end, with a check of the required order.

Its content is passed on page by page as it is read. Only the end shows whether everything is what was signed,
so a reader that stores content must read the file twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from samdrift.attestation.archive import ArchiveReader, Member, Reading, damaged
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.attestation.signatures import holds, read_object
from samdrift.portability import layout
from samdrift.portability.manifest import Manifest, check_format, decode
from samdrift.vault.portability.parts import Part
from samdrift.wire.crypto.certificates import from_pem

_MOST_SUMS = 128 << 20


class Visitor(Protocol):
    """Receiver of the content of an export."""

    async def document(self, name: str, data: bytes) -> None:
        """Receive a file that describes the whole export, before all pages."""

    async def page(self, part: Part, records: Sequence[layout.Record]) -> None:
        """Receive a page, before the files of its records."""

    async def content(self, record: layout.Record, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Receive a file of a record in pieces; the rest is skipped if it is not read."""

    async def gone(self, record: layout.Record, name: str) -> None:
        """Receive notice that a file was removed during the export."""

    async def page_end(self, digest: str) -> None:
        """Receive the end of a page and its files; ``digest`` identifies their names and content."""


@dataclass(frozen=True, slots=True)
class Statement:
    """The statement at the end of an export, with a signature that has not been verified yet."""

    manifest: Manifest
    encoded: bytes
    signature: bytes
    certificate: x509.Certificate

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the manifest, which identifies the export."""
        return sha256(self.encoded).digest()

    @property
    def signer(self) -> str:
        """SHA-256 of the certificate that accompanies the signature."""
        return self.certificate.fingerprint(SHA256()).hex()

    def check_signer(self, fingerprint: str) -> None:
        """Raise :class:`MoveError` unless the key of the certificate with this SHA-256 signed the export."""
        if self.signer != fingerprint:
            text = "the export is signed with another certificate than the one named (--signer)"
            raise MoveError(MoveFault.OTHER_SIGNER, text)
        if not holds(self.encoded, self.signature, self.certificate):
            raise MoveError(MoveFault.SIGNATURE, "the signature on the export is not valid")

    def check_digest(self, sha256: str | None) -> None:
        """Raise :class:`MoveError` unless the manifest has the given digest; ``None`` accepts any.

        An older export has the same signer and complete logs, so only its digest distinguishes it.
        """
        if sha256 is not None and self.sha256.hex() != sha256:
            text = (
                f"the export of {self.manifest.made_at.isoformat(timespec='seconds')} is not the one named "
                f"(--manifest): its manifest has SHA-256 {self.sha256.hex()}"
            )
            raise MoveError(MoveFault.OTHER_EXPORT, text)


@dataclass
class _Read:
    """The digests and counts collected while reading."""

    sums: list[str] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)


async def walk(source: Reading, visitor: Visitor) -> Statement:
    """Read to the end; raises :class:`MoveError` at the first deviation from the format."""
    reader, read = ArchiveReader(source), _Read()
    check_format(read_object(await _next(reader, layout.FORMAT_FILE), layout.FORMAT_FILE))
    read.sums.append(reader.line)
    for name in (layout.README_FILE, layout.ORGANISATION_FILE, layout.CERTIFICATES_FILE):
        await visitor.document(name, await _next(reader, name))
        read.sums.append(reader.line)
    member = await reader.next()
    for part in layout.PARTS:
        number = 1
        while member is not None and member.name == layout.page_file(part, number):
            await _page(reader, visitor, read, part, number, member)
            member, number = await reader.next(), number + 1
    if member is None or member.name != layout.SUMS_FILE:
        raise damaged(f"{member.name if member else layout.SUMS_FILE} is not in its place")
    return await _end(reader, read, member)


async def _page(
    reader: ArchiveReader, visitor: Visitor, read: _Read, part: Part, number: int, member: Member
) -> None:
    records = layout.read_page(part, member.name, await reader.whole(member, layout.MOST_PAGE))
    sums = [reader.line]
    await visitor.page(part, records)
    for record in records:
        for name, expected in record.files.items():
            await _content(reader, visitor, record, name, expected)
            sums.append(reader.line)
    listed = await _next(reader, layout.page_sums_file(part, number))
    if listed != "".join(sums).encode():
        raise damaged(f"{layout.page_sums_file(part, number)}: a file does not match its digest")
    read.sums.append(reader.line)
    read.records[layout.title(part)] = read.records.get(layout.title(part), 0) + len(records)
    await visitor.page_end(sha256(listed).hexdigest())


async def _content(
    reader: ArchiveReader, visitor: Visitor, record: layout.Record, name: str, expected: Member
) -> None:
    member = await reader.next()
    if member == Member(expected.name + layout.GONE, 0) and name in layout.BODIES:
        await reader.whole(member, 0)
        await visitor.gone(record, name)
        return
    if member != expected:
        raise damaged(f"{expected.name} is not in its place, or has another size")
    if name not in layout.BODIES and member.size > layout.MOST_DOCUMENT:
        raise damaged(f"{expected.name} is larger than such a file may be")
    pieces = reader.pieces(member)
    await visitor.content(record, name, pieces)
    async for _ in pieces:
        pass


async def _end(reader: ArchiveReader, read: _Read, member: Member) -> Statement:
    count, size = reader.count, reader.bytes
    listed = await reader.whole(member, _MOST_SUMS)
    encoded = await _next(reader, layout.MANIFEST_FILE)
    signature = await _next(reader, layout.SIGNATURE_FILE)
    certificate = _certificate(await _next(reader, layout.SIGNER_FILE))
    if await reader.next() is not None:
        raise damaged("there is data after its end")
    manifest = decode(encoded)
    files = manifest.files
    if (files.count, files.bytes, files.sha256sums) != (count, size, sha256(listed).hexdigest()):
        raise damaged("its files are not those of the manifest")
    if listed != "".join(read.sums).encode():
        raise damaged(f"{layout.SUMS_FILE}: a file does not match its digest")
    if {name: number for name, number in manifest.records.items() if number} != read.records:
        raise damaged("the number of records differs from the manifest")
    if any(name.partition("/")[0] not in manifest.roles for name in read.records):
        raise damaged("there are records of a role that the manifest does not name")
    return Statement(manifest, encoded, signature, certificate)


async def _next(reader: ArchiveReader, name: str) -> bytes:
    """Return the content of the next file, which must have the given name."""
    member = await reader.next()
    if member is None or member.name != name:
        if name == layout.FORMAT_FILE:
            raise MoveError(MoveFault.NOT_AN_EXPORT, "the file is not an export")
        raise damaged(f"{name} is not in its place")
    return await reader.whole(member, layout.MOST_DOCUMENT)


def _certificate(data: bytes) -> x509.Certificate:
    try:
        return from_pem(data)
    except ValueError:
        raise damaged(f"{layout.SIGNER_FILE} is not a certificate") from None
