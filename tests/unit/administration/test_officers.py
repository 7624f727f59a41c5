"""The file of an organisation's officers, and the documents that they can sign."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samdrift.administration.officers import MAX_DECISION, NAMESPACE, Officers, document
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.installation.logturns import LogPlace
from samdrift.vault.logtree import OpenRefusal
from samdrift.wire.crypto.sshsig import public_line, sign
from samdrift.wire.identifiers import ParticipantIdentifier

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in range(3)]
KIM, ALEX = (f"{name} {public_line(key)}" for name, key in zip(("kim", "alex"), KEYS, strict=False))
PLACE = LogPlace(ParticipantIdentifier("0203:habo.se"), Role.MESSAGE_SERVICE)
REFUSAL = OpenRefusal("witness.example/1+abc+def", "ahead", 7, 9, datetime(2026, 5, 3, tzinfo=UTC))


def written(folder: Path, *lines: str) -> Path:
    file = folder / "officers"
    file.write_text("\n".join(lines))
    return file


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ((), "two officers"),
        ((KIM,), "two officers"),
        ((KIM, KIM), "two officers"),
        ((KIM, f"kim {public_line(KEYS[1])}"), "two officers"),
        ((KIM, "alex ssh-rsa AAAA"), "line 2: must be a name and an ssh-ed25519 key"),
        ((KIM, f"* {public_line(KEYS[1])}"), "line 2"),
        ((KIM, f"alex cert-authority {public_line(KEYS[1])}"), "line 2"),
        ((KIM, f'alex namespaces="git" {public_line(KEYS[1])}'), "line 2"),
        ((KIM, "alex"), "line 2"),
    ],
)
def test_a_file_that_does_not_name_two_people_is_refused(
    tmp_path: Path, lines: tuple[str, ...], fault: str
) -> None:
    with pytest.raises(Unusable, match=fault):
        Officers.read(written(tmp_path, *lines))


def test_one_person_with_two_keys_is_one_person(tmp_path: Path) -> None:
    known = Officers.read(written(tmp_path, KIM, ALEX, f"kim {public_line(KEYS[2])}"))
    text = document(PLACE, "samdrift.log/0", REFUSAL, "restored")
    files = []
    for number, key in enumerate(KEYS):
        files.append(tmp_path / str(number))
        files[-1].write_text(sign(key, text, NAMESPACE))
    with pytest.raises(Unusable, match="two different officers"):
        known.agreed(text, [files[0], files[2]])
    first, second, proof = known.agreed(text, [files[2], files[1]])
    assert (first, second) == ("kim", "alex")
    assert proof["document"].encode() == text


def test_the_document_fits_in_one_fact_of_the_log_whole() -> None:
    longest = document(PLACE, "samdrift.log/" + "0" * 32, REFUSAL, "x" * MAX_DECISION)
    assert len(longest.decode()) < 1000
    with pytest.raises(Unusable, match="at most 300"):
        document(PLACE, "samdrift.log/0", REFUSAL, "x" * (MAX_DECISION + 1))


def test_what_is_no_signature_is_named(tmp_path: Path) -> None:
    known = Officers.read(written(tmp_path, KIM, ALEX))
    for name, content in (("a", b""), ("b", b"\xff"), ("c", b"-----BEGIN SSH SIGNATURE-----\n!\n-----END")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Unusable, match=name):
            known.agreed(b"{}", [tmp_path / name])
    with pytest.raises(Unusable, match="cannot be read"):
        known.agreed(b"{}", [tmp_path / "missing"])
