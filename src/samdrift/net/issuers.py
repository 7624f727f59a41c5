"""Authorisation servers of organisations, and the source of their keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from samdrift.contracts.messageclients import AUTH_ID
from samdrift.wire.jose.keys import Algorithm


@dataclass(frozen=True, slots=True)
class KeysAt:
    """A JWK Set to fetch over HTTPS."""

    url: str
    tls_issuers: Path | None = None
    """Bundle (PEM) of trusted issuers of TLS certificates; Mozilla's by default."""


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """An organisation's own authorisation server."""

    issuer: str
    audience: str
    """The ``aud`` of its access tokens for interface D."""
    keys: KeysAt | None = None
    """Its JWK Set; by default its metadata states the address."""
    tls_issuers: Path | None = None
    """Trusted issuers of TLS certificates when fetching its metadata, as in :class:`KeysAt`."""
    auth_id_claim: str = AUTH_ID
    client_claim: str = "client_id"
    algorithms: frozenset[Algorithm] = frozenset(Algorithm)
    token_type: str = "at+jwt"  # noqa: S105
    """The ``typ`` of its access tokens (RFC 9068 2.1)."""
