"""Interface C over the network and by calls within one process: the same contract and the same rights."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from samdrift.accesspoint import interface_c
from samdrift.accesspoint.interface_c import InterfaceC, Polling, Submissions
from samdrift.accesspoint.settings import Client
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import (
    OVER_A_NETWORK,
    WITHIN_A_PROCESS,
    TransferReason,
    TransferRefused,
    TransferUnavailable,
)
from samdrift.net.client import HttpClient
from samdrift.net.guard import guarded
from samdrift.net.interface_c import HttpAccessPoint
from samdrift.net.server import CLIENT_CERTIFICATE
from samdrift.scheduling.signals import Signals
from samdrift.vault.errors import VaultLocked
from samdrift.wire.envelope import seal
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.roles.letters import header
from tests.unit.accesspoint.ends import settling
from tests.unit.accesspoint.test_interface_c_answers import SETTINGS, Idle, envelope
from tests.unit.net.test_tls import CLIENTS, SECOND
from tests.unit.net.ways import NETWORK, WAYS, Way
from tests.vaults import ELSEWHERE, NOW, Installation, body, incoming, until

ROLES = (Role.ACCESS_POINT,)
LARGE = os.urandom(3 << 20)


class Locked:
    """A gate whose vaults wait for their officers to unlock them."""

    @asynccontextmanager
    async def open(self, *_: object) -> AsyncIterator[None]:
        raise VaultLocked
        yield

    async def cover(self, *_: object) -> None:
        raise VaultLocked


@dataclass(frozen=True)
class Place:
    """An access point with two organisations, and the files of their message services."""

    way: Way
    installation: Installation
    own: ParticipantIdentifier
    other: ParticipantIdentifier

    def shown(self, name: str) -> tuple[str, str]:
        """Return a caller's certificate as its fingerprint, and in the form of a header field (RFC 9440)."""
        certificate = x509.load_pem_x509_certificate((self.way.folder / f"{name}.pem").read_bytes())
        whole = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
        return certificate.fingerprint(hashes.SHA256()).hex(), f":{whole}:"

    @asynccontextmanager
    async def calling(self, gate: Any = None) -> AsyncIterator[Callers]:
        """Run the access point with both organisations, an unregistered caller, and one of another issuer."""
        names = ("own", CLIENTS), ("other", CLIENTS), ("stranger", CLIENTS), ("forged", SECOND)
        callers = [self.way.caller(name, issuer) for name, issuer in names]
        clients = {
            self.shown(name)[0]: Client(whose, "message-service")
            for name, whose in (("own", self.own), ("other", self.other), ("forged", self.own))
        }
        idle: Any = Idle()
        gate, signals = gate or self.installation.gate, Signals()
        submissions = Submissions(SETTINGS, gate, idle, lambda: NOW, os.urandom)
        polling = Polling(gate, signals, settling(gate, signals), lambda: NOW)
        interface = InterfaceC(gate, submissions, polling, lambda: clients)
        async with self.way.reached(guarded(interface.application(), raised), *callers) as (url, http):
            yield Callers(url, http, clients, signals, *(HttpAccessPoint(one, url) for one in http))

    async def arrived(self, content: bytes = b"<xhe/>") -> None:
        """Store an envelope that waits for the first organisation."""
        async with self.installation.open(self.own, Role.ACCESS_POINT) as vault:
            assert await vault.accept(incoming(), await body(vault, content), b"receipt", now=NOW)


@dataclass(frozen=True)
class Callers:
    """The access point as each of its callers reaches it."""

    url: str
    http: list[HttpClient]
    clients: dict[str, Client]
    signals: Signals
    own: HttpAccessPoint
    other: HttpAccessPoint
    stranger: HttpAccessPoint
    forged: HttpAccessPoint


def raised(error: BaseException) -> None:
    raise error


@pytest.fixture(params=WAYS)
async def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    installation: Installation,
    organisation: ParticipantIdentifier,
) -> Place:
    other = await installation.organisation(ROLES)
    return Place(Way(request.param, tmp_path), installation, organisation, other)


async def fetched(access_point: HttpAccessPoint, item: str) -> bytes:
    return b"".join([piece async for piece in access_point.fetch(item)])


async def refusals(access_point: HttpAccessPoint, envelope_id: str, data: bytes) -> set[str]:
    """Return the texts with which the calls are refused."""
    item = str(uuid4())
    calls = (
        access_point.submit(envelope_id, envelope_id, data),
        access_point.poll(0, 0),
        fetched(access_point, item),
        access_point.acknowledge(item),
    )
    texts = set()
    for call in calls:
        with pytest.raises(TransferUnavailable) as caught:
            await call
        texts.add(caught.value.text.removeprefix("fetch: "))
    return texts


