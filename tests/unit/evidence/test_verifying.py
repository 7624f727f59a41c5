"""Findings about evidence, file by file: nothing passes for something else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.accesspoint.events import APEvent
from samdrift.attestation.errors import MoveError
from samdrift.audit.chain import link
from samdrift.audit.entries import Happening
from samdrift.audit.events import AuditEvent
from samdrift.evidence import verifying
from samdrift.messageservice.events import MTEvent
from samdrift.vault.records import Digest
from samdrift.wire.as4 import EbmsErrorCode, build_error
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from samdrift.wire.ebms import EbmsError
from samdrift.wire.receipt import build
from tests import pki
from tests.unit.wire.receipt.samples import ACCEPTED

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KEY = SoftwareSigningKey(pki.key(0), pki.root("Peer", 0).certificate)
MESSAGE = "9b3f4a52-7f0e-4c63-8d42-8d3c6a9cf0a1"


def entry(number: int, previous: bytes, event: AuditEvent = MTEvent.MT_MESSAGE_READ, **ids: str) -> bytes:
    """Return a line of a log with its own hash, about the message by default."""
    happening = Happening(
        NOW + timedelta(seconds=number % 86400), event, "worker:test", "read", ids or {"message": MESSAGE}
    )
    content = happening.content()
    line = {
        "sequence": number,
        "content": content.decode(),
        "previous": previous.hex(),
        "hash": link(previous, number, content).hex(),
    }
    return json.dumps(line).encode()


def hash_of(line: bytes) -> bytes:
    return bytes.fromhex(json.loads(line)["hash"])


def order(*lines: bytes) -> bool:
    said = verifying._Said()
    verifying._look(said, "log/mt.jsonl", b"\n".join(lines))
    assert [finding.holds for finding in said.findings] == [True], (
        "each entry must have the hash that it states"
    )
    findings = {one.what: one.holds for one in verifying._about(said, "log/mt.jsonl", MESSAGE)}
    return findings["log/mt.jsonl is in order"]


def test_neighbours_in_a_log_are_linked() -> None:
    """An entry put in the place of another one also states its hash."""
    first = entry(1, bytes(32))
    second = entry(2, hash_of(first))
    assert order(first, second)
    assert order(first, entry(4, bytes(32))), "entries in between may be about other messages"
    assert not order(first, entry(2, bytes(32)))
    assert not order(second, first)


def test_a_broken_link_in_a_section_is_found() -> None:
    first = entry(1, bytes(32))
    for broken in (entry(2, bytes(32)), entry(3, hash_of(first)), first):
        said = verifying._Said()
        verifying._look(said, "section/mt-000001.jsonl", b"\n".join((first, broken)))
        (finding,) = said.findings
        assert (finding.holds, "the chain is broken after entry 1" in finding.why) == (False, True)


@pytest.mark.parametrize("signer", [None, KEY], ids=["unsigned", "signed"])
def test_an_error_of_a_peer_is_no_transport_receipt(signer: SoftwareSigningKey | None) -> None:
    """Even one that the peer has signed says that the message was not accepted."""
    error = EbmsError.of(EbmsErrorCode.OTHER, "NOT_SERVICED", "m@own.test")
    answer = build_error(error, message_id="e@peer.test", now=NOW, signer=signer)
    said = verifying._Said()
    verifying._look(said, "transport-receipts/1.soap", answer.body)
    (finding,) = said.findings
    assert (finding.holds, finding.why) == (False, "is not a receipt")
    assert said.receipts == {}


def look(name: str, data: bytes) -> verifying.Finding:
    said = verifying._Said()
    verifying._look(said, name, data)
    (finding,) = said.findings
    return finding


@pytest.mark.parametrize(
    ("number", "holds"), [(0, False), (1, True), ((1 << 63) - 1, True), (1 << 63, False)]
)
def test_an_entry_has_a_number_that_a_log_can_have(number: int, holds: bool) -> None:
    assert look("log/mt.jsonl", entry(number, bytes(32))).holds is holds


@pytest.mark.parametrize("number", ["-1", "true", '"1"', "1.0"])
def test_what_is_no_number_of_an_entry_is_refused(number: str) -> None:
    line = entry(1, bytes(32)).replace(b'"sequence": 1', f'"sequence": {number}'.encode())
    found = look("log/mt.jsonl", line)
    assert (found.holds, found.why) == (False, "not an entry of a log")


def test_a_certificate_is_the_one_that_its_file_is_named_after() -> None:
    certificate = KEY.certificate
    data = certificate.public_bytes(Encoding.DER)
    right = verifying.certificate_file(certificate.fingerprint(SHA256()).hex())
    assert look(right, data) == verifying.Finding(right, True, "a certificate of Peer")
    assert not look(verifying.certificate_file("00" * 32), data).holds


def test_a_message_receipt_is_read_and_belongs_to_its_message() -> None:
    said = verifying._Said()
    verifying._look(said, "message-receipts/1-got.xml", build(ACCEPTED))
    assert said.findings == [
        verifying.Finding("message-receipts/1-got.xml", True, "a message receipt: ACCEPTED")
    ]
    assert said.receipts == {"message-receipts/1-got.xml": ("message", ACCEPTED.message_id)}
    assert not look("message-receipts/1-got.xml", b"<rubbish/>").holds


@pytest.mark.parametrize("name", ["other/1", "peers.der", "statement"])
def test_a_file_of_no_kind_is_not_a_part_of_evidence(name: str) -> None:
    assert look(name, b"") == verifying.Finding(name, False, "is not a part of evidence")


def test_a_finding_cannot_be_changed_afterwards() -> None:
    with pytest.raises(AttributeError):
        setattr(verifying.Finding("files", False), "holds", True)  # noqa: B010


def said(*lines: bytes, **files: bytes) -> verifying._Said:
    """Return evidence with these entries in one log, and with digests of its files."""
    found = verifying._Said(entries={"log/mt.jsonl": [verifying._entry(line) for line in lines]})
    found.digests = {name: sha256(data).hexdigest() for name, data in files.items()}
    return found


def statement(**changed: object) -> bytes:
    about = {"organisation": "0203:habo.se", "message": MESSAGE, "logs": {}, "files": {}}
    form = {"format": verifying.FORMAT, "version": verifying.VERSION, "made_at": NOW.isoformat()}
    return json.dumps(about | form | changed).encode()


def judged(document: bytes) -> verifying.EvidenceVerdict:
    signature, certificate = KEY.sign(document), KEY.certificate.public_bytes(Encoding.PEM)
    return verifying._judged(verifying._Said(), document, signature, certificate, None, None)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6, 7])
def test_every_version_that_was_ever_written_is_known(version: int) -> None:
    verdict = judged(statement(version=version))
    assert verdict.valid
    with pytest.raises(AttributeError):
        setattr(verdict, "message", "another")  # noqa: B010


def test_entries_are_about_the_message_that_the_statement_names() -> None:
    line = entry(1, bytes(32))
    document = statement(logs={"mt": {"entries": 1, "head": hash_of(line).hex()}})
    evidence = said(line)
    verifying._look(evidence, "section/mt-000001.jsonl", line)
    certificate = KEY.certificate.public_bytes(Encoding.PEM)
    verdict = verifying._judged(evidence, document, KEY.sign(document), certificate, None, None)
    assert [one.what for one in verdict.findings if not one.holds] == []
    assert verdict.message == MESSAGE
    del evidence.entries["log/mt.jsonl"]
    verdict = verifying._judged(evidence, document, KEY.sign(document), certificate, None, None)
    assert [one.what for one in verdict.findings if not one.holds] == ["log/mt.jsonl is all of it"]


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 0},
        {"version": 8},
        {"version": None},
        {"format": "another"},
        {"made_at": "2026-03-02T12:00:00"},
        {"logs": 1},
    ],
)
def test_a_statement_of_another_form_is_no_evidence(changed: dict[str, object]) -> None:
    with pytest.raises(MoveError):
        judged(statement(**changed))


def digest(salt: bytes = b"salt", size: int = 32) -> Digest:
    return Digest(salt, bytes(size))


def kept(one: Digest, commitment: str) -> verifying.Finding:
    line = {"salt": one.salt.hex(), "sha256": one.sha256.hex(), "commitment": commitment}
    return look(verifying.DIGESTS_FILE, json.dumps(line).encode())


def test_a_digest_has_its_size_and_matches_its_commitment() -> None:
    assert kept(digest(), digest().commitment).holds
    for one, commitment in (
        (digest(), digest(b"another").commitment),
        (digest(size=31), digest(size=31).commitment),
    ):
        found = kept(one, commitment)
        assert (found.holds, found.why) == (False, "a digest does not match its commitment")


def test_every_commitment_has_its_digest_and_there_is_no_digest_besides() -> None:
    commitment = digest().commitment
    line = entry(1, bytes(32), message=MESSAGE, message_commitment=commitment)
    where = "digest of the message, entry 1 of log/mt.jsonl"

    def findings(*commitments: str) -> dict[str, bool]:
        evidence = said(line)
        evidence.kept = dict.fromkeys(commitments, bytes(32).hex())
        return {one.what: one.holds for one in verifying._committed(evidence)}

    evidence = said(line)
    (found,) = verifying._committed(evidence)
    assert found.why == "the entry commits to one that is not in the evidence"
    evidence.kept = {commitment: "ab"}
    (found,) = verifying._committed(evidence)
    assert found.why == "SHA-256 ab"
    assert findings(commitment) == {where: True}
    assert findings() == {where: False}
    assert findings(commitment, "00") == {where: True, verifying.DIGESTS_FILE: False}


@pytest.mark.parametrize("what", verifying.COMMITTED)
def test_an_entry_may_commit_to_one_thing_alone(what: str) -> None:
    evidence = said(entry(1, bytes(32), **{f"{what}_commitment": "ab"}))
    (found,) = verifying._committed(evidence)
    assert (found.what, found.holds) == (f"digest of the {what}, entry 1 of log/mt.jsonl", False)


def test_a_receipt_for_another_message_is_not_about_this_one() -> None:
    evidence = said(entry(1, bytes(32), message=MESSAGE, as4="m@own.test"))
    evidence.receipts = {
        "a.xml": ("message", MESSAGE),
        "b.xml": ("message", "another"),
        "c.soap": ("as4", "m@own.test"),
        "d.soap": ("as4", MESSAGE),
    }
    assert [one.holds for one in verifying._receipts(evidence, MESSAGE)] == [True, False, True, False]


def test_an_entry_that_lacks_a_fact_of_a_receipt_speaks_of_none() -> None:
    event = MTEvent.MT_RECEIPT_RECEIVED
    whole = {"message": MESSAGE, "envelope": "e"}
    file = verifying.receipt_file(event, whole, bytes(32))
    assert file == "message-receipts/0000000000000000-got.xml"
    assert verifying.receipt_file(event, {"message": MESSAGE}, bytes(32)) is None
    assert verifying.receipt_file(MTEvent.MT_MESSAGE_READ, whole, bytes(32)) is None


def test_before_version_2_message_receipts_are_counted_and_others_found_by_name() -> None:
    lines = (
        entry(1, bytes(32), MTEvent.MT_RECEIPT_RECEIVED, message=MESSAGE, envelope="e"),
        entry(2, bytes(32), APEvent.AP_TRANSFER_DELIVERED, message=MESSAGE, transfer="t"),
    )
    evidence = said(*lines)
    names = [verifying._receipt_of(one) for one in evidence.entries["log/mt.jsonl"]]
    found = {one.what for one in verifying._missing_receipts(evidence, 1)}
    assert found == {verifying.MESSAGE_RECEIPTS, names[1]}
    assert {one.what for one in verifying._missing_receipts(evidence, 2)} == set(names)
    assert not any(one.holds for one in verifying._missing_receipts(evidence, 2))
    evidence.receipts = {"message-receipts/1.xml": ("message", MESSAGE)}
    assert {one.what for one in verifying._missing_receipts(evidence, 1)} == {names[1]}


def test_a_certificate_that_no_entry_names_is_found_and_one_that_is_named_is_there() -> None:
    named = entry(1, bytes(32), message=MESSAGE, certificate="ab", message_type="t")
    file = verifying.certificate_file("ab")
    assert list(verifying._named_certificates(said(named, **{file: b""}), 3)) == []
    for evidence, version, found in (
        (said(named), 3, [(file, False)]),
        (said(named), 2, []),
        (said(**{file: b""}), 3, [(file, False)]),
        (said(**{"log/mt.jsonl": b""}), 3, []),
    ):
        findings = verifying._named_certificates(evidence, version)
        assert [(one.what, one.holds) for one in findings] == found


def test_envelopes_of_other_messages_are_not_about_this_one() -> None:
    lines = (
        entry(1, bytes(32), message=MESSAGE, envelope="ours"),
        entry(2, bytes(32), message="z", envelope="theirs"),
        entry(3, bytes(32), message="0", envelope="others"),
    )
    assert verifying._names(said(*lines), MESSAGE) == {MESSAGE, "ours"}


def test_the_boundary_of_a_receipt_in_parts_is_that_of_its_first_line() -> None:
    assert verifying._content_type(b"--b:1\r\nx") == 'multipart/related; boundary="b:1"'
    assert verifying._content_type(b"--" + 198 * b"b") == f'multipart/related; boundary="{198 * "b"}"'
    assert verifying._content_type(b"--" + 199 * b"b") == f'multipart/related; boundary="{198 * "b"}"'
    assert verifying._content_type(b"<soap/>") is None
