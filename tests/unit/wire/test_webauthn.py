"""Assertions of WebAuthn: a server library reaches the same verdict on each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webauthn import verify_authentication_response
from webauthn.helpers import bytes_to_base64url, encode_cbor
from webauthn.helpers.exceptions import WebAuthnException

from samdrift.rights import Subject
from samdrift.wire.webauthn import Assertion, AssertionFault, Public, WebAuthnKey, decoded, encoded
from tests.throwawaykeys import rsa_key
from tests.unit.rights.signers import SITE, Authenticator

KIM = Subject.parse("person:kim")
CHALLENGE = hashlib.sha256(b"statement").digest()


def info(key: Public) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def cose(key: Authenticator) -> bytes:
    numbers = key.private.public_key().public_numbers()
    return bytes(encode_cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}))


def library_agrees(key: Authenticator, shown: Assertion) -> bool:
    """Return whether the library accepts an assertion for the site."""
    return library_accepts(cose(key), shown)


def library_accepts(public: bytes, shown: Assertion) -> bool:
    """Return whether the library accepts an assertion by a key in COSE format."""
    credential = {
        "id": "a2ltMQ",
        "rawId": "a2ltMQ",
        "type": "public-key",
        "response": {
            "authenticatorData": bytes_to_base64url(shown.authenticator_data),
            "clientDataJSON": bytes_to_base64url(shown.client_data),
            "signature": bytes_to_base64url(shown.signature),
        },
    }
    try:
        verify_authentication_response(
            credential=credential,
            expected_challenge=CHALLENGE,
            expected_rp_id=SITE,
            expected_origin=f"https://{SITE}",
            credential_public_key=public,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except WebAuthnException:
        return False
    return True


def test_an_assertion_holds_and_shows_its_counter() -> None:
    key = Authenticator(KIM, 1, counter=7)
    shown = key.asserted(CHALLENGE)
    assert shown.check(key.key.webauthn(), CHALLENGE, SITE) == 7
    assert library_agrees(key, shown)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"origin": "https://habo.se"}, AssertionFault.ORIGIN),
        ({"origin": f"http://{SITE}"}, AssertionFault.ORIGIN),
        ({"origin": f"https://{SITE}.evil.se"}, AssertionFault.ORIGIN),
        ({"origin": f"https://{SITE}:x"}, AssertionFault.ORIGIN),
        ({"site": "habo.se"}, AssertionFault.SITE),
        ({"flags": 0}, AssertionFault.NOT_PRESENT),
        ({"flags": 4}, AssertionFault.NOT_PRESENT),
        ({"flags": 1}, AssertionFault.NOT_VERIFIED),
        ({"kind": "webauthn.create"}, AssertionFault.MALFORMED),
    ],
    ids=str,
)
def test_an_assertion_with_something_else_in_it_is_refused(
    change: dict[str, object], fault: AssertionFault
) -> None:
    key = replace(Authenticator(KIM, 1, counter=1), **change)  # type: ignore[arg-type]
    shown = key.asserted(CHALLENGE)
    assert shown.check(key.key.webauthn(), CHALLENGE, SITE) is fault
    assert not library_agrees(key, shown)


def test_a_challenge_that_was_not_shown_is_refused() -> None:
    key = Authenticator(KIM, 1, counter=1)
    shown = key.asserted(hashlib.sha256(b"another").digest())
    assert shown.check(key.key.webauthn(), CHALLENGE, SITE) is AssertionFault.CHALLENGE
    assert not library_agrees(key, shown)


@pytest.mark.parametrize("part", ["authenticator_data", "client_data", "signature"])
def test_no_byte_of_an_assertion_can_be_another(part: str) -> None:
    key = Authenticator(KIM, 1, counter=1)
    shown = key.asserted(CHALLENGE)
    value = getattr(shown, part)
    for place in range(len(value)):
        changed = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        assert isinstance(
            replace(shown, **{part: changed}).check(key.key.webauthn(), CHALLENGE, SITE), AssertionFault
        )


def test_an_assertion_of_another_key_is_refused() -> None:
    shown = Authenticator(KIM, 2, counter=1).asserted(CHALLENGE)
    key = Authenticator(KIM, 1).key.webauthn()
    assert shown.check(key, CHALLENGE, SITE) is AssertionFault.SIGNATURE


@pytest.mark.parametrize(
    "client",
    [b"", b"[]", b"{", b"\xff", b'{"type":"webauthn.get","type":"webauthn.get"}', b"[" * 4000, b" " * 5000],
)
def test_what_is_no_client_data_is_refused(client: bytes) -> None:
    key = Authenticator(KIM, 1)
    shown = replace(key.asserted(CHALLENGE), client_data=client)
    assert shown.check(key.key.webauthn(), CHALLENGE, SITE) is AssertionFault.MALFORMED


def test_an_assertion_within_another_site_is_refused() -> None:
    key = Authenticator(KIM, 1)
    client = json.loads(key.asserted(CHALLENGE).client_data) | {"crossOrigin": True}
    shown = replace(key.asserted(CHALLENGE), client_data=json.dumps(client).encode())
    assert shown.check(key.key.webauthn(), CHALLENGE, SITE) is AssertionFault.ORIGIN


@pytest.mark.parametrize("data", [b"", b"x" * 36])
def test_authenticator_data_that_ends_early_is_refused(data: bytes) -> None:
    key = Authenticator(KIM, 1)
    shown = replace(key.asserted(CHALLENGE), authenticator_data=data)
    assert shown.check(key.key.webauthn(), CHALLENGE, SITE) is AssertionFault.MALFORMED


def test_a_key_of_ed25519_holds_too() -> None:
    private = Ed25519PrivateKey.from_private_bytes(b"e" * 32)
    der = info(private.public_key())
    shown = Authenticator(KIM, 1, counter=3).asserted(CHALLENGE)
    signed = private.sign(shown.authenticator_data + hashlib.sha256(shown.client_data).digest())
    shown = replace(shown, signature=signed)
    assert shown.check(WebAuthnKey.read(der), CHALLENGE, SITE) == 3


def test_a_key_of_rsa_as_windows_hello_makes_them_holds_too_and_a_library_agrees() -> None:
    private = rsa_key()
    shown = Authenticator(KIM, 1, counter=3).asserted(CHALLENGE)
    signed = shown.authenticator_data + hashlib.sha256(shown.client_data).digest()
    shown = replace(shown, signature=private.sign(signed, PKCS1v15(), SHA256()))
    assert shown.check(WebAuthnKey.read(info(private.public_key())), CHALLENGE, SITE) == 3
    numbers = private.public_key().public_numbers()
    modulus = numbers.n.to_bytes(256)
    public = bytes(encode_cbor({1: 3, 3: -257, -1: modulus, -2: numbers.e.to_bytes(3)}))
    assert library_accepts(public, shown)


@pytest.mark.parametrize("signing", ["pss", "sha1", "sha512", "another key"])
def test_a_signature_by_rsa_of_another_form_is_refused(signing: str) -> None:
    private, other = rsa_key(), rsa_key()
    shown = Authenticator(KIM, 1, counter=3).asserted(CHALLENGE)
    signed = shown.authenticator_data + hashlib.sha256(shown.client_data).digest()
    made = {
        "pss": lambda: private.sign(signed, PSS(MGF1(SHA256()), 32), SHA256()),
        "sha1": lambda: private.sign(signed, PKCS1v15(), SHA1()),
        "sha512": lambda: private.sign(signed, PKCS1v15(), SHA512()),
        "another key": lambda: other.sign(signed, PKCS1v15(), SHA256()),
    }[signing]()
    shown = replace(shown, signature=made)
    key = WebAuthnKey.read(info(private.public_key()))
    assert shown.check(key, CHALLENGE, SITE) is AssertionFault.SIGNATURE


def test_a_key_of_rsa_that_is_short_huge_or_has_a_small_exponent_is_refused() -> None:
    private = rsa_key()
    modulus, short = private.public_key().public_numbers().n, private.private_numbers().p
    for n, e in ((short, 65537), (modulus, 3), (modulus**3, 65537)):
        with pytest.raises(ValueError, match="ES256, EdDSA or RS256"):
            WebAuthnKey.read(info(RSAPublicNumbers(e, n).public_key()))


def test_another_kind_of_key_is_refused() -> None:
    der = ec.generate_private_key(ec.SECP384R1()).public_key()
    for data in (info(der), b"", b"x"):
        with pytest.raises(ValueError, match=r".+"):
            WebAuthnKey.read(data)


@pytest.mark.parametrize("text", ["=", "a===", "aa=", "å", "a", "ab"])
def test_bytes_are_written_in_one_way(text: str) -> None:
    if text == "ab":
        text = "aB"  # The unused bits of the last group have to be zero.
    with pytest.raises(ValueError, match=r".+"):
        decoded(text)
    assert decoded(encoded(b"abc")) == b"abc"