async def test_the_contract_is_the_same(place: Place) -> None:
    envelope_id, data = envelope(place.own)
    await place.arrived()
    async with place.calling() as callers:
        own = callers.own
        first = await own.submit(envelope_id, envelope_id, data)
        again = await own.submit(envelope_id, envelope_id, data)
        assert (first.created, again.created, again.transfer_id) == (True, False, first.transfer_id)
        with pytest.raises(TransferRefused) as caught:
            await own.submit(envelope_id, envelope_id, b"<xhe/>")
        assert caught.value.reason is TransferReason.ENVELOPE_INVALID
        (item,) = (await own.poll(0, 0)).inbox
        assert item.envelope == await fetched(own, item.id) == b"<xhe/>"
        await own.acknowledge(item.id)
        await own.acknowledge(item.id)
        assert (await own.poll(0, 0)).inbox == ()


async def test_a_large_envelope_goes_in_pieces_both_ways(place: Place) -> None:
    says = header(place.own, ELSEWHERE)
    payload = b'<a xmlns="urn:a">' + b"x" * len(LARGE) + b"</a>"
    data = seal(says, payload, signer=None, recipient=None, rng=os.urandom)
    await place.arrived(LARGE)
    async with place.calling() as callers:
        assert (await callers.own.submit(says.id, says.id, data)).created
        (item,) = (await callers.own.poll(0, 0)).inbox
        assert item.envelope is None
        assert await fetched(callers.own, item.id) == LARGE


async def test_nobody_calls_in_the_name_of_another_organisation(place: Place) -> None:
    """No field of a request helps: another organisation's items seem not to exist."""
    await place.arrived()
    envelope_id, data = envelope(place.own)
    async with place.calling() as callers:
        fingerprint, certificate = place.shown("own")
        claims = {
            "client-cert": certificate,
            CLIENT_CERTIFICATE: fingerprint,
            "samdrift-vouched": fingerprint,
        }
        (item,) = (await callers.own.poll(0, 0)).inbox
        assert (await callers.other.poll(0, 0)).inbox == ()
        for method, path, content in (
            ("GET", f"/c/v1/inbox/{item.id}", None),
            ("DELETE", f"/c/v1/inbox/{item.id}", None),
            ("PUT", f"/c/v1/envelopes/{envelope_id}", data),
        ):
            async with callers.http[1].exchange(
                method, f"{callers.url}{path}", content, headers=claims
            ) as answer:
                assert answer.status == (403 if method == "PUT" else 404)
        assert (await callers.own.poll(0, 0)).inbox == (item,)


async def test_who_is_not_registered_is_refused(place: Place) -> None:
    async with place.calling() as callers:
        assert await refusals(callers.stranger, *envelope(place.own)) == {"HTTP status 403"}
        await callers.own.poll(0, 0)
        callers.clients.clear()
        assert await refusals(callers.own, *envelope(place.own)) == {"HTTP status 403"}


async def test_a_certificate_of_another_issuer_is_nobodys_though_it_be_registered(place: Place) -> None:
    async with place.calling() as callers:
        for text in await refusals(callers.forged, *envelope(place.own)):
            assert "HTTP status" not in text


async def test_while_the_vault_is_locked_whoever_calls_is_asked_to_come_again(place: Place) -> None:
    async with place.calling(Locked()) as callers:
        assert await refusals(callers.own, *envelope(place.own)) == {"HTTP status 503"}


async def test_a_poll_that_waits_ends_with_its_caller(place: Place) -> None:
    """Otherwise it would occupy a place for its whole wait, and a restarted service would find none."""
    async with place.calling() as callers:
        waiting = [asyncio.create_task(callers.own.poll(0, 600)) for _ in range(16)]
        await until(lambda: place.own in callers.signals._changed)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(TransferUnavailable):
                    assert (await callers.own.poll(0, 0)).inbox == ()
                    break
                await asyncio.sleep(0.01)


async def test_a_poll_waits_no_longer_than_what_lies_between_lets_silence_last(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies, and message services of other suppliers, allow ten minutes of silence."""
    waits = list[float]()

    async def silent(organisation: ParticipantIdentifier, count: int, within: float) -> bool:
        waits.append(within)
        return False

    monkeypatch.setattr(interface_c, "_SHORT_WAIT", WITHIN_A_PROCESS)
    async with place.calling() as callers:
        monkeypatch.setattr(callers.signals, "beyond", silent)
        await callers.own.poll(0, 3600)
    assert waits == [OVER_A_NETWORK if place.way.name == NETWORK else WITHIN_A_PROCESS]
