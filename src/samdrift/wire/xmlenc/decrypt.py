"""Decrypts ``EncryptedData`` with one error for whatever goes wrong (envelope-profile-xhe 3.4.1).

AES-CBC has no integrity of its own: a sender who could tell a padding error
from another could read what others sent. Two things prevent it, and both are
needed: callers decrypt only what stands under a valid signature (invariant 6),
and nothing here tells failures apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from samdrift.wire import base64text
from samdrift.wire.errors import WireError
from samdrift.wire.keys import DecryptionKey, OaepNotOffered
from samdrift.wire.xml import Element, Namespace, name, text
from samdrift.wire.xmldsig import ds, read_certificate
from samdrift.wire.xmlenc.ciphers import ACCEPTED, decrypt, failed
from samdrift.wire.xmlenc.keytransport import read_oaep


def xenc(local: str) -> str:
    """The expanded name of an element of XML Encryption."""
    return name(Namespace.XENC, local)


_CIPHER_VALUE = f"{xenc('CipherData')}/{xenc('CipherValue')}"


def cipher_value(encrypted: Element) -> Element:
    """The ``CipherValue`` of ``EncryptedData`` or ``EncryptedKey``, the one that belongs to it."""
    return _only(encrypted, _CIPHER_VALUE)


def decrypt_element(
    encrypted: Element, keys: Sequence[DecryptionKey], ciphertext: str | memoryview | None = None
) -> bytes:
    """The plaintext of ``EncryptedData``, or the one :class:`WireError` (``DECRYPTION``).

    Or :class:`OaepNotOffered`, which tells nothing but what the sender wrote and the
    recipient's key can do.

    ``ciphertext`` is the base64 text of the payload when it is not in the tree
    (:mod:`samdrift.wire.longtext`). The key whose certificate the sender names is
    tried first, then the others: a certificate may have been renewed meanwhile.

    Clauses: envelope-profile-xhe 3.4 sentence 3, 3.4.1 step 2.
    """
    try:
        cipher = ACCEPTED.get(_algorithm(encrypted))
        if cipher is None:
            raise failed()
        session_key = _session_key(_only(encrypted, f"{ds('KeyInfo')}/{xenc('EncryptedKey')}"), keys)
        encoded = text(cipher_value(encrypted)) if ciphertext is None else ciphertext
        return decrypt(cipher, session_key, base64text.decode_pieces(encoded))
    except OaepNotOffered:
        raise
    except WireError:
        raise failed() from None


def _session_key(encrypted_key: Element, keys: Sequence[DecryptionKey]) -> bytes:
    oaep = read_oaep(_only(encrypted_key, xenc("EncryptionMethod")))
    if oaep is None:
        raise failed()
    wrapped = base64text.decode(text(cipher_value(encrypted_key)))
    why = failed()
    for key in _likely_first(keys, encrypted_key):
        try:
            return key.unwrap(wrapped, oaep)
        except OaepNotOffered as error:
            why = error
        except WireError:
            continue
    raise why


def _likely_first(keys: Sequence[DecryptionKey], encrypted_key: Element) -> Sequence[DecryptionKey]:
    if len(keys) < 2:
        return keys
    named = _named_certificate(encrypted_key)
    return sorted(keys, key=lambda key: key.certificate != named)


def _named_certificate(encrypted_key: Element) -> x509.Certificate | None:
    """The certificate that the sender used, where it is named as the profile wants it."""
    key_info = encrypted_key.find(ds("KeyInfo"))
    try:
        return None if key_info is None else read_certificate(key_info)
    except WireError:
        return None


def _algorithm(encrypted: Element) -> str:
    return _only(encrypted, xenc("EncryptionMethod")).get("Algorithm", "")


def _only(element: Element, path: str) -> Element:
    found = element.findall(path)
    if len(found) != 1:
        raise failed()
    return found[0]
