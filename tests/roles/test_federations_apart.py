"""Two federations on one installation, under one supervisor: nothing of one reaches the other.

One is the federation of all tests, the other is created here. An organisation takes part in
both, under the same participant identifier (transport-profile-as4 2.10 e).
"""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.transfer import TransferReason
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.server import FederationNames, LocalFederation
from samdrift.federation.server import running as federation_running
from samdrift.net.server import listening_socket
from samdrift.wire.identifiers import FEDERATION_SDK, FEDERATION_TEST, ParticipantIdentifier
from tests import pki
from tests.roles import web
from tests.roles.interfacec import InterfaceC
from tests.roles.letters import enclose, letter
from tests.roles.member import AP, MT, Member, until
from tests.roles.processes import SERVE, SOURCES, played
from tests.roles.stage import HOST, Stage
from tests.sizes import whole
from tests.vaults import server_folder

PATIENCE = 120.0
"""Seconds for processes to start or end, on a busy machine."""
OTHER = FederationNames(FEDERATION_SDK, "sml.other.test", "OTHER-DEMO")


def organisation(name: str) -> DemoOrganisation:
    domain = f"0203:{name}.se"
    mailbox = FunctionalAddress(f"sdk.registrator.{domain}", "Registrator")
    return DemoOrganisation(ParticipantIdentifier(domain), name.title(), "2120000530", mailbox)


IN_BOTH, NEIGHBOUR = organisation("jonkoping"), organisation("aneby")


@dataclass
class Supervised:
    """A `serve all` process for two configuration files."""

    files: Sequence[Path]
    log: Path
    running: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with self.log.open("wb") as log:
            command = [sys.executable, *SERVE, "all"]
            for file in self.files:
                command += ["--config", str(file)]
            environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
            self.running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    async def says(self, text: str, times: int = 1) -> None:
        async def look() -> bool | None:
            said = self.log.read_text()
            if said.count(text) >= times:
                return True
            assert self.running is None or self.running.poll() is None, (
                f"ended before it logged {text}:\n{said}"
            )
            return None

        await until(look, f"{times} times in the log: {text}", within=PATIENCE)

    def process(self, file: Path) -> psutil.Process:
        """Return the process of one of the installations."""
        assert self.running is not None
        children = psutil.Process(self.running.pid).children()
        (found,) = (one for one in children if str(file) in one.cmdline())
        return found

    async def ends(self) -> int:
        assert self.running is not None
        return await asyncio.to_thread(self.running.wait, PATIENCE)

    async def stop(self) -> None:
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(signal.SIGTERM)
            assert await self.ends() == 0


@dataclass
class Place:
    """Both federations, and the organisations in them."""

    stage: Stage
    other: LocalFederation
    supervised: Supervised
    here: Member
    """Organisation in the federation of all tests."""
    there: Member
    """Same organisation in the other federation."""
    neighbour: Member
    """Another organisation in the other federation."""
    folder: Path

    def tls(self, federation: LocalFederation | None = None) -> ssl.SSLContext:
        """Return a TLS context for calls to the access point there; with a certificate of ``federation``."""
        trust = self.there.config.inner_issuers
        if federation is None:
            return web.tls(trust)
        key = pki.key(1)
        certificate = federation.authority.issue_tls_client("peer", key.public_key())
        file = self.folder / "peer.pem"
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(certificate.public_bytes(Encoding.PEM) + pem)
        return web.tls(trust, (file, ""))


@pytest_asyncio.fixture(scope="module")
async def place(stage: Stage) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(server_folder())
        other = await stack.enter_async_context(federation_running(folder / "federation", names=OTHER))
        first = DemoOperator("first", "AP0007-SDK-DEMO", (IN_BOTH,))
        second = DemoOperator("second", "AP0007-OTHER-DEMO", (IN_BOTH, NEIGHBOUR))
        members, files = [], []
        for federation, operator in ((stage.federation, first), (other, second)):
            those = await stack.enter_async_context(played(federation, folder, {operator: ("all",)}))
            file = those.processes[0].config_file
            text = file.read_text()
            if federation is other:
                text = text.replace("[access_point]", "[access_point]\nclient_certificates = true")
            file.write_text(text)
            files.append(
                those.processes[0].config_file.rename(folder / operator.folder / f"{operator.folder}.toml")
            )
            members += those.members
        supervised = Supervised(files, folder / "log")
        stack.push_async_callback(supervised.stop)
        await supervised.start()
        await supervised.says("running all", 2)
        yield Place(stage, other, supervised, *members, folder)


async def exchanged(sender: Member, recipient: Member) -> str:
    """Exchange a message until it is accepted and receipted; return its id."""
    message_id = await sender.send(recipient.address)
    assert await sender.ends(message_id) is MessageStatus.ACCEPTED
    assert await recipient.ends(message_id, Direction.IN) is MessageStatus.NEW
    return message_id


@whole
async def test_both_exchange_messages_at_the_same_time_and_know_nothing_of_each_other(place: Place) -> None:
    """Clauses: transport-profile-as4 2.10 e."""
    agency = place.stage.agency
    here = [(place.here, agency), (agency, place.here)]
    there = [(place.there, place.neighbour), (place.neighbour, place.there)]
    sent = await asyncio.gather(*(exchanged(*pair) for pair in (*here, *there) for _ in range(3)))
    for message_id in sent[:6]:
        assert await place.here.log(AP, message_id)
        assert not await place.there.log(AP, message_id) + await place.there.log(MT, message_id)
    for message_id in sent[6:]:
        assert await place.there.log(AP, message_id)
        assert not await place.here.log(AP, message_id) + await place.here.log(MT, message_id)


