"""Assertions of WebAuthn: a library for servers comes to the same answer about each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webauthn import verify_authentication_response
from webauthn.helpers import bytes_to_base64url, encode_cbor
from webauthn.helpers.exceptions import WebAuthnException

from samdrift.rights import Subject
from samdrift.wire.webauthn import Assertion, AssertionFault, WebAuthnKey, decoded, encoded
from tests.unit.rights.signers import SITE, Authenticator

KIM = Subject.parse("person:kim")
CHALLENGE = hashlib.sha256(b"statement").digest()


def cose(key: Authenticator) -> bytes:
    numbers = key.private.public_key().public_numbers()
    return bytes(encode_cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}))


def library_agrees(key: Authenticator, shown: Assertion) -> bool:
    """Return whether the library accepts an assertion for the site."""
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
            credential_public_key=cose(key),
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
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    shown = Authenticator(KIM, 1, counter=3).asserted(CHALLENGE)
    signed = private.sign(shown.authenticator_data + hashlib.sha256(shown.client_data).digest())
    shown = replace(shown, signature=signed)
    assert shown.check(WebAuthnKey.read(der), CHALLENGE, SITE) == 3


def test_another_kind_of_key_is_refused() -> None:
    der = ec.generate_private_key(ec.SECP384R1()).public_key()
    for data in (der.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), b"", b"x"):
        with pytest.raises(ValueError, match=r".+"):
            WebAuthnKey.read(data)


@pytest.mark.parametrize("text", ["=", "a===", "aa=", "å", "a", "ab"])
def test_bytes_are_written_in_one_way(text: str) -> None:
    if text == "ab":
        text = "aB"  # The last bits of the group say nothing, and have to be zero.
    with pytest.raises(ValueError, match=r".+"):
        decoded(text)
    assert decoded(encoded(b"abc")) == b"abc"
