"""Other organisations' signatures in evidence hold without their envelopes, for us and for OpenSSL."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files as files_in
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.audit.entries import LogEntry
from samdrift.evidence import grounds, signatures
from samdrift.evidence.findings import Finding
from samdrift.messageservice.events import MTEvent
from samdrift.wire import envelope
from samdrift.wire.verdicts import SignedPart
from tests.pki import NOW
from tests.programs import requires
from tests.unit.wire.envelope.samples import RECIPIENT, SENDER, sealed

Files = dict[str, bytes]
DER = SENDER.certificate.public_bytes(Encoding.DER)
ENVELOPE = sealed()
SIGNED = envelope.verify(ENVELOPE).signed
JUDGED = {grounds.certificate_file(sha256(DER).hexdigest()): DER}


def files_of(signed: SignedPart) -> Files:
    """Return the folder as an export writes it."""
    kept = {sha256(each).hexdigest(): each for each in (signed.info, signed.value)}
    return {file: kept[digest] for digest, file in signatures.files(signed.facts).items()}


def found(signed: SignedPart, files: Files | None = None, judged: Files | None = None) -> list[Finding]:
    facts = signed.facts | {"certificate": sha256(DER).hexdigest()}
    event = MTEvent.MT_MESSAGE_RETRIEVED
    entry = LogEntry(7, NOW, event, "worker:test", "receive", facts, bytes(32), bytes(32))
    files = files_of(signed) if files is None else files
    return list(signatures.findings({"log/mt.jsonl": [entry]}, files, JUDGED if judged is None else judged))


def test_a_signature_holds_without_the_envelope_and_names_its_digest() -> None:
    assert SIGNED is not None
    (finding,) = found(SIGNED)
    assert finding.holds
    assert re.search(r"has signed an envelope whose canonical form has SHA-256 [0-9a-f]{64}$", finding.why)


def test_an_envelope_whose_signature_does_not_hold_has_none() -> None:
    broken = ENVELOPE.replace(b"<ds:SignatureValue>", b"<ds:SignatureValue>AAAA", 1)
    assert broken != ENVELOPE
    assert envelope.verify(broken).signed is None


CHANGED: dict[str, Callable[[Files], Files]] = {
    "nothing": lambda files: {},
    "another part": lambda files: {
        name: data + b" " if name.endswith(".xml") else data for name, data in files.items()
    },
    "no signature": lambda files: {name: data for name, data in files.items() if name.endswith(".xml")},
    "another signature": lambda files: {
        name: bytes(384) if name.endswith(".sig") else data for name, data in files.items()
    },
}


@pytest.mark.parametrize("change", CHANGED)
def test_what_was_left_out_or_changed_is_found(change: str) -> None:
    assert SIGNED is not None
    (finding,) = found(SIGNED, CHANGED[change](files_of(SIGNED)))
    assert (finding.holds, "is not the one that the entry names" in finding.why) == (False, True)


def test_a_signature_by_another_key_does_not_hold() -> None:
    """The signer's key decides, even where the log itself names the signature."""
    assert SIGNED is not None
    forged = SignedPart(SIGNED.info, RECIPIENT.private_key.sign(SIGNED.info, PKCS1v15(), SHA256()))
    (finding,) = found(forged)
    assert (finding.holds, finding.why.startswith("is not of the key of")) == (False, True)


def test_a_certificate_that_is_not_there_or_another_one_is_found() -> None:
    assert SIGNED is not None
    other = RECIPIENT.certificate.public_bytes(Encoding.DER)
    for judged in ({}, dict.fromkeys(JUDGED, other), dict.fromkeys(JUDGED, b"none")):
        assert not found(SIGNED, judged=judged)[0].holds


def test_what_is_signed_is_a_whole_envelope() -> None:
    """A part of an envelope, or anything else signed with the same key, proves nothing about an envelope."""
    assert SIGNED is not None
    for info in (
        SIGNED.info.replace(b'URI=""', b'URI="#part"'),
        b"<SignedInfo/>",
        b"evidence.json",
        SIGNED.info.replace(b"SignedInfo", b"Another"),
    ):
        assert info != SIGNED.info
        signed = SignedPart(info, SENDER.private_key.sign(info, PKCS1v15(), SHA256()))
        assert found(signed)[0].why == "what is signed is not part of a signature on an envelope"


def test_what_no_entry_names_is_found() -> None:
    assert SIGNED is not None
    files = files_of(SIGNED) | {"signatures/extra.sig": b""}
    assert [finding.what for finding in found(SIGNED, files) if not finding.holds] == ["signatures/extra.sig"]


@requires("openssl", "openssl")
def test_openssl_comes_to_the_same_with_the_commands_of_the_instructions(tmp_path: Path) -> None:
    assert SIGNED is not None
    for name, data in (JUDGED | files_of(SIGNED)).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    facts = SIGNED.facts
    names = {
        "CERTIFICATE": sha256(DER).hexdigest(),
        "SIGNED": facts["signed_info"],
        "SIGNATURE": facts["signature_value"],
    }
    said = ""
    for command in instructions():
        for name, value in names.items():
            command = re.sub(rf"\b{name}\b", value, command)
        command = command.replace("/tmp/", f"{tmp_path}/")
        said += subprocess.run(
            command, shell=True, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    assert said == "Verified OK\n"


def instructions() -> list[str]:
    """Return the commands of the instructions about signatures."""
    readme = (files_in("samdrift.evidence") / "readme.txt").read_text()
    section = readme.partition("\n7. ")[2].partition("\n8. ")[0]
    return [line.strip() for line in section.splitlines() if line.startswith("   openssl ")]
