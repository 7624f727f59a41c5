"""Encrypted payloads: the form sent, the forms accepted, and the single error (envelope-profile-xhe 3.4)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from samdrift.wire.crypto.keys import DecryptionKey, Oaep, OaepNotOffered
from samdrift.wire.crypto.xmlenc import (
    ACCEPTED,
    ELEMENT,
    RSA_OAEP,
    RSA_OAEP_MGF1P,
    cipher_value,
    decrypt_element,
    encrypt_element,
)
from samdrift.wire.crypto.xmlenc import decrypt as decrypt_content
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Namespace, base64text
from tests import pki
from tests.official import DIGG, requires_digg
from tests.unit.wire.envelope.samples import RECIPIENT, STRANGER, decryption_key, one

KEY = decryption_key()
PLAIN = b"<payload>secret</payload>"
CBC_256 = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


def encrypted(plain: bytes = PLAIN) -> etree._Element:
    """Return an element encrypted in the form that we send, with its ciphertext in place."""
    made = encrypt_element(plain, RECIPIENT.certificate, rng=os.urandom)
    return etree.fromstring(
        made.before + b"".join(made.ciphertext) + made.after, etree.XMLParser(huge_tree=True)
    )


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000, 1 << 21])
def test_what_is_encrypted_is_decrypted(size: int) -> None:
    """Clauses: envelope-profile-xhe 3.4 sentence 3."""
    plain = os.urandom(size)
    assert decrypt_element(encrypted(plain), [KEY]) == plain


def test_the_ciphertext_may_be_kept_apart() -> None:
    made = encrypt_element(PLAIN, RECIPIENT.certificate, rng=os.urandom)
    element = etree.fromstring(made.before + b"elsewhere" + made.after)
    assert decrypt_element(element, [KEY], memoryview(b"".join(made.ciphertext))) == PLAIN


def test_it_is_written_in_canonical_form() -> None:
    made = encrypt_element(PLAIN, RECIPIENT.certificate, rng=os.urandom)
    data = made.before + b"".join(made.ciphertext) + made.after
    assert etree.tostring(etree.fromstring(data), method="c14n") == data


def test_nothing_is_random_but_the_given_randomness() -> None:
    """Only the padding of the key transport uses the library's own randomness."""
    numbers = iter([b"k" * 32, b"i" * 16])
    made = encrypt_element(PLAIN, RECIPIENT.certificate, rng=lambda size: next(numbers))
    encryptor = Cipher(AES(b"k" * 32), CBC(b"i" * 16)).encryptor()
    padded = PLAIN + bytes([16 - len(PLAIN) % 16]) * (16 - len(PLAIN) % 16)
    assert base64text.decode(b"".join(made.ciphertext).decode()) == b"i" * 16 + encryptor.update(padded)


def structure(element: etree._Element) -> list[tuple[str, ...]]:
    return [
        (etree.QName(each).localname, *sorted(str(value) for value in each.attrib.values()))
        for each in element.iter("*")
    ]


def test_the_form_is_that_of_the_profile() -> None:
    """envelope-profile-xhe 3.4.2, 3.4.4.

    Clauses: envelope-profile-xhe 3.4 sentence 1, 3.4.4.1 a, 3.4.4.2 a, 3.4.4.3 a, 3.4.4.4 a.
    """
    assert structure(encrypted()) == [
        ("EncryptedData", ELEMENT),
        ("EncryptionMethod", CBC_256),
        ("KeyInfo",),
        ("EncryptedKey",),
        ("EncryptionMethod", RSA_OAEP_MGF1P),
        ("KeyInfo",),
        ("X509Data",),
        ("X509Certificate",),
        ("CipherData",),
        ("CipherValue",),
        ("CipherData",),
        ("CipherValue",),
    ]


@requires_digg
def test_the_form_is_that_of_diggs_example() -> None:
    example = etree.parse(DIGG / "examples/XHE-tm-base-ext-sigenc.xml").getroot()
    assert structure(one(example, "//xenc:EncryptedData")) == structure(encrypted())


