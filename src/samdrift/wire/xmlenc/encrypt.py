"""Encrypts a payload for one recipient (envelope-profile-xhe 3.4).

Missing: envelope-profile-xhe 3.4.4.1 b: every document type of the federation is XML.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree

from samdrift.wire import base64text
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.keys import Oaep, Random
from samdrift.wire.xml import Element, Namespace, name
from samdrift.wire.xmldsig import append_certificate, ds
from samdrift.wire.xmlenc.ciphers import AES256_CBC, encrypt_cbc
from samdrift.wire.xmlenc.keytransport import RSA_OAEP_MGF1P

ELEMENT: Final = "http://www.w3.org/2001/04/xmlenc#Element"
"""Says that the plaintext is an XML element (envelope-profile-xhe 3.4.4.1 a)."""

_IV_SIZE = 16


def xenc(local: str) -> str:
    """The expanded name of an element of XML Encryption."""
    return name(Namespace.XENC, local)


def encrypt_element(plain: bytes, recipient: x509.Certificate, *, rng: Random) -> tuple[Element, bytes]:
    """``EncryptedData`` for the holder of the certificate, and the payload's ciphertext in base64.

    Apart from each other, with the payload's ``CipherValue`` left empty: a large
    ciphertext should not go into a tree (:mod:`samdrift.wire.longtext`). AES-256-CBC under a
    new session key, that key under RSA-OAEP (SHA-1), the certificate in
    ``KeyInfo``. :class:`WireError` (``ALGORITHM``) for a key that is not RSA.
    """
    public_key = recipient.public_key()
    if not isinstance(public_key, RSAPublicKey):
        raise WireError(WireFault.ALGORITHM, "the recipient's key is not RSA", "certificate")
    session_key = rng(AES256_CBC.key_size)
    wrapped = public_key.encrypt(session_key, Oaep.SHA1.padding)
    ciphertext = base64text.encode(encrypt_cbc(plain, session_key, rng(_IV_SIZE)))
    return _encrypted_data(wrapped, recipient), ciphertext


def _encrypted_data(wrapped: bytes, recipient: x509.Certificate) -> Element:
    """The structure of envelope-profile-xhe 3.4.2; no ``DigestMethod`` means SHA-1, as in DIGG's example."""
    data = etree.Element(
        xenc("EncryptedData"), nsmap={"xenc": Namespace.XENC, "ds": Namespace.DSIG}, Type=ELEMENT
    )
    etree.SubElement(data, xenc("EncryptionMethod"), Algorithm=AES256_CBC.algorithm)
    key_info = etree.SubElement(data, ds("KeyInfo"))
    encrypted_key = etree.SubElement(key_info, xenc("EncryptedKey"))
    etree.SubElement(encrypted_key, xenc("EncryptionMethod"), Algorithm=RSA_OAEP_MGF1P)
    append_certificate(encrypted_key, recipient)
    _cipher_value(encrypted_key).text = base64text.encode(wrapped).decode("ascii")
    _cipher_value(data)
    return data


def _cipher_value(parent: Element) -> Element:
    return etree.SubElement(etree.SubElement(parent, xenc("CipherData")), xenc("CipherValue"))
