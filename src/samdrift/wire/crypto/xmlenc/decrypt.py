"""Decrypts ``EncryptedData`` with one error for whatever goes wrong (envelope-profile-xhe 3.4.1).

AES-CBC has no integrity of its own: whoever could tell a padding error, or a
payload that is not well-formed, from another failure could read what others sent.
A valid signature does not prevent that, since every member of the federation can
sign a captured ciphertext with a key of its own. What does prevent it:

- decryption has two steps, so that the caller can make sure in between that the
  session key opens no second envelope (:func:`unwrap`, then
  :meth:`LockedPayload.decrypt`);
- where the session key cannot be unwrapped, or must not be used, a random one takes
  its place, and everything that follows is done all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography import x509

from samdrift.wire.crypto.keys import DecryptionKey, Oaep, OaepNotOffered, Random
from samdrift.wire.crypto.xmldsig import SHA256, ds, read_certificate
from samdrift.wire.crypto.xmlenc.ciphers import ACCEPTED, ContentCipher, Decrypted, decrypt, failed
from samdrift.wire.errors import WireError
from samdrift.wire.xml import Element, Namespace, base64text, children, name, text

RSA_OAEP_MGF1P: Final = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
"""The profile's key transport; its mask function is always with SHA-1."""

RSA_OAEP: Final = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
"""The one of XML Encryption 1.1, which names its mask function; accepted."""

SHA1: Final = "http://www.w3.org/2000/09/xmldsig#sha1"
MGF1_SHA1: Final = "http://www.w3.org/2009/xmlenc11#mgf1sha1"
MGF1_SHA256: Final = "http://www.w3.org/2009/xmlenc11#mgf1sha256"

_MGF = name(Namespace.XENC11, "MGF")
_BY_DIGEST_AND_MASK = {
    (SHA1, MGF1_SHA1): Oaep.SHA1,
    (SHA256, MGF1_SHA1): Oaep.SHA256_MGF1_SHA1,
    (SHA256, MGF1_SHA256): Oaep.SHA256,
}


def read_oaep(method: Element) -> Oaep | None:
    """The form that an ``EncryptionMethod`` names; ``None`` when it is not accepted.

    Digest and mask are with SHA-1 where nothing is said. A label
    (``OAEPparams``) is not accepted: the keys of this project know none.
    """
    named = {str(part.tag): part.get("Algorithm", "") for part in children(method)}
    digest = named.pop(ds("DigestMethod"), SHA1)
    mask = named.pop(_MGF, MGF1_SHA1) if method.get("Algorithm") == RSA_OAEP else MGF1_SHA1
    if named or method.get("Algorithm") not in (RSA_OAEP, RSA_OAEP_MGF1P):
        return None
    return _BY_DIGEST_AND_MASK.get((digest, mask))


def xenc(local: str) -> str:
    """The expanded name of an element of XML Encryption."""
    return name(Namespace.XENC, local)


_CIPHER_VALUE = f"{xenc('CipherData')}/{xenc('CipherValue')}"


@dataclass(frozen=True, slots=True)
class LockedPayload:
    """An encrypted payload with the session key that shall decrypt it; made by :func:`unwrap`."""

    session_key: bytes = field(repr=False)
    genuine: bool = field(repr=False)
    """False when ``session_key`` is a random one in place of the sender's."""
    recipient: x509.Certificate | None
    """Of the key that unwrapped the session key, or else of the first one that was tried."""
    _cipher: ContentCipher
    _ciphertext: str | memoryview = field(repr=False)

    def denied(self, rng: Random) -> LockedPayload:
        """Return the payload with a random session key in place of one that must not be used."""
        return replace(self, session_key=rng(self._cipher.key_size), genuine=False)

    def decrypt(self) -> Decrypted:
        """Decrypt with whatever session key there is; :func:`failed` for a ciphertext of no possible form."""
        try:
            pieces = base64text.decode_pieces(self._ciphertext)
            decrypted = decrypt(self._cipher, self.session_key, pieces)
        except WireError:
            raise failed() from None
        return replace(decrypted, sound=decrypted.sound and self.genuine)


def cipher_value(encrypted: Element) -> Element:
    """The ``CipherValue`` of ``EncryptedData`` or ``EncryptedKey``, the one that belongs to it."""
    return _only(encrypted, _CIPHER_VALUE)


def unwrap(
    encrypted: Element, keys: Sequence[DecryptionKey], ciphertext: str | memoryview | None, rng: Random
) -> LockedPayload:
    """Unwrap the session key of ``EncryptedData``; nothing tells whether that succeeded but ``genuine``.

    ``ciphertext`` is the base64 text of the payload when it is not in the tree
    (:mod:`samdrift.wire.crypto.longtext`). Raises :func:`failed` for what has no possible form,
    and :class:`OaepNotOffered`: both depend only on what the sender wrote and on what
    the recipient's keys can do.
    """
    try:
        cipher = ACCEPTED.get(_algorithm(encrypted))
        if cipher is None:
            raise failed()
        encoded = text(cipher_value(encrypted)) if ciphertext is None else ciphertext
        encrypted_key = _only(encrypted, f"{ds('KeyInfo')}/{xenc('EncryptedKey')}")
        session_key, recipient = _session_key(encrypted_key, keys, cipher.key_size)
    except OaepNotOffered:
        raise
    except WireError:
        raise failed() from None
    instead = rng(cipher.key_size)
    return LockedPayload(session_key or instead, session_key is not None, recipient, cipher, encoded)


def decrypt_element(
    encrypted: Element, keys: Sequence[DecryptionKey], ciphertext: str | memoryview | None = None
) -> bytes:
    """The plaintext of ``EncryptedData``, or the one :class:`WireError` (``DECRYPTION``).

    Or :class:`OaepNotOffered`. Only for those who answer nobody: who does keeps marks
    of session keys, and takes the two steps that this is made of.

    Clauses: envelope-profile-xhe 3.4 sentence 3, 3.4.1 step 2.
    """
    decrypted = unwrap(encrypted, keys, ciphertext, bytes).decrypt()
    if not decrypted.sound:
        raise failed()
    return decrypted.data


def _session_key(
    encrypted_key: Element, keys: Sequence[DecryptionKey], size: int
) -> tuple[bytes | None, x509.Certificate | None]:
    """The session key, if one of the keys unwraps it, and whose certificate that key has.

    The keys whose certificate the sender names are tried, or all of them where it names
    none of theirs: a certificate may have been renewed meanwhile. Each of them is tried
    whether or not one before it unwrapped, so that failure takes as long as success.
    """
    oaep = read_oaep(_only(encrypted_key, xenc("EncryptionMethod")))
    if oaep is None:
        raise failed()
    wrapped = base64text.decode(text(cipher_value(encrypted_key)))
    tried = _named(keys, encrypted_key)
    found: bytes | None = None
    recipient = tried[0].certificate if tried else None
    not_offered = 0
    for key in tried:
        try:
            unwrapped = key.unwrap(wrapped, oaep)
        except OaepNotOffered:
            not_offered += 1
        except WireError:
            continue
        else:
            if len(unwrapped) == size:
                found, recipient = unwrapped, key.certificate
    if tried and not_offered == len(tried):
        raise OaepNotOffered
    return found, recipient


def _named(keys: Sequence[DecryptionKey], encrypted_key: Element) -> Sequence[DecryptionKey]:
    if len(keys) < 2:
        return keys
    certificate = _named_certificate(encrypted_key)
    return [key for key in keys if key.certificate == certificate] or keys


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