async def test_2_10_c_an_access_point_of_the_other_federation_is_refused(place: Place) -> None:
    """Clauses: transport-profile-as4 2.10 c."""
    peer = place.stage.peer()
    envelope = peer.encloses(place.there)
    caller = replace(peer, tls=place.tls(place.other))
    posted = await caller.posts(envelope, place.there)
    assert posted.errors() == [("EBMS:0101", "certificate of the sending access point: unknown-issuer")]
    assert not await place.there.log(AP, envelope.id)
    posted = await peer.posts(peer.encloses(place.here), place.here)
    assert posted.is_receipt_of(place.here.certificate)


@pytest.mark.parametrize("shown", ["none", "of the other federation"])
async def test_2_4_2_a2_a_peer_without_a_certificate_of_the_named_issuers_gets_no_connection(
    place: Place, shown: str
) -> None:
    """This needs ``client_certificates``; the federation of all tests is one-way (2.4.2 b).

    Clauses: transport-profile-as4 2.4.2 A2.
    """
    peer = place.stage.peer()
    caller = replace(peer, tls=place.tls(None if shown == "none" else place.stage.federation))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await caller.posts(caller.encloses(place.there), place.there)


async def test_2_6_an_envelope_of_the_other_federation_is_not_taken_over_interface_c(place: Place) -> None:
    """Clauses: envelope-profile-xhe 2.2 sentence 5; transport-profile-as4 2.6 sentence 1."""
    there = place.there
    message = letter(there.address, place.neighbour.address)
    interface = await there.interface_c()
    for federation, status in ((FEDERATION_TEST, 422), (FEDERATION_SDK, 201)):
        envelope = enclose(message, await there.signing(), place.neighbour.encryption, federation=federation)
        assert (await interface.submit(envelope.id, envelope.data)).status == status


async def test_the_organisations_client_in_one_federation_is_none_in_the_other(place: Place) -> None:
    base = f"{place.there.own_config.access_point}/c/v1"
    context = web.tls(place.there.config.inner_issuers, await place.here.client_tls())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await InterfaceC(base, context).poll()


async def test_2_10_f_g_metadata_of_the_other_federations_smp_is_not_trusted(place: Place) -> None:
    """This holds even if one federation's name server points to the other's SMP.

    Clauses: transport-profile-as4 2.10 g.
    """
    there, agency = place.there, place.stage.agency
    place.other.sml.register([agency.organisation], place.stage.federation.smp_url)
    envelope = enclose(
        letter(there.address, agency.address),
        await there.signing(),
        agency.encryption,
        federation=FEDERATION_SDK,
    )
    await there.submit(envelope)
    entry = await there.logged(AP, envelope.id, APEvent.AP_TRANSFER_POSTPONED)
    assert entry.ids["reason"] == TransferReason.DISCOVERY_UNTRUSTED.value
    assert "unknown-issuer" in entry.ids["detail"]


@whole
async def test_one_that_is_killed_is_started_again_and_the_other_runs_on(place: Place) -> None:
    supervised = place.supervised
    witness, victim = (supervised.process(file) for file in supervised.files)
    victim.kill()
    waiting = await place.there.send(place.neighbour.address)
    await exchanged(place.here, place.stage.agency)
    await supervised.says("second: serves again")
    assert supervised.process(supervised.files[0]) == witness
    assert await place.there.ends(waiting) is MessageStatus.ACCEPTED
    lines = supervised.log.read_text().splitlines()
    assert any(line.endswith("second: ended with status -9, restarting in 1 s") for line in lines)
    for name in ("first", "second"):
        assert any(line.startswith(f"{name}: ") and line.endswith("INFO running all") for line in lines)


@whole
async def test_both_end_with_their_supervisor_and_with_a_signal(place: Place) -> None:
    supervised = place.supervised
    processes = [supervised.process(file) for file in supervised.files]
    assert supervised.running is not None
    supervised.running.kill()
    await supervised.ends()
    await asyncio.to_thread(psutil.wait_procs, processes, timeout=PATIENCE)
    assert not [one for one in processes if one.is_running()]
    await supervised.start()
    await supervised.says("running all", 2)
    processes = [supervised.process(file) for file in supervised.files]
    await supervised.stop()
    assert not [one for one in processes if one.is_running()]


@whole
async def test_one_that_cannot_start_keeps_both_from_running(place: Place) -> None:
    supervised = place.supervised
    await supervised.stop()
    own = place.here.access_point
    with listening_socket(own.listen.host, own.listen.port) as taken:
        taken.listen()
        await supervised.start()
        assert await supervised.ends() == 2
    lines = supervised.log.read_text().splitlines()
    assert f"samdrift: first: {HOST}:{own.listen.port}: address already in use" in lines
    assert lines[-1] == "samdrift: first: did not start, see above"


async def test_what_is_not_apart_is_refused_before_anything_starts(place: Place) -> None:
    supervised = place.supervised
    await supervised.stop()
    twice = replace(supervised, files=[supervised.files[0]] * 2)
    await twice.start()
    assert await twice.ends() == 2
    file = supervised.files[0]
    text = "federation.identifier: both are in the same federation and environment"
    assert twice.log.read_text() == f"samdrift: {file} and {file}: {text}\n"
