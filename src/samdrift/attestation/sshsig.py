"""Signatures of persons in OpenSSH's form (SSHSIG), which `ssh-keygen -Y verify` checks without Samdrift.

A custodian's key is Ed25519 and made from a passphrase, so it is no SSH key to log in with; the form is that
of one, since the program that checks it is on every machine. The namespace keeps a signature for one purpose
from being shown for another (openssh PROTOCOL.sshsig).
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_MAGIC, _VERSION, _HASH, _KIND = b"SSHSIG", 1, b"sha512", b"ssh-ed25519"
_LINE = 70
_PUBLIC_SIZE = 4 + len(_KIND) + 4 + 32
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


def sign(key: Ed25519PrivateKey, message: bytes, namespace: str) -> str:
    """Return the armoured signature of ``message``, for ``namespace`` alone."""
    head = _string(namespace.encode()) + _string(b"") + _string(_HASH)
    signed = _MAGIC + head + _string(hashlib.sha512(message).digest())
    text = b64encode(_blob(_public(key), head, key.sign(signed))).decode()
    lines = [text[place : place + _LINE] for place in range(0, len(text), _LINE)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def public_line(key: Ed25519PrivateKey) -> str:
    """Return the public key in OpenSSH's format: type and base64."""
    return f"{_KIND.decode()} {b64encode(_public(key)).decode()}"


def verify(public: str, message: bytes, namespace: str, signature: str) -> bool:
    """Return whether the key of a public line has signed ``message`` for ``namespace``.

    :class:`ValueError` when one of them has another form than those made here.
    """
    kind, _, encoded = public.partition(" ")
    begin, *lines, end = signature.strip().split("\n")
    if kind != _KIND.decode() or (begin, end) != (_BEGIN, _END):
        raise ValueError("not a signature of an Ed25519 key in OpenSSH's form")
    key, blob = b64decode(encoded, validate=True), b64decode("".join(lines), validate=True)
    if len(key) != _PUBLIC_SIZE:
        raise ValueError("not an Ed25519 key in OpenSSH's form")
    head, raw = _string(namespace.encode()) + _string(b"") + _string(_HASH), blob[-64:]
    if blob != _blob(key, head, raw):
        return False
    try:
        signed = _MAGIC + head + _string(hashlib.sha512(message).digest())
        Ed25519PublicKey.from_public_bytes(key[-32:]).verify(raw, signed)
    except InvalidSignature:
        return False
    return True


def _blob(public: bytes, head: bytes, raw: bytes) -> bytes:
    signature = _string(_KIND) + _string(raw)
    return _MAGIC + _VERSION.to_bytes(4) + _string(public) + head + _string(signature)


def _public(key: Ed25519PrivateKey) -> bytes:
    return _string(_KIND) + _string(key.public_key().public_bytes_raw())


def _string(data: bytes) -> bytes:
    """Write a string of SSH (RFC 4251 5)."""
    return len(data).to_bytes(4) + data
