"""The subset of XML Encryption that the envelope profile uses, on cryptography's AES and RSA-OAEP.

docs/decisions/0001-xml-security-core.md explains why no library is used in production.

Payloads are encrypted for one recipient (envelope-profile-xhe 3.4), and every failure to decrypt raises the
same error (3.4.1). AES-CBC does not protect integrity: an attacker who could distinguish a padding error, or
a payload that is not well-formed, from another failure could read messages of other senders. A valid
signature does not prevent that, since every member of the federation can sign a captured ciphertext with a
key of its own. Two measures prevent it:

- decryption has two steps, so that the caller can make sure in between that the session key opens no second
  envelope (:func:`unwrap`, then :meth:`LockedPayload.decrypt`);
- if the session key cannot be unwrapped, or must not be used, a random one takes its place, and all further
  steps are performed as usual.

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
"""Bytes of an AES block, and of the initialisation vector of AES-CBC."""

_PIECE = 1 << 20
_GCM_NONCE = 12
_GCM_TAG = 16
_MAX_WRAPPED = 4
"""Maximum number of wrapped session keys to try: each costs an operation with the private key."""

RSA_OAEP_MGF1P: Final = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
"""The profile's key transport; its mask function always uses SHA-1."""

RSA_OAEP: Final = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
"""The key transport of XML Encryption 1.1, which names its mask function; also accepted."""

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
"""Type of a plaintext that is an XML element (envelope-profile-xhe 3.4.4.1 a)."""


def xenc(local: str) -> str:
    """Return the expanded name of an XML Encryption element."""
    return name(Namespace.XENC, local)


_CIPHER_VALUE = f"{xenc('CipherData')}/{xenc('CipherValue')}"


@dataclass(frozen=True, slots=True)
class ContentCipher:
    """A cipher for payloads, identified by its name in ``EncryptionMethod``; ``key_size`` is in bytes."""

    algorithm: str
    key_size: int
    authenticated: bool


AES256_CBC = ContentCipher("http://www.w3.org/2001/04/xmlenc#aes256-cbc", 32, False)
"""The cipher that the profile prescribes and that we use (envelope-profile-xhe 3.4.4.3 a)."""

ACCEPTED = {
    cipher.algorithm: cipher
    for cipher in (
        AES256_CBC,
        ContentCipher("http://www.w3.org/2009/xmlenc11#aes256-gcm", 32, True),
        ContentCipher("http://www.w3.org/2009/xmlenc11#aes128-gcm", 16, True),
    )
}
"""Ciphers accepted for decryption: the profile's, and the authenticated ones that it anticipates (3.4.1)."""


@dataclass(frozen=True, slots=True)
class Encrypted:
    """``EncryptedData`` in canonical form, read in pieces so that a large ciphertext is never held whole."""

    before: bytes
    ciphertext: Iterator[bytes]
    """Base64, generated as it is read; it can be read only once."""
    after: bytes


def encrypt_element(plain: bytes | memoryview, recipient: x509.Certificate, *, rng: Random) -> Encrypted:
    """Encrypt an XML element for the holder of the certificate.

    Uses AES-256-CBC with a new session key, RSA-OAEP (SHA-1) for that key, and the certificate in
    ``KeyInfo``. Raises :class:`WireError` (``ALGORITHM``) for a key that is not RSA.

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
    """Return the markup of envelope-profile-xhe 3.4.2; like DIGG's example, it implies SHA-1 for OAEP."""
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
    """An encrypted payload with the session key that will decrypt it; created by :func:`unwrap`."""

    session_key: bytes = field(repr=False)
    genuine: bool = field(repr=False)
    """False if ``session_key`` is a random one in place of the sender's."""
    recipient: x509.Certificate | None
    """Certificate of the key that unwrapped the session key, or else of the first one that was tried."""
    _cipher: ContentCipher
    _ciphertext: str | memoryview = field(repr=False)

    def denied(self, rng: Random) -> LockedPayload:
        """Return the payload with a random session key in place of one that must not be used."""
        return replace(self, session_key=rng(self._cipher.key_size), genuine=False)

    def decrypt(self) -> Decrypted:
        """Decrypt with the session key, genuine or not; raise :func:`failed` for a malformed ciphertext."""
        try:
            pieces = base64text.decode_pieces(self._ciphertext)
            decrypted = decrypt(self._cipher, self.session_key, pieces)
        except WireError:
            raise failed() from None
        return replace(decrypted, sound=decrypted.sound and self.genuine)


