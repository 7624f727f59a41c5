"""How an organisation is set up here, without secrets, for whoever sets it up elsewhere."""

from __future__ import annotations

from typing import Any

from samdrift.config.model import MessageClientConfig, OrganisationConfig
from samdrift.wire.identifiers import ParticipantIdentifier


def described(organisation: ParticipantIdentifier, entry: OrganisationConfig | None) -> dict[str, Any]:
    """What the configuration says of it; no path, password or key, which mean nothing elsewhere."""
    if entry is None:
        return {"identifier": organisation.value, "configured": False}
    external, domibus = entry.external_issuer, entry.domibus
    return {
        "identifier": organisation.value,
        "configured": True,
        "name": entry.name,
        "roles": [role.value for role in entry.roles],
        "functional_addresses": list(entry.functional_addresses),
        "file_types": list(entry.file_types),
        "base_model": entry.base_model,
        "access_point": entry.access_point,
        "domibus": {"url": domibus.url, "party": domibus.party} if domibus else None,
        "clients": sorted(entry.clients),
        "message_clients": [_client(client) for client in entry.message_clients],
        "external_issuer": {"issuer": external.issuer, "audience": external.audience} if external else None,
    }


def _client(client: MessageClientConfig) -> dict[str, Any]:
    return {
        "id": client.id,
        "addresses": [str(pattern) for pattern in client.addresses],
        "scopes": sorted(scope.value for scope in client.scopes),
        "default": client.default,
    }
