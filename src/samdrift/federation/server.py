"""A running federation: every shared service on loopback, with the registrations in them.

One folder is one federation. It contains its keys, ports and registrations, so that certificates and
addresses stay valid from start to start. Its authorities are written as files for
:mod:`samdrift.net.trustfolder`, which accepts certificates of access points and organisations only from a
certain issuer below the root (transport-profile-as4 2.10 a, c).

Revocation lists and OCSP are served over HTTP (component-pki 2.8, 2.9; RFC 6960 A.1, RFC 5280 4.2.1.13). Any
service can be made to fail (:class:`Outages`), so that tests and the demonstration can show how the other
components then behave.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.contracts.discovery import CertificatePurpose
from samdrift.federation.addressbook import address_book
from samdrift.federation.authority import Authority
from samdrift.federation.directory import Directory, Entry, FunctionalAddress, Organisation
from samdrift.federation.ports import Sockets, bound_sockets, port
from samdrift.federation.shapes import Ca
from samdrift.federation.sml import Sml, server_failure, serving_dns
from samdrift.federation.smp import Smp, smp_server
from samdrift.net.server import serving
from samdrift.wire.identifiers import (
    FEDERATION_TEST,
    NO_PROCESS,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)
from samdrift.wire.profile import PROFILES
from samdrift.wire.smp import Endpoint, PublishedCertificates, ServiceMetadata

SML_ZONE = "sml.samdrift.test"

DOCUMENTS = (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED)
"""Document types that a participant receives by default (transport-model-extended 3.2)."""

MAX_REQUEST = 64 << 10
CRL = "application/pkix-crl"
OCSP_RESPONSE = "application/ocsp-response"
_CRL_PATHS = {f"{ca}.crl": ca for ca in Ca}

_AUTHORITIES: dict[str, tuple[Ca, ...]] = {
    CertificatePurpose.ACCESS_POINT: (Ca.ACCESS_POINT_ROOT, Ca.ACCESS_POINT),
    CertificatePurpose.SMP: (Ca.SMP,),
    CertificatePurpose.ORGANISATION: (Ca.ORGANISATION_ROOT, Ca.ORGANISATION),
    "tls": (Ca.TLS,),
}


@dataclass(frozen=True, slots=True)
class FederationNames:
    """Names that distinguish one federation and environment from another."""

    identifier: str = FEDERATION_TEST
    sml_zone: str = SML_ZONE
    environment: str = "SDK-DEMO"
    """Federation and environment, as in the names of authorities and access points."""


OURS = FederationNames()
"""The federation that the demonstration and most tests use."""


class LocalFederation:
    """The shared services of one federation, and the registration of participants in them."""

    def __init__(
        self,
        folder: Path,
        host: str,
        sockets: Sockets,
        evidence_lifetime: timedelta,
        names: FederationNames = OURS,
    ) -> None:
        self.identifier = names.identifier
        base = f"http://{host}:{port(sockets.http)}"
        self.responder_url = f"{base}/ca"
        self.smp_url = f"{base}/smp"
        self.address_book_url = f"{base}/addressbook"
        self.dns_port = port(sockets.dns_tcp)
        self.unreachable_url = f"http://{host}:{port(sockets.closed)}/as4"
        """Address without an access point, at which connections are refused."""
        self.outages = Outages()
        self.authority = Authority(
            folder / "authority",
            self.responder_url,
            environment=names.environment,
            evidence_lifetime=evidence_lifetime,
        )
        self.smp = Smp(folder / "smp", self.smp_url, self.authority.smp_signer())
        self.directory = Directory(folder / "addressbook")
        self.sml = Sml(names.sml_zone)
        self.sml.register(self.smp.participants(), self.smp_url)
        self._folder = folder

    @property
    def sml_zone(self) -> str:
        """Return the DNS zone that contains participants' names."""
        return self.sml.zone

    def register_participant(
        self,
        participant: ParticipantIdentifier,
        name: str,
        organisation_number: str,
        ap_endpoint_url: str,
        ap_certificate: x509.Certificate,
        signing_certificate: x509.Certificate | None = None,
        encryption_certificate: x509.Certificate | None = None,
        functional_addresses: Iterable[FunctionalAddress] = (),
        documents: Iterable[DocumentIdentifier] = DOCUMENTS,
        profiles: Iterable[str] = PROFILES,
    ) -> None:
        """Register a participant in address book, SMP, CertPub and SML (component-smp 2.7.2, 2.7.3).

        The data is not checked: a certificate of another federation, or an address without a server, can be
        registered too.
        """
        certificates = PublishedCertificates(_some(signing_certificate), _some(encryption_certificate))
        endpoints = tuple(Endpoint(one, ap_endpoint_url, ap_certificate) for one in profiles)
        self.publish(
            ServiceMetadata(participant, document, NO_PROCESS, endpoints, certificates)
            for document in documents
        )
        organisation = Organisation(participant, organisation_number, name)
        self.directory.put(Entry(organisation, tuple(functional_addresses)))

    def publish(self, services: Iterable[ServiceMetadata]) -> None:
        """Register metadata unchanged, and its participants in SML."""
        added = list(services)
        self.smp.put(added)
        self.sml.register((one.participant for one in added), self.smp_url)

    def remove_participant(self, participant: ParticipantIdentifier) -> None:
        """Remove a participant from all services."""
        self.smp.remove(participant)
        self.sml.remove(participant)
        self.directory.remove(participant)

    def other_environment(self) -> Authority:
        """Return authorities of another environment, which are not trusted here.

        They are created on first use, which takes seconds. They have no responder; their certificates are
        refused before revocation is checked.
        """
        return Authority(self._folder / "other", f"{self.responder_url}/other", environment="SDK-ELSEWHERE")

    def write_trust(self, folder: Path) -> None:
        """Write the certificates of the federation's authorities below ``folder``, as trust anchors."""
        write_trust(self.authority, folder)

    def application(self) -> Starlette:
        """Return the application for all services over HTTP."""
        services = {
            Service.RESPONDER: ("/ca", responder(self.authority)),
            Service.SMP: ("/smp", smp_server(self.smp)),
            Service.ADDRESS_BOOK: ("/addressbook", address_book(self.directory, self.address_book_url)),
        }
        return Starlette(
            routes=[
                Mount(path, self.outages.failing(app, service)) for service, (path, app) in services.items()
            ]
        )

    def dns_answer(self, question: bytes) -> bytes | None:
        """Return the name server's answer to a DNS message, or ``None`` for silence."""
        match self.outages.failures.get(Service.SML):
            case None:
                return self.sml.answer(question)
            case Failure.ERROR:
                return server_failure(question)
            case Failure.SILENCE:
                return None


