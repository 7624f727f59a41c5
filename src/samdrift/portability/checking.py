"""The first reading of an export: all of it is whole, and its logs are, before anything of it is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pyrage

from samdrift.attestation.archive import damaged
from samdrift.attestation.errors import MoveError, MoveFault
from samdrift.audit.chain import ChainHead, link, origin
from samdrift.audit.entries import Happening
from samdrift.portability import layout
from samdrift.portability.agefile import decrypting
from samdrift.portability.manifest import Manifest
from samdrift.portability.reading import Statement, walk
from samdrift.vault.portability import parts
from samdrift.vault.portability.parts import Facts, Part, from_bytes
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Checked:
    """An export that is whole and signed by whom it should be."""

    statement: Statement
    pages: tuple[str, ...]
    """The digest of each page with its files, in order."""

    @property
    def manifest(self) -> Manifest:
        return self.statement.manifest


async def check(
    file: Path,
    keys: Sequence[pyrage.x25519.Identity],
    signer: str,
    organisation: ParticipantIdentifier,
    digest: str | None = None,
) -> Checked:
    """Read all of ``file``; :class:`MoveError` says why it cannot be taken in.

    Whoever has a key that may sign for one organisation has none for another:
    what is taken in is of the one that was named, and acts for no other.
    """
    checking = Checking(organisation.value)
    async with decrypting(file, keys) as source:
        statement = await walk(source, checking)
    statement.check_signer(signer)
    statement.check_digest(digest)
    if statement.manifest.organisation != organisation.value:
        text = f"the export is of {statement.manifest.organisation}, which is not the one that was named"
        raise MoveError(MoveFault.OTHER_ORGANISATION, text)
    checking.end(statement, signer)
    return Checked(statement, tuple(checking.pages))


@dataclass
class Checking:
    """A visitor that stores nothing, and knows at the end whether the logs are whole."""

    _organisation: str = ""
    """The only organisation that may have transfers in it; empty for any, for a mere reader."""
    pages: list[str] = field(default_factory=list)
    _heads: dict[tuple[str, str], ChainHead] = field(default_factory=dict)
    """Origins of the logs read so far, by part and id; the id of the organisation's own is not known yet."""
    _origins: dict[str, str] = field(default_factory=dict)

    async def document(self, name: str, data: bytes) -> None:
        """Check nothing but its digest."""

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
        """Check nothing."""

    async def page_end(self, digest: str) -> None:
        self.pages.append(digest)

    def _entry(self, part: Part, facts: Facts) -> None:
        """An entry continues its log, from the first one on."""
        log = facts.get("log", "")
        title, content = layout.title(part), facts["content"].encode()
        head = self._heads.get((title, log))
        if head is None:
            previous = origin(log).hash if part.name == "former-log" else bytes.fromhex(facts["previous"][2:])
            head = ChainHead(0, previous)
            self._origins[title + log] = facts["previous"]
        digest = link(head.hash, head.sequence + 1, content)
        if facts["sequence"] != head.sequence + 1 or from_bytes(digest) != facts["hash"]:
            raise _broken(title, head)
        if from_bytes(head.hash) != facts["previous"] or not _is_entry(content):
            raise _broken(title, head)
        self._heads[title, log] = ChainHead(facts["sequence"], digest)

    def end(self, statement: Statement, signer: str) -> None:
        """All has been read; :class:`MoveError` unless it is ``signer``'s and the logs are whole."""
        statement.check_signer(signer)
        self._check_logs(statement.manifest)

    def _check_logs(self, manifest: Manifest) -> None:
        """The organisation's own logs begin and end where the manifest says."""
        for role in manifest.roles:
            title, log = f"{role}/log", manifest.logs.get(role)
            if log is None:
                raise damaged("the manifest says nothing about a log")
            head = self._heads.get((title, ""), origin(log.id))
            begins = self._origins.get(title, from_bytes(origin(log.id).hash))
            if (head.sequence, head.hash.hex()) != (log.entries, log.head):
                raise _broken(title, head)
            if begins != from_bytes(origin(log.id).hash):
                raise _broken(title, ChainHead(0, b""))


def _is_entry(content: bytes) -> bool:
    try:
        return Happening.parse(content).content() == content
    except ValueError:
        return False


def _broken(title: str, head: ChainHead) -> MoveError:
    return MoveError(MoveFault.CHAIN, f"{title}: the log is broken after entry {head.sequence}")
