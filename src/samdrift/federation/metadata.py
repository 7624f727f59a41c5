"""Registered service metadata as JSON, for the SMP's file."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from samdrift.wire.crypto.certificates import from_base64, to_base64
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, ProcessIdentifier
from samdrift.wire.smp import Endpoint, PublishedCertificates, ServiceMetadata


def to_plain(service: ServiceMetadata) -> dict[str, Any]:
    """``service`` in types that JSON has."""
    return {
        "participant": service.participant.value,
        "document": [service.document.scheme, service.document.value],
        "process": [service.process.scheme, service.process.value],
        "endpoints": [_endpoint(one) for one in service.endpoints],
        "signing": [to_base64(one) for one in service.certificates.signing],
        "encryption": [to_base64(one) for one in service.certificates.encryption],
    }


def from_plain(plain: dict[str, Any]) -> ServiceMetadata:
    """What :func:`to_plain` was made of."""
    document, process = plain["document"], plain["process"]
    return ServiceMetadata(
        ParticipantIdentifier(plain["participant"]),
        DocumentIdentifier(document[1], document[0]),
        ProcessIdentifier(process[1], process[0]),
        tuple(
            Endpoint(
                one["profile"],
                one["address"],
                from_base64(one["certificate"]),
                _time(one["activation"]),
                _time(one["expiration"]),
                one["description"],
                one["contact"],
            )
            for one in plain["endpoints"]
        ),
        PublishedCertificates(
            tuple(from_base64(one) for one in plain["signing"]),
            tuple(from_base64(one) for one in plain["encryption"]),
        ),
    )


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "profile": endpoint.transport_profile,
        "address": endpoint.address,
        "certificate": to_base64(endpoint.certificate),
        "activation": endpoint.activation and endpoint.activation.isoformat(),
        "expiration": endpoint.expiration and endpoint.expiration.isoformat(),
        "description": endpoint.description,
        "contact": endpoint.contact,
    }


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
