"""A code on paper: 160 random bits for a key that can only be used once, to enrol a new key.

The code needs no key stretching, because it has too many bits to be guessed. Letters and digits that look
alike are treated as the same.
"""

from __future__ import annotations

import secrets
from base64 import b32decode, b32encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from samdrift.contracts.errors import Explained
from samdrift.rights.signing import Signed, namespace
from samdrift.rights.statements import Statement
from samdrift.wire.crypto.sshsig import public_line, sign

_BYTES = 20
_GROUP = 4
_PURPOSE = b"samdrift paper code 1"
_ALIKE = str.maketrans("018", "OIB")
"""Digits that are not used in codes, with the letters that they resemble."""


class NotACode(Explained, ValueError):
    """Error raised for a text that is not a code on paper; it does not repeat the text."""

    def __init__(self) -> None:
        super().__init__("that is not a code: it has eight groups of four letters and digits")


def new_code() -> str:
    """Return a new code, in groups of four."""
    text = b32encode(secrets.token_bytes(_BYTES)).decode()
    return "-".join(text[place : place + _GROUP] for place in range(0, len(text), _GROUP))


def public_of(code: str) -> str:
    """Return the public key of a code in OpenSSH format; raise :class:`NotACode` for any other text."""
    return public_line(_key(code))


def sign_by(code: str, statement: Statement) -> Signed:
    """Return a statement signed with a code; raise :class:`NotACode` for any other text."""
    key = _key(code)
    return Signed.by_ssh(statement, sign(key, statement.content, namespace(statement)))


def _key(code: str) -> Ed25519PrivateKey:
    letters = "".join(code.replace("-", " ").split()).upper().translate(_ALIKE)
    try:
        secret = b32decode(letters)
    except ValueError:
        raise NotACode from None
    if len(secret) != _BYTES:
        raise NotACode
    return Ed25519PrivateKey.from_private_bytes(HKDF(SHA256(), 32, None, _PURPOSE).derive(secret))
