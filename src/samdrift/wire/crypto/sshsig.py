"""People's signatures in OpenSSH's format (SSHSIG), which `ssh-keygen -Y verify` verifies without Samdrift.

The namespace prevents a signature for one purpose from being used for another (openssh PROTOCOL.sshsig). Keys
are Ed25519 and ECDSA, each in a file or on a security key; a security key also signs a counter, and whether
the person touched it and entered a PIN (openssh PROTOCOL.u2f). A custodian's key is an Ed25519 key derived
from a passphrase and not an SSH login key. It uses this format because the program that verifies it is
available on every machine.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

_MAGIC, _VERSION, _HASH, _ED25519 = b"SSHSIG", 1, b"sha512", b"ssh-ed25519"
_LINE = 70
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_SK_ED25519, _SK_ECDSA = b"sk-ssh-ed25519@openssh.com", b"sk-ecdsa-sha2-nistp256@openssh.com"
_ON_A_SECURITY_KEY = frozenset({_SK_ED25519, _SK_ECDSA})
_HASHES = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}
"""Message hashes that OpenSSH uses in signatures."""
_CURVES: Mapping[bytes, tuple[bytes, ec.EllipticCurve, hashes.HashAlgorithm]] = {
    b"ecdsa-sha2-nistp256": (b"nistp256", ec.SECP256R1(), hashes.SHA256()),
    b"ecdsa-sha2-nistp384": (b"nistp384", ec.SECP384R1(), hashes.SHA384()),
    b"ecdsa-sha2-nistp521": (b"nistp521", ec.SECP521R1(), hashes.SHA512()),
    _SK_ECDSA: (b"nistp256", ec.SECP256R1(), hashes.SHA256()),
}
_PRESENT, _VERIFIED = 1, 4
_SMALL_ORDER = frozenset(
    bytes.fromhex(each)
    for each in (
        f"{'00' * 32}",
        f"01{'00' * 31}",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        f"ec{'ff' * 30}7f",
        f"ed{'ff' * 30}7f",
        f"ee{'ff' * 30}7f",
    )
)
"""Small-order points of Ed25519, without their sign: anyone can sign for one without a secret."""
_Key: TypeAlias = Ed25519PublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class SshKey:
    """A public key in OpenSSH's format."""

    kind: str
    blob: bytes
    key: _Key
    application: bytes = b""
    """Application of a key on a security key; empty for other keys."""

    @classmethod
    def parse(cls, line: str) -> SshKey:
        """Parse kind and base64; raise :class:`ValueError` for anything else, or an unsupported kind."""
        kind, space, encoded = line.partition(" ")
        if not space or not line.isascii():
            raise ValueError("a public key of OpenSSH is a kind, a space and base64")
        found = cls.read(b64decode(encoded, validate=True))
        if found.kind != kind or found.line != line:
            raise ValueError("the key is of another kind than the line says")
        return found

    @classmethod
    def read(cls, blob: bytes) -> SshKey:
        """Parse the decoded base64; raise :class:`ValueError` as :meth:`parse` does."""
        parts = _Parts(blob)
        kind = parts.string()
        application = b""
        try:
            if kind in (_ED25519, _SK_ED25519):
                key: _Key = _ed25519(parts.string())
            elif kind in _CURVES:
                name, curve, _ = _CURVES[kind]
                if parts.string() != name:
                    raise ValueError("the key is on another curve than its kind")
                key = ec.EllipticCurvePublicKey.from_encoded_point(curve, parts.string())
            else:
                raise ValueError("a key is Ed25519 or ECDSA, in a file or on a security key")
        except UnsupportedAlgorithm:
            raise ValueError("a key of that kind cannot be used here") from None
        if kind in _ON_A_SECURITY_KEY:
            application = parts.string()
        parts.end()
        return cls(kind.decode(), blob, key, application)

    @property
    def line(self) -> str:
        """The key in OpenSSH's format: kind and base64."""
        return f"{self.kind} {b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """The fingerprint in the format of `ssh-keygen -l`."""
        return f"SHA256:{b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A valid signature; for a security key also its counter, and whether the person was present."""

    namespace: str
    on_security_key: bool = False
    present: bool = True
    verified: bool = True
    """True if the security key asked for a PIN or a fingerprint.

    Always true for a key in a file, which cannot report this and is protected by a passphrase.
    """
    counter: int = 0


def sign(key: Ed25519PrivateKey, message: bytes, namespace: str) -> str:
    """Return the armoured signature of ``message``, valid for ``namespace`` only."""
    head = _string(namespace.encode()) + _string(b"") + _string(_HASH)
    signed = _MAGIC + head + _string(hashlib.sha512(message).digest())
    signature = _string(_ED25519) + _string(key.sign(signed))
    return armoured(_MAGIC + _VERSION.to_bytes(4) + _string(_public(key)) + head + _string(signature))


