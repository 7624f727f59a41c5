"""Independent clients of BDXL and SMP 1.0 that read SML, SMP and CertPub of the local federation."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.federation.server import LocalFederation, running
from samdrift.federation.shapes import Ca, Use
from samdrift.federation.smp import Smp, smp_server
from samdrift.net.server import listening_socket, serving
from samdrift.wire.identifiers import (
    NO_PROCESS,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_EXTENDED,
    DocumentIdentifier,
    ParticipantIdentifier,
)
from samdrift.wire.profile import AS4_1_0, AS4_1_2
from samdrift.wire.smp import ENCRYPTION, SIGNING
from tests.interop.java.program import JavaProgram
from tests.pki import key

_HABO = ParticipantIdentifier("0203:habo.se")
"""A participant in the federation's SMP, which has an address with a path."""
_MARK = ParticipantIdentifier("0203:mark.se")
"""A participant in an SMP at the root of its host."""
_NOBODY = ParticipantIdentifier("0203:nobody.se")
_ADDRESS = "https://ap.example.test/as4"
CLIENTS = {"peppol-smp-client": _HABO, "peppol-lookup": _MARK}
"""Each client, and the participant that it looks up."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A federation with a participant in each of two SMPs, and the services published for both."""

    federation: LocalFederation
    at_root: Smp
    access_point: x509.Certificate
    signing: x509.Certificate
    encryption: x509.Certificate


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaProgram]:
    program = JavaProgram(
        "lookup.Peer", "peppol-smp-client and peppol-lookup", tmp_path_factory.mktemp("lookup")
    )
    yield program
    program.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scene(program: JavaProgram, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with running(tmp_path_factory.mktemp("federation")) as federation:
        authority, public = federation.authority, key(1, 3072).public_key()
        socket = listening_socket("127.0.0.1")
        at_root = Smp(
            tmp_path_factory.mktemp("smp"),
            f"http://127.0.0.1:{socket.getsockname()[1]}",
            authority.smp_signer(),
        )
        made = Scene(
            federation,
            at_root,
            authority.issue_access_point("AP0001-SDK-DEMO", public),
            authority.issue_organisation(_HABO, "Habo kommun", public, Use.SIGNING),
            authority.issue_organisation(_HABO, "Habo kommun", public, Use.ENCRYPTION),
        )
        certificates = made.access_point, made.signing, made.encryption
        for participant in (_HABO, _MARK):
            federation.register_participant(participant, "Kommun", "2120001611", _ADDRESS, *certificates)
        at_root.put(federation.smp.services(_MARK))
        federation.sml.register([_MARK], at_root.url)
        program.call("start", dns=f"127.0.0.1:{federation.dns_port}")
        async with serving(smp_server(at_root), socket):
            yield made


async def _looked_up(
    program: JavaProgram,
    scene: Scene,
    client: str,
    *,
    participant: ParticipantIdentifier | None = None,
    document: DocumentIdentifier = SDK_MESSAGE_EXTENDED,
    profile: str = AS4_1_0.identifier,
    issuer: Ca = Ca.SMP,
) -> dict[str, Any]:
    """Look up a service, by default of the participant that belongs to the client."""
    participant = participant or CLIENTS[client]
    return await asyncio.to_thread(
        program.call,
        client,
        zone=scene.federation.sml_zone,
        participant_scheme=participant.scheme,
        participant=participant.value,
        document_scheme=document.scheme,
        document=document.value,
        process_scheme=NO_PROCESS.scheme,
        process=NO_PROCESS.value,
        profile=profile,
        issuer=scene.federation.authority.certificate(issuer),
    )


def _encoded(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


@pytest.mark.parametrize("profile", [AS4_1_0.identifier, AS4_1_2.identifier])
@pytest.mark.parametrize("document", [SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED], ids=["message", "receipt"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_it_finds_the_access_point_of_a_participant(
    program: JavaProgram, scene: Scene, client: str, document: DocumentIdentifier, profile: str
) -> None:
    """The lookup leads from SML to the address and certificate in signed metadata (component-smp 2.8)."""
    found = await _looked_up(program, scene, client, document=document, profile=profile)
    assert (found["address"], found["certificate"]) == (_ADDRESS, _encoded(scene.access_point))


@pytest.mark.parametrize("client", CLIENTS)
async def test_it_reads_which_services_a_participant_has(
    program: JavaProgram, scene: Scene, client: str
) -> None:
    found = await _looked_up(program, scene, client)
    documents = (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED)
    assert len(found["services"]) == len(documents)
    for document in documents:
        assert any(f"{document.scheme}::{document.value}" in unquote(one) for one in found["services"])


async def test_peppol_smp_client_reads_the_certificates_of_certpub(
    program: JavaProgram, scene: Scene
) -> None:
    """The client uses its own types of SMP 2 (certpub-rest-binding 3)."""
    found = await _looked_up(program, scene, "peppol-smp-client")
    assert found["published"] == {SIGNING: _encoded(scene.signing), ENCRYPTION: _encoded(scene.encryption)}
    assert found["smp"].rstrip("/") == scene.federation.smp_url


_UNTRUSTED = {
    "peppol-smp-client": "does not chain with any of the trust anchors",
    "peppol-lookup": "not of the trusted issuer",
}
_CHANGED = {
    "peppol-smp-client": "Signature returned from SMP server was not valid",
    "peppol-lookup": "Signature failed",
}
_UNKNOWN = {"peppol-smp-client": "Failed to resolve", "peppol-lookup": "is not registered in SML"}
"""Each client's message about a participant that is not registered."""


@pytest.mark.parametrize("client", CLIENTS)
async def test_it_refuses_metadata_that_another_authoritys_certificate_signs(
    program: JavaProgram, scene: Scene, client: str
) -> None:
    found = await _looked_up(program, scene, client, issuer=Ca.ACCESS_POINT)
    assert _UNTRUSTED[client] in found["refused"]


@pytest.mark.parametrize("client", CLIENTS)
async def test_it_refuses_metadata_that_was_changed(program: JavaProgram, scene: Scene, client: str) -> None:
    """The refusal shows that the client verifies our signature whenever it accepts our metadata."""
    smp = scene.at_root if CLIENTS[client] == _MARK else scene.federation.smp
    participant, services = CLIENTS[client], smp.services(CLIENTS[client])
    document = services[0].document
    signed = smp.signed_metadata(
        f"{participant.scheme}::{participant.value}", f"{document.scheme}::{document.value}"
    )
    assert signed is not None
    changed = signed.replace(_ADDRESS.encode(), b"https://ap.exampel.test/as4")
    assert changed != signed
    smp.publish(participant, document, changed)
    try:
        found = await _looked_up(program, scene, client, document=document)
    finally:
        smp.put(services)
    assert _CHANGED[client] in found["refused"]


@pytest.mark.parametrize("client", CLIENTS)
async def test_it_finds_nothing_for_who_is_not_registered(
    program: JavaProgram, scene: Scene, client: str
) -> None:
    found = await _looked_up(program, scene, client, participant=_NOBODY)
    assert _UNKNOWN[client] in found["refused"]


async def test_peppol_lookup_finds_an_smp_only_at_the_root_of_its_host(
    program: JavaProgram, scene: Scene
) -> None:
    """The client drops the path of the address in SML, and so requests a resource that does not exist."""
    found = await _looked_up(program, scene, "peppol-lookup", participant=_HABO)
    assert 'because "response" is null' in found["refused"]
