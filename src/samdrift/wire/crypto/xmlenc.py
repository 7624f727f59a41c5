"""XML Encryption, as much of it as the envelope profile uses, on cryptography's AES and RSA-OAEP.

Why not a library in production: docs/decisions/0001-xml-security-core.md.

Payloads are encrypted for one recipient (envelope-profile-xhe 3.4), and decrypted with
one error for whatever goes wrong (3.4.1). AES-CBC has no integrity of its own: an attacker
who could tell a padding error, or a payload that is not well-formed, from another failure
could read what others sent. A valid signature does not prevent that, since every
member of the federation can sign a captured ciphertext with a key of its own. What does
prevent it:

- decryption has two steps, so that the caller can make sure in between that the
  session key opens no second envelope (:func:`unwrap`, then
  :meth:`LockedPayload.decrypt`);
- where the session key cannot be unwrapped, or must not be used, a random one takes
  its place, and everything that follows is done all the same.

Missing: envelope-profile-xhe 3.4.4.1 b: every document type of the federation is XML.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from samdrift.wire.crypto.certificates import to_base64
from samdrift.wire.crypto.keys import DecryptionKey, Oaep, OaepNotOffered, Random
from samdrift.wire.crypto.xmldsig import SHA256, ds, read_certificate
from samdrift.wire.errors import WireError, WireFault
from samdrift.wire.xml import Element, Namespace, base64text, children, name, text
from samdrift.wire.xml.writer import XMLNS_DS, XMLNS_XENC

_BLOCK = 16
"""Bytes of a block of AES, and of the initialization vector of AES-CBC."""

_PIECE = 1 << 20
_GCM_NONCE = 12
_GCM_TAG = 16
_MAX_WRAPPED = 4
"""Wrapped session keys that are tried: each costs an operation with the private key."""

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

ELEMENT: Final = "http://www.w3.org/2001/04/xmlenc#Element"
"""Says that the plaintext is an XML element (envelope-profile-xhe 3.4.4.1 a)."""


def xenc(local: str) -> str:
    """The expanded name of an element of XML Encryption."""
    return name(Namespace.XENC, local)


_CIPHER_VALUE = f"{xenc('CipherData')}/{xenc('CipherValue')}"


@dataclass(frozen=True, slots=True)
class ContentCipher:
    """A cipher for payloads by its name in ``EncryptionMethod``; ``key_size`` in bytes."""

    algorithm: str
    key_size: int
    authenticated: bool


AES256_CBC = ContentCipher("http://www.w3.org/2001/04/xmlenc#aes256-cbc", 32, False)
"""The cipher that the profile prescribes and that we send (envelope-profile-xhe 3.4.4.3 a)."""

ACCEPTED = {
    cipher.algorithm: cipher
    for cipher in (
        AES256_CBC,
        ContentCipher("http://www.w3.org/2009/xmlenc11#aes256-gcm", 32, True),
        ContentCipher("http://www.w3.org/2009/xmlenc11#aes128-gcm", 16, True),
    )
}
"""Ciphers that are decrypted: the profile's, and the authenticated ones that it anticipates (3.4.1)."""


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
    ciphertext = base64text.encode_pieces(_encrypt_cbc(plain, session_key, rng(_BLOCK)))
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


@dataclass(frozen=True, slots=True)
class LockedPayload:
    """An encrypted payload with the session key that shall decrypt it; made by :func:`unwrap`."""

    session_key: bytes = field(repr=False)
    genuine: bool = field(repr=False)
    """False when ``session_key`` is a random one in place of the sender's."""
    recipient: x509.Certificate | None
    """Certificate of the key that unwrapped the session key, or else of the first one that was tried."""
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


def decrypt_authenticated(
    encrypted: Element, wrapped: Sequence[Element], keys: Sequence[DecryptionKey]
) -> bytes:
    """The plaintext of ``EncryptedData`` whose cipher proves its integrity, for those who do answer.

    The session key is in the ``EncryptedData``, or in one of ``wrapped``, the ``EncryptedKey`` beside it.
    :class:`WireError`: ``ALGORITHM`` for AES-CBC, whose sender could be asked until it gives the plaintext
    away; :class:`OaepNotOffered`; ``DECRYPTION`` for everything else.
    """
    cipher = ACCEPTED.get(_algorithm(encrypted))
    if cipher is None or not cipher.authenticated:
        raise WireError(WireFault.ALGORITHM, "a cipher that is not accepted", "EncryptionMethod")
    ciphertext = text(cipher_value(encrypted))
    found = [*encrypted.findall(f"{ds('KeyInfo')}/{xenc('EncryptedKey')}"), *wrapped]
    for encrypted_key in found[:_MAX_WRAPPED]:
        session_key, _ = _session_key(encrypted_key, keys, cipher.key_size)
        if session_key is not None:
            decrypted = decrypt(cipher, session_key, base64text.decode_pieces(ciphertext))
            if decrypted.sound:
                return decrypted.data
    raise failed()


