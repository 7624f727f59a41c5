"""WebAuthn assertions: the signature over a challenge that an authenticator makes in a person's browser.

The signed bytes are `authenticatorData || SHA-256(clientDataJSON)` (W3C WebAuthn, 7.2), so that anyone with
the public key can verify it with any library for ECDSA, EdDSA or RSA, without the server involved. The
challenge is the digest of what the person saw. The browser adds its origin; the authenticator adds the site
that the key was made for, whether the person was present and verified, and a counter.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

_TYPE = "webauthn.get"
_RP_HASH, _FLAGS, _COUNTER, _END = 32, 32, 33, 37
_PRESENT, _VERIFIED, _ATTESTED, _EXTENSIONS = 0x01, 0x04, 0x40, 0x80
_MAX_CLIENT_DATA = 4096
_RSA_BITS = range(2048, 4097)
_RSA_EXPONENT = 65537
Public: TypeAlias = Ed25519PublicKey | ec.EllipticCurvePublicKey | RSAPublicKey


class AssertionFault(StrEnum):
    """Reasons why an assertion proves nothing."""

    MALFORMED = "malformed"
    CHALLENGE = "challenge"
    ORIGIN = "origin"
    SITE = "site"
    NOT_PRESENT = "not-present"
    NOT_VERIFIED = "not-verified"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class WebAuthnKey:
    """An authenticator's public key: ES256, EdDSA or RS256, as SubjectPublicKeyInfo (DER).

    RS256 is the algorithm of Windows Hello on computers whose TPM supports no other.
    """

    der: bytes
    key: Public

    @classmethod
    def read(cls, der: bytes) -> WebAuthnKey:
        """Parse what a browser's `getPublicKey()` returns; raise :class:`ValueError` for other keys."""
        try:
            key = load_der_public_key(der)
        except UnsupportedAlgorithm:
            raise ValueError("a key of that kind cannot be used here") from None
        match key:
            case Ed25519PublicKey():
                fits = True
            case ec.EllipticCurvePublicKey():
                fits = isinstance(key.curve, ec.SECP256R1)
            case RSAPublicKey():
                fits = key.key_size in _RSA_BITS and key.public_numbers().e == _RSA_EXPONENT
            case _:
                fits = False
        if not fits or not isinstance(key, Public):
            raise ValueError("a key of an authenticator is ES256, EdDSA or RS256")
        if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != der:
            raise ValueError("the key is not written as SubjectPublicKeyInfo")
        return cls(der, key)


@dataclass(frozen=True, slots=True)
class Assertion:
    """The three values of an assertion that are needed for verification."""

    authenticator_data: bytes
    client_data: bytes
    signature: bytes

    def check(self, key: WebAuthnKey, challenge: bytes, site: str) -> int | AssertionFault:
        """Return the counter of an assertion by ``key`` over ``challenge``, or the fault in it.

        ``site`` is the name that the key was made for (`rpId`). The origin must be that host over HTTPS, with
        any port: the authenticator responds to no other host. A name under ``.localhost`` may use HTTP, too.
        """
        fault = self._client_fault(challenge, site)
        if fault is not None:
            return fault
        data = self.authenticator_data
        flags = data[_FLAGS] if len(data) >= _END else 0
        if len(data) < _END or flags & _ATTESTED or bool(flags & _EXTENSIONS) != (len(data) > _END):
            return AssertionFault.MALFORMED
        if data[:_RP_HASH] != hashlib.sha256(site.encode()).digest():
            return AssertionFault.SITE
        if not flags & _PRESENT:
            return AssertionFault.NOT_PRESENT
        if not flags & _VERIFIED:
            return AssertionFault.NOT_VERIFIED
        if not _holds(key, self.signature, data + hashlib.sha256(self.client_data).digest()):
            return AssertionFault.SIGNATURE
        return int.from_bytes(data[_COUNTER:_END])

    def _client_fault(self, challenge: bytes, site: str) -> AssertionFault | None:
        if len(self.client_data) > _MAX_CLIENT_DATA:
            return AssertionFault.MALFORMED
        try:
            client = json.loads(self.client_data.decode("utf-8"), object_pairs_hook=_members)
        except (ValueError, RecursionError):
            return AssertionFault.MALFORMED
        if not isinstance(client, dict) or client.get("type") != _TYPE:
            return AssertionFault.MALFORMED
        shown = client.get("challenge")
        if not isinstance(shown, str) or not hmac.compare_digest(shown.encode(), encoded(challenge).encode()):
            return AssertionFault.CHALLENGE
        if client.get("crossOrigin", False) is not False or not _of_site(client.get("origin"), site):
            return AssertionFault.ORIGIN
        return None


def encoded(data: bytes) -> str:
    """Encode as base64url without padding, as WebAuthn writes bytes in JSON."""
    return urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """Decode the output of :func:`encoded`; raise :class:`ValueError` for any other text."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4)) if text.isascii() else b""
    if encoded(data) != text:
        raise ValueError("not base64url without padding")
    return data


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _of_site(origin: object, site: str) -> bool:
    if not isinstance(origin, str):
        return False
    scheme, _, rest = origin.partition("://")
    host, colon, port = rest.partition(":")
    numbered = port.isascii() and port.isdigit() and len(port) < 6
    safe = scheme == "https" or (scheme == "http" and host.endswith(".localhost"))
    return safe and host == site and (numbered or not colon)


def _holds(key: WebAuthnKey, signature: bytes, signed: bytes) -> bool:
    try:
        if isinstance(key.key, Ed25519PublicKey):
            key.key.verify(signature, signed)
        elif isinstance(key.key, RSAPublicKey):
            key.key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
