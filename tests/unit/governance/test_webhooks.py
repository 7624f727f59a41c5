"""An organisation's webhook is notified of an emergency soon and once, with a verifiable token."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from samdrift.contracts.principals import Purpose, Role
from samdrift.governance import webhooks
from samdrift.governance.webhooks import EVENT, TRIED_FOR, Target, WebhookEvent, Webhooks
from samdrift.net.background import in_background
from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer
from samdrift.net.entered import EnteredAddressClient
from samdrift.rights import Approved
from samdrift.rights.consents import AccountGiven
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.jose.jwt import UnverifiedJwt
from samdrift.wire.jose.keys import PublicKey
from tests.unit.governance.test_consent import Served, served
from tests.unit.rights.test_consents import OLA, PIA, asking, emergency
from tests.vaults import Installation

TARGET = Target("https://larm.habo.se/samdrift", "https://styrning.habo.se")
GOV = Role.GOVERNANCE


@dataclass
class Receiver:
    """The organisation's server, with the notifications that it received."""

    posted: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    answers: list[int | HttpFault] = field(default_factory=list)
    """The next answers; after them, everything is accepted."""

    async def fetch(
        self,
        url: str,
        limits: FetchLimits,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        assert content is not None
        assert limits.seconds <= 30
        self.posted.append((url, content.decode(), headers or {}))
        answer = self.answers.pop(0) if self.answers else 202
        if isinstance(answer, HttpFault):
            raise NoAnswer(answer)
        return Fetched(answer, "", b"")


@dataclass
class House:
    """An organisation with a webhook."""

    town: Served
    receiver: Receiver = field(default_factory=Receiver)
    noted: list[tuple[str, str]] = field(default_factory=list)
    webhooks: Webhooks = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start another process, which remembers nothing."""
        gate, clock = self.town.installation.gate, self.town.clock
        targets = {self.town.organisation: TARGET}
        note = lambda host, why: self.noted.append((host, why))  # noqa: E731
        self.webhooks = Webhooks(gate, self.town.records, targets, self.receiver, clock, note)

    async def begun(self) -> str:
        stated = await self.town.state(OLA, emergency())
        await self.town.state(PIA, Approved(stated.digest))
        return stated.digest

    async def look(self, after: timedelta = timedelta()) -> None:
        self.town.moment = self.town.house.now + after
        await self.webhooks.look(self.town.organisation)

    async def events(self) -> list[tuple[str, dict[str, str]]]:
        async with self.town.installation.open(self.town.organisation, GOV, Purpose.TRACE) as vault:
            entries = await vault.log(0, 5000)
        return [(one.event, dict(one.ids)) for one in entries if one.event in tuple(WebhookEvent)]


@pytest.fixture
async def house(installation: Installation) -> House:
    return House(await served(installation))


async def test_the_token_is_signed_by_the_organisations_published_key_and_names_nobody(house: House) -> None:
    digest = await house.begun()
    await house.look()
    ((url, token, headers),) = house.receiver.posted
    assert url == TARGET.url
    assert headers["Content-Type"] == "application/secevent+jwt"
    async with house.town.installation.open(house.town.organisation, GOV, Purpose.AUTHORISE) as vault:
        published = [PublicKey.named(each.public) for each in vault.token_keys(now=house.town.clock())]
    claims = UnverifiedJwt.read(token).verified(published, types=("secevent+jwt",))
    assert claims.text("iss") == TARGET.issuer
    assert claims.text("aud") == TARGET.url
    told = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))["events"][EVENT]
    assert told["consent"] == digest
    assert told["organisation"] == house.town.organisation.value
    assert set(told) == {"organisation", "consent", "begins", "ends", "in_a_week"}
    for secret in ("ola", "pia", "INC-4712", "0d9b6c1e"):
        assert secret not in repr(told)


async def test_it_is_posted_once_also_after_a_restart(house: House) -> None:
    await house.begun()
    for _ in range(3):
        await house.look()
        house.begin()
    assert len(house.receiver.posted) == 1
    assert [event for event, _ in await house.events()] == [WebhookEvent.GOV_WEBHOOK_DELIVERED]


async def test_what_is_not_in_force_or_was_asked_for_calls_nobody(house: House) -> None:
    await house.town.state(OLA, emergency())
    await house.town.state(PIA, asking(to=PIA))
    await house.look()
    assert house.receiver.posted == []


async def test_it_is_tried_again_with_longer_pauses_and_the_log_has_the_first_failure_once(
    house: House,
) -> None:
    await house.begun()
    house.receiver.answers = [503, HttpFault.TIMEOUT, 302]
    tried = []
    for second in range(0, 120, 5):
        before = len(house.receiver.posted)
        await house.look(timedelta(seconds=second))
        if len(house.receiver.posted) > before:
            tried.append(second)
        if second == 20:
            house.begin()
    assert tried[0] == 0
    assert len(tried) == 4
    names = [(event, facts.get("reason")) for event, facts in await house.events()]
    failed, delivered = WebhookEvent.GOV_WEBHOOK_FAILED, WebhookEvent.GOV_WEBHOOK_DELIVERED
    assert names == [(failed, "status 503"), (delivered, None)]
    assert house.noted[0] == ("larm.habo.se", "status 503")
    assert house.noted[-1] == ("larm.habo.se", "")


async def test_after_a_day_it_is_given_up_and_the_log_says_so(house: House) -> None:
    await house.begun()
    house.receiver.answers = [500] * 1000
    await house.look()
    await house.look(TRIED_FOR + timedelta(minutes=1))
    tried = len(house.receiver.posted)
    await house.look(TRIED_FOR + timedelta(hours=2))
    house.begin()
    await house.look(TRIED_FOR + timedelta(hours=3))
    assert len(house.receiver.posted) == tried == 2
    events = [event for event, _ in await house.events()]
    assert events == [WebhookEvent.GOV_WEBHOOK_FAILED, WebhookEvent.GOV_WEBHOOK_ABANDONED]


async def test_an_account_of_the_emergency_stops_nothing(house: House) -> None:
    digest = await house.begun()
    await house.town.state(OLA, AccountGiven(digest, "looked at the queue"))
    await house.look()
    assert len(house.receiver.posted) == 1


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/x", "https://10.0.0.1/x", "https://[::1]/x", "http://a.se/"]
)
async def test_no_private_address_is_called_and_nothing_without_tls(house: House, url: str) -> None:
    await house.begun()
    gate, clock = house.town.installation.gate, house.town.clock
    targets = {house.town.organisation: Target(url, TARGET.issuer)}
    async with EnteredAddressClient() as client:
        await Webhooks(gate, house.town.records, targets, client, clock).look(house.town.organisation)
    ((event, facts),) = await house.events()
    assert event == WebhookEvent.GOV_WEBHOOK_FAILED
    assert facts["reason"] == f"no answer: {HttpFault.FORBIDDEN.value}"


async def test_an_emergency_is_heard_of_and_nobody_is_looked_at_in_each_round(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_EVERY", timedelta(seconds=0.01))
    failures: list[BaseException] = []
    looks: list[None] = []
    look = house.webhooks.look

    async def noted(organisation: ParticipantIdentifier) -> None:
        await look(organisation)
        looks.append(None)

    monkeypatch.setattr(house.webhooks, "look", noted)
    async with in_background(
        house.webhooks.keep(failures.append), house.webhooks.hear(), on_failure=failures.append
    ):
        async with asyncio.timeout(120):
            while not looks:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)  # Wait for dozens of rounds.
            assert len(looks) == 1
            await house.begun()
            while not house.receiver.posted:
                await asyncio.sleep(0.01)
    assert (len(house.receiver.posted), failures) == (1, [])


async def test_a_webhook_that_failed_while_the_clock_was_ahead_is_tried_again_when_it_is_right(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_EVERY", timedelta(seconds=0.01))
    await house.begun()
    house.receiver.answers = [503]
    right, failures = house.town.house.now, list[BaseException]()
    house.town.moment = right + timedelta(hours=9)
    await house.webhooks._looked(house.town.organisation, failures.append)
    assert len(house.receiver.posted) == 1
    house.town.moment = right
    async with in_background(house.webhooks.keep(failures.append), on_failure=failures.append):
        for _ in range(6_000):
            if len(house.receiver.posted) == 2:
                break
            await asyncio.sleep(0.01)
    assert (len(house.receiver.posted), failures) == (2, [])


async def test_a_webhook_that_does_not_answer_holds_up_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt lasts twenty seconds, and every other organisation was notified that much later."""
    monkeypatch.setattr(webhooks, "_EVERY", timedelta(seconds=0.01))
    slow, other = house.town.organisation, await house.town.installation.organisation()
    monkeypatch.setattr(house.webhooks, "_targets", {slow: TARGET, other: TARGET})
    failures: list[BaseException] = []
    looks: list[ParticipantIdentifier] = []

    async def look(organisation: ParticipantIdentifier) -> None:
        looks.append(organisation)
        house.webhooks._kept.setdefault(organisation, webhooks._Kept())
        if organisation == slow:
            await asyncio.Event().wait()

    monkeypatch.setattr(house.webhooks, "look", look)
    async with in_background(house.webhooks.keep(failures.append), on_failure=failures.append):
        for _ in range(1_000):
            if looks.count(other) == 3:
                break
            house.webhooks._next.pop(other, None)  # as a new statement does
            await asyncio.sleep(0.01)
    assert (looks.count(slow), looks.count(other), failures) == (1, 3, [])
