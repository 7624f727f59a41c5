"""Every response in the OpenAPI document can be obtained from the code, and no other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.accesspoint import interface_c
from samdrift.accesspoint.interface_c import InterfaceC, Polling, Submissions
from samdrift.accesspoint.problems import TYPE
from samdrift.accesspoint.settings import Client
from samdrift.audit.tiles import Tile
from samdrift.contracts.cover import Cover, Mode
from samdrift.contracts.hold import Hold
from samdrift.contracts.principals import Principal, PrincipalKind, Role
from samdrift.contracts.transfer import Poll, TransferReason
from samdrift.net.interface_c import ENVELOPES, PollRequest, decode_poll
from samdrift.net.server import CLIENT_CERTIFICATE
from samdrift.scheduling.rounds import phase
from samdrift.scheduling.shares import Shares
from samdrift.scheduling.signals import Signals
from samdrift.vault.errors import VaultUnavailable
from samdrift.vault.gate import Gate
from samdrift.wire.envelope import seal
from samdrift.wire.identifiers import FEDERATION_TEST, SDK_MESSAGE_BASE, ParticipantIdentifier
from tests.roles.letters import header
from tests.settings import access_point_settings
from tests.unit.accesspoint.ends import settling
from tests.unit.accesspoint.test_interface_c_document import DOCUMENT, answers, operations
from tests.vaults import ELSEWHERE, NOW, Installation, body, incoming, submitted, until

ROLES = (Role.ACCESS_POINT,)

SUBMIT, POLL, INBOX = "/c/v1/envelopes/{envelope_id}", "/c/v1/poll", "/c/v1/inbox/{item_id}"
KNOWN, UNSERVED = "00", "11"
SETTINGS = access_point_settings("AP0001-SDK-TEST", FEDERATION_TEST, "ap.test")
Answered = tuple[str, str, int, str]
LOG = "/c/v1/logs/{role}/{resource}"
NAMES = {"envelope_id": str(uuid4()), "item_id": str(uuid4()), "role": "ap", "resource": "checkpoint"}
"""Values of the parameters in paths."""


class Idle:
    """A sender that begins no transfer."""

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
    """Return the application as it is called with a client certificate."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CLIENT_CERTIFICATE: certificate}, receive, send)

    return application


@dataclass(frozen=True)
class Caller:
    """A message service that makes calls and records the responses."""

    app: ASGIApp
    seen: set[Answered]

    async def call(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        certificate: str = KNOWN,
        headers: dict[str, str] | None = None,
        **names: str,
    ) -> httpx.Response:
        transport = httpx.ASGITransport(shown(self.app, certificate))
        async with httpx.AsyncClient(transport=transport, base_url="https://ap") as client:
            answer = await client.request(method, path.format(**names), content=content, headers=headers)
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
    signals = Signals()
    polling = Polling(gate, signals, settling(gate, signals), lambda: NOW)
    return InterfaceC(gate, submissions, polling, lambda: clients).application()


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
        if answer.status_code == 503:
            assert answer.json()["waitsFor"] == Hold.DATABASE
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
    """Read the whole signed log, which must not add an entry to it."""
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