def _session_key(
    encrypted_key: Element, keys: Sequence[DecryptionKey], size: int
) -> tuple[bytes | None, x509.Certificate | None]:
    """The session key, if one of the keys unwraps it, and whose certificate that key has.

    The keys whose certificate the sender names are tried, or all of them where it names
    none of theirs: a certificate may have been renewed meanwhile. Each of them is tried
    whether or not one before it unwrapped, so that failure takes as long as success.
    """
    oaep = _read_oaep(_only(encrypted_key, xenc("EncryptionMethod")))
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


def failed() -> WireError:
    """The one error of decryption, the same whatever went wrong (envelope-profile-xhe 3.4.1)."""
    return WireError(WireFault.DECRYPTION, "cannot be decrypted")


def _encrypt_cbc(plain: bytes | memoryview, key: bytes, iv: bytes) -> Iterator[bytes]:
    """IV and AES-CBC ciphertext in pieces; every padding byte holds the padding's length."""
    whole = len(plain) - len(plain) % _BLOCK
    padding = _BLOCK - len(plain) % _BLOCK
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    yield iv
    for start in range(0, whole, _PIECE):
        yield encryptor.update(memoryview(plain)[start : min(start + _PIECE, whole)])
    yield encryptor.update(bytes(plain[whole:]) + bytes([padding]) * padding)
    yield encryptor.finalize()


@dataclass(frozen=True, slots=True)
class Decrypted:
    """The result of decryption, and whether the sender can have produced it."""

    data: bytes = field(repr=False)
    sound: bool
    """False when key, padding or tag do not fit: then ``data`` means nothing."""


def decrypt(cipher: ContentCipher, key: bytes, pieces: Iterable[bytes]) -> Decrypted:
    """The plaintext; :func:`failed` for a ciphertext that has no possible length.

    A padding or tag that does not fit is not an error: whoever judges the plaintext goes through
    the same steps with it. In pieces, so that a large ciphertext need not be held beside
    its plaintext.
    """
    return _decrypt_gcm(key, pieces) if cipher.authenticated else _decrypt_cbc(key, pieces)


def _decrypt_cbc(key: bytes, pieces: Iterable[bytes]) -> Decrypted:
    """Only the last byte of the padding has a meaning; senders fill the rest as they like (5.2)."""
    iv, blocks = _after_head(iter(pieces), _BLOCK)
    decryptor = Cipher(AES(key), CBC(iv)).decryptor()
    plain, last = io.BytesIO(), b""
    for block in map(decryptor.update, blocks):
        plain.write(block)
        last = block[-1:] or last
    try:
        decryptor.finalize()
    except ValueError:
        raise failed() from None
    if not last:
        raise failed()
    sound = 1 <= last[0] <= _BLOCK
    plain.truncate(plain.tell() - (last[0] if sound else 1))
    return Decrypted(plain.getvalue(), sound)


def _decrypt_gcm(key: bytes, pieces: Iterable[bytes]) -> Decrypted:
    """Hand on nothing of a plaintext whose tag does not fit."""
    data = b"".join(pieces)
    if len(data) < _GCM_NONCE + _GCM_TAG:
        raise failed()
    decryptor = Cipher(AES(key), GCM(data[:_GCM_NONCE], data[-_GCM_TAG:])).decryptor()
    plain = decryptor.update(memoryview(data)[_GCM_NONCE:-_GCM_TAG])
    try:
        return Decrypted(plain + decryptor.finalize(), True)
    except InvalidTag:
        return Decrypted(b"", False)


def _after_head(pieces: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= size:
            return head[:size], chain((head[size:],), pieces)
    raise failed()


def _read_oaep(method: Element) -> Oaep | None:
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
