"""Envelopes that Apache Santuario signs, verifies, encrypts and decrypts (envelope-profile-xhe 3.4, 3.5).

Java programs use Santuario to protect XML, including the plugins of Domibus.
"""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from samdrift.wire.crypto.xmldsig import Canonicalization
from samdrift.wire.crypto.xmlenc import RSA_OAEP, RSA_OAEP_MGF1P
from samdrift.wire.envelope import EnvelopeVerdict, seal, verify
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Namespace
from tests.interop.java.program import JavaProgram
from tests.unit.wire.envelope.samples import (
    HEADER,
    PAYLOAD,
    RECIPIENT,
    SENDER,
    STRANGER,
    decryption_key,
    sealed,
)

_SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
_SHA256 = f"{Namespace.XENC}sha256"
_MGF1_SHA256 = f"{Namespace.XENC11}mgf1sha256"
_CIPHERS = (f"{Namespace.XENC}aes256-cbc", f"{Namespace.XENC11}aes256-gcm", f"{Namespace.XENC11}aes128-gcm")
_TRANSPORTS = (
    (RSA_OAEP_MGF1P, None, None),
    (RSA_OAEP_MGF1P, _SHA1, None),
    (RSA_OAEP_MGF1P, _SHA256, None),
    (RSA_OAEP, _SHA256, _MGF1_SHA256),
)
_PAYLOADS = (
    PAYLOAD,
    f'<m:messagePayload xmlns:m="{Namespace.SDK_MESSAGE}" xml:lang="sv" m:a="&lt;&#10;"><!-- c --><x/>'
    f"<m:text>{'å' * 50_000}</m:text></m:messagePayload>".encode(),
)
_CIPHERTEXT = (
    f".//{{{Namespace.XENC}}}EncryptedData/{{{Namespace.XENC}}}CipherData/{{{Namespace.XENC}}}CipherValue"
)


@pytest.fixture(scope="module")
def santuario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaProgram]:
    program = JavaProgram("santuario.Peer", "Apache Santuario", tmp_path_factory.mktemp("santuario"))
    yield program
    program.close()


def _sealed(payload: bytes, *, encrypted: bool = True) -> bytes:
    recipient = RECIPIENT.certificate if encrypted else None
    return seal(HEADER, payload, signer=SENDER.signing_key(), recipient=recipient, rng=os.urandom)


def _canonical(payload: bytes) -> bytes:
    return etree.tostring(etree.fromstring(payload), method="c14n", exclusive=True, with_comments=False)


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("payload", _PAYLOADS, ids=["short", "long"])
def test_it_verifies_our_envelope(santuario: JavaProgram, payload: bytes, encrypted: bool) -> None:
    """Clauses: envelope-profile-xhe 3.5 sentence 1."""
    answer = santuario.call("verify", document=_sealed(payload, encrypted=encrypted))
    assert (answer["valid"], answer["references"], answer["uri"]) == (True, 1, "")
    assert base64.b64decode(answer["certificate"]) == SENDER.certificate.public_bytes(Encoding.DER)


def test_it_finds_our_envelope_changed(santuario: JavaProgram) -> None:
    changed = sealed().replace(b">socialtjansten<", b">socialtjanst<")
    assert santuario.call("verify", document=changed)["valid"] is False


@pytest.mark.parametrize("payload", _PAYLOADS, ids=["short", "long"])
def test_it_decrypts_our_payload(santuario: JavaProgram, payload: bytes) -> None:
    """Clauses: envelope-profile-xhe 3.4.4.2 a."""
    answer = santuario.call("decrypt", document=_sealed(payload), key=RECIPIENT.private_key)
    assert base64.b64decode(answer["payload"]) == _canonical(payload)


def test_it_decrypts_our_payload_with_no_other_key(santuario: JavaProgram) -> None:
    assert "refused" in santuario.call("decrypt", document=sealed(), key=STRANGER.private_key)


def _made(santuario: JavaProgram, call: str, document: bytes, **how: Any) -> bytes:
    answer = santuario.call(call, document=document, **how)
    assert "refused" not in answer, answer
    return base64.b64decode(answer["document"])


def _signed(santuario: JavaProgram, document: bytes, **how: Any) -> bytes:
    asked = {"canonicalization": Canonicalization.INCLUSIVE.value, "as_transform": False} | how
    return _made(
        santuario,
        "sign",
        document,
        key=SENDER.private_key,
        certificate=SENDER.certificate,
        **asked,
    )


def _encrypted(santuario: JavaProgram, payload: bytes, cipher: str, transport: tuple[Any, ...]) -> bytes:
    algorithm, digest, mask = transport
    plain = seal(replace(HEADER, encrypted=False), payload, signer=None, recipient=None, rng=os.urandom)
    marked = plain.replace(b"InstanceEncryptionIndicator>false", b"InstanceEncryptionIndicator>true")
    return _made(
        santuario,
        "encrypt",
        marked,
        recipient=RECIPIENT.certificate,
        algorithm=cipher,
        transport=algorithm,
        digest=digest,
        mask=mask,
    )


def _opened(verdict: EnvelopeVerdict) -> bytes:
    assert verdict.envelope is not None, verdict.reason
    assert verdict.signer == SENDER.certificate
    return verdict.envelope.payload([decryption_key()])


@pytest.mark.parametrize("as_transform", [True, False])
@pytest.mark.parametrize("method", Canonicalization)
@pytest.mark.parametrize("encrypted", [True, False])
def test_we_verify_what_it_signs(
    santuario: JavaProgram, method: Canonicalization, as_transform: bool, encrypted: bool
) -> None:
    """Clauses: envelope-profile-xhe 3.5 sentence 1."""
    how = {"canonicalization": method.value, "as_transform": as_transform}
    document = _signed(santuario, sealed(signed=False, encrypted=encrypted), **how)
    assert _canonical(_opened(verify(document))) == _canonical(PAYLOAD)
    changed = document.replace(b">socialtjansten<", b">socialtjanst<")
    assert changed != document
    assert verify(changed).envelope is None


@pytest.mark.parametrize(("cipher", "transport"), list(itertools.product(_CIPHERS, _TRANSPORTS)))
@pytest.mark.parametrize("payload", _PAYLOADS, ids=["short", "long"])
def test_we_decrypt_what_it_encrypts(
    santuario: JavaProgram, payload: bytes, cipher: str, transport: tuple[Any, ...]
) -> None:
    """The profile's ciphers and those that a peer may choose instead; payloads are encrypted, then signed."""
    document = _signed(santuario, _encrypted(santuario, payload, cipher, transport))
    opened = _opened(verify(document))
    assert _canonical(opened) == _canonical(payload)


def test_we_find_its_ciphertext_changed(santuario: JavaProgram) -> None:
    """A bit of the ciphertext is changed before it is signed, so that only decryption can detect it."""
    root = etree.fromstring(_encrypted(santuario, PAYLOAD, _CIPHERS[1], _TRANSPORTS[0]))
    value = root.find(_CIPHERTEXT)
    assert value is not None
    ciphertext = bytearray(base64.b64decode(value.text or ""))
    ciphertext[20] ^= 1
    value.text = base64.b64encode(ciphertext).decode()
    verdict = verify(_signed(santuario, etree.tostring(root)))
    with pytest.raises(WireError) as caught:
        _opened(verdict)
    assert caught.value.fault is WireFault.DECRYPTION
