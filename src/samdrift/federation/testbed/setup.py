"""Setup of the test bed's access points in a local federation, each with the fault that its cases need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.routing import Mount

from samdrift.federation.authority import Authority
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.server import LocalFederation
from samdrift.federation.shapes import Ca, Use, Validity
from samdrift.federation.testbed.accesspoint import PATH, Post, TestAccessPoint
from samdrift.federation.testbed.bed import Bed
from samdrift.federation.testbed.envelopes import Correspondent
from samdrift.federation.testbed.observer import Observer
from samdrift.federation.testbed.parties import Destination, OrganisationKeys, Subject
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import TlsIdentity, server_tls
from samdrift.wire.crypto.softwarekeys import SoftwareDecryptionKey, SoftwareSigningKey
from samdrift.wire.identifiers import (
    RECEIPT_BASE,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_BASE,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)

_HOST = "127.0.0.1"
_BASE = (SDK_MESSAGE_BASE, RECEIPT_BASE)
BOTH_MODELS = (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED, *_BASE)


@dataclass(frozen=True, slots=True)
class _Point:
    """A test access point and its registration."""

    name: str
    participant: ParticipantIdentifier
    certificate: x509.Certificate
    documents: tuple[DocumentIdentifier, ...] = BOTH_MODELS
    reachable: bool = True


@asynccontextmanager
async def prepared(
    federation: LocalFederation, folder: Path, subject: Subject, encryption: x509.Certificate, post: Post
) -> AsyncIterator[Bed]:
    """Run the test bed for ``subject``; ``encryption`` is its participant's published certificate."""
    observer = Observer(subject.interface_c)
    async with access_points(federation, folder, subject, post) as made, observer.watching():
        yield Bed(subject, observer, made, Correspondent(subject.participant, subject.mailbox, encryption))


@asynccontextmanager
async def access_points(
    federation: LocalFederation, folder: Path, subject: Destination, post: Post
) -> AsyncIterator[dict[str, TestAccessPoint]]:
    """Run the test bed's access points and yield them by name; they send answers to ``subject``."""
    key = rsa.generate_private_key(65537, 3072)
    points = {point.name: point for point in _points(federation, key.public_key())}
    made = {name: _made(federation.authority, point, key, subject, post) for name, point in points.items()}
    sock = listening_socket(_HOST)
    address = f"https://{_HOST}:{sock.getsockname()[1]}"
    for point in points.values():
        _register(federation, point, made[point.name], f"{address}/{point.name}{PATH}")
    application = Starlette(
        routes=[Mount(f"/{name}", app=point.application()) for name, point in made.items()]
    )
    tls = server_tls(_tls(federation.authority, key, folder / "testbed-tls.pem"))
    async with serving(application, sock, tls=tls.serving):
        yield made


def _points(federation: LocalFederation, key: rsa.RSAPublicKey) -> list[_Point]:
    """Return the access points of accesspoint-test-cases 3.1, and those for the announced cases."""
    authority = federation.authority
    revoked = authority.issue_access_point("AP0903-SDK-DEMO", key)
    authority.revoke(revoked)
    now = datetime.now(UTC)
    past = Validity(now - timedelta(days=400), now - timedelta(days=30))
    elsewhere = federation.other_environment().issue_access_point("AP0905-SDK-ELSEWHERE", key)
    return [
        _Point("TestAP-01", _qa("01"), authority.issue_access_point("AP0901-SDK-DEMO", key)),
        _Point("TestAP-03", _qa("03"), revoked),
        _Point("TestAP-04", _qa("04"), authority.issue_access_point("AP0904-SDK-DEMO", key), reachable=False),
        _Point("TestAP-05", _qa("05"), elsewhere),
        _Point(
            "TestAP-OtherFederation",
            _qa("06"),
            authority.issue_access_point("AP0906-OPEN-DEMO", key, ca=Ca.OTHER_FEDERATION),
        ),
        _Point(
            "TestAP-Expired", _qa("07"), authority.issue_access_point("AP0907-SDK-DEMO", key, validity=past)
        ),
        _Point(
            "TestAP-BaseOnly",
            _qa("08"),
            authority.issue_access_point("AP0908-SDK-DEMO", key),
            documents=_BASE,
        ),
    ]


def _qa(number: str) -> ParticipantIdentifier:
    return ParticipantIdentifier(f"0203:digg-qa{number}.example.se")


def _made(
    authority: Authority, point: _Point, key: rsa.RSAPrivateKey, subject: Destination, post: Post
) -> TestAccessPoint:
    def certified(use: Use) -> x509.Certificate:
        return authority.issue_organisation(point.participant, point.name, key.public_key(), use)

    signing, encryption = certified(Use.SIGNING), certified(Use.ENCRYPTION)
    made = TestAccessPoint(
        Correspondent(point.participant, f"sdk.test.{point.participant.value}", encryption),
        OrganisationKeys(SoftwareSigningKey(key, signing), SoftwareDecryptionKey(key, encryption)),
        SoftwareSigningKey(key, point.certificate),
        SoftwareDecryptionKey(key, point.certificate),
        post,
    )
    made.subject = subject
    return made


def _register(federation: LocalFederation, point: _Point, made: TestAccessPoint, address: str) -> None:
    federation.register_participant(
        point.participant,
        point.name,
        "2021006883",
        address if point.reachable else federation.unreachable_url,
        point.certificate,
        made.keys.signing.certificate,
        made.keys.decryption.certificate,
        [FunctionalAddress(made.correspondent.mailbox, point.name)],
        documents=point.documents,
    )


def _tls(authority: Authority, key: rsa.RSAPrivateKey, file: Path) -> TlsIdentity:
    certificate = authority.issue_tls_server([_HOST], key.public_key())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(0o600)
    file.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return TlsIdentity(file)
