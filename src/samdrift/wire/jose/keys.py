"""Public keys that verify tokens and assertions, and the algorithms that are accepted.

There is one allow-list: an algorithm that is not in :class:`Algorithm` is rejected, whoever names it (RFC
8725 3.1). A key verifies only the algorithms of its own type, so that a public key is never used as a shared
secret (RFC 8725 2.1).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey


class Algorithm(StrEnum):
    """Accepted signature algorithms (RFC 7518 3.1)."""

    RS256 = "RS256"
    PS256 = "PS256"
    ES256 = "ES256"


_BITS = range(2048, 8192 + 1)
_MOST = 100
_SIGNS = (None, "sig")
_PRIVATE = "contains a private key instead of the public key"
_READ: Mapping[object, Callable[[Any], RSAKey | ECKey]] = {"RSA": RSAKey.import_key, "EC": ECKey.import_key}
_UNUSABLE = (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError, OverflowError)
"""Exceptions that libraries raise for something that is not a key."""

_RSA = frozenset({Algorithm.RS256, Algorithm.PS256})
_EC = frozenset({Algorithm.ES256})


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key, and the algorithms that it may verify."""

    key: RSAKey | ECKey
    algorithms: frozenset[Algorithm]
    kid: str | None = None
    """Key id; a key without one matches any key id in a token."""

    @classmethod
    def of(cls, key: object, kid: str | None = None) -> Self:
        """Wrap a key of the library ``cryptography``; raise :class:`ValueError` if it is not supported."""
        if isinstance(key, rsa.RSAPublicKey):
            if key.key_size not in _BITS:
                raise ValueError(f"an RSA key has {_BITS[0]} to {_BITS[-1]} bits")
            return cls(RSAKey.import_key(key), _RSA, kid)
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            return cls(ECKey.import_key(key), _EC, kid)
        raise ValueError("a key is RSA or EC on the curve P-256")

    @classmethod
    def named(cls, key: ec.EllipticCurvePublicKey) -> Self:
        """Wrap a key of our own, whose key id is its thumbprint (RFC 7638)."""
        return cls.of(key, ECKey.import_key(key).thumbprint())

    def published(self) -> dict[str, object]:
        """Return the key as a member of a JWK Set."""
        use = {"kid": self.kid, "use": "sig", "alg": min(self.algorithms).value}
        return {**self.key.as_dict(private=False), **use}


class PublicKeys:
    """The keys of one client or one issuer."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys = tuple(keys)

    def __iter__(self) -> Iterator[PublicKey]:
        return iter(self._keys)

    def fitting(self, algorithm: Algorithm, kid: str | None) -> tuple[PublicKey, ...]:
        """Return the keys that may have signed with ``algorithm``, with the id ``kid`` or no id."""
        return tuple(
            key
            for key in self._keys
            if algorithm in key.algorithms and (kid is None or key.kid is None or key.kid == kid)
        )

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Parse a JWK Set (RFC 7517 5) or one public key in PEM; :class:`ValueError` gives the fault.

        Keys in a set that are for another purpose are ignored. A set or file with a private key is
        rejected as a whole, because that key is compromised.
        """
        if b"-----BEGIN" in data:
            return cls([PublicKey.of(_pem(data))])
        keys = [key for each in _members(data) if (key := _jwk(each)) is not None]
        if not keys:
            raise ValueError("has no key for signatures by " + ", ".join(Algorithm))
        return cls(keys)


def _pem(data: bytes) -> object:
    if b"PRIVATE" in data:
        raise ValueError(_PRIVATE)
    try:
        return load_pem_public_key(data)
    except _UNUSABLE:
        raise ValueError("is neither a JWK Set nor a public key in PEM") from None


def _members(data: bytes) -> list[Any]:
    try:
        keys = json.loads(data)["keys"]
    except (*_UNUSABLE, RecursionError):
        keys = None
    if not isinstance(keys, list) or len(keys) > _MOST:
        raise ValueError("is neither a JWK Set nor a public key in PEM")
    return keys


def _jwk(value: Any) -> PublicKey | None:
    """Return the key in a member of a JWK Set; ``None`` if it is not usable here."""
    if not isinstance(value, Mapping):
        return None
    if "d" in value:
        raise ValueError(_PRIVATE)
    if value.get("use") not in _SIGNS:
        return None
    kid, algorithm = value.get("kid"), value.get("alg")
    read = _READ.get(str(value.get("kty")))
    if read is None or not isinstance(kid, str | None):
        return None
    try:
        key = PublicKey.of(read(dict(value)).public_key, kid)
    except _UNUSABLE:
        return None
    algorithms = frozenset(each for each in key.algorithms if algorithm in (None, each.value))
    return PublicKey(key.key, algorithms, kid) if algorithms else None
