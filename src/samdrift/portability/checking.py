"""The first reading of an export, which verifies the file and its logs before anything is stored."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pyrage

from samdrift.attestation.agefile import decrypting
from samdrift.attestation.archive import damaged
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.audit.chain import ChainHead, LogVerification, origin
from samdrift.audit.entries import LogEntry
from samdrift.audit.leaves import Leaf
from samdrift.portability import layout
from samdrift.portability.manifest import Manifest
from samdrift.portability.reading import Statement, walk
from samdrift.vault.portability import parts
from samdrift.vault.portability.parts import Facts, Part, from_bytes, to_bytes
from samdrift.wire.identifiers import ParticipantIdentifier

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Checked:
    """An export that is complete, and was signed with the expected key."""

    statement: Statement
    pages: tuple[str, ...]
    """Digest of each page with its files, in order."""

    @property
    def manifest(self) -> Manifest:
        return self.statement.manifest


async def check(
    file: Path,
    keys: Sequence[pyrage.x25519.Identity],
    signer: str,
    organisation: ParticipantIdentifier,
    digest: str | None = None,
    file_digest: str | None = None,
) -> Checked:
    """Check all of ``file``; raises :class:`MoveError` if it cannot be imported.

    ``digest`` is that of the manifest, ``file_digest`` that of the encrypted file, if they are known. An
    export must be of the given organisation, and may contain only its transfers: the holder of a key that may
    sign for one organisation cannot act for another.
    """
    checking = Checking(organisation.value)
    async with decrypting(file, keys, file_digest) as source:
        statement = await walk(source, checking)
    statement.check_signer(signer)
    statement.check_digest(digest)
    if statement.manifest.organisation != organisation.value:
        text = f"the export is of {statement.manifest.organisation}, which is not the one named"
        raise MoveError(MoveFault.OTHER_ORGANISATION, text)
    checking.end(statement, signer)
    return Checked(statement, tuple(checking.pages))


@dataclass
class Checking:
    """A visitor that stores nothing, and verifies at the end that the logs are complete."""

    _organisation: str = ""
    """The only organisation that may send the transfers; empty for any, when an export is only read."""
    pages: list[str] = field(default_factory=list)
    _logs: dict[tuple[str, str], LogVerification] = field(default_factory=dict)
    """Logs read so far, by part and id; the id of the organisation's own log is only in the manifest."""
    _origins: dict[str, ChainHead] = field(default_factory=dict)

    async def document(self, name: str, data: bytes) -> None:
        """Check nothing, because the reader verifies the file's digest."""

    async def page(self, part: Part, records: Sequence[layout.Record]) -> None:
        if part is parts.TRANSFERS and self._organisation:
            self._check_senders(records)
        if part.name in ("log", "former-log"):
            for record in records:
                self._entry(part, record.facts)

    def _check_senders(self, records: Sequence[layout.Record]) -> None:
        if any(each.facts["sender"] != self._organisation for each in records):
            text = "the export has transfers in the name of another organisation"
            raise MoveError(MoveFault.OTHER_ORGANISATION, text)

    async def content(self, record: layout.Record, name: str, pieces: AsyncIterator[bytes]) -> None:
        if name == "envelope" and "digest" in record.facts:
            digest = sha256()
            async for piece in pieces:
                digest.update(piece)
            if from_bytes(digest.digest()) != record.facts["digest"]:
                raise damaged(f"{record.files[name].name} is not the envelope that was to be sent")

    async def gone(self, record: layout.Record, name: str) -> None:
        """Check nothing, because there is no content."""

    async def page_end(self, digest: str) -> None:
        self.pages.append(digest)

    def _entry(self, part: Part, facts: Facts) -> None:
        """Check that an entry continues its log, from the first entry on."""
        log = facts.get("log", "")
        title = layout.title(part)
        entry = _read(facts)
        known = self._logs.get((title, log))
        if known is None:
            begin = origin(log) if part.name == "former-log" else ChainHead(0, _named_origin(entry))
            known = self._logs[title, log] = LogVerification(begin)
            self._origins[title + log] = begin
        if entry is None or not known.take([entry]).intact:
            raise _broken(title, known.head)

    def end(self, statement: Statement, signer: str) -> None:
        """Finish the check; raises :class:`MoveError` if the signer is another or a log is broken."""
        statement.check_signer(signer)
        self._check_logs(statement.manifest)

    def _check_logs(self, manifest: Manifest) -> None:
        """Check that the organisation's own logs begin and end as stated in the manifest."""
        for role in manifest.roles:
            title, log = f"{role}/log", manifest.logs.get(role)
            if log is None:
                raise damaged("the manifest does not describe a log")
            head = self._logs[title, ""].head if (title, "") in self._logs else origin(log.id)
            if (head.sequence, head.hash.hex()) != (log.entries, log.head):
                raise _broken(title, head)
            if self._origins.get(title, origin(log.id)) != origin(log.id):
                raise _broken(title, ChainHead(0, b""))


def _read(facts: Facts) -> LogEntry | Leaf | None:
    """Return an entry, or the leaf of one that was disposed of; ``None`` if it is neither."""
    try:
        plain = {name: to_bytes(facts[name] or "").hex() for name in ("previous", "hash", "salt")}
        if facts["content"] is not None:
            return LogEntry.read(facts | plain)
        return Leaf.read(facts | plain)
    except ValueError:
        return None


def _named_origin(entry: LogEntry | Leaf | None) -> bytes:
    """Return the hash before the first entry of a log, as named by that entry."""
    if not isinstance(entry, LogEntry):
        return b""
    named = entry.previous.hex() if entry.leaf is None else entry.ids.get("head", "")
    return bytes.fromhex(named) if _HASH.fullmatch(named) else b""


def _broken(title: str, head: ChainHead) -> MoveError:
    return MoveError(MoveFault.CHAIN, f"{title}: the log is broken after entry {head.sequence}")