def cipher_value(encrypted: Element) -> Element:
    """Return the ``CipherValue`` that belongs to this ``EncryptedData`` or ``EncryptedKey``."""
    return _only(encrypted, _CIPHER_VALUE)


def unwrap(
    encrypted: Element, keys: Sequence[DecryptionKey], ciphertext: str | memoryview | None, rng: Random
) -> LockedPayload:
    """Unwrap the session key of ``EncryptedData``; only ``genuine`` reveals whether that succeeded.

    ``ciphertext`` is the base64 text of the payload if it is not in the tree
    (:mod:`samdrift.wire.crypto.longtext`). Raises :func:`failed` for malformed input, and
    :class:`OaepNotOffered`: both depend only on the sender's input and on the abilities of the recipient's
    keys.
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
    """Return the plaintext of ``EncryptedData``, or raise the one :class:`WireError` (``DECRYPTION``).

    May also raise :class:`OaepNotOffered`. Only for callers that send no response: those that do must
    record session keys, and call the two steps separately.

    Clauses: envelope-profile-xhe 3.4 sentence 3, 3.4.1 step 2.
    """
    decrypted = unwrap(encrypted, keys, ciphertext, bytes).decrypt()
    if not decrypted.sound:
        raise failed()
    return decrypted.data


def decrypt_authenticated(
    encrypted: Element, wrapped: Sequence[Element], keys: Sequence[DecryptionKey]
) -> bytes:
    """Return the plaintext of authenticated ``EncryptedData``, for callers that send a response.

    The session key is in the ``EncryptedData``, or in one of ``wrapped``, the ``EncryptedKey`` elements
    next to it. Raises :class:`WireError`: ``ALGORITHM`` for AES-CBC, where the responses would let an
    attacker find the plaintext by trial; :class:`OaepNotOffered`; ``DECRYPTION`` for everything else.
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
    """Return the session key, if a key unwraps it, and the certificate of that key.

    The keys whose certificate the sender names are tried, or all of them if it names none of theirs: a
    certificate may have been renewed meanwhile. All of these are tried even after one has succeeded, so that
    failure takes as long as success.
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
    """Return the certificate that the sender used, if it is named as the profile requires."""
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
    """Return the single decryption error, the same for every cause (envelope-profile-xhe 3.4.1)."""
    return WireError(WireFault.DECRYPTION, "cannot be decrypted")


def _encrypt_cbc(plain: bytes | memoryview, key: bytes, iv: bytes) -> Iterator[bytes]:
    """Yield the IV and the AES-CBC ciphertext in pieces; every padding byte is the padding's length."""
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
    """The result of decryption, and whether the plaintext can be the sender's."""

    data: bytes = field(repr=False)
    sound: bool
    """False if key, padding or tag does not fit: then ``data`` is meaningless."""


def decrypt(cipher: ContentCipher, key: bytes, pieces: Iterable[bytes]) -> Decrypted:
    """Decrypt a payload; raise :func:`failed` for a ciphertext of impossible length.

    A wrong padding or tag is not an error, so that the caller performs the same steps for any plaintext. The
    input comes in pieces, so that a large ciphertext need not be held together with its plaintext.
    """
    return _decrypt_gcm(key, pieces) if cipher.authenticated else _decrypt_cbc(key, pieces)


def _decrypt_cbc(key: bytes, pieces: Iterable[bytes]) -> Decrypted:
    """Decrypt AES-CBC; only the last padding byte matters, because senders fill the rest freely (5.2)."""
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
    """Decrypt AES-GCM; return no plaintext if the tag does not fit."""
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
    """Return the variant that an ``EncryptionMethod`` names; ``None`` if it is not accepted.

    Digest and mask function default to SHA-1. A label (``OAEPparams``) is not accepted, because the keys of
    this project do not support it.
    """
    named = {str(part.tag): part.get("Algorithm", "") for part in children(method)}
    digest = named.pop(ds("DigestMethod"), SHA1)
    mask = named.pop(_MGF, MGF1_SHA1) if method.get("Algorithm") == RSA_OAEP else MGF1_SHA1
    if named or method.get("Algorithm") not in (RSA_OAEP, RSA_OAEP_MGF1P):
        return None
    return _BY_DIGEST_AND_MASK.get((digest, mask))
