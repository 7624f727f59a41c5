"""Verification of evidence about a message, with only the file and certificates that the verifier trusts.

This module also defines the files of which evidence consists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.accesspoint.events import APEvent
from samdrift.attestation.archive import ArchiveReader
from samdrift.attestation.errors import MoveError
from samdrift.attestation.signatures import holds, read_object, time_of
from samdrift.attestation.trustfolder import TrustFolder
from samdrift.audit.ages import TOLERANCE
from samdrift.audit.chain import link
from samdrift.audit.entries import LogEntry
from samdrift.audit.leaves import Leaf, commitment
from samdrift.audit.merkle import Frontier, includes
from samdrift.audit.notes import Checkpoint, Note
from samdrift.audit.policies import Policy
from samdrift.audit.proofs import EntryProof, witnessed_at
from samdrift.audit.reading import Malformed, Unverified
from samdrift.contracts.principals import Role
from samdrift.evidence import grounds, signatures
from samdrift.evidence.findings import Finding
from samdrift.evidence.grounds import role_of
from samdrift.evidence.sections import Section
from samdrift.messageservice.events import MTEvent
from samdrift.vault.records import Digest
from samdrift.wire import receipt as receipts
from samdrift.wire.as4 import As4Fault, ReceiptSignal, read_response
from samdrift.wire.crypto.certificates import common_name, from_der, from_pem
from samdrift.wire.errors import WireError
from samdrift.wire.wssec import verify as verify_soap

FORMAT = "samdrift evidence"
VERSION = 7
"""Version of the format.

Since version 2, a message receipt is named after the entry that refers to it, and there are digests; since 3,
there are the certificates of peers that entries name; since 4, entries may be leaves of a tree; since 5, each
of these has a proof in a checkpoint, and there are the grounds on which certificates were judged; since 6,
there are the signatures on incoming messages and receipts; since 7, a section has the leaves of entries whose
facts were disposed of.
"""
KNOWN = (1, 2, 3, 4, 5, 6, VERSION)
STATEMENT_FILE = "evidence.json"
SIGNATURE_FILE = "evidence.json.sig"
SIGNER_FILE = "certificate.pem"
README_FILE = "README.txt"
PROGRAM_FILE = "verify.go"
"""Program to verify the evidence without Samdrift; it is not used here."""
PROOFS = "proofs"
TRANSPORT_RECEIPTS = "transport-receipts"
MESSAGE_RECEIPTS = "message-receipts"
PEER_CERTIFICATES = "peer-certificates"
ORIGINAL_FILE = "original.xml"
"""The message itself, if it was requested: the only file with content."""
DIGESTS_FILE = "digests.jsonl"
"""The digests that entries commit to, as one JSON object per line."""
COMMITTED = ("message", "envelope", "receipt")
"""Objects that entries commit to; the fact is called by this name with ``_commitment``."""

_RECEIPTS: Mapping[str, tuple[str, frozenset[str], str]] = {
    APEvent.AP_TRANSFER_DELIVERED: (TRANSPORT_RECEIPTS, frozenset({"transfer"}), "got.soap"),
    APEvent.AP_ENVELOPE_RECEIVED: (TRANSPORT_RECEIPTS, frozenset({"as4", "peer"}), "given.soap"),
    MTEvent.MT_RECEIPT_RECEIVED: (MESSAGE_RECEIPTS, frozenset({"envelope", "message"}), "got.xml"),
    MTEvent.MT_RECEIPT_QUEUED: (MESSAGE_RECEIPTS, frozenset({"envelope", "message"}), "given.xml"),
}
"""Events that refer to a receipt: its folder, the facts that identify it, and the end of its file name."""


def receipt_file(event: str, ids: Mapping[str, str], entry: bytes) -> str | None:
    """Return the file name of the receipt that an entry with that hash refers to, or ``None``."""
    folder, names, ending = _RECEIPTS.get(event, ("", frozenset[str](), ""))
    return f"{folder}/{entry.hex()[:16]}-{ending}" if folder and names <= ids.keys() else None


def certificate_file(sha256: str) -> str:
    """Return the file name of a peer's certificate, in DER, that an entry names by its SHA-256."""
    return f"{PEER_CERTIFICATES}/{sha256}.der"


