"""``samdrift envelope verify`` on the signed example, and on envelopes of a small authority."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.wire.envelope import seal
from tests import pki
from tests.official import DIGG, requires_digg
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.cli.unusable import make_unusable
from tests.unit.wire.envelope.samples import HEADER, PAYLOAD, RECIPIENT, ROOT, SENDER, STRANGER, sealed

EXAMPLE = DIGG / "examples" / "XHE-tm-base-ext-sigenc.xml"
WHEN = "2026-03-02T12:00:00Z"


@pytest.fixture
def envelope(tmp_path: Path) -> Path:
    file = tmp_path / "envelope.xml"
    file.write_bytes(sealed())
    return file


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    folder = tmp_path / "trust"
    folder.mkdir()
    (folder / "README.txt").write_text("not a certificate, and not read")
    return folder


def put(
    folder: Path, name: str, *certified: pki.Certified | pki.Authority, form: Encoding = Encoding.PEM
) -> None:
    (folder / name).write_bytes(b"".join(each.certificate.public_bytes(form) for each in certified))


def verify(*arguments: str | Path) -> Ended:
    return in_process("envelope", "verify", "--json", *arguments)


@requires_digg
def test_the_signed_example_verifies_and_names_its_signer() -> None:
    ended = verify(EXAMPLE)
    document = ended.document
    assert (ended.status, ended.complaints) == (0, "")
    assert document["signer"] == "CN=SendOrg2,O=Sender Organisation AB,C=SE"
    assert {key: document[key] for key in ("valid", "chain", "from", "to", "id")} == {
        "valid": True,
        "chain": "not-checked",
        "from": "0203:myndigheta.org",
        "to": "0203:myndighetb.org",
        "id": "862693f7-53d4-4d96-b35c-470055710092",
    }


@requires_digg
def test_a_changed_example_does_not_verify(tmp_path: Path) -> None:
    changed = tmp_path / "changed.xml"
    changed.write_bytes(EXAMPLE.read_bytes().replace(b"myndighetA.org", b"myndighetC.org"))
    ended = verify(changed)
    assert (ended.status, ended.document["valid"]) == (1, False)
    assert ended.document["reason"]
    assert "does not hold" in in_process("envelope", "verify", changed).output


@requires_digg
def test_an_envelope_without_signature_does_not_verify() -> None:
    ended = verify(DIGG / "examples" / "XHE-tm-base.xml")
    assert (ended.status, ended.document["valid"], ended.document["signer"]) == (1, False, None)


@requires_digg
def test_the_example_is_not_trusted_by_the_federations_issuers() -> None:
    ended = verify(EXAMPLE, "--trust", DIGG / "certificates" / "production" / "o2o")
    assert (ended.status, ended.document["valid"], ended.document["chain"]) == (1, True, "untrusted")


@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
def test_a_signer_under_a_given_root_is_trusted(envelope: Path, trust: Path, form: Encoding) -> None:
    put(trust, "root.cer", ROOT, form=form)
    ended = verify(envelope, "--trust", trust, "--at", WHEN)
    assert (ended.status, ended.document["chain"], ended.document["id"]) == (0, "trusted", HEADER.id)
    assert ended.document["at"] == "2026-03-02T12:00:00+00:00"


@pytest.mark.parametrize(
    ("at", "reason"), [("2024-01-01", "not-yet-valid"), ("2028-01-01T01:00:00+01:00", "expired")]
)
def test_the_time_decides(envelope: Path, trust: Path, at: str, reason: str) -> None:
    put(trust, "root.pem", ROOT)
    ended = verify(envelope, "--trust", trust, "--at", at)
    assert (ended.status, ended.document["valid"]) == (1, True)
    assert (ended.document["chain"], ended.document["chain_reason"]) == ("untrusted", reason)


def test_a_signer_under_another_root_is_not_trusted(envelope: Path, trust: Path) -> None:
    put(trust, "root.pem", pki.root("Another", 5))
    ended = verify(envelope, "--trust", trust, "--at", WHEN)
    assert (ended.status, ended.document["chain_reason"]) == (1, "unknown-issuer")


def test_a_root_of_the_same_name_with_another_key_is_not_trusted(envelope: Path, trust: Path) -> None:
    put(trust, "root.pem", pki.root("Organisationer", 6))
    assert verify(envelope, "--trust", trust, "--at", WHEN).status == 1


def test_an_issuer_is_trusted_with_its_root_or_alone(tmp_path: Path, trust: Path) -> None:
    root = pki.root("Top", 5)
    issuer = root.subordinate("Below", 6)
    signer = issuer.issue("habo.se", private_key=pki.key(2))
    file = tmp_path / "envelope.xml"
    file.write_bytes(sealed_by(signer))
    put(trust, "issuer.crt", issuer)
    assert verify(file, "--trust", trust, "--at", WHEN).document["chain"] == "trusted"
    put(trust, "issuer.crt", issuer, root)
    assert verify(file, "--trust", trust, "--at", WHEN).document["chain"] == "trusted"
    put(trust, "issuer.crt", root)
    assert verify(file, "--trust", trust, "--at", WHEN).document["chain"] == "untrusted"


def sealed_by(signer: pki.Certified) -> bytes:
    return seal(HEADER, PAYLOAD, signer=signer.signing_key(), recipient=RECIPIENT.certificate, rng=os.urandom)


def test_the_signers_own_certificate_can_be_trusted(envelope: Path, trust: Path) -> None:
    put(trust, "stranger.pem", STRANGER)
    assert verify(envelope, "--trust", trust, "--at", WHEN).document["chain"] == "untrusted"
    put(trust, "sender.pem", SENDER)
    assert verify(envelope, "--trust", trust, "--at", WHEN).document["chain"] == "trusted"
    assert verify(envelope, "--trust", trust, "--at", "2030-01-01").document["chain_reason"] == "expired"


def test_text_tells_what_json_tells(envelope: Path, trust: Path) -> None:
    put(trust, "root.pem", ROOT)
    ended = in_process("envelope", "verify", envelope, "--trust", trust, "--at", WHEN)
    told = f"{HEADER.id} 0203:habo.se 0203:arbetsformedlingen.se holds CN=habo.se CN=Organisationer trusted"
    assert ended.output.startswith(f"{envelope}: verified\n")
    assert all(word in ended.output for word in told.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--trust", "/nowhere"], "/nowhere: no such file or directory"),
        (["--at", "2026-01-01"], "needs --trust"),
        (["--trust", ".", "--at", "yesterday"], "a time is written like"),
    ],
)
def test_wrong_options_are_told_in_one_line(envelope: Path, arguments: list[str], told: str) -> None:
    ended = verify(envelope, *arguments)
    assert (ended.status, ended.output, ended.complaints.count("\n")) == (2, "", 1)
    assert told in ended.complaints


def test_a_trust_folder_that_cannot_be_used_is_told_in_one_line(envelope: Path, trust: Path) -> None:
    ended = verify(envelope, "--trust", trust)
    assert (ended.status, ended.complaints.count("\n")) == (2, 1)
    assert "holds no certificates" in ended.complaints
    (trust / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    ended = verify(envelope, "--trust", trust)
    assert (ended.status, ended.complaints.count("\n")) == (2, 1)
    assert "broken.pem: no certificate can be read" in ended.complaints
    assert verify(envelope, "--trust", envelope).status == 2


@pytest.mark.parametrize("case", ["no-such-file", "not-xml", "unknown-root", "entity-bomb"])
def test_an_unusable_file_is_told_in_one_line(tmp_path: Path, case: str) -> None:
    path, words = make_unusable(tmp_path)[case]
    ended = verify(path)
    assert (ended.status, ended.output, ended.complaints.count("\n")) == (2, "", 1)
    assert words in ended.complaints


@requires_digg
def test_another_kind_of_document_is_told_in_one_line() -> None:
    ended = verify(DIGG / "examples" / "messageWithAttachments3.xml")
    assert (ended.status, ended.output, ended.complaints.count("\n")) == (2, "", 1)
    assert "is not an envelope but sdk-message" in ended.complaints


def test_a_name_in_a_certificate_cannot_overwrite_the_verdict(tmp_path: Path) -> None:
    """A member signs with a certificate with a name that moves the cursor up and writes "verified" there."""
    hostile = "Habo kommun\x1b[5A\r\x1b[2Kenvelope.xml: verified\u202e\x9b5B"
    signer = ROOT.issue(pki.name(hostile), private_key=pki.key(5))
    file = tmp_path / "envelope.xml"
    file.write_bytes(
        seal(HEADER, PAYLOAD, signer=signer.signing_key(), recipient=RECIPIENT.certificate, rng=os.urandom)
    )
    ended = in_process("envelope", "verify", file)
    assert "Habo kommun" in ended.output
    assert {each for each in ended.output if not each.isprintable()} == {"\n"}
    document = verify(file)
    assert {each for each in document.output if not each.isprintable()} == {"\n"}