@dataclass(frozen=True)
class Peer:
    """Encryption as in other products; the fields set are deviations from ours."""

    algorithm: str = CBC_256
    transport: str = RSA_OAEP_MGF1P
    inside_transport: str = ""
    oaep: Oaep = Oaep.SHA1
    key_size: int = 32
    padding: bytes | None = field(default=None, repr=False)
    certificate: x509.Certificate | None = field(default_factory=lambda: RECIPIENT.certificate)

    def encrypted(self) -> etree._Element:
        session_key = os.urandom(self.key_size)
        element = encrypted()
        one(element, "xenc:EncryptionMethod").set("Algorithm", self.algorithm)
        wrapped = RECIPIENT.private_key.public_key().encrypt(session_key, self.oaep.padding)
        encrypted_key = one(element, "//xenc:EncryptedKey")
        cipher_value(encrypted_key).text = base64text.encode(wrapped).decode()
        cipher_value(element).text = base64text.encode(self._encipher(session_key)).decode()
        method = etree.fromstring(
            f'<EncryptionMethod xmlns="{Namespace.XENC}" xmlns:d="{Namespace.DSIG}" '
            f'xmlns:e="{Namespace.XENC11}" Algorithm="{self.transport}">{self.inside_transport}'
            f"</EncryptionMethod>"
        )
        encrypted_key.replace(encrypted_key[0], method)
        if self.certificate is None:
            encrypted_key.remove(encrypted_key[1])
        return element

    def _encipher(self, key: bytes) -> bytes:
        iv = os.urandom(16)
        if self.algorithm.endswith("gcm"):
            return iv[:12] + AESGCM(key).encrypt(iv[:12], PLAIN, None)
        missing = 16 - len(PLAIN) % 16
        padding = bytes(missing - 1) + bytes([missing]) if self.padding is None else self.padding
        return iv + Cipher(AES(key), CBC(iv)).encryptor().update(PLAIN + padding)


def digest(algorithm: str) -> str:
    return f'<d:DigestMethod Algorithm="{algorithm}"/>'


def mask(local: str) -> str:
    return f'<e:MGF Algorithm="http://www.w3.org/2009/xmlenc11#{local}"/>'


@pytest.mark.parametrize(
    "peer",
    [
        Peer(),
        Peer(padding=os.urandom(16 - len(PLAIN) % 16 - 1) + bytes([16 - len(PLAIN) % 16])),
        Peer(certificate=None),
        Peer(algorithm="http://www.w3.org/2009/xmlenc11#aes256-gcm"),
        Peer(algorithm="http://www.w3.org/2009/xmlenc11#aes128-gcm", key_size=16),
        Peer(inside_transport=digest(SHA1)),
        Peer(inside_transport=digest(SHA256), oaep=Oaep.SHA256_MGF1_SHA1),
        Peer(transport=RSA_OAEP),
        Peer(transport=RSA_OAEP, inside_transport=digest(SHA256), oaep=Oaep.SHA256_MGF1_SHA1),
        Peer(
            transport=RSA_OAEP, inside_transport=digest(SHA256) + mask("mgf1sha256"), oaep=Oaep.SHA256
        ),
    ],
    ids=repr,
)  # fmt: skip
def test_other_forms_are_taken(peer: Peer) -> None:
    """3.4.1 anticipates GCM, and the text names no digest for the key transport."""
    assert decrypt_element(peer.encrypted(), [KEY]) == PLAIN


def with_text(path: str, text: str | None) -> Callable[[etree._Element], None]:
    def change(element: etree._Element) -> None:
        one(element, path).text = text

    return change


def without(path: str) -> Callable[[etree._Element], None]:
    def change(element: etree._Element) -> None:
        found = one(element, path)
        parent = found.getparent()
        assert parent is not None
        parent.remove(found)

    return change


def twice(path: str) -> Callable[[etree._Element], None]:
    def change(element: etree._Element) -> None:
        found = one(element, path)
        found.addnext(deepcopy(found))

    return change


def with_algorithm(path: str, algorithm: str) -> Callable[[etree._Element], None]:
    def change(element: etree._Element) -> None:
        one(element, path).set("Algorithm", algorithm)

    return change


