"""nginx and HAProxy in front, by the examples in `deploy`: all traffic passes, and TLS is not ended there."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.contracts.messages import MessageStatus
from samdrift.contracts.transfer import OVER_A_NETWORK, TransferState
from samdrift.wire.smp import ServiceMetadata
from tests.interop.proxies.running import (
    API,
    CLIENT,
    EXAMPLES,
    OFFICE,
    PROXIES,
    Behind,
    Proxy,
    asking_for,
)
from tests.programs import requires
from tests.roles import web
from tests.roles.interfacec import InterfaceC
from tests.roles.letters import Envelope, enclose, letter
from tests.roles.member import Member, until
from tests.roles.messageclient import MessageClient, document
from tests.roles.stage import HOST, Stage
from tests.roles.test_interface_d_events import Stream
from tests.vaults import server_folder

LARGE = 100_000_000
"""Number of bytes that an access point carries at least (transport-profile-as4 2.8 a)."""


@dataclass(frozen=True)
class Scene:
    stage: Stage
    proxy: Proxy

    async def interface_c(self, member: Member) -> InterfaceC:
        tls = web.tls(member.config.inner_issuers, await member.client_tls())
        return InterfaceC(f"https://{HOST}:{self.proxy.inner}/c/v1", tls)

    @property
    def trust(self) -> Path:
        return self.stage.habo.config.inner_issuers

    @property
    def gnosjo(self) -> Member:
        """Return Gnosjö with the address that peers use."""
        return replace(self.stage.gnosjo, as4_address=f"https://{HOST}:{self.proxy.public}/as4")

    def logged(self) -> list[tuple[int, int]]:
        """Return the number of bytes in and out of each connection in the proxy's log."""
        lines = re.findall(rf'^{HOST} "[^"]*" \S+ (\d+) (\d+) ', self.proxy.log.read_text(), re.MULTILINE)
        return [(int(came), int(went)) for came, went in lines]


def behind(stage: Stage) -> Behind:
    access_point, messages = stage.habo.access_point, stage.habo.config.message_service
    assert messages is not None
    assert messages.listen_d is not None
    others = [int(url.rpartition(":")[2]) for url in (stage.peers_url, stage.untrusted_url)]
    return Behind(access_point.listen.port, access_point.listen_c.port, messages.listen_d.port, *others)


@pytest_asyncio.fixture(
    loop_scope="session",
    scope="module",
    params=[
        pytest.param("nginx", marks=requires("nginx", "libnginx-mod-stream")),
        pytest.param("haproxy", marks=requires("haproxy", "haproxy")),
    ],
)
async def scene(request: pytest.FixtureRequest, stage: Stage) -> AsyncIterator[Scene]:
    """Run the operator of Habo, Mullsjö and Gnosjö behind a proxy, with its address in SMP for Gnosjö."""
    with server_folder() as folder:
        async with PROXIES[request.param](folder, behind(stage)) as proxy:
            services = stage.federation.smp.services(stage.gnosjo.organisation)
            running = Scene(stage, proxy)
            stage.federation.publish(_elsewhere(one, running.gnosjo.as4_address) for one in services)
            yield running
            stage.federation.publish(services)


def _elsewhere(service: ServiceMetadata, address: str) -> ServiceMetadata:
    return replace(service, endpoints=tuple(replace(each, address=address) for each in service.endpoints))


async def arrived(interface: InterfaceC, envelope: Envelope) -> str:
    """Return the id of the item with the envelope, once it is at the access point."""

    async def look() -> str | None:
        inbox = (await interface.poll()).document()["inbox"]
        return next((one["id"] for one in inbox if one["envelopeId"] == envelope.id), None)

    return await until(look, "the envelope waits at the access point")