def named_certificate(ids: Mapping[str, str]) -> str | None:
    """Return the SHA-256 of the certificate that is stored with an entry, or ``None``.

    Entries with the type of message have one (component-accesspoint 3.4.1). Older ones name a
    certificate that was not stored.
    """
    return ids.get("certificate") if "message_type" in ids else None


def log_file(role: Role, *, former: bool) -> str:
    """Return the file name of a log's entries about the message, one JSON object per line."""
    return f"log/{role.value}{'-former' if former else ''}.jsonl"


_LOG_FILES = {log_file(role, former=former) for role in Role for former in (False, True)}


def proof_file(role: Role, sequence: int) -> str:
    """Return the common file name of a tree entry, its facts and its proof, without their endings."""
    return f"{PROOFS}/{role.value}-{sequence}"


def before_file(role: Role) -> str:
    """Return the file name of the tree before a section: its size and its full subtrees' roots."""
    return f"section/{role.value}-before.json"


def section_file(role: Role, number: int) -> str:
    """Return the file name of a page of a section.

    A section has all entries from the first one about the message to the end of the log.
    """
    return f"section/{role.value}-{number:06}.jsonl"


SIGNER = "signer"
"""Finding about whether the verifier's folder of certificates vouches for the signer."""
_MOST = 64 << 20
_WITH_PROOFS = 5
_WITH_CERTIFICATES = 3
"""First version of evidence that has the certificates of peers."""


@dataclass(frozen=True, slots=True)
class EvidenceVerdict:
    """The verdict on evidence, which is valid if all its findings hold."""

    organisation: str
    message: str
    made_at: str
    signer: x509.Certificate
    findings: tuple[Finding, ...]
    witnessed_at: int | None = None
    """Time of the oldest of its logs' checkpoints by the policy's witnesses; ``None`` if none is needed."""

    @property
    def valid(self) -> bool:
        return all(finding.holds for finding in self.findings)

    @property
    def consistent(self) -> bool:
        """Return whether all that it contains is valid, whoever signed it."""
        return all(finding.holds for finding in self.findings if finding.what != SIGNER)