def with_byte_flipped(path: str, *, from_end: int) -> Callable[[etree._Element], None]:
    def change(element: etree._Element) -> None:
        value = one(element, path)
        data = bytearray(base64text.decode(value.text or ""))
        data[-from_end] ^= 0xFF
        value.text = base64text.encode(data).decode()

    return change


KEY_VALUE = "//xenc:EncryptedKey/xenc:CipherData/xenc:CipherValue"
VALUE = "/xenc:EncryptedData/xenc:CipherData/xenc:CipherValue"

FAILURES: list[tuple[str, Callable[[etree._Element], None]]] = [
    ("wrong key length", with_text(KEY_VALUE, "QUJD")),
    ("no key", with_text(KEY_VALUE, None)),
    ("key not base64", with_text(KEY_VALUE, "?")),
    ("key changed", with_byte_flipped(KEY_VALUE, from_end=1)),
    ("padding", with_byte_flipped(VALUE, from_end=17)),
    ("half a block", with_text(VALUE, base64text.encode(bytes(40)).decode())),
    ("iv only", with_text(VALUE, base64text.encode(bytes(16)).decode())),
    ("nothing", with_text(VALUE, None)),
    ("less than an iv", with_text(VALUE, "QUJD")),
    ("not base64", with_text(VALUE, "åäö")),
    ("padding in the middle", with_text(VALUE, "QQ==" * 32)),
    ("no value", without(VALUE)),
    ("two values", twice(VALUE)),
    ("no cipher data", without("/xenc:EncryptedData/xenc:CipherData")),
    ("no method", without("/xenc:EncryptedData/xenc:EncryptionMethod")),
    ("no key info", without("/xenc:EncryptedData/ds:KeyInfo")),
    ("two keys", twice("//xenc:EncryptedKey")),
    ("no transport", without("//xenc:EncryptedKey/xenc:EncryptionMethod")),
    ("3des", with_algorithm("/*/xenc:EncryptionMethod", "http://www.w3.org/2001/04/xmlenc#tripledes-cbc")),
    ("aes128-cbc", with_algorithm("/*/xenc:EncryptionMethod", "http://www.w3.org/2001/04/xmlenc#aes128-cbc")),
    ("gcm", with_algorithm("/*/xenc:EncryptionMethod", "http://www.w3.org/2009/xmlenc11#aes256-gcm")),
    ("gcm, short key", with_algorithm("/*/xenc:EncryptionMethod", "http://www.w3.org/2009/xmlenc11#aes128-gcm")),
    ("rsa 1.5", with_algorithm("//xenc:EncryptedKey/*[1]", "http://www.w3.org/2001/04/xmlenc#rsa-1_5")),
]  # fmt: skip


def failure_of(element: etree._Element, keys: Sequence[DecryptionKey] = (KEY,)) -> WireError:
    with pytest.raises(WireError) as failed:
        decrypt_element(element, keys)
    return failed.value


@pytest.mark.parametrize(
    ("case", "change"), FAILURES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_failure_is_the_same(case: str, change: Callable[[etree._Element], None]) -> None:
    """3.4.1: the response does not reveal how far decryption got.

    Clauses: envelope-profile-xhe 3.4.1 step 2.
    """
    element = encrypted()
    change(element)
    failure = failure_of(element)
    assert (failure.fault, failure.text, failure.where) == (WireFault.DECRYPTION, "cannot be decrypted", "")
    assert failure.__cause__ is None


@pytest.mark.parametrize(
    "peer",
    [
        Peer(oaep=Oaep.SHA256),
        Peer(key_size=16),
        Peer(padding=bytes(16 - len(PLAIN) % 16)),
        Peer(padding=bytes(16 - len(PLAIN) % 16 - 1) + b"\x11"),
        Peer(inside_transport="<OAEPparams>QUJD</OAEPparams>"),
        Peer(inside_transport=digest("http://www.w3.org/2001/04/xmlenc#sha512")),
        Peer(inside_transport=mask("mgf1sha256")),
        Peer(transport=RSA_OAEP, inside_transport=digest(SHA1) + mask("mgf1sha256")),
        Peer(transport=RSA_OAEP, inside_transport=mask("mgf1sha512")),
    ],
    ids=repr,
)
def test_forms_that_are_not_taken_fail_alike(peer: Peer) -> None:
    assert str(failure_of(peer.encrypted())) == "cannot be decrypted"


def test_without_the_right_key_the_failure_is_the_same() -> None:
    assert str(failure_of(encrypted(), [])) == "cannot be decrypted"
    assert str(failure_of(encrypted(), [decryption_key(STRANGER)])) == "cannot be decrypted"


@settings(max_examples=60)
@given(
    at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 127), text=st.sampled_from([KEY_VALUE, VALUE])
)
def test_a_changed_text_decrypts_to_something_or_fails_alike(at: float, byte: int, text: str) -> None:
    """AES-CBC cannot detect every change, so only content with a valid signature is ever decrypted."""
    element = encrypted()
    value = one(element, text)
    found = value.text or ""
    position = int(at * len(found))
    replacement = chr(byte) if byte >= 32 else " "
    value.text = found[:position] + replacement + found[position + 1 :]
    assert outcome(element) in ("some bytes", "cannot be decrypted")