def armoured(blob: bytes) -> str:
    """Return a signature in OpenSSH's armour."""
    text = b64encode(blob).decode()
    lines = [text[place : place + _LINE] for place in range(0, len(text), _LINE)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def unarmoured(signature: str) -> bytes:
    """Return the bytes of a signature in OpenSSH's armour; raise :class:`ValueError` for anything else."""
    begin, *lines, end = signature.strip().split("\n")
    if (begin, end) != (_BEGIN, _END):
        raise ValueError("not a signature in OpenSSH's form")
    return b64decode("".join(lines), validate=True)


def public_line(key: Ed25519PrivateKey) -> str:
    """Return the public key in OpenSSH's format: kind and base64."""
    return line_of(key.public_key())


def line_of(key: Ed25519PublicKey) -> str:
    """Return a public key in OpenSSH's format, for a private key held elsewhere."""
    blob = _string(_ED25519) + _string(key.public_bytes_raw())
    return f"{_ED25519.decode()} {b64encode(blob).decode()}"


def verify(public: str, message: bytes, namespace: str, signature: str) -> bool:
    """Return whether the key of a public line signed ``message`` for ``namespace``, with a touch if needed.

    Raises :class:`ValueError` if key or signature is not in OpenSSH's format.
    """
    found = check(SshKey.parse(public), message, unarmoured(signature))
    return found is not None and found.namespace == namespace and found.present


def signer(blob: bytes) -> SshKey:
    """Return the key that a signature names, which proves nothing until :func:`check` has verified it.

    Raises :class:`ValueError` if no key can be read from the bytes.
    """
    parts = _Parts(blob)
    parts.take(len(_MAGIC) + 4)
    return SshKey.read(parts.string())


def check(key: SshKey, message: bytes, blob: bytes) -> SshSignature | None:
    """Verify a signature of ``message``; ``None`` if it was not made by ``key``.

    Raises :class:`ValueError` if the bytes are not a signature in OpenSSH's format.
    """
    parts = _Parts(blob)
    if parts.take(len(_MAGIC)) != _MAGIC or parts.number(4) != _VERSION:
        raise ValueError("not a signature in OpenSSH's form")
    public, namespace, reserved, algorithm, raw = (parts.string() for _ in range(5))
    parts.end()
    if reserved or algorithm not in _HASHES or not namespace:
        raise ValueError("a signature of a form that is not in use")
    if public != key.blob:
        return None
    digest = _HASHES[algorithm](message).digest()
    signed = _MAGIC + _string(namespace) + _string(b"") + _string(algorithm) + _string(digest)
    found = _Parts(raw)
    kind, value = found.string(), found.string()
    flags, counter = _PRESENT | _VERIFIED, 0
    security = key.kind.encode() in _ON_A_SECURITY_KEY
    if security:
        flags, counter = found.number(1), found.number(4)
        signed = (
            hashlib.sha256(key.application).digest()
            + flags.to_bytes(1)
            + counter.to_bytes(4)
            + hashlib.sha256(signed).digest()
        )
    found.end()
    if kind != key.kind.encode() or not _holds(key, value, signed):
        return None
    name = namespace.decode("ascii", "replace")
    return SshSignature(name, security, bool(flags & _PRESENT), bool(flags & _VERIFIED), counter)


def _holds(key: SshKey, value: bytes, signed: bytes) -> bool:
    try:
        if isinstance(key.key, Ed25519PublicKey):
            key.key.verify(value, signed)
            return True
        _, _, algorithm = _CURVES[key.kind.encode()]
        numbers = _Parts(value)
        r, s = numbers.integer(), numbers.integer()
        numbers.end()
        key.key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _ed25519(point: bytes) -> Ed25519PublicKey:
    if point[:-1] + bytes(each & 0x7F for each in point[-1:]) in _SMALL_ORDER:
        raise ValueError("the key is a point of small order, for which anyone can sign")
    return Ed25519PublicKey.from_public_bytes(point)


def _public(key: Ed25519PrivateKey) -> bytes:
    return _string(_ED25519) + _string(key.public_key().public_bytes_raw())


def _string(data: bytes) -> bytes:
    """Encode an SSH string (RFC 4251 5)."""
    return len(data).to_bytes(4) + data


class _Parts:
    """Sequential reader of the fields of an SSH value (RFC 4251 5)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, size: int) -> bytes:
        end = self._place + size
        if end > len(self._data):
            raise ValueError("it ends too early")
        found, self._place = self._data[self._place : end], end
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def string(self) -> bytes:
        return self.take(self.number(4))

    def integer(self) -> int:
        return int.from_bytes(self.string(), signed=True)

    def end(self) -> None:
        if self._place != len(self._data):
            raise ValueError("it continues after its end")
