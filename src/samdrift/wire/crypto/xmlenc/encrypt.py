"""Encrypts a payload for one recipient (envelope-profile-xhe 3.4).

Missing: envelope-profile-xhe 3.4.4.1 b: every document type of the federation is XML.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from samdrift.wire.crypto.certificates import to_base64
from samdrift.wire.crypto.keys import Oaep, Random
from samdrift.wire.crypto.xmlenc.ciphers import AES256_CBC, encrypt_cbc
from samdrift.wire.crypto.xmlenc.decrypt import RSA_OAEP_MGF1P
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import base64text
from samdrift.wire.xml.writer import XMLNS_DS, XMLNS_XENC

ELEMENT: Final = "http://www.w3.org/2001/04/xmlenc#Element"
"""Says that the plaintext is an XML element (envelope-profile-xhe 3.4.4.1 a)."""

_IV_SIZE = 16


@dataclass(frozen=True, slots=True)
class Encrypted:
    """``EncryptedData`` in canonical form, to be written somewhere: a large ciphertext is never whole."""

    before: bytes
    ciphertext: Iterator[bytes]
    """Base64, made while it is taken, once."""
    after: bytes


def encrypt_element(plain: bytes | memoryview, recipient: x509.Certificate, *, rng: Random) -> Encrypted:
    """Encrypt an XML element for the holder of the certificate.

    AES-256-CBC under a new session key, that key under RSA-OAEP (SHA-1), the
    certificate in ``KeyInfo``. :class:`WireError` (``ALGORITHM``) for a key that
    is not RSA.

    Clauses: envelope-profile-xhe 3.4 sentence 1, 3.4.4.1 a, 3.4.4.2 a, 3.4.4.3 a, 3.4.4.4 a.
    """
    public_key = recipient.public_key()
    if not isinstance(public_key, RSAPublicKey):
        raise WireError(WireFault.ALGORITHM, "the recipient's key is not RSA", "certificate")
    session_key = rng(AES256_CBC.key_size)
    wrapped = public_key.encrypt(session_key, Oaep.SHA1.padding)
    ciphertext = base64text.encode_pieces(encrypt_cbc(plain, session_key, rng(_IV_SIZE)))
    before, after = _around_ciphertext(base64text.encode(wrapped).decode("ascii"), to_base64(recipient))
    return Encrypted(before.encode(), ciphertext, after.encode())


def _around_ciphertext(wrapped: str, certificate: str) -> tuple[str, str]:
    """The structure of envelope-profile-xhe 3.4.2; no ``DigestMethod`` means SHA-1, as in DIGG's example."""
    before = (
        f'<xenc:EncryptedData {XMLNS_DS} {XMLNS_XENC} Type="{ELEMENT}">'
        f'<xenc:EncryptionMethod Algorithm="{AES256_CBC.algorithm}"></xenc:EncryptionMethod>'
        "<ds:KeyInfo>"
        "<xenc:EncryptedKey>"
        f'<xenc:EncryptionMethod Algorithm="{RSA_OAEP_MGF1P}"></xenc:EncryptionMethod>'
        "<ds:KeyInfo><ds:X509Data>"
        f"<ds:X509Certificate>{certificate}</ds:X509Certificate>"
        "</ds:X509Data></ds:KeyInfo>"
        f"<xenc:CipherData><xenc:CipherValue>{wrapped}</xenc:CipherValue></xenc:CipherData>"
        "</xenc:EncryptedKey>"
        "</ds:KeyInfo>"
        "<xenc:CipherData><xenc:CipherValue>"
    )
    return before, "</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