@asynccontextmanager
async def running(
    folder: Path,
    host: str = "127.0.0.1",
    *,
    evidence_lifetime: timedelta = timedelta(days=1),
    names: FederationNames = OURS,
) -> AsyncIterator[LocalFederation]:
    """Run the federation of ``folder``, or a new one if it is empty, while the context lasts.

    ``evidence_lifetime`` is the time for which revocation lists and OCSP answers are valid.
    """
    sockets = bound_sockets(folder, host)
    try:
        federation = await asyncio.to_thread(LocalFederation, folder, host, sockets, evidence_lifetime, names)
        async with (
            serving_dns(federation.dns_answer, sockets.dns_udp, sockets.dns_tcp),
            serving(federation.application(), sockets.http),
        ):
            yield federation
    finally:
        sockets.close()


def _some(certificate: x509.Certificate | None) -> tuple[x509.Certificate, ...]:
    return () if certificate is None else (certificate,)


class Service(StrEnum):
    """The shared services that participants depend on."""

    SML = "sml"
    SMP = "smp"
    ADDRESS_BOOK = "addressbook"
    RESPONDER = "responder"


class Failure(StrEnum):
    """Way in which a service fails."""

    ERROR = "error"
    """The service answers with an error: 503, or SERVFAIL."""
    SILENCE = "silence"
    """The service never answers."""


@dataclass(slots=True)
class Outages:
    """Services that currently fail, and how; it can be changed while they run."""

    failures: dict[Service, Failure] = field(default_factory=dict)

    def failing(self, app: ASGIApp, service: Service) -> ASGIApp:
        """Return an application that behaves as ``app`` unless ``service`` is set to fail."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            match self.failures.get(service):
                case None:
                    await app(scope, receive, send)
                case Failure.ERROR:
                    await Response(status_code=503)(scope, receive, send)
                case Failure.SILENCE:
                    while (await receive())["type"] != "http.disconnect":
                        pass

        return answer


def responder(authority: Authority) -> Starlette:
    """Return the application for ``/crl/{ca}.crl``, and for ``/ocsp/{ca}`` by GET and POST.

    Any path for OCSP answers for all authorities.
    """

    async def crl(request: Request) -> Response:
        ca = _CRL_PATHS.get(request.path_params["file"])
        if ca is None:
            return Response(status_code=404)
        return Response(authority.crl(ca), media_type=CRL)

    async def ocsp(request: Request) -> Response:
        if request.method == "POST":
            asked = b""
            async for chunk in request.stream():
                asked += chunk
                if len(asked) > MAX_REQUEST:
                    return Response(status_code=413)
        else:
            asked = _from_path(request.path_params.get("request", ""))
        return Response(authority.ocsp(asked), media_type=OCSP_RESPONSE)

    return Starlette(
        routes=[
            Route("/crl/{file}", crl),
            Route("/ocsp/{ca}", ocsp, methods=["POST"]),
            Route("/ocsp/{ca}/{request:path}", ocsp, methods=["GET"]),
        ]
    )


def _from_path(text: str) -> bytes:
    """Decode the request in a GET path; return empty bytes, refused as malformed, if it is invalid."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def write_trust(authority: Authority, folder: Path) -> None:
    """Write ``{purpose}/{authority}.pem``, and the authorities for TLS, below ``folder``."""
    for place, authorities in _AUTHORITIES.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        for ca in authorities:
            pem = authority.certificate(ca).public_bytes(serialization.Encoding.PEM)
            (folder / place / f"{ca}.pem").write_bytes(pem)
