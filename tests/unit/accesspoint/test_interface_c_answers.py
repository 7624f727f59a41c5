"""Every answer that the OpenAPI document promises can be had from the code, and no other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.accesspoint.interface_c import InterfaceC, Polling, Submissions
from samdrift.accesspoint.problems import TYPE
from samdrift.accesspoint.settings import Client
from samdrift.audit.tiles import Tile
from samdrift.contracts.cover import Cover, Mode
from samdrift.contracts.principals import Role
from samdrift.net.server import CLIENT_CERTIFICATE
from samdrift.scheduling.shares import Shares
from samdrift.scheduling.signals import Signals
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.wire.envelope import seal
from samdrift.wire.identifiers import FEDERATION_TEST, SDK_MESSAGE_BASE, ParticipantIdentifier
from tests.roles.letters import header
from tests.settings import access_point_settings
from tests.unit.accesspoint.test_interface_c_document import DOCUMENT, answers, operations
from tests.vaults import ELSEWHERE, NOW, Installation, body, incoming, until

ROLES = (Role.ACCESS_POINT,)

SUBMIT, POLL, INBOX = "/c/v1/envelopes/{envelope_id}", "/c/v1/poll", "/c/v1/inbox/{item_id}"
KNOWN, UNSERVED = "00", "11"
SETTINGS = access_point_settings("AP0001-SDK-TEST", FEDERATION_TEST, "ap.test")
Answered = tuple[str, str, int, str]
LOG = "/c/v1/logs/{role}/{resource}"
NAMES = {"envelope_id": str(uuid4()), "item_id": str(uuid4()), "role": "ap", "resource": "checkpoint"}
"""Values for what paths name."""


class Idle:
    """No transfer is begun."""

    def room_for(self, organisation: ParticipantIdentifier, recipient: ParticipantIdentifier) -> bool:
        return False

    def queued(self, organisation: ParticipantIdentifier) -> None:
        pass


class Unreachable:
    """A gate whose database does not answer."""

    @asynccontextmanager
    async def open(self, *_: object) -> AsyncIterator[None]:
        raise VaultUnavailable
        yield

    async def cover(self, *_: object) -> None:
        raise VaultUnavailable


@dataclass(frozen=True)
class AfterTheEnd:
    """A gate whose organisations' cover by agreements has ended."""

    gate: Gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self.gate, name)

    async def cover(self, *_: object) -> Cover:
        return Cover(Mode.RECEIVING, NOW)