async def test_a_small_envelope_comes_with_the_poll_that_asks_for_it(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    caller = Caller(application(installation.gate, organisation, ELSEWHERE), set())
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        assert await vault.accept(incoming(), await body(vault, b"<xhe/>"), b"receipt", now=NOW)
    for asked, came in ((None, None), ("0", None), ("5", None), ("6", b"<xhe/>"), ("9" * 12, b"<xhe/>")):
        headers = {ENVELOPES: asked} if asked is not None else {}
        answer = await caller.call("POST", POLL, b"{}", headers=headers)
        (item,) = decode_poll(answer.json()).inbox
        assert item.envelope == came, asked
        assert ("envelope" in answer.json()["inbox"][0]) is (came is not None), (
            "only a poll that asks for envelopes of that size gets one"
        )
    for asked in ("", "-1", "1.5", "many", "9" * 13):
        answer = await caller.call("POST", POLL, b"{}", headers={ENVELOPES: asked})
        assert answer.status_code == 400


async def test_an_envelope_that_the_object_store_does_not_have_now_can_be_fetched_later(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """The error is returned before the response begins, which would otherwise break off without a reason."""
    caller = Caller(application(installation.gate, organisation, ELSEWHERE), set())
    large = os.urandom(400_000)
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        assert await vault.accept(incoming(), await body(vault, large), b"receipt", now=NOW)
    (item,) = decode_poll((await caller.call("POST", POLL, b"{}")).json()).inbox
    folder = Path(installation.settings.objects)
    aside = folder.rename(folder.with_name("aside"))
    try:
        answer = await caller.call("GET", INBOX, item_id=item.id)
    finally:
        aside.rename(folder)
    assert answer.status_code == 503
    answer = await caller.call("GET", INBOX, item_id=item.id)
    assert (answer.status_code, answer.content) == (200, large)


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


async def test_a_vault_is_not_opened_to_find_nothing_beyond_what_was_just_told(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals, looks, real = Signals(), list[PollRequest](), Polling._look

    async def look(
        polling: Polling, who: Principal, whose: ParticipantIdentifier, asked: PollRequest, small: int
    ) -> Poll:
        if whose == organisation:  # Operators of other tests in this process keep polling.
            looks.append(asked)
        return await real(polling, who, whose, asked, small)

    monkeypatch.setattr(Polling, "_look", look)
    now = [0.0]
    polling = Polling(
        installation.gate, signals, settling(installation.gate, signals), lambda: NOW, lambda: now[0]
    )
    who = Principal(PrincipalKind.SYSTEM, "journal", organisation.value)

    async def told(after: int, *taken: str, past: str = "") -> tuple[Poll, int]:
        looks.clear()
        return await polling.poll(who, organisation, PollRequest(after, 0, taken, past)), len(looks)

    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        transfer = await submitted(vault)
        await vault.failed(transfer.id, now=NOW, reason=TransferReason.GIVEN_UP, detail="")
    (poll, _) = await told(0)
    (event,) = poll.events
    assert await told(event.sequence) == (Poll((), ()), 0)
    assert (await told(0))[0] == poll, "a lost answer must be repeated"
    assert (await told(event.sequence, past="x"))[1] == 1
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        await vault.accept(incoming(), await body(vault), b"", now=NOW)
    signals.notify(organisation)
    (poll, _) = await told(event.sequence)
    (item,) = poll.inbox
    assert await told(event.sequence) == (poll, 1), (
        "a waiting envelope must be reported until it is acknowledged"
    )
    assert await told(event.sequence, past=item.id) == (Poll((), ()), 1)
    assert await told(event.sequence) == (poll, 1), (
        "a poll that skipped the envelope must not hide it from others"
    )
    assert await told(event.sequence, item.id) == (Poll((), ()), 1)
    assert await told(event.sequence) == (Poll((), ()), 0)
    now[0] += 3600
    assert await told(event.sequence) == (Poll((), ()), 1), (
        "look again after a while, as a process may have been killed after storing"
    )
    assert await told(event.sequence) == (Poll((), ()), 0)


async def test_what_is_believed_since_the_start_ends_for_each_organisation_at_a_moment_of_its_own(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, real = list[float](), Polling._look
    now = [0.0]

    async def look(
        polling: Polling, who: Principal, whose: ParticipantIdentifier, asked: PollRequest, small: int
    ) -> Poll:
        if whose == organisation:
            looks.append(now[0])
        return await real(polling, who, whose, asked, small)

    monkeypatch.setattr(Polling, "_look", look)
    signals = Signals()
    polling = Polling(
        installation.gate, signals, settling(installation.gate, signals), lambda: NOW, lambda: now[0]
    )
    who = Principal(PrincipalKind.SYSTEM, "journal", organisation.value)
    first = 1800 * (1 - phase(organisation))
    for moment in (0, first - 1, first + 1, first + 1800, first + 1802):
        now[0] = moment
        await polling.poll(who, organisation, PollRequest(0, 0, (), ""))
    assert looks == [0, first + 1, first + 1802]


async def test_a_long_poll_waits_no_longer_than_nothing_is_believed_to_be_there(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """An envelope stored by a process that was killed before it notified is found by looking periodically."""
    waits, now = list[float](), [0.0]

    class Silent(Signals):
        async def beyond(self, organisation: ParticipantIdentifier, count: int, within: float) -> bool:
            waits.append(within)
            return False

    signals = Silent()
    polling = Polling(
        installation.gate, signals, settling(installation.gate, signals), lambda: NOW, lambda: now[0]
    )
    who = Principal(PrincipalKind.SYSTEM, "journal", organisation.value)
    first = 1800 * (1 - phase(organisation))
    for moment, wait in (
        (0, 1800),
        (first + 1, 1800),
        (first + 301, 1800),
        (first + 1601, 1800),
        (first, 55),
    ):
        now[0] = moment
        await polling.poll(who, organisation, PollRequest(0, wait, (), ""))
    assert waits == pytest.approx([max(first, 600), 1800, 1500, 600, 55])


async def test_who_is_not_registered_any_more_when_something_comes_gets_nothing_of_it(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A poll may wait for ten minutes, during which the registration can end."""
    idle: Any = Idle()
    gate, signals = installation.gate, Signals()
    submissions = Submissions(SETTINGS, gate, idle, lambda: NOW, os.urandom)
    clients = {KNOWN: Client(organisation, "journal")}
    polling = Polling(gate, signals, settling(gate, signals), lambda: NOW)
    caller = Caller(InterfaceC(gate, submissions, polling, lambda: clients).application(), set())
    for registered, status in ((True, 200), (False, 403)):
        waiting = asyncio.create_task(caller.call("POST", POLL, b'{"wait": 600}'))
        while organisation not in signals._changed:
            await asyncio.sleep(0.01)
        if not registered:
            clients.clear()
        signals.notify(organisation)
        assert (await waiting).status_code == status


class Taking:
    """A message service that acknowledges with its polls, and counts how often that opens the vault."""

    def __init__(
        self, installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.organisation, self.signals, self.looks = organisation, Signals(), 0
        self._installation = installation
        ends = settling(installation.gate, self.signals)
        self._polling = Polling(installation.gate, self.signals, ends, lambda: NOW)
        self._who = Principal(PrincipalKind.SYSTEM, "journal", organisation.value)
        real = Polling._look

        async def look(polling: Polling, who: Principal, *asked: Any) -> Poll:
            self.looks += asked[0] == organisation
            return await real(polling, who, *asked)

        monkeypatch.setattr(Polling, "_look", look)

    async def comes(self) -> None:
        """Receive an envelope."""
        async with self._installation.open(self.organisation, Role.ACCESS_POINT) as vault:
            await vault.accept(incoming(), await body(vault), b"", now=NOW)
        self.signals.notify(self.organisation)

    async def poll(self, *taken: str, wait: float = 600.0) -> list[str]:
        """Return the ids of the items in the response to a poll."""
        asked = PollRequest(0, wait, taken, "")
        return [item.id for item in (await self._polling.poll(self._who, self.organisation, asked)).inbox]

    async def waiting(self) -> list[str]:
        """Return the ids of the items that are not acknowledged."""
        async with self._installation.open(self.organisation, Role.ACCESS_POINT) as vault:
            return [item.id for item in await vault.inbox(9)]


@pytest.fixture
def taking(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> Taking:
    """Return a message service of an access point that delays acknowledgements until there is news."""
    monkeypatch.setattr(interface_c, "_TOGETHER", 600.0)
    return Taking(installation, organisation, monkeypatch)


async def test_what_is_taken_is_acknowledged_in_the_opening_that_finds_the_next_news(
    taking: Taking,
) -> None:
    await taking.comes()
    (first,) = await taking.poll()
    polling = asyncio.create_task(taking.poll(first))
    while taking.organisation not in taking.signals._changed:
        await asyncio.sleep(0)
    assert (taking.looks, await taking.waiting()) == (1, [first])
    await taking.comes()
    (second,) = await polling
    assert second != first
    assert (taking.looks, await taking.waiting()) == (2, [second])


async def test_without_news_what_is_taken_is_acknowledged_after_a_moment(
    taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interface_c, "_TOGETHER", 0.01)
    await taking.comes()
    (first,) = await taking.poll()
    polling = asyncio.create_task(taking.poll(first))
    while taking.looks < 2:
        await asyncio.sleep(0.01)
    await taking.comes()
    assert first not in await polling + await taking.waiting()


async def test_who_has_not_been_told_of_everything_does_not_wait_for_more(
    taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interface_c, "_MAX_ITEMS", 1)
    await taking.comes()
    await taking.comes()
    (first,) = await taking.poll()
    polling = asyncio.create_task(taking.poll(first))
    while not polling.done() and taking.organisation not in taking.signals._changed:
        await asyncio.sleep(0)
    assert polling.done(), "the poll waits although an envelope is there"
    (second,) = await polling
    assert await taking.waiting() == [second]


async def test_who_does_not_wait_has_it_acknowledged_when_the_answer_comes(
    taking: Taking,
) -> None:
    await taking.comes()
    (first,) = await taking.poll()
    assert await taking.poll(first, wait=0) == []
    assert await taking.waiting() == []