@dataclass
class _Said:
    """The state of reading: file digests, log entries, and findings so far."""

    digests: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    entries: dict[str, list[LogEntry]] = field(default_factory=dict)
    """Entries of each ``log/`` file."""
    sections: dict[str, Section] = field(default_factory=dict)
    """Each role's section."""
    before: dict[str, Frontier] = field(default_factory=dict)
    """The tree before each role's section."""
    proofs: dict[str, bytes] = field(default_factory=dict)
    """Files of proofs, by name."""
    grounds: dict[str, bytes] = field(default_factory=dict)
    """The files of grounds, by name."""
    signatures: dict[str, bytes] = field(default_factory=dict)
    """The files of signatures, by name."""
    kept: dict[str, str] = field(default_factory=dict)
    """The SHA-256 in hexadecimal of each commitment."""
    receipts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The subject of each receipt file: the fact by which entries name it, and its id."""


class _File:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def read(self, size: int) -> bytes:
        return self._file.read(size)


async def verify_evidence(
    path: Path, trust: TrustFolder | None, signer: str | None = None, policy: Policy | None = None
) -> EvidenceVerdict:
    """Return the verdict on a file; raise :class:`MoveError` if it is not evidence at all.

    ``signer`` is the SHA-256 of the certificate that must have signed, if that is known. With
    ``policy``, every entry of a tree must be in a checkpoint that the policy accepts.
    """
    with path.open("rb") as file:
        return await verify_evidence_in(file, trust, signer, policy)


async def verify_evidence_in(
    file: BinaryIO, trust: TrustFolder | None, signer: str | None = None, policy: Policy | None = None
) -> EvidenceVerdict:
    """Return the verdict on an open file, like :func:`verify_evidence`."""
    said = _Said()
    reader = ArchiveReader(_File(file))
    member = await reader.next()
    while member is not None and member.name != STATEMENT_FILE:
        if member.name in said.digests:
            raise MoveError.of_evidence()
        data = await reader.whole(member, _MOST)
        said.digests[member.name] = reader.line.partition(" ")[0]
        _look(said, member.name, data)
        member = await reader.next()
    rest = [] if member is None else [await reader.whole(member, _MOST)]
    while (member := await reader.next()) is not None:
        rest.append(await reader.whole(member, _MOST))
    if len(rest) != 3:
        raise MoveError.of_evidence()
    verdict = _judged(said, rest[0], rest[1], rest[2], trust, policy)
    if signer is None:
        return verdict
    named = verdict.signer.fingerprint(SHA256()).hex() == signer
    finding = Finding("signer is the one named", named, f"the certificate with SHA-256 {signer}")
    return replace(verdict, findings=(*verdict.findings, finding))


def _judged(
    said: _Said,
    statement: bytes,
    signature: bytes,
    certificate: bytes,
    trust: TrustFolder | None,
    policy: Policy | None,
) -> EvidenceVerdict:
    document = read_object(statement, STATEMENT_FILE)
    try:
        signer = from_pem(certificate)
        made_at = time_of(document["made_at"])
        named = str(document["organisation"]), str(document["message"])
        logs, files = dict(document["logs"]), dict(document["files"])
    except (KeyError, TypeError, ValueError):
        raise MoveError.of_evidence() from None
    known = document.get("format") == FORMAT and document.get("version") in KNOWN
    if not known:
        raise MoveError.of_evidence()
    findings = [
        Finding("signature", holds(statement, signature, signer), "RSA with SHA-256 over evidence.json"),
        Finding("files", files == said.digests, "those that are signed, unchanged, and no others"),
        *_signer(signer, certificate, made_at, trust),
        *said.findings,
        *(finding for name in said.entries for finding in _about(said, name, named[1])),
        *_receipts(said, named[1]),
        *_missing_receipts(said, document["version"]),
        *_named_certificates(said, document["version"]),
        *grounds.findings(said.entries, said.grounds, trust),
        *signatures.findings(said.entries, said.signatures, said.grounds),
        *_committed(said),
        *_original(said),
        *_proofs(said, document["version"], policy),
        *(finding for role in said.sections for finding in _section(said, role, logs, named[1])),
    ]
    proofs = [proof for name, proof in said.proofs.items() if name.endswith(".tlog-proof")]
    seen = None if policy is None else witnessed_at(proofs, policy)
    return EvidenceVerdict(*named, made_at.isoformat(), signer, tuple(findings), seen)


def _signer(
    signer: x509.Certificate, file: bytes, at: datetime, trust: TrustFolder | None
) -> Iterator[Finding]:
    """Check the form of the certificate's file, which is not signed, and whether its signer is trusted."""
    if signer.public_bytes(Encoding.PEM) != file:
        yield Finding(SIGNER_FILE, False, "is not one certificate in PEM, and nothing else")
    if trust is not None:
        judged = trust.judge(signer, at)
        yield Finding(SIGNER, judged.trusted, judged.reason.value)


def _look(said: _Said, name: str, data: bytes) -> None:
    """Collect the data to be checked from a file, or add a finding about its fault."""
    folder = name.partition("/")[0]
    try:
        if folder == "log" and name not in _LOG_FILES:
            said.findings.append(Finding(name, False, "is not a part of evidence"))
        elif folder == "log":
            said.entries[name] = [_entry(line) for line in data.splitlines()]
            said.findings.append(Finding(name, True, f"{len(said.entries[name])} entries match their hashes"))
        elif folder == "section" and name == before_file(role := role_of(name)):
            said.before[role.value] = _tree(data)
        elif folder == "section":
            _take_section(said, name, data)
        elif folder == TRANSPORT_RECEIPTS:
            said.findings.append(_transport_receipt(said, name, data))
        elif folder == MESSAGE_RECEIPTS:
            receipt = receipts.parse(data)
            said.receipts[name] = "message", receipt.message_id
            said.findings.append(Finding(name, True, f"a message receipt: {receipt.status.value}"))
        elif folder == PEER_CERTIFICATES:
            said.findings.append(_peer_certificate(name, data))
        elif folder == PROOFS:
            said.proofs[name] = data
        elif folder == grounds.FOLDER:
            said.grounds[name] = data
        elif folder == signatures.FOLDER:
            said.signatures[name] = data
        elif name in (README_FILE, PROGRAM_FILE, ORIGINAL_FILE):
            return
        elif name == DIGESTS_FILE:
            said.kept = dict(map(_kept, data.splitlines()))
            said.findings.append(Finding(name, True, "each matches the commitment that it is listed for"))
        else:
            said.findings.append(Finding(name, False, "is not a part of evidence"))
    except (ValueError, KeyError, TypeError, WireError, As4Fault) as error:
        why = str(error) if type(error) is ValueError else "cannot be read"
        said.findings.append(Finding(name, False, why))