def shown(app: ASGIApp, certificate: str) -> ASGIApp:
    """The application as it is reached with a client certificate."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CLIENT_CERTIFICATE: certificate}, receive, send)

    return application


@dataclass(frozen=True)
class Caller:
    """A message service that calls, and notes what it is answered."""

    app: ASGIApp
    seen: set[Answered]

    async def call(
        self, method: str, path: str, content: bytes = b"", certificate: str = KNOWN, **names: str
    ) -> httpx.Response:
        transport = httpx.ASGITransport(shown(self.app, certificate))
        async with httpx.AsyncClient(transport=transport, base_url="https://ap") as client:
            answer = await client.request(method, path.format(**names), content=content)
        problem = ""
        if answer.status_code >= 400:
            document = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert document["status"] == answer.status_code
            problem = document["type"].removeprefix(TYPE)
            assert document["title"] == problem
        self.seen.add((method, path, answer.status_code, problem))
        return answer


def application(gate: Any, organisation: ParticipantIdentifier, unserved: ParticipantIdentifier) -> ASGIApp:
    idle: Any = Idle()
    submissions = Submissions(SETTINGS, gate, idle, lambda: NOW, os.urandom)
    clients = {KNOWN: Client(organisation, "journal"), UNSERVED: Client(unserved, "journal")}
    return InterfaceC(gate, submissions, Polling(gate, Signals(), lambda: NOW), lambda: clients).application()


def envelope(sender: ParticipantIdentifier, **changes: Any) -> tuple[str, bytes]:
    says = header(sender, ELSEWHERE, **changes)
    return says.id, seal(says, b'<a xmlns="urn:a"/>', signer=None, recipient=None, rng=os.urandom)


async def test_every_answer_in_the_document_is_given_and_no_other(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    unserved = await installation.organisation([Role.ACCESS_POINT])
    await installation.provisioner.drop(unserved, Role.ACCESS_POINT)
    await until(lambda: installation.gate.registry.find(unserved, Role.ACCESS_POINT) is None)
    seen: set[Answered] = set()
    caller = Caller(application(installation.gate, organisation, unserved), seen)
    for method, path, _ in operations():
        for certificate in ("22", UNSERVED):
            envelope_id, data = envelope(organisation)
            content = data if path == SUBMIT else b"{}"
            await caller.call(method, path, content, certificate, **{**NAMES, "envelope_id": envelope_id})
    await submits(caller, organisation)
    envelope_id, data = envelope(organisation)
    ended = Caller(application(AfterTheEnd(installation.gate), organisation, unserved), seen)
    assert (await ended.call("PUT", SUBMIT, data, envelope_id=envelope_id)).status_code == 422
    await reads_along(caller, installation, organisation)
    await takes(caller, installation, organisation)
    without = Caller(application(Unreachable(), organisation, unserved), seen)
    for method, path, _ in operations():
        answer = await without.call(method, path, b"{}", **NAMES)
        assert (answer.status_code == 503) == ("retry-after" in answer.headers)
    promised = {
        (method, path, *answer) for method, path, operation in operations() for answer in answers(operation)
    }
    assert seen == promised


async def submits(caller: Caller, organisation: ParticipantIdentifier) -> None:
    envelope_id, data = envelope(organisation)
    for status in (201, 200):
        assert (await caller.call("PUT", SUBMIT, data, envelope_id=envelope_id)).status_code == status
    for sender, changes in ((ELSEWHERE, {}), (organisation, {"document": SDK_MESSAGE_BASE})):
        envelope_id, data = envelope(sender, **changes)
        await caller.call("PUT", SUBMIT, data, envelope_id=envelope_id)
    assert (await caller.call("PUT", SUBMIT, b"<xhe/>", envelope_id=str(uuid4()))).status_code == 422


async def takes(caller: Caller, installation: Installation, organisation: ParticipantIdentifier) -> None:
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        assert await vault.accept(incoming(), await body(vault, b"<xhe/>"), b"receipt", now=NOW)
    (item,) = (await caller.call("POST", POLL, b"{}")).json()["inbox"]
    assert (await caller.call("POST", POLL, b"[]")).status_code == 400
    assert (await caller.call("POST", POLL, b" " * (64 << 10) + b"{}")).status_code == 413
    assert (await caller.call("GET", INBOX, item_id=item["id"])).content == b"<xhe/>"
    for method, status in (("DELETE", 204), ("DELETE", 404), ("GET", 404)):
        assert (await caller.call(method, INBOX, item_id=item["id"])).status_code == status


async def reads_along(
    caller: Caller, installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """The whole log as it is signed, and nothing of it leaves an entry in it."""
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        state = await vault.tree.sign(NOW)
        bundle = await vault.tree.tile(Tile(None, 0, state.signed or 0))
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        before = await vault.tree.state()
    answer = await caller.call("GET", LOG, role="ap", resource="checkpoint")
    assert (answer.status_code, answer.content) == (200, state.note)
    answer = await caller.call("GET", LOG, role="ap", resource=Tile(None, 0, state.signed or 0).path)
    assert (answer.status_code, answer.content) == (200, bundle)
    for role, resource in (("ap", "tile/0/009"), ("ap", "tile/entries"), ("xx", "checkpoint")):
        assert (await caller.call("GET", LOG, role=role, resource=resource)).status_code == 404
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        assert await vault.tree.state() == before


async def test_every_request_waits_for_its_organisations_share(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Hashable] = []

    async def request(shares: Shares, organisation: Hashable, cost: float) -> None:
        assert cost > 0
        asked.append(organisation)

    monkeypatch.setattr(Shares, "request", request)
    caller = Caller(application(Unreachable(), ELSEWHERE, ELSEWHERE), set())
    paced = [(method, path) for method, path, _ in operations() if not path.endswith("openapi.json")]
    for method, path in paced:
        await caller.call(method, path, b"{}", **NAMES)
    assert asked == [ELSEWHERE] * len(paced)


@pytest.mark.parametrize("certificate", [KNOWN, "22"])
async def test_the_document_is_served(installation: Installation, certificate: str) -> None:
    caller = Caller(application(installation.gate, ELSEWHERE, ELSEWHERE), set())
    answer = await caller.call("GET", "/c/v1/openapi.json", certificate=certificate)
    assert (answer.headers["content-type"], answer.json()) == ("application/json", DOCUMENT)


async def test_who_is_not_registered_any_more_when_something_comes_gets_nothing_of_it(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A poll may wait for ten minutes."""
    idle: Any = Idle()
    gate, signals = installation.gate, Signals()
    submissions = Submissions(SETTINGS, gate, idle, lambda: NOW, os.urandom)
    clients = {KNOWN: Client(organisation, "journal")}
    polling = Polling(gate, signals, lambda: NOW)
    caller = Caller(InterfaceC(gate, submissions, polling, lambda: clients).application(), set())
    for registered, status in ((True, 200), (False, 403)):
        waiting = asyncio.create_task(caller.call("POST", POLL, b'{"wait": 600}'))
        while organisation not in signals._changed:
            await asyncio.sleep(0.01)
        if not registered:
            clients.clear()
        signals.notify(organisation)
        assert (await waiting).status_code == status
