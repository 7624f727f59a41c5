"""``samdrift as4 inspect`` over captures, as an operator would: status, JSON document, text."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509 import load_pem_x509_certificates

from samdrift.wire.as4 import EbmsError, EbmsErrorCode, PackedMessage, build_error, pack
from tests.captures import (
    DOMIBUS_ERROR,
    DOMIBUS_MESSAGES,
    DOMIBUS_RECEIPT_CUT_OFF,
    HOLODECK_RECEIPTS,
    requires_captures,
)
from tests.secretfiles import secret_file
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.cli.test_keys import certified, keys
from tests.unit.cli.unusable import make_unusable
from tests.unit.config.test_reader import GOOD, write
from tests.unit.wire.as4.parties import NOW, message, packed, receiver, sender, stranger
from tests.unit.wire.as4.parties import PAYLOAD as NOT_AN_ENVELOPE
from tests.unit.wire.envelope.samples import HEADER, sealed
from tests.vaults import settings_in

KEYS = {"file", "kind", "signature", "reason", "unchecked", "signer", "ids", "errors", "further"}
"""Members of the JSON document that scripts may rely on; it has others."""


def inspect(*arguments: str | Path) -> Ended:
    return in_process("as4", "inspect", *arguments)


def written(folder: Path, sent: PackedMessage, body: bytes | None = None) -> Path:
    file = folder / "message.mime"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {sent.content_type}\r\n\r\n"
    file.write_bytes(head.encode() + (sent.body if body is None else body))
    return file


def key_file(folder: Path, passphrase: bytes | None = None) -> Path:
    file = folder / "key.pem"
    how = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    file.write_bytes(receiver().private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
    return file


def test_a_message_is_partial_without_the_key_and_valid_with_it(tmp_path: Path) -> None:
    file = written(tmp_path, packed(sealed(), created=None))
    without = in_process("as4", "inspect", file, "--json")
    assert (without.status, without.complaints) == (0, "")
    assert without.document.keys() >= KEYS
    assert (without.document["kind"], without.document["signature"]) == ("user-message", "partial")
    assert without.document["unchecked"] == ["cid:message"]
    opened = inspect(file, "--json", "--key", key_file(tmp_path))
    assert (opened.status, opened.complaints) == (0, "")
    assert (opened.document["signature"], opened.document["unchecked"]) == ("valid", [])
    assert opened.document["signer"] == "CN=AP0001-SDK-TEST"
    assert opened.document["ids"] == {
        "message_id": "m-1@ap.example",
        "ref_to_message_id": None,
        "conversation_id": "conversation-1",
    }
    (payload,) = opened.document["payloads"]
    assert payload["envelope"]["id"] == HEADER.id


def test_nothing_of_a_payload_but_its_size_digest_and_envelope_is_shown(tmp_path: Path) -> None:
    file = written(tmp_path, packed(created=None))
    for arguments in ((), ("--json",)):
        ended = inspect(file, "--key", key_file(tmp_path), *arguments)
        assert ended.status == 0
        assert NOT_AN_ENVELOPE[30:60].decode() not in ended.output
    assert "not an envelope of the profile" in inspect(file, "--key", key_file(tmp_path)).output


def test_a_changed_message_is_invalid_and_names_no_signer(tmp_path: Path) -> None:
    sent = packed(created=None)
    file = written(tmp_path, sent, sent.body.replace(b"0203:receiver.example", b"0203:stranger.example"))
    ended = inspect(file, "--json")
    assert (ended.status, ended.document["signature"], ended.document["signer"]) == (1, "invalid", None)
    assert inspect(file).status == 1


def test_another_key_or_none_that_can_be_read_is_unusable(tmp_path: Path) -> None:
    file = written(tmp_path, packed(created=None))
    other = tmp_path / "other.pem"
    other.write_bytes(stranger().private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    cases = {
        "encrypted for another key": other,
        "is not an RSA private key in PEM": key_file(tmp_path, b"secret"),
        "no such file": tmp_path / "missing.pem",
    }
    for words, key in cases.items():
        ended = inspect(file, "--key", key)
        assert (ended.status, ended.output) == (2, "")
        assert words in ended.complaints


def test_an_unsigned_error_is_not_valid_and_is_shown(tmp_path: Path) -> None:
    error = EbmsError.of(EbmsErrorCode.OTHER, "NOT_SERVICED", "m-1@ap.example")
    file = tmp_path / "error.xml"
    file.write_bytes(build_error(error, message_id="e-1@ap.example", now=NOW, signer=None).body)
    ended = inspect(file, "--json")
    assert (ended.status, ended.document["kind"], ended.document["signature"]) == (1, "error", "absent")
    (shown,) = ended.document["errors"]
    assert (shown["code"], shown["detail"]) == ("EBMS:0004", "NOT_SERVICED")
    assert "EBMS:0004 NOT_SERVICED" in inspect(file).output


def test_a_signature_that_only_names_its_certificate_is_verified_with_it(tmp_path: Path) -> None:
    sent = packed(created=None)
    certificate = tmp_path / "signer.pem"
    certificate.write_bytes(sender().certificate.public_bytes(Encoding.PEM))
    ended = inspect(written(tmp_path, sent), "--signer", certificate, "--json")
    assert (ended.status, ended.document["signature"]) == (0, "partial")


def test_with_the_configuration_the_access_points_own_key_opens_the_attachment(tmp_path: Path) -> None:
    secret_file(tmp_path / "passphrase", "open sesame")
    settings_in(tmp_path)
    config = write(tmp_path, GOOD)
    own = certified(keys(config, "request", "access-point"), config)
    keys(config, "install", "access-point", own)
    certificate, _ = load_pem_x509_certificates(own.read_bytes())
    sent = pack(message(), sealed(), signer=sender().signing_key(), recipient=certificate, rng=os.urandom)
    ended = inspect(written(tmp_path, sent), "--config", config, "--json")
    assert (ended.status, ended.document["signature"]) == (0, "valid")
    other = inspect(written(tmp_path, packed(created=None)), "--config", config)
    assert (other.status, other.output) == (2, "")


CONTROLS = "\u202e\u2066\u200f\x85\x9b"


def test_nothing_that_a_peer_writes_reaches_a_terminal_raw(tmp_path: Path) -> None:
    """Direction marks and C1 controls could display a verdict other than the one that was reached."""
    header = replace(
        message(),
        conversation_id=f"c{CONTROLS}c",
        action=f"a{CONTROLS}\n  signature valid",
    )
    error = EbmsError.of(EbmsErrorCode.OTHER, f"detail{CONTROLS}", "m-1@ap.example")
    signal = tmp_path / "error.xml"
    signal.write_bytes(build_error(error, message_id=f"e{CONTROLS}e", now=NOW, signer=None).body)
    for file in (written(tmp_path, packed(header=header, created=None)), signal):
        for arguments in ((), ("--json",)):
            ended = inspect(file, *arguments)
            assert all(line.isprintable() for line in ended.output.split("\n"))
    (shown,) = inspect(signal, "--json").document["errors"]
    assert shown["detail"] == f"detail{CONTROLS}".strip()


def test_a_file_that_cannot_be_used_is_one_line_and_status_2(tmp_path: Path) -> None:
    for name, (path, _) in make_unusable(tmp_path).items():
        ended = inspect(path, "--json")
        assert (name, ended.status, ended.output, ended.complaints.count("\n")) == (name, 2, "", 1)
        assert ended.complaints[:-1].isprintable()


@requires_captures
def test_captures_of_others_end_with_the_status_of_their_signature() -> None:
    expected = {
        DOMIBUS_ERROR: (1, "error", "absent"),
        HOLODECK_RECEIPTS: (0, "receipt", "valid"),
        **dict.fromkeys(DOMIBUS_MESSAGES, (0, "user-message", "partial")),
    }
    for file, (status, kind, signature) in expected.items():
        ended = inspect(file, "--json")
        assert (ended.status, ended.document["kind"], ended.document["signature"]) == (
            status,
            kind,
            signature,
        )
    assert len(inspect(HOLODECK_RECEIPTS, "--json").document["further"]) == 2
    ended = inspect(DOMIBUS_RECEIPT_CUT_OFF)
    assert (ended.status, ended.output) == (2, "")
    assert "not well-formed" in ended.complaints
