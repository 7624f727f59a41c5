"""The key by which a message client authenticates: with a signed JWT, never a shared secret (api-mt-mk 5)."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from samdrift.wire.crypto.keys import TokenKey
from samdrift.wire.jose.jwt import client_assertion
from samdrift.wire.jose.keys import PublicKey

_LIFETIME = timedelta(minutes=1)
"""Lifetime of an assertion: enough to reach the token endpoint, but too short to be useful to a thief."""


class KeyUnusable(Exception):
    """A key file has no usable private key for signing; the text says what is wrong."""


class Authenticator(Protocol):
    """A means by which a message client authenticates to an authorisation server."""

    async def sign_assertion(self, client: str, audience: str, now: datetime) -> str:
        """Return a statement by ``client`` for the authorisation server, valid once and for a minute."""

    async def key_set(self) -> dict[str, object]:
        """Return the public keys as a JWK set (RFC 7517 5), to be registered with the message service."""


class KeptKey:
    """A key that is stored in a vault and fetched for each use, because it may be replaced at any time."""

    def __init__(self, keys: Callable[[], Awaitable[Sequence[TokenKey]]]) -> None:
        """Use ``keys``, a function that returns the keys with the one in use first."""
        self._keys = keys

    async def sign_assertion(self, client: str, audience: str, now: datetime) -> str:
        """Return a statement by ``client`` for the authorisation server, valid once and for a minute."""
        return client_assertion(client, audience, str(uuid.uuid4()), now, (await self._keys())[0])

    async def key_set(self) -> dict[str, object]:
        """Return the public keys, including the next one."""
        return {"keys": [PublicKey.named(key.public).published() for key in await self._keys()]}


class ClientKey:
    """A private key, RSA or elliptic curve P-256, and the client assertions signed with it (RFC 7523)."""

    def __init__(self, key: ECKey | RSAKey) -> None:
        self._key = key
        self._algorithm = "ES256" if isinstance(key, ECKey) else "PS256"

    @classmethod
    def new(cls) -> Self:
        return cls(ECKey.generate_key("P-256"))

    @classmethod
    def read(cls, pem: bytes) -> Self:
        """Read a private key in PEM without a password; raise :class:`KeyUnusable` if it is unsuitable."""
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyUnusable("does not contain a private key in PEM without a password") from None
        if isinstance(key, RSAPrivateKey):
            return cls(RSAKey.import_key(pem))
        if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise KeyUnusable("does not contain a key of RSA or of the curve P-256")
        return cls(ECKey.import_key(pem))

    def write(self, path: Path) -> None:
        """Store the private key in a new file for its owner only; raise :class:`FileExistsError`."""
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(self._key.as_pem(private=True))

    @property
    def public(self) -> dict[str, object]:
        """Return the public key as a JWK set (RFC 7517 5), to be registered with the message service."""
        own = {**self._key.as_dict(private=False), **self._named, "use": "sig", "alg": self._algorithm}
        return {"keys": [own]}

    def assertion(self, client: str, audience: str, now: datetime) -> str:
        """Return a statement by ``client`` for the authorisation server, valid once and for a minute."""
        claims = {
            "iss": client,
            "sub": client,
            "aud": audience,
            "jti": str(uuid.uuid4()),
            "iat": int(now.timestamp()),
            "exp": int((now + _LIFETIME).timestamp()),
        }
        header = {"alg": self._algorithm, **self._named}
        return jwt.encode(header, claims, self._key, algorithms=[self._algorithm])

    async def sign_assertion(self, client: str, audience: str, now: datetime) -> str:
        """Return the same statement, as :class:`Authenticator` requires."""
        return self.assertion(client, audience, now)

    async def key_set(self) -> dict[str, object]:
        """Return the public key as a JWK set."""
        return self.public

    @property
    def _named(self) -> dict[str, str]:
        return {"kid": self._key.thumbprint()}
