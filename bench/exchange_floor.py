"""The bare cryptography that the standards demand of one exchange."""

from __future__ import annotations

import hashlib
import os

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256

from bench.identities import Identity, new_identity
from samdrift.wire.crypto.keys import Oaep

_ENVELOPE = 15_000
_COMPRESSED = 11_000
_SMALL = 2_000


class ExchangeFloor:
    """Two AS4 transfers, one encrypted and signed envelope, one signed envelope with the receipt.

    Nine private-key operations: both envelopes signed, one opened, and for each
    transfer the message signed and opened and its receipt signed.
    """

    def __init__(self) -> None:
        self._one = new_identity("A")
        self._other = new_identity("B")
        self._envelope = os.urandom(_ENVELOPE)
        self._compressed = os.urandom(_COMPRESSED)
        self._small = os.urandom(_SMALL)
        self._block = os.urandom(10_000 // 16 * 16)

    def work(self) -> None:
        self._protected_envelope()
        self._signed(self._small)
        self._transfer(self._compressed)
        self._transfer(self._small)

    def _protected_envelope(self) -> None:
        key, vector = os.urandom(32), os.urandom(16)
        wrapped = _public(self._other).encrypt(key, Oaep.SHA1.padding)
        cipher = Cipher(AES256(key), CBC(vector))
        ciphertext = cipher.encryptor().update(self._block)
        self._signed(self._envelope)
        self._other.decryption.unwrap(wrapped, Oaep.SHA1)
        cipher.decryptor().update(ciphertext)

    def _signed(self, data: bytes) -> None:
        signature = self._one.signing.sign(data)
        hashlib.sha256(data).digest()
        _public(self._one).verify(signature, data, PKCS1v15(), SHA256())

    def _transfer(self, compressed: bytes) -> None:
        key, vector = os.urandom(16), os.urandom(12)
        hashlib.sha256(compressed).digest()
        wrapped = _public(self._other).encrypt(key, Oaep.SHA256.padding)
        ciphertext = AESGCM(key).encrypt(vector, compressed, None)
        self._signed(self._small)
        self._other.decryption.unwrap(wrapped, Oaep.SHA256)
        AESGCM(key).decrypt(vector, ciphertext, None)
        hashlib.sha256(compressed).digest()
        self._signed(self._small)


def _public(identity: Identity) -> RSAPublicKey:
    key = identity.certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        raise TypeError("not an RSA key")
    return key
