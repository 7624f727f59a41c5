"""The block ciphers of XML Encryption over whole payloads: AES-CBC and AES-GCM (xmlenc-core1 5.2)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from samdrift.wire.errors import WireError, WireFault

_BLOCK = 16
_PIECE = 1 << 20
_GCM_NONCE = 12
_GCM_TAG = 16


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


def failed() -> WireError:
    """The one error of decryption, the same whatever went wrong (envelope-profile-xhe 3.4.1)."""
    return WireError(WireFault.DECRYPTION, "cannot be decrypted")


def encrypt_cbc(plain: bytes | memoryview, key: bytes, iv: bytes) -> Iterator[bytes]:
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

    A padding or tag that does not fit is no error: who judges the plaintext goes through
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
    """Nothing of a plaintext whose tag does not fit is handed on."""
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