def _entry(line: bytes) -> LogEntry:
    """Return an entry that matches its hash; raise :class:`ValueError` if it does not."""
    return _matching(_read(line, "an entry"))


def _entry_or_leaf(line: bytes) -> LogEntry | Leaf:
    """Return an entry as :func:`_entry` does, or the leaf of one whose facts were disposed of."""
    document = _read(line, "an entry")
    whole = isinstance(document, dict) and "content" in document
    return _matching(document) if whole else Leaf.read(document)


def _read(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError(f"{what} is not JSON") from None


def _matching(document: Any) -> LogEntry:
    entry = LogEntry.read(document)
    content = entry.happening.content()
    if entry.leaf is None:
        given = link(entry.previous, entry.sequence, content)
    else:
        given = commitment(entry.salt, content)
    if given != entry.hash:
        raise ValueError("an entry does not match its hash")
    return entry


def _tree(data: bytes) -> Frontier:
    """Return the tree before a section; raise :class:`ValueError` if it is invalid."""
    document = _read(data, "a tree")
    size, peaks = document["size"], tuple(map(bytes.fromhex, document["peaks"]))
    if type(size) is not int or size <= 0 or len(peaks) != size.bit_count() or {*map(len, peaks)} != {32}:
        raise ValueError("a tree does not have its stated size")
    return Frontier(size, peaks)


def _kept(line: bytes) -> tuple[str, str]:
    """Return a commitment and its digest; raise :class:`ValueError` if they do not match."""
    document = _read(line, "a digest")
    digest = Digest(bytes.fromhex(document["salt"]), bytes.fromhex(document["sha256"]))
    if len(digest.sha256) != SHA256.digest_size or digest.commitment != document["commitment"]:
        raise ValueError("a digest does not match its commitment")
    return digest.commitment, digest.sha256.hex()


def _peer_certificate(name: str, data: bytes) -> Finding:
    """Check that a certificate is the one that its file is named after."""
    certificate = from_der(data)
    fingerprint = certificate.fingerprint(SHA256()).hex()
    if name != certificate_file(fingerprint):
        return Finding(name, False, f"is the certificate with SHA-256 {fingerprint}")
    return Finding(name, True, f"a certificate of {common_name(certificate)}")


def _take_section(said: _Said, name: str, data: bytes) -> None:
    role = role_of(name).value
    for line in data.splitlines():
        entry = _entry_or_leaf(line)
        if role not in said.sections:
            said.sections[role] = Section(entry, said.before.get(role))
        said.sections[role].take(entry)


def _transport_receipt(said: _Said, name: str, data: bytes) -> Finding:
    """Check a transport receipt: that its signature is valid and covers what it acknowledges."""
    signal = read_response(_content_type(data), data)
    if not isinstance(signal, ReceiptSignal):
        return Finding(name, False, "is not a receipt")
    signature = verify_soap(signal.document)
    if not signature.covers(signal.document.messaging):
        return Finding(name, False, "the signature does not cover the receipt")
    said.receipts[name] = "as4", signal.info.ref_to_message_id or ""
    fingerprint = signature.certificate.fingerprint(SHA256()).hex()
    who = f"{common_name(signature.certificate)} (SHA-256 {fingerprint})"
    return Finding(name, True, f"signed by {who} for {signal.info.ref_to_message_id}")


def _content_type(data: bytes) -> str | None:
    """Return the content type with which a receipt was sent, since it is stored without its header."""
    if not data.startswith(b"--"):
        return None
    boundary = data[2:200].split(b"\r\n", 1)[0].decode("ascii", "replace")
    return f'multipart/related; boundary="{boundary}"'


def _names(said: _Said, message: str) -> set[str | None]:
    """Return the ids of the message and of the envelopes that entries name with it, those of its receipts."""
    everything = [entry.ids for log in said.entries.values() for entry in log]
    envelopes = {ids["envelope"] for ids in everything if ids.get("message") == message and "envelope" in ids}
    return {message, *envelopes}


def _of(entry: LogEntry, names: set[str | None]) -> bool:
    ids = entry.ids
    return bool({ids.get("message"), ids.get("envelope")} & names)


def _about(said: _Said, name: str, message: str) -> Iterator[Finding]:
    """Check that entries are about the message or its receipt, and follow each other."""
    entries, names = said.entries[name], _names(said, message)
    own = all(_of(entry, names) for entry in entries)
    yield Finding(f"{name} is about the message", own, "each entry names it or its receipt")
    if "former" not in name:
        order = all(
            after.sequence > before.sequence
            and (
                after.leaf is not None
                or after.previous == before.hash
                or after.sequence > before.sequence + 1
            )
            for before, after in pairwise(entries)
        )
        yield Finding(f"{name} is in order", order, "numbers rise, and neighbours are linked")


def _receipts(said: _Said, message: str) -> Iterator[Finding]:
    """Check that receipts are for the message, or for an AS4 message named by the entries about it."""
    entries = [entry.ids for log in said.entries.values() for entry in log]
    named = {ids["as4"] for ids in entries if "as4" in ids}
    for name, (kind, identifier) in said.receipts.items():
        own = identifier == message if kind == "message" else identifier in named
        yield Finding(f"{name} is about the message", own, "it is for the message, or what carried it")


def _missing_receipts(said: _Said, version: int) -> Iterator[Finding]:
    """Check that each receipt that an entry refers to is present and matches the entry's commitment."""
    spoken = [(name, entry) for log in said.entries.values() for entry in log if (name := _receipt_of(entry))]
    if version == 1:
        yield from _missing_unnamed(said, [(name, entry) for name, entry in spoken if name.endswith(".xml")])
        spoken = [(name, entry) for name, entry in spoken if not name.endswith(".xml")]
    for name, entry in spoken:
        if name not in said.digests:
            why = f"entry {entry.sequence} refers to a receipt that is not in the evidence"
            yield Finding(name, False, why)
            continue
        commitment = entry.ids.get("receipt_commitment")
        if commitment is not None:
            same = said.kept.get(commitment) == said.digests[name]
            yield Finding(f"{name} is the one in the log", same, "its digest matches its commitment")


def _missing_unnamed(said: _Said, spoken: list[tuple[str, LogEntry]]) -> Iterator[Finding]:
    """Check the number of message receipts, for evidence before version 2.

    At that time the files did not show which entry they belong to, so that they can only be counted.
    """
    named = {entry.ids["envelope"] for _, entry in spoken}
    there = sum(kind == "message" for kind, _ in said.receipts.values())
    if there < len(named):
        why = f"entries refer to {len(named)}, the evidence has {there}"
        yield Finding(MESSAGE_RECEIPTS, False, why)


def _receipt_of(entry: LogEntry) -> str | None:
    return receipt_file(entry.event, entry.ids, entry.hash)


def _named_certificates(said: _Said, version: int) -> Iterator[Finding]:
    """Check that the certificates stored with entries are all present, and that there are no others."""
    named = {
        certificate_file(sha256): entry.sequence
        for log in said.entries.values()
        for entry in log
        if (sha256 := named_certificate(entry.ids)) is not None
    }
    if version >= _WITH_CERTIFICATES:
        for name in named.keys() - said.digests.keys():
            why = f"entry {named[name]} names a peer's certificate that is not in the evidence"
            yield Finding(name, False, why)
    for name in said.digests.keys() - named.keys():
        if name.startswith(f"{PEER_CERTIFICATES}/"):
            yield Finding(name, False, "is a certificate that no entry names")


def _committed(said: _Said) -> Iterator[Finding]:
    """Check that each commitment in an entry has its digest, and that there are no other digests."""
    named = set[str]()
    for name, log in said.entries.items():
        for entry in log:
            for what in COMMITTED:
                commitment = entry.ids.get(f"{what}_commitment")
                if commitment is None:
                    continue
                named.add(commitment)
                digest = said.kept.get(commitment)
                why = (
                    f"SHA-256 {digest}" if digest else "the entry commits to one that is not in the evidence"
                )
                where = f"digest of the {what}, entry {entry.sequence} of {name}"
                yield Finding(where, digest is not None, why)
    if not said.kept.keys() <= named:
        yield Finding(DIGESTS_FILE, False, "has digests that no entry commits to")


def _original(said: _Said) -> Iterator[Finding]:
    """Check that the message itself, if it is included, is one that an entry commits to."""
    digest = said.digests.get(ORIGINAL_FILE)
    if digest is None:
        return
    committed = {
        said.kept.get(entry.ids["message_commitment"])
        for log in said.entries.values()
        for entry in log
        if "message_commitment" in entry.ids
    }
    yield Finding(ORIGINAL_FILE, digest in committed, f"SHA-256 {digest}, which an entry commits to")


def _proofs(said: _Said, version: int, policy: Policy | None) -> Iterator[Finding]:
    """Check that each tree entry is in a checkpoint, and witnessed if the policy requires it."""
    left = set(said.proofs) if version >= _WITH_PROOFS else set[str]()
    for name, log in said.entries.items():
        if "former" in name:
            continue
        for entry in log:
            if entry.leaf is None or version < _WITH_PROOFS:
                continue
            file = proof_file(role_of(name), entry.sequence)
            parts = [said.proofs.get(f"{file}.{kind}") for kind in ("entry", "facts", "tlog-proof")]
            left -= {f"{file}.{kind}" for kind in ("entry", "facts", "tlog-proof")}
            yield _proof(file, entry, parts, policy)
    for name in sorted(left):
        yield Finding(name, False, "does not prove any entry here")


def _proof(file: str, entry: LogEntry, parts: Sequence[bytes | None], policy: Policy | None) -> Finding:
    leaf, facts, proof = parts
    if leaf is None or facts is None or proof is None:
        return Finding(file, policy is None, "no checkpoint had this entry when the evidence was made")
    if entry.leaf is None or (leaf, facts) != (entry.leaf.entry, entry.salt + entry.happening.content()):
        return Finding(file, False, "is not the entry in the log's file")
    try:
        read = EntryProof.parse(proof)
        if policy is not None:
            signed = read.verify(entry.leaf.hash, policy)
            return _witnessed(file, entry, signed.checkpoint, policy.witnessed_at(signed))
        stated = Checkpoint.parse(Note.parse(read.checkpoint).text)
    except (Malformed, Unverified) as fault:
        return Finding(file, False, str(fault))
    inside = includes(entry.leaf.hash, read.index, stated.size, read.path, stated.root)
    why = f"is in the tree of {stated.size} entries; who signed and saw it was not checked (--policy)"
    return Finding(file, inside, why if inside else "is not in the tree of its checkpoint")


def _witnessed(file: str, entry: LogEntry, stated: Checkpoint, at: int | None) -> Finding:
    where = f"entry {entry.sequence} is in the tree of {stated.size} entries of {stated.origin}"
    if at is None:
        return Finding(file, True, f"{where}; the policy requires no witness")
    try:
        seen = datetime.fromtimestamp(at, UTC)
        latest = seen + timedelta(seconds=TOLERANCE)
    except (ValueError, OverflowError, OSError):
        return Finding(file, False, "its witnesses name an impossible time")
    if entry.at > latest:
        return Finding(file, False, f"its time is after {seen.isoformat()}, when its witnesses had seen it")
    return Finding(file, True, f"{where}, which the policy's witnesses had seen at {seen.isoformat()}")


def _section(said: _Said, role: str, logs: dict[str, Any], message: str) -> Iterator[Finding]:
    """Check that the section leads from the first entry about the message to the signed head."""
    log, section = logs.get(role), said.sections[role]
    head = section.head
    signed = (log.get("entries"), log.get("head"), log.get("size", 0)) if isinstance(log, dict) else None
    ends = signed == (head.sequence, head.hash.hex(), head.size)
    why = f"{len(section.hashes)} entries without a break, to the signed head"
    yield Finding(f"section of {role}", ends, why)
    yield from section.disposals(f"disposals in the section of {role}")
    about = said.entries.get(f"log/{role}.jsonl", [])
    inside = all(section.hashes.get(entry.sequence) == entry.hash.hex() for entry in about)
    yield Finding(f"log/{role}.jsonl in the section", inside, "every entry is in the section")
    names, told = _names(said, message), {entry.hash for entry in about}
    left_out = [one for one in section.about if _of(one, names) and one.hash not in told]
    first = f"entry {left_out[0].sequence} is about the message but is missing" if left_out else ""
    yield Finding(f"log/{role}.jsonl is all of it", not left_out, first or "no entry was left out")
