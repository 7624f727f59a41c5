"""What evidence shows, judged file by file: nothing passes for something else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.audit.chain import link
from samdrift.audit.entries import Happening
from samdrift.evidence import verifying
from samdrift.messageservice.events import MTEvent
from samdrift.wire.as4 import EbmsErrorCode, build_error
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from samdrift.wire.ebms import EbmsError
from samdrift.wire.receipt import build
from tests import pki
from tests.unit.wire.receipt.samples import ACCEPTED

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KEY = SoftwareSigningKey(pki.key(0), pki.root("Peer", 0).certificate)
MESSAGE = "9b3f4a52-7f0e-4c63-8d42-8d3c6a9cf0a1"


def entry(number: int, previous: bytes) -> bytes:
    """A line of a log, about the message, that gives its own hash."""
    happening = Happening(
        NOW + timedelta(seconds=number % 86400),
        MTEvent.MT_MESSAGE_READ,
        "worker:test",
        "read",
        {"message": MESSAGE},
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
    assert [finding.holds for finding in said.findings] == [True], "each entry gives its hash"
    findings = {one.what: one.holds for one in verifying._about(said, "log/mt.jsonl", MESSAGE)}
    return findings["log/mt.jsonl is in order"]


def test_neighbours_in_a_log_are_linked() -> None:
    """An entry that was put in the place of another one gives its hash, too."""
    first = entry(1, bytes(32))
    second = entry(2, hash_of(first))
    assert order(first, second)
    assert order(first, entry(4, bytes(32))), "what lies between is about other messages"
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
    """Also one that the peer has signed: it says that the message was not taken."""
    error = EbmsError.of(EbmsErrorCode.OTHER, "NOT_SERVICED", "m@own.test")
    answer = build_error(error, message_id="e@peer.test", now=NOW, signer=signer)
    said = verifying._Said()
    verifying._look(said, "transport-receipts/1.soap", answer.body)
    (finding,) = said.findings
    assert (finding.holds, finding.why) == (False, "is no receipt")
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
