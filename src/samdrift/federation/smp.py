"""The SMP with certificate publishing (component-smp 2.8, 2.9; certpub-rest-binding 3).

Metadata is signed when it is first requested, and cached until it changes. For the test bed, any bytes can be
published in its place.

Missing: component-smp 2.10: there is no interface for administrators, registrations are calls.

Missing: component-certpub 2.9: nor for certificates.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.federation.store import Records
from samdrift.wire.crypto.certificates import from_base64, to_base64
from samdrift.wire.crypto.keys import SigningKey
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, ProcessIdentifier
from samdrift.wire.smp import (
    Endpoint,
    PublishedCertificates,
    ServiceGroup,
    ServiceMetadata,
    build_service_group,
    build_signed_service_metadata,
    service_metadata_path,
)


def to_plain(service: ServiceMetadata) -> dict[str, Any]:
    """Return ``service`` as JSON-compatible values."""
    return {
        "participant": service.participant.value,
        "document": [service.document.scheme, service.document.value],
        "process": [service.process.scheme, service.process.value],
        "endpoints": [_endpoint(one) for one in service.endpoints],
        "signing": [to_base64(one) for one in service.certificates.signing],
        "encryption": [to_base64(one) for one in service.certificates.encryption],
    }


def from_plain(plain: dict[str, Any]) -> ServiceMetadata:
    """Return the service that :func:`to_plain` converted."""
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


MEDIA_TYPE = "text/xml"

_Key = tuple[str, str]
"""``scheme::identifier`` of the participant and of the document, as in the path of a request."""


class Smp:
    """Registrations of participants, stored in a folder, and their published form."""

    def __init__(self, folder: Path, url: str, signer: SigningKey) -> None:
        """Open the folder; ``url`` is the SMP's own address, for the references in service groups."""
        self.url = url
        self._records, self._signer = Records(folder), signer
        services = (from_plain(plain) for kept in self._records.all() for plain in kept)
        self._services = {_key(one.participant, one.document): one for one in services}
        self._published: dict[_Key, bytes] = {}

    def put(self, services: Iterable[ServiceMetadata]) -> None:
        """Register services, replacing those for the same participants and documents."""
        added = {_key(one.participant, one.document): one for one in services}
        self._services |= added
        for key in added:
            self._published.pop(key, None)
        for participant in {one.participant for one in added.values()}:
            kept = [to_plain(service) for service in self.services(participant)]
            self._records.put(participant.value, kept)

    def remove(self, participant: ParticipantIdentifier) -> None:
        """Remove every service of a participant."""
        for service in self.services(participant):
            key = _key(participant, service.document)
            del self._services[key]
            self._published.pop(key, None)
        self._records.remove(participant.value)

    def participants(self) -> frozenset[ParticipantIdentifier]:
        """Return the participants that have registered a service."""
        return frozenset(service.participant for service in self._services.values())

    def services(self, participant: ParticipantIdentifier) -> list[ServiceMetadata]:
        """Return a participant's registrations."""
        return [service for service in self._services.values() if service.participant == participant]

    def publish(self, participant: ParticipantIdentifier, document: DocumentIdentifier, body: bytes) -> None:
        """Answer with ``body`` until that service is registered again, for the test bed."""
        self._published[_key(participant, document)] = body

    def service_group(self, participant: str) -> bytes | None:
        """Return the ServiceGroup of a ``scheme::identifier``, or ``None`` if it has no services."""
        services = [service for key, service in self._services.items() if key[0] == participant]
        if not services:
            return None
        owner = services[0].participant
        addresses = (self.url + service_metadata_path(owner, service.document) for service in services)
        return build_service_group(ServiceGroup(owner, tuple(addresses)))

    def signed_metadata(self, participant: str, document: str) -> bytes | None:
        """Return the SignedServiceMetadata for two ``scheme::identifier`` values, or ``None``."""
        key = participant, document
        if key not in self._published:
            if key not in self._services:
                return None
            self._published[key] = build_signed_service_metadata(self._services[key], self._signer)
        return self._published[key]


def smp_server(smp: Smp) -> Starlette:
    """Return the interface over ``smp``: only ``GET``, without redirects (component-smp 2.11)."""
    prefix = urlsplit(smp.url).path + "/"

    async def answer(request: Request) -> Response:
        path = request.scope["raw_path"].decode("ascii").removeprefix(prefix)
        match [unquote(segment) for segment in path.split("/")]:
            case [participant]:
                body = smp.service_group(participant.lower())
            case [participant, "services", document]:
                body = smp.signed_metadata(participant.lower(), document)
            case _:
                body = None
        if body is None:
            return Response("Not found", 404, media_type="text/plain")
        return Response(body, media_type=MEDIA_TYPE)

    return Starlette(routes=[Route("/{path:path}", answer)])


def _key(participant: ParticipantIdentifier, document: DocumentIdentifier) -> _Key:
    return f"{participant.scheme}::{participant.value}", f"{document.scheme}::{document.value}"