async def test_an_exchange_of_100_mb(scene: Scene) -> None:
    """It passes the proxy twice: between the access points, and on the way to the message service."""
    sender, recipient = scene.stage.agency, scene.stage.gnosjo
    message = letter(sender.address, recipient.address)
    await sender.plant(message)
    payload = os.urandom(LARGE * 3 // 4)
    envelope = enclose(message, await sender.signing(), recipient.encryption, payload=payload)
    assert len(envelope.data) >= LARGE
    await sender.submit(envelope)
    interface = await scene.interface_c(recipient)
    item = await arrived(interface, envelope)
    fetched = await interface.fetch(item)
    assert fetched.status == 200
    assert hashlib.sha256(fetched.body).digest() == hashlib.sha256(envelope.data).digest()
    assert (await interface.acknowledge(item)).status in (200, 204)

    async def delivered() -> bool | None:
        events = await sender.transfer_events(envelope.id)
        return True if TransferState.DELIVERED in {state for state, _ in events} else None

    await until(delivered, "the sender has the receipt")

    async def through() -> bool | None:
        sizes = scene.logged()
        most_in, most_out = (max((size[way] for size in sizes), default=0) for way in (0, 1))
        return True if most_in > LARGE // 2 and most_out > LARGE else None

    await until(through, "the proxy has logged both ways")


async def test_who_calls_interface_c_is_known_by_the_certificate(scene: Scene) -> None:
    stage = scene.stage
    peer = stage.peer()
    envelope = peer.encloses(stage.gnosjo)
    await peer.posts(envelope, scene.gnosjo)
    gnosjo, mullsjo = [await scene.interface_c(one) for one in (stage.gnosjo, stage.mullsjo)]
    item = await arrived(gnosjo, envelope)
    assert (await mullsjo.fetch(item)).status == 404
    assert (await mullsjo.acknowledge(item)).status == 404
    assert (await gnosjo.fetch(item)).body == envelope.data
    assert (await gnosjo.acknowledge(item)).status in (200, 204)
    assert (await gnosjo.submit("9f9a4b5e-0000-4000-8000-000000000000", b"rubbish")).status == 422


async def test_nobody_calls_interface_c_without_a_certificate(scene: Scene) -> None:
    nobody = InterfaceC(f"https://{HOST}:{scene.proxy.inner}/c/v1", web.tls(scene.trust))
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        await nobody.poll()


async def test_a_header_with_a_certificate_makes_nobody_known(scene: Scene) -> None:
    """Headers in which a proxy that terminates TLS would pass a certificate are never trusted."""
    certificate = (await scene.stage.gnosjo.client_tls())[0].read_text().partition("-----BEGIN CERT")[2]
    said = "".join(f"-----BEGIN CERT{certificate}".split())
    mullsjo = await scene.interface_c(scene.stage.mullsjo)
    peer = scene.stage.peer()
    envelope = peer.encloses(scene.stage.gnosjo)
    await peer.posts(envelope, scene.gnosjo)
    gnosjo = await scene.interface_c(scene.stage.gnosjo)
    item = await arrived(gnosjo, envelope)
    for header in ("client-cert", "x-ssl-cert", "x-forwarded-client-cert", "ssl-client-cert"):
        answer = await mullsjo.call("GET", f"/inbox/{item}", headers={header: said})
        assert answer.status == 404
    assert (await gnosjo.acknowledge(item)).status in (200, 204)


async def test_a_long_poll_is_answered_when_something_comes(scene: Scene) -> None:
    interface, peer = await scene.interface_c(scene.stage.gnosjo), scene.stage.peer()
    envelope = peer.encloses(scene.stage.gnosjo)
    waiting = asyncio.create_task(interface.poll(after=1 << 40, wait=600))
    await asyncio.sleep(1)
    assert not waiting.done()
    await peer.posts(envelope, scene.gnosjo)
    async with asyncio.timeout(60):
        answer = await waiting
    assert envelope.id in {one["envelopeId"] for one in answer.document()["inbox"]}
    assert (await interface.acknowledge(await arrived(interface, envelope))).status in (200, 204)


async def test_events_of_interface_d_come_as_they_happen(scene: Scene) -> None:
    stage = scene.stage
    direct = stage.client(stage.habo)
    tls = asking_for(API, scene.trust)
    client = MessageClient(f"https://{HOST}:{scene.proxy.public}", tls, direct.token)
    async with Stream(client) as stream:
        message_id = await client.sends(document(stage.habo.address, stage.agency.address))
        await stream.tells(message_id, MessageStatus.ACCEPTED)


async def test_each_name_leads_to_its_own_listener(scene: Scene) -> None:
    stage, ports = scene.stage, behind(scene.stage)
    shown = {
        name: await asyncio.to_thread(_certificate, scene.proxy.public, name)
        for name in (CLIENT, OFFICE, API, "ap.example.se", None)
    }
    at = {port: await asyncio.to_thread(_certificate, port, None) for port in vars(ports).values()}
    assert shown[CLIENT] == at[ports.message_clients]
    assert shown[OFFICE] == at[ports.governance]
    assert shown["ap.example.se"] == shown[None] == at[ports.interface_a]
    assert len({shown[CLIENT], shown[OFFICE], shown[None]}) == 3
    url = f"https://{HOST}:{scene.proxy.public}"
    for name, path, status in ((API, "/v1/sdk/messages", 401), ("ap.example.se", "/as4", 405)):
        answer = await web.call(asking_for(name, stage.habo.config.inner_issuers), "GET", f"{url}{path}")
        assert answer.status == status


def _certificate(port: int, name: str | None) -> bytes:
    """Return the certificate that a listener presents for a server name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((HOST, port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


async def test_one_address_has_no_more_connections_than_the_example_says(
    request: pytest.FixtureRequest, scene: Scene
) -> None:
    which = request.node.callspec.params["scene"]
    with server_folder() as folder:
        async with PROXIES[which](folder, behind(scene.stage), most=3) as proxy:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            opened = [await _opened(proxy.public, context) for _ in range(3)]
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await _opened(proxy.public, context)
            opened[0].close()

            async def room() -> asyncio.StreamWriter | None:
                try:
                    return await _opened(proxy.public, context)
                except OSError:
                    return None

            opened.append(await until(room, "a connection that ends leaves room"))
            for each in opened:
                each.transport.abort()


async def _opened(port: int, context: ssl.SSLContext) -> asyncio.StreamWriter:
    return (await asyncio.open_connection(HOST, port, ssl=context))[1]


async def test_the_log_of_connections_has_nothing_of_what_passed(scene: Scene) -> None:
    stage = scene.stage
    direct = stage.client(stage.habo)
    client = MessageClient(f"https://{HOST}:{scene.proxy.public}", asking_for(API, scene.trust), direct.token)
    message_id = await client.sends(document(stage.habo.address, stage.agency.address))
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    text = scene.proxy.log.read_text()
    assert direct.token not in text
    assert message_id not in text
    assert "/v1/sdk" not in text


@pytest.mark.parametrize("example", ["nginx.conf", "haproxy.cfg"])
def test_a_proxy_waits_longer_than_the_longest_poll(example: str) -> None:
    text = (EXAMPLES / example).read_text()
    minutes = re.findall(r"(?:proxy_timeout|timeout (?:client|server)) +(\d+)m", text)
    assert len(minutes) == (1 if example == "nginx.conf" else 2)
    assert all(60 * int(each) > OVER_A_NETWORK for each in minutes)


@pytest.mark.parametrize("example", ["nginx.conf", "haproxy.cfg"])
def test_no_example_ends_tls(example: str) -> None:
    text = (EXAMPLES / example).read_text()
    directives = [line.split("#")[0].strip() for line in text.splitlines()]
    ends = re.compile(r"\bssl\b|ssl_certificate|\bcrt\b|mode http|\bhttp \{")
    assert [line for line in directives if ends.search(line)] == []
