"""Signatures of persons in OpenSSH's form (SSHSIG), which `ssh-keygen -Y verify` checks without Samdrift.

A custodian's key is Ed25519 and made from a passphrase, so it is no SSH key to log in with; the form is that
of one, since the program that checks it is on every machine. The namespace keeps a signature for one purpose
from being shown for another (openssh PROTOCOL.sshsig).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_MAGIC, _VERSION, _HASH, _KIND = b"SSHSIG", 1, b"sha512", b"ssh-ed25519"
_LINE = 70


def sign(key: Ed25519PrivateKey, message: bytes, namespace: str) -> str:
    """Return the armoured signature of ``message``, for ``namespace`` alone."""
    head = _string(namespace.encode()) + _string(b"") + _string(_HASH)
    signed = _MAGIC + head + _string(hashlib.sha512(message).digest())
    signature = _string(_KIND) + _string(key.sign(signed))
    blob = _MAGIC + _VERSION.to_bytes(4) + _string(_public(key)) + head + _string(signature)
    text = b64encode(blob).decode()
    lines = [text[place : place + _LINE] for place in range(0, len(text), _LINE)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def public_line(key: Ed25519PrivateKey) -> str:
    """Return the public key as OpenSSH writes it: kind and base64."""
    return f"{_KIND.decode()} {b64encode(_public(key)).decode()}"


def _public(key: Ed25519PrivateKey) -> bytes:
    return _string(_KIND) + _string(key.public_key().public_bytes_raw())


def _string(data: bytes) -> bytes:
    """Write a string of SSH (RFC 4251 5)."""
    return len(data).to_bytes(4) + data
