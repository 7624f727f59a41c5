"""XML Encryption, as much of it as the envelope profile uses, on cryptography's AES and RSA-OAEP.

Why not a library in production: docs/decisions/0001-xml-security-core.md.
"""

from samdrift.wire.crypto.xmlenc.ciphers import AES256_CBC, Decrypted
from samdrift.wire.crypto.xmlenc.decrypt import (
    RSA_OAEP,
    RSA_OAEP_MGF1P,
    LockedPayload,
    cipher_value,
    decrypt_element,
    unwrap,
)
from samdrift.wire.crypto.xmlenc.encrypt import ELEMENT, Encrypted, encrypt_element

__all__ = [
    "AES256_CBC",
    "ELEMENT",
    "RSA_OAEP",
    "RSA_OAEP_MGF1P",
    "Decrypted",
    "Encrypted",
    "LockedPayload",
    "cipher_value",
    "decrypt_element",
    "encrypt_element",
    "unwrap",
]