def outcome(element: etree._Element) -> str:
    try:
        decrypt_element(element, [KEY])
    except WireError as failure:
        return str(failure)
    return "some bytes"


class CountingKey:
    """A key that counts the attempts to use it."""

    def __init__(self, owner: pki.Certified) -> None:
        self._key = decryption_key(owner)
        self.certificate = self._key.certificate
        self.tried = 0

    def unwrap(self, wrapped: bytes, oaep: Oaep) -> bytes:
        self.tried += 1
        return self._key.unwrap(wrapped, oaep)


def test_the_key_of_the_named_certificate_is_tried_first() -> None:
    stranger, named = CountingKey(STRANGER), CountingKey(RECIPIENT)
    assert decrypt_element(encrypted(), [stranger, named]) == PLAIN
    assert (stranger.tried, named.tried) == (0, 1)


def test_another_certificate_for_the_same_key_still_decrypts() -> None:
    """The recipient has a new certificate for the same key."""
    element = encrypted()
    one(element, "//ds:X509Certificate").text = "QUJD"
    stranger, holder = CountingKey(STRANGER), CountingKey(RECIPIENT)
    assert decrypt_element(element, [stranger, holder]) == PLAIN
    assert (stranger.tried, holder.tried) == (1, 1)


class Unable:
    """A key that does not support this form, as may be the case in an HSM."""

    certificate = RECIPIENT.certificate
    remote = True

    def unwrap(self, wrapped: bytes, oaep: Oaep) -> bytes:
        raise OaepNotOffered


def test_a_key_that_does_not_do_the_form_is_told_of_when_no_other_key_opens() -> None:
    stranger = decryption_key(STRANGER)
    assert decrypt_element(encrypted(), [Unable(), KEY]) == PLAIN
    for keys in ([Unable()], [Unable(), stranger], [stranger, Unable()]):
        with pytest.raises(OaepNotOffered):
            decrypt_element(encrypted(), keys)


def test_only_rsa_keys_are_encrypted_for() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = pki.name("b.se")
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, pki.NOW, pki.NOW + pki.DAY)
    with pytest.raises(WireError) as refused:
        encrypt_element(PLAIN, builder.sign(key, hashes.SHA256()), rng=os.urandom)
    assert refused.value.fault is WireFault.ALGORITHM


@pytest.mark.parametrize("length", [0, 11, 12, 27])
@pytest.mark.parametrize("algorithm", [name for name, cipher in ACCEPTED.items() if cipher.authenticated])
def test_a_gcm_ciphertext_that_is_shorter_than_nonce_and_tag_cannot_be_decrypted(
    algorithm: str, length: int
) -> None:
    cipher = ACCEPTED[algorithm]
    with pytest.raises(WireError) as caught:
        decrypt_content(cipher, bytes(cipher.key_size), [bytes(length)])
    assert caught.value.fault is WireFault.DECRYPTION
    assert not decrypt_content(cipher, bytes(cipher.key_size), [bytes(28)]).sound
