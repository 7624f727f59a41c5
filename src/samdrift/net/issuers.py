"""Authorisation servers of organisations, and where their keys are fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from samdrift.contracts.messageclients import AUTH_ID
from samdrift.wire.jose.keys import Algorithm


@dataclass(frozen=True, slots=True)
class KeysAt:
    """A JWK Set that is fetched over HTTPS."""

    url: str
    tls_issuers: Path | None = None
    """Bundle (PEM) of issuers of TLS certificates; Mozilla's when absent."""


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """An organisation's own authorisation server."""

    issuer: str
    audience: str
    """The ``aud`` of its tokens for interface D."""
    keys: KeysAt | None = None
    """Its JWK Set; when absent, its metadata tell where that is."""
    tls_issuers: Path | None = None
    """Issuers of TLS certificates for its metadata, as in :class:`KeysAt`."""
    auth_id_claim: str = AUTH_ID
    client_claim: str = "client_id"
    algorithms: frozenset[Algorithm] = frozenset(Algorithm)
    token_type: str = "at+jwt"  # noqa: S105
    """The ``typ`` of its access tokens (RFC 9068 2.1)."""
