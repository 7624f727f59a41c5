"""The officers of an organisation by its record, and the documents that they can sign."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samdrift.administration.officers import MAX_DECISION, NAMESPACE, Officers, document
from samdrift.config.errors import Unusable
from samdrift.contracts.principals import Role
from samdrift.installation.logturns import LogPlace
from samdrift.rights.enrolment import WAITING_TIME
from samdrift.rights.record import Record
from samdrift.vault.logtree import OpenRefusal
from samdrift.wire.crypto.sshsig import public_line, sign
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.rights.building import BO, DAY, HABO
from tests.unit.rights.signers import founded

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in range(3)]
KNOWN = Officers(dict(zip(map(public_line, KEYS), ("person:kim", "person:alex", "person:kim"), strict=True)))
PLACE = LogPlace(ParticipantIdentifier("0203:habo.se"), Role.MESSAGE_SERVICE)
REFUSAL = OpenRefusal("witness.example/1+abc+def", "ahead", 7, 9, datetime(2026, 5, 3, tzinfo=UTC))


def test_who_has_no_key_of_openssh_cannot_sign_and_is_an_officer_all_the_same() -> None:
    """Anna has a passkey: neither do custodians decide in her place, nor is Bo enough."""
    house = founded()
    known = Officers.of(house.record, house.now + WAITING_TIME)
    assert known is not None
    assert set(known.names.values()) == {str(BO)}
    with pytest.raises(Unusable, match="two officers sign with OpenSSH keys"):
        known.agreed(b"{}", [])


def test_there_are_no_officers_before_one_has_a_key() -> None:
    assert Officers.of(Record(HABO), DAY) is None


def test_one_person_with_two_keys_is_one_person(tmp_path: Path) -> None:
    text = document(PLACE, "samdrift.log/0", REFUSAL, "restored")
    files = []
    for number, key in enumerate(KEYS):
        files.append(tmp_path / str(number))
        files[-1].write_text(sign(key, text, NAMESPACE))
    with pytest.raises(Unusable, match="two different officers"):
        KNOWN.agreed(text, [files[0], files[2]])
    first, second, proof = KNOWN.agreed(text, [files[2], files[1]])
    assert (first, second) == ("person:kim", "person:alex")
    assert proof["document"].encode() == text


def test_the_document_fits_in_one_fact_of_the_log_whole() -> None:
    longest = document(PLACE, "samdrift.log/" + "0" * 32, REFUSAL, "x" * MAX_DECISION)
    assert len(longest.decode()) < 1000
    with pytest.raises(Unusable, match="at most 300"):
        document(PLACE, "samdrift.log/0", REFUSAL, "x" * (MAX_DECISION + 1))


def test_what_is_no_signature_is_named(tmp_path: Path) -> None:
    for name, content in (("a", b""), ("b", b"\xff"), ("c", b"-----BEGIN SSH SIGNATURE-----\n!\n-----END")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Unusable, match=name):
            KNOWN.agreed(b"{}", [tmp_path / name])
    with pytest.raises(Unusable, match="cannot be read"):
        KNOWN.agreed(b"{}", [tmp_path / "missing"])
