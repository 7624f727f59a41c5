"""Signing and unwrapping in a token, and certificate requests, against SoftHSM."""

from __future__ import annotations

import os
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pkcs11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import NameOID

from samdrift.keystore.hsm import objects
from samdrift.keystore.hsm.module import Module, Token
from samdrift.keystore.hsm.store import HsmDecryptionKey, certificate_request
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.wire.crypto.keys import Oaep
from samdrift.wire.errors import WireError, WireFault
from tests import pki
from tests.softhsm import SoftHsm, requires_softhsm
from tests.unit.keystore.hsm.test_module import make_key

SESSION_KEY = bytes(range(32))
CERTIFICATE = pki.root("any", 1).certificate


@pytest.fixture(scope="module")
def token(hsm: SoftHsm) -> Token:
    return hsm.token()


@pytest.fixture(scope="module")
def made(token: Token) -> objects.MadeKey:
    return make_key(token, "v1", KeyName.ENCRYPTION)


@pytest.fixture
def key(token: Token, made: objects.MadeKey) -> HsmDecryptionKey:
    return HsmDecryptionKey(token, made.key_id, CERTIFICATE)


def wrapped(made: objects.MadeKey, oaep: Oaep = Oaep.SHA1) -> bytes:
    return made.public.encrypt(SESSION_KEY, oaep.padding)


@requires_softhsm
def test_envelope_profile_xhe_3_4_4_2_the_session_key_is_unwrapped_in_the_token(
    key: HsmDecryptionKey, made: objects.MadeKey
) -> None:
    assert key.unwrap(wrapped(made), Oaep.SHA1) == SESSION_KEY


@requires_softhsm
@pytest.mark.parametrize("oaep", [Oaep.SHA256, Oaep.SHA256_MGF1_SHA1])
def test_a_digest_that_the_token_does_not_offer_is_told_as_such(
    key: HsmDecryptionKey, made: objects.MadeKey, oaep: Oaep
) -> None:
    with pytest.raises(WireError) as raised:
        key.unwrap(wrapped(made, oaep), oaep)
    assert raised.value.fault is WireFault.ALGORITHM


@requires_softhsm
@pytest.mark.parametrize(
    "ciphertext",
    [b"", b"short", bytes(256), b"\xff" * 256, os.urandom(256), os.urandom(257)],
    ids=["empty", "short", "zero", "too large", "random", "long"],
)
def test_what_does_not_open_is_the_messages_fault_and_not_the_tokens(
    key: HsmDecryptionKey, made: objects.MadeKey, ciphertext: bytes
) -> None:
    with pytest.raises(WireError) as raised:
        key.unwrap(ciphertext, Oaep.SHA1)
    assert (raised.value.fault, raised.value.text) == (WireFault.DECRYPTION, "cannot be decrypted")
    assert key.unwrap(wrapped(made), Oaep.SHA1) == SESSION_KEY


@requires_softhsm
def test_bare_padding_is_not_taken_for_another(key: HsmDecryptionKey, made: objects.MadeKey) -> None:
    with pytest.raises(WireError):
        key.unwrap(made.public.encrypt(SESSION_KEY, padding.PKCS1v15()), Oaep.SHA1)


class FailingKey:
    """A key whose token fails every request."""

    def decrypt(self, *_: object, **__: object) -> bytes:
        raise pkcs11.GeneralError

    def __getitem__(self, _: object) -> bytes:
        raise pkcs11.DeviceError


def test_what_a_failing_token_does_not_open_is_not_the_messages_fault() -> None:
    """Otherwise a message that arrived while the token was out of order would be given up."""

    class Failing(Token):
        def _logged_in(self, library: Any) -> Any:
            return SimpleNamespace(private_key=lambda key_id: FailingKey())

    token = Failing(Module(lambda: SimpleNamespace(reinitialize=lambda: None)), "any", cast(Any, None))
    with pytest.raises(KeyStoreError) as raised:
        HsmDecryptionKey(token, b"id", CERTIFICATE).unwrap(bytes(256), Oaep.SHA1)
    assert raised.value.fault is KeyFault.UNAVAILABLE


@requires_softhsm
@pytest.mark.parametrize("name", [KeyName.SIGNING, KeyName.ENCRYPTION])
def test_the_request_for_a_certificate_is_signed_in_the_token(token: Token, name: KeyName) -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Håbo kommun"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Håbo kommun"),
        ]
    )
    made = objects.make_key(token, "v1", name, 2048, partial(certificate_request, subject))
    request = x509.load_pem_x509_csr(made.request)
    assert request.is_signature_valid
    assert request.subject.public_bytes() == subject.public_bytes()
    assert request.public_key() == made.public
    assert list(request.extensions) == []
