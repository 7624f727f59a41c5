"""Collection of an organisation's evidence about one message: log entries, receipts, and its signature.

The package is an unencrypted tar archive. It has facts and receipts, but nothing of the message's
content unless the original is requested too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from cryptography.hazmat.primitives.serialization import Encoding

from samdrift import __version__
from samdrift.accesspoint.events import APEvent
from samdrift.attestation.archive import ArchiveWriter, Member, Writing
from samdrift.audit.entries import LogEntry
from samdrift.audit.notes import Checkpoint, Note
from samdrift.audit.proofs import EntryProof
from samdrift.contracts.evidence import Original
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.evidence import grounds, signatures, verifying
from samdrift.evidence.events import ProofEvent
from samdrift.evidence.trace import Logged, entries
from samdrift.vault import logbook
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.database.session import Row
from samdrift.vault.gate import Gate
from samdrift.vault.grounds import JudgingVault
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.opening import Vault
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.identifiers import ParticipantIdentifier

_PAGE = 500


Checkpointed = Callable[[Role], Awaitable[None]]
"""Function that has a checkpoint of a role's log signed, so that it covers the newest entries."""


@dataclass(frozen=True, slots=True)
class Order:
    """A request for evidence about a message."""

    organisation: ParticipantIdentifier
    message_id: str
    by: str
    """The person or system that makes the request, recorded in the organisation's log."""
    reason: str
    """The reason for the request, recorded in the organisation's log."""
    section: bool = False
    """True to include all log entries from the message on, which proves more and reveals more."""


class Evidence:
    """Entries of an organisation's logs about one message, to be written as a package."""

    def __init__(
        self,
        gate: Gate,
        worker: Principal,
        order: Order,
        roles: Sequence[Role],
        found: Sequence[Logged],
    ) -> None:
        self._gate = gate
        self._worker = worker
        self._order = order
        self._roles = roles
        self._found = found

    @classmethod
    async def find(
        cls, gate: Gate, order: Order, roles: Sequence[Role], most: int | None = None
    ) -> Evidence | None:
        """Search the logs of some roles; return ``None`` if they have nothing about the message.

        Raises :class:`~samdrift.vault.errors.TooManyEntries` if a log has more than ``most`` about it.
        """
        worker = Principal(PrincipalKind.WORKER, f"evidence by {order.by}")
        found = await entries(gate, worker, Purpose.EXPORT, order.organisation, roles, order.message_id, most)
        return cls(gate, worker, order, roles, found) if found else None

    async def write(
        self,
        sink: Writing,
        key: SigningKey,
        original: Original | None = None,
        checkpoint: Checkpointed | None = None,
    ) -> None:
        """Write the package, signed with ``key``; ``checkpoint`` is called before a role's log is read."""
        now = datetime.now(UTC)
        archive = ArchiveWriter(sink, int(now.timestamp()))
        writing = _Writing(self._gate, self._worker, self._order, self._found, archive)
        for role in self._roles:
            if checkpoint is not None:
                await checkpoint(role)
            await writing.role(role)
        if original is not None:
            await writing.original(original)
        await writing.instructions()
        statement = writing.statement(now)
        signature = await asyncio.to_thread(key.sign, statement)
        await writing.end(statement, signature, key.certificate.public_bytes(Encoding.PEM))


