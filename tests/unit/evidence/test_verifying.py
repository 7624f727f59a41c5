"""What evidence shows, judged file by file: nothing passes for something else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from samdrift.audit.chain import link
from samdrift.audit.entries import Happening
from samdrift.audit.events import AuditEvent
from samdrift.evidence import verifying
from samdrift.wire.as4 import EbmsErrorCode, build_error
from samdrift.wire.crypto.softwarekeys import SoftwareSigningKey
from samdrift.wire.ebms import EbmsError
from tests import pki

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KEY = SoftwareSigningKey(pki.key(0), pki.root("Peer", 0).certificate)
MESSAGE = "9b3f4a52-7f0e-4c63-8d42-8d3c6a9cf0a1"


def entry(number: int, previous: bytes) -> bytes:
    """A line of a log, about the message, that gives its own hash."""
    happening = Happening(
        NOW + timedelta(seconds=number),
        AuditEvent.MT_MESSAGE_READ,
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