class _Writing:
    """A package of evidence that is being written."""

    def __init__(
        self, gate: Gate, worker: Principal, order: Order, found: Sequence[Logged], archive: ArchiveWriter
    ) -> None:
        self._gate = gate
        self._worker = worker
        self._order = order
        self._found = found
        self._archive = archive
        self._digests: dict[str, str] = {}
        self._logs: dict[str, dict[str, object]] = {}

    async def role(self, role: Role) -> None:
        """Add the organisation's evidence in one role.

        The head of the log is read before the request itself is logged.
        """
        for former in (False, True):
            said = [one.entry for one in self._found if (one.role, one.former) == (role, former)]
            if said:
                await self._add(verifying.log_file(role, former=former), _lines(said, ordered=former))
        organisation, purpose = self._order.organisation, Purpose.EXPORT
        async with self._gate.open(self._worker, organisation, role, purpose) as vault:
            if isinstance(vault, AccessPointVault):
                await self._transport_receipts(vault)
                await self._peer_certificates(vault)
            elif isinstance(vault, MessageServiceVault):
                await self._message_receipts(vault)
                await self._kept_digests(vault)
            if isinstance(vault, JudgingVault):
                await self._grounds(vault, role)
                await self._signatures(vault, role)
            await self._log(vault, role)
            await self._proofs(vault, role)
            event = ProofEvent.ORGANISATION_EVIDENCE_EXPORTED
            vault.record(event, message=self._order.message_id, by=self._order.by, reason=self._order.reason)

    async def _transport_receipts(self, vault: AccessPointVault) -> None:
        """Add the transport receipts that peers gave for sent messages, and those given for received ones."""
        for name, entry in self._receipts_of(Role.ACCESS_POINT):
            ids = entry.ids
            if entry.event == APEvent.AP_TRANSFER_DELIVERED:
                receipt = await vault.proof(ids["transfer"])
            else:
                receipt = await vault.known_receipt(ids["as4"], ids["peer"])
            if receipt is not None:
                await self._add(name, receipt)

    async def _peer_certificates(self, vault: AccessPointVault) -> None:
        """Add the certificates of the access points that the entries name."""
        named = {verifying.named_certificate(one.entry.ids) for one in self._found}
        for sha256 in sorted(filter(None, named)):
            certificate = await vault.certificate(sha256)
            if certificate is not None:
                await self._add(verifying.certificate_file(sha256), certificate)

    async def _grounds(self, vault: JudgingVault, role: Role) -> None:
        """Add the grounds on which the certificates in the entries were judged.

        These are chains, OCSP answers and revocation lists.
        """
        entries = [one.entry for one in self._found if one.role is role]
        wanted = {entry.ids[grounds.FOLDER] for entry in entries if grounds.FOLDER in entry.ids}
        for name, document in sorted((await vault.grounds(wanted)).items()):
            await self._add(grounds.document_file(name), document)
            try:
                files = grounds.Named.read(document).files()
            except ValueError:
                continue  # Verification will report that grounds named by an entry are missing.
            kept = await vault.grounds(files.keys())
            for digest, file in files.items():
                if digest in kept:
                    await self._add(file, kept[digest])

    async def _signatures(self, vault: JudgingVault, role: Role) -> None:
        """Add the signatures of other parties that the entries name, each with its signed content."""
        for one in self._found:
            if one.role is role and (named := signatures.files(one.entry.ids)):
                kept = await vault.grounds(named.keys())
                for digest in kept:
                    await self._add(named[digest], kept[digest])

    async def _message_receipts(self, vault: MessageServiceVault) -> None:
        """Add the message receipts, sent and received, even those of a deleted message."""
        for name, entry in self._receipts_of(Role.MESSAGE_SERVICE):
            record = await vault.receipt(entry.ids["envelope"])
            if record is not None and record.message_id == self._order.message_id:
                await self._add(name, await vault.receipt_body(record.id))

    async def _kept_digests(self, vault: MessageServiceVault) -> None:
        """Add the digests of the message, envelopes and receipts that the entries are about."""
        entries = [one.entry.ids for one in self._found if one.role is Role.MESSAGE_SERVICE]
        named = {ids.get(f"{what}_commitment") for what in verifying.COMMITTED for ids in entries} - {None}
        found = [await vault.digest(commitment) for commitment in sorted(filter(None, named))]
        lines = [
            json.dumps(
                {
                    "commitment": digest.commitment,
                    "salt": digest.salt.hex(),
                    "sha256": digest.sha256.hex(),
                }
            )
            for digest in found
            if digest is not None
        ]
        if lines:
            await self._add(verifying.DIGESTS_FILE, "".join(f"{line}\n" for line in lines).encode())

    async def _log(self, vault: Vault, role: Role) -> None:
        """Note the end of the log and, if requested, add every entry from the message up to it."""
        head = await vault.log_head()
        self._logs[role.value] = {
            "origin": vault.log_origin.hash.hex(),
            "entries": head.sequence,
            "head": head.hash.hex(),
            "size": head.size,
        }
        own = [one.entry.sequence for one in self._found if one.role is role and not one.former]
        if not self._order.section or not own:
            return
        number, after = 0, min(own) - 1
        tree = await vault.log_before(after + 1)
        if tree is not None:
            known = {"size": tree.size, "peaks": [peak.hex() for peak in tree.peaks]}
            await self._add(verifying.before_file(role), json.dumps(known).encode())
        while after < head.sequence:
            page = await vault.tree.rows(after, head.sequence, _PAGE)
            number, after = number + 1, int(page[-1][0])
            await self._add(verifying.section_file(role, number), _json_lines(map(_document, page)))

    async def _proofs(self, vault: Vault, role: Role) -> None:
        """Add each entry that a checkpoint covers, with its proof in the last witnessed checkpoint."""
        note = await vault.tree.published()
        if note is None:
            return
        size, first = Checkpoint.parse(Note.parse(note).text).size, (await vault.tree.state()).first
        own = [one.entry for one in self._found if one.role is role and not one.former]
        for entry in own:
            index = entry.sequence - first
            if entry.leaf is not None and index < size:
                path = await vault.tree.inclusion(index, size)
                name = verifying.proof_file(role, entry.sequence)
                await self._add(f"{name}.entry", entry.leaf.entry)
                await self._add(f"{name}.facts", entry.salt + entry.happening.content())
                await self._add(f"{name}.tlog-proof", bytes(EntryProof(index, tuple(path), note)))

    async def original(self, original: Original) -> None:
        """Add the original message, byte for byte; the entries commit to its digest."""
        member = Member(verifying.ORIGINAL_FILE, original.size)
        line = await self._archive.stream(member, original.pieces)
        self._digests[member.name] = line.partition(" ")[0]

    async def instructions(self) -> None:
        """Add instructions for verifying everything without this program."""
        here = files("samdrift.evidence")
        await self._add(verifying.README_FILE, (here / "readme.txt").read_bytes())
        await self._add(verifying.PROGRAM_FILE, (here / "verify.go").read_bytes())

    def _receipts_of(self, role: Role) -> Iterable[tuple[str, LogEntry]]:
        """Return the entries that refer to a receipt, each with the name of the receipt's file."""
        entries = [one.entry for one in self._found if one.role is role]
        named = [(verifying.receipt_file(entry.event, entry.ids, entry.hash), entry) for entry in entries]
        return [(name, entry) for name, entry in named if name is not None]

    async def _add(self, name: str, data: bytes) -> None:
        if name not in self._digests:
            self._digests[name] = (await self._archive.add(name, data)).partition(" ")[0]

    def statement(self, now: datetime) -> bytes:
        """Return the signed statement."""
        document = {
            "format": verifying.FORMAT,
            "version": verifying.VERSION,
            "organisation": self._order.organisation.value,
            "message": self._order.message_id,
            "made_at": now.isoformat(),
            "made_by": f"samdrift {__version__}",
            "logs": self._logs,
            "files": self._digests,
        }
        return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()

    async def end(self, statement: bytes, signature: bytes, certificate: bytes) -> None:
        await self._archive.add(verifying.STATEMENT_FILE, statement)
        await self._archive.add(verifying.SIGNATURE_FILE, signature)
        await self._archive.add(verifying.SIGNER_FILE, certificate)
        await self._archive.end()


def _lines(entries: Iterable[LogEntry], *, ordered: bool) -> bytes:
    """Return entries as JSON lines, in the order of their log."""
    said = entries if ordered else sorted(entries, key=lambda entry: entry.sequence)
    return _json_lines(entry.document() for entry in said)


def _json_lines(documents: Iterable[dict[str, object]]) -> bytes:
    return b"".join(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        for document in documents
    )


def _document(row: Row) -> dict[str, object]:
    """Return an entry of a section as a JSON object, or its leaf if its facts were disposed of."""
    sequence, content, _, digest, retention, _ = row
    if content is None:
        return {"sequence": sequence, "retention": retention, "hash": digest.hex()}
    return logbook.entry(row).document()
