"""New messages by events and by polling in turn, and a message service that is gone (api-mt-mk 4.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from samdrift.client.errors import Refused, Unreachable
from samdrift.client.keys import ClientKey
from samdrift.client.mailbox import ServerEvent
from samdrift.contracts.principals import Role
from samdrift.messageclient import polling
from samdrift.messageclient.fetching import NotHandedOut, Round
from samdrift.messageclient.mail import Folder
from samdrift.messageclient.polling import Client, Polling, ServiceStates
from samdrift.messageclient.working import ServiceSettings, Working
from samdrift.net.clock import system_clock
from samdrift.vault.errors import VaultLocked, VaultUnavailable
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.messageclient.desks import ADDRESS, Office
from tests.unit.messageclient.sparse import SparseService
from tests.vaults import NOW, Installation
from tests.virtualtime import in_virtual_time, seconds

ROLES = [Role.MESSAGE_CLIENT]


@dataclass
class EventfulService(SparseService):
    """A sparse service that also has events."""

    events: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """Events to come; an empty text ends the stream."""
    begun: list[str] = field(default_factory=list)
    """Position from which each stream was requested."""

    def routes(self) -> list[BaseRoute]:
        return [*super().routes(), Route("/v1/sdk/events", self.stream)]

    async def stream(self, request: Request) -> Response:
        self.begun.append(request.headers.get("last-event-id", ""))

        async def events() -> AsyncIterator[str]:
            yield ": here\n\n"
            while event := await self.events.get():
                yield event

        return StreamingResponse(events(), media_type="text/event-stream")

    def says(self, number: int, identity: str, status: str) -> None:
        data = {"type": "messages", "id": identity, "attributes": {"messageStatus": status}}
        self.events.put_nowait(f"id: {number}\nevent: messageStatus\ndata: {json.dumps(data)}\n\n")


@pytest_asyncio.fixture
async def office(installation: Installation, organisation: ParticipantIdentifier) -> Office:
    return await Office(installation, organisation).opened()


@dataclass
class Run:
    """A worker's notes about the message service, and its failures."""

    noted: list[str] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def watch(self, service: str, at: str, reason: str) -> None:
        self.noted.append(reason)

    def working(self, office: Office, folder: Path, pause: float) -> Working:
        ClientKey.new().write(folder / "key.pem")
        url, key = office.service.url, (folder / "key.pem").read_bytes()
        settings = ServiceSettings(
            office.organisation, f"{url}/v1", f"{url}/token", "client", key, public_only=False
        )
        return Working(office.installation.gate, [settings], system_clock, pause, self.watch)


def incoming(service: EventfulService) -> list[str]:
    """Return the requests about incoming messages; the first look at sent ones takes its time."""
    return [one for one in service.asked if "senderAttention" not in one]


async def lines(office: Office, number: int) -> None:
    """Wait until there are ``number`` conversations."""
    async with asyncio.timeout(60):
        while len((await office.desk().lines(Folder.OPEN, "box")).lines) < number:
            await asyncio.sleep(0.05)


async def test_a_message_is_fetched_when_an_event_says_so_and_streams_are_resumed(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rounds are an hour apart, so new messages arrive by events."""
    monkeypatch.setattr(polling, "_AGAIN_AFTER", 0.05)
    service = office.service = EventfulService()
    service.receives()
    run = Run()
    async with service.running(), run.working(office, tmp_path, 3600).running(run.failures.append):
        await lines(office, 1)
        service.receives()
        service.says(17, "resource-2", "NEW")
        await lines(office, 2)
        service.events.put_nowait("")
        service.receives()
        service.says(18, "resource-3", "NEW")
        await lines(office, 3)
        service.events.put_nowait("event: messageStatus\ndata: no JSON\n\n")
        service.receives()
        await lines(office, 4)
        service.events.put_nowait("")
    assert service.begun[:2] == ["", "17"]
    assert (run.failures, set(run.noted)) == ([], {""})


async def test_what_an_event_names_is_fetched_without_a_list_of_all_that_lies_there(
    office: Office, tmp_path: Path
) -> None:
    service = office.service = EventfulService()
    service.receives()
    run = Run()
    async with service.running(), run.working(office, tmp_path, 3600).running(run.failures.append):
        await lines(office, 1)
        async with asyncio.timeout(60):  # Both the first round and the start of the stream request a list.
            while len(first := incoming(service)) < 3:
                await asyncio.sleep(0.05)
        service.receives()
        service.says(17, "resource-2", "NEW")
        await lines(office, 2)
        service.says(18, "resource-2", "NEW")
        service.receives()
        service.says(19, "resource-3", "NEW")
        await lines(office, 3)
        assert incoming(service) == [*first, "GET resource-2", "GET resource-3"]
    assert (run.failures, set(run.noted)) == ([], {""})


def sent_by_another(service: EventfulService, status: str) -> str:
    """Let another client of the organisation send a message now; return the service's id of it."""
    return service.receives(
        sender="0203:habo.se",
        from_=ADDRESS,
        to="registrator:0203:mullsjo.se",
        messageStatus=status,
        creationDateTime=system_clock().isoformat(),
    )


async def sent(office: Office, *words: str) -> None:
    """Wait until the mailbox lists a sent message with a delivery of these words."""
    async with asyncio.timeout(60):
        while True:
            found = (await office.desk().lines(Folder.SENT, "box")).lines
            if [one.delivery.status for one in found if one.delivery] == list(words):
                return
            await asyncio.sleep(0.05)


async def test_what_another_client_sends_shows_as_sent_when_an_event_says_so_and_is_followed_to_its_end(
    office: Office, tmp_path: Path
) -> None:
    """Messages sent before the stream was open are found too, without reading a list of all sent ones."""
    service = office.service = EventfulService()
    first = sent_by_another(service, "WAITING_FOR_RECEIPT")
    run = Run()
    async with service.running(), run.working(office, tmp_path, 3600).running(run.failures.append):
        await sent(office, "WAITING_FOR_RECEIPT")
        second = sent_by_another(service, "SCHEDULED")
        service.says(17, second, "SCHEDULED")
        await sent(office, "SCHEDULED", "WAITING_FOR_RECEIPT")
        for number, one in enumerate((first, second), 18):
            service.messages[one]["messageStatus"] = "ACCEPTED"
            service.says(number, one, "ACCEPTED")
        await sent(office, "ACCEPTED", "ACCEPTED")
    assert service.asked.count(f"GET {second}") == 1
    assert run.failures == []


async def test_a_step_of_what_others_wrote_is_no_message_of_ours(office: Office, tmp_path: Path) -> None:
    """An event about progress of an incoming message does not turn it into a sent one."""
    service = office.service = EventfulService()
    run = Run()
    async with service.running(), run.working(office, tmp_path, 3600).running(run.failures.append):
        one = service.receives(messageStatus="RETRIEVED")
        service.says(17, one, "ACCEPTED")
        service.receives()
        service.says(18, "resource-2", "NEW")
        await lines(office, 1)
        assert (await office.desk().lines(Folder.SENT, "box")).lines == ()
        async with asyncio.timeout(60):
            while f"GET {one}" not in service.asked:
                await asyncio.sleep(0.05)
        await lines(office, 1)
    assert run.failures == []


@pytest.mark.parametrize("named", ["another-id", "resource-2"], ids=["unknown", "unreadable"])
async def test_what_cannot_be_had_by_the_name_in_an_event_is_looked_for_in_the_list(
    office: Office, tmp_path: Path, named: str
) -> None:
    service = office.service = EventfulService()
    service.receives()
    run = Run()
    async with service.running(), run.working(office, tmp_path, 3600).running(run.failures.append):
        await lines(office, 1)
        service.raw["resource-2"] = b'{"data": {"attributes": {"digitalDocument": null}}}'
        service.receives()
        service.says(17, named, "NEW")
        await lines(office, 2)
    assert run.failures == []


async def test_a_service_without_events_is_asked_in_rounds(office: Office, tmp_path: Path) -> None:
    run = Run()
    async with office.service.running(), run.working(office, tmp_path, 0.05).running(run.failures.append):
        office.service.receives()
        await lines(office, 1)
        office.service.receives()
        await lines(office, 2)
    assert (run.failures, set(run.noted)) == ([], {""})


# --- without a service --------------------------------------------------------------------------------------


@dataclass
class Asked:
    """A message service without events that several organisations poll."""

    seconds: float = 1.0
    failure: Exception | None = None
    at: list[float] = field(default_factory=list)
    together: int = 0
    most: int = 0

    async def look(self, *, whole: bool, **_: float) -> Round:
        self.at.append(seconds())
        self.together += 1
        self.most = max(self.most, self.together)
        try:
            if self.failure is not None:
                raise self.failure
            await asyncio.sleep(self.seconds)
        finally:
            self.together -= 1
        return Round()

    async def look_sent(self, address: str, **_: object) -> Round:
        raise AssertionError

    async def events(self, last: str, **_: object) -> AsyncIterator[ServerEvent]:
        raise Refused(404, "")
        yield


def client(name: str, at: str, asked: Asked) -> Client:
    async def hurry(ids: object) -> None:
        raise AssertionError

    return Client(ParticipantIdentifier(f"0203:{name}.se"), at, asked, asked, hurry)  # type: ignore[arg-type]


async def rounds(clients: list[Client], states: ServiceStates, time: float, pause: float = 30) -> None:
    """Run the polling for ``time`` seconds."""

    async def addresses(organisation: ParticipantIdentifier) -> list[str]:
        return []

    failures: list[BaseException] = []
    work = Polling(
        clients,
        states,
        pause=pause,
        serves=lambda _: True,
        addresses=addresses,
        on_failure=failures.append,
    ).work()
    tasks = [asyncio.create_task(each) for each in work]
    await asyncio.sleep(time)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert failures == []


def nobody(*_: Any) -> None:
    """Ignore the call."""


@in_virtual_time
async def test_organisations_of_one_service_ask_it_in_turn_over_the_time_of_a_round() -> None:
    """Three hundred do not ask at the same time, and slow answers do not lengthen the round."""
    asked = Asked(seconds=0.01)
    many = [client(f"o{number}", "mt.example.se", asked) for number in range(300)]
    await rounds(many, ServiceStates(lambda: NOW, nobody), 120)
    assert asked.most == 1
    assert max(sum(begin <= at < begin + 1 for at in asked.at) for begin in range(110)) <= 11
    assert len(asked.at) >= 120 / 30 * 300 * 0.99


@dataclass
class Backlog(Asked):
    """A service with a thousand messages for an organisation, each of which takes a second."""

    left: int = 1000
    whole: list[bool] = field(default_factory=list)

    async def look(self, *, whole: bool, **given: float) -> Round:
        self.whole.append(whole)
        begun, done = seconds(), Round()
        while self.left and not done.over:
            await asyncio.sleep(1)
            self.left -= 1
            done.over = bool(self.left) and seconds() - begun >= given["seconds"]
        return done


@in_virtual_time
async def test_an_organisation_with_much_to_fetch_holds_up_no_other_at_its_service() -> None:
    """It continues at each turn, with a whole list, until all are here; alone it continues immediately."""
    much, little = Backlog(), Asked(seconds=0.1)
    clients = [client("a", "mt.example.se", much), client("b", "mt.example.se", little)]
    await rounds(clients, ServiceStates(lambda: NOW, nobody), 300)
    assert len(little.at) >= 10
    assert (1000 - much.left, set(much.whole)) == (5 * len(much.whole), {True})
    alone = Backlog()
    await rounds([client("a", "mt.example.se", alone)], ServiceStates(lambda: NOW, nobody), 1010)
    assert alone.left == 0


@in_virtual_time
async def test_a_service_that_does_not_answer_holds_up_no_other() -> None:
    hanging, other = Asked(seconds=10**6), Asked()
    clients = [client("a", "slow.example.se", hanging), client("b", "mt.example.se", other)]
    await rounds(clients, ServiceStates(lambda: NOW, nobody), 310)
    assert (len(hanging.at), len(other.at)) == (1, 11)


@in_virtual_time
async def test_a_service_is_gone_while_it_is_for_one_organisation_and_each_reads_since_when() -> None:
    noted: list[tuple[str, str]] = []
    clock = [NOW]
    states = ServiceStates(lambda: clock[0], lambda kind, at, reason: noted.append((at, reason)))
    well, ill = Asked(), Asked(failure=Unreachable("the message service gave no usable answer (timeout)"))
    one, two = client("a", "mt.example.se", well), client("b", "mt.example.se", ill)
    await rounds([one, two], states, 40)
    reason = "the message service gave no usable answer (timeout)"
    assert noted[0] == ("mt.example.se", "")
    assert set(noted[1:]) == {("mt.example.se", reason)}, (
        "the state must not alternate with the organisations' results"
    )
    clock[0] += timedelta(hours=1)
    await rounds([one, two], states, 40)
    assert states.away_since(two.organisation) == NOW
    assert states.away_since(one.organisation) is None
    ill.failure = None
    await rounds([one, two], states, 40)
    assert noted[-1] == ("mt.example.se", "")
    assert states.away_since(two.organisation) is None


@in_virtual_time
async def test_no_word_of_a_refusal_is_noted_for_the_operator() -> None:
    noted: list[str] = []
    states = ServiceStates(lambda: NOW, lambda kind, at, reason: noted.append(reason))
    asked = Asked(failure=Refused(401, "Kim Svensson"))
    await rounds([client("a", "mt.example.se", asked)], states, 1)
    assert set(noted) == {"HTTP status 401"}


@in_virtual_time
async def test_a_vault_that_is_locked_is_no_fault_of_the_message_service() -> None:
    noted: list[str] = []
    states = ServiceStates(lambda: NOW, lambda kind, at, reason: noted.append(reason))
    locked = client("a", "mt.example.se", Asked(failure=VaultLocked()))
    await rounds([locked], states, 100)
    assert noted == []
    assert states.away_since(locked.organisation) is None


@dataclass
class Streams(Asked):
    """A message service with events, each of whose streams is silent for some time and then ends."""

    silent: float = 100.0
    good: bool = True
    """True if the token is still good when a stream ends."""
    begun: list[tuple[str, int | None]] = field(default_factory=list)

    async def events(self, last: str, **given: Any) -> AsyncIterator[ServerEvent]:
        self.begun.append((last, given["wait"]))
        given["opened"]()
        given["placed"]("17")
        await asyncio.sleep(self.silent)
        return
        yield

    def has_token(self) -> bool:
        return self.good

    def token_left(self) -> float:
        return self.silent * 10


@dataclass
class Renewing(Asked):
    """A message service with events, each of whose streams lasts as long as its token."""

    until: float = 0.0
    issued: list[float] = field(default_factory=list)
    """Moments at which tokens were requested."""
    places: list[str] = field(default_factory=list)

    async def events(self, last: str, **given: Any) -> AsyncIterator[ServerEvent]:
        if not self.has_token():
            self.until = seconds() + 1800
            self.issued.append(seconds())
        self.places.append(last)
        given["opened"]()
        given["placed"]("17")
        await asyncio.sleep(self.token_left())
        return
        yield

    def has_token(self) -> bool:
        return seconds() < self.until

    def token_left(self) -> float:
        return self.until - seconds()

    def forget_token(self) -> None:
        self.until = 0.0


@in_virtual_time
async def test_tokens_that_all_begin_with_the_start_are_renewed_one_after_the_other() -> None:
    """All but the first last as long as possible, and each stream begins where the last one ended."""
    services = [Renewing(seconds=0) for _ in range(300)]
    clients = [client(f"o{number}", "mt.example.se", each) for number, each in enumerate(services)]
    await rounds(clients, ServiceStates(lambda: NOW, nobody), 3 * 3600)
    later = [at for each in services for at in each.issued if at >= 60]
    for minutes in range(1, 180):
        assert sum(60 * minutes <= at < 60 * (minutes + 1) for at in later) <= 3 * 300 / 30
    assert {len(each.issued) for each in services} <= {7, 8}
    assert all(each.places == ["", *["17"] * (len(each.places) - 1)] for each in services)


@in_virtual_time
async def test_a_stream_that_goes_on_where_the_last_one_ended_asks_for_no_list() -> None:
    service = Streams(good=False)
    states = ServiceStates(lambda: NOW, nobody)
    await rounds([client("a", "mt.example.se", service)], states, 1000, pause=3600)
    assert service.begun[:2] == [("", 300), ("17", 300)]
    assert len(service.begun) > 5
    assert len(service.at) <= 3, "lists may be requested only at the start, and when the stream first begins"


@dataclass
class Busy(Streams):
    """A service that fails to answer for some time, while its stream goes on."""

    failing: int = 0

    async def events(self, last: str, **given: Any) -> AsyncIterator[ServerEvent]:
        given["opened"]()
        await asyncio.sleep(100)
        yield ServerEvent("", "17", "no JSON")
        await asyncio.sleep(10**6)

    async def look(self, *, whole: bool, **_: float) -> Round:
        self.at.append(seconds())
        if seconds() >= 100 and self.failing:
            self.failing -= 1
            raise self.failure or Unreachable("busy")
        return Round()


@pytest.mark.parametrize(
    "failure",
    [Unreachable("busy"), VaultUnavailable(), NotHandedOut()],
    ids=["service", "database", "message"],
)
@in_virtual_time
async def test_what_could_not_be_fetched_is_looked_for_again_although_the_stream_says_no_more(
    failure: Exception,
) -> None:
    service = Busy(failing=3, failure=failure)
    await rounds([client("a", "mt.example.se", service)], ServiceStates(lambda: NOW, nobody), 600, pause=3600)
    later = [at - 100 for at in service.at if at >= 100]
    assert later == [0, 5, 15, 35]


@dataclass
class Elsewhere(Streams):
    """A service at which another client sends something, and which fails to hand it out for some time."""

    failing: int = 2
    taken: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)

    async def events(self, last: str, **given: Any) -> AsyncIterator[ServerEvent]:
        given["opened"]()
        await asyncio.sleep(100)
        for identity, status in (("theirs", "SCHEDULED"), ("theirs", "SUBMITTED"), ("came", "RETRIEVED")):
            step = {"id": identity, "attributes": {"messageStatus": status}}
            yield ServerEvent("messageStatus", "17", json.dumps(step))
        await asyncio.sleep(10**6)

    async def take_sent(self, remote_ids: Collection[str]) -> None:
        self.taken.append((seconds() - 100, tuple(remote_ids)))
        if self.failing:
            self.failing -= 1
            raise Unreachable("busy")


@in_virtual_time
async def test_what_another_client_sent_is_asked_for_again_until_it_can_be_had() -> None:
    """Only sent messages count, not progress of an incoming one."""
    service = Elsewhere()
    one = client("a", "mt.example.se", service)

    async def hurry(ids: object) -> None:
        """Accept the call, which must not carry anything sent from here."""

    one.hurry = hurry
    await rounds([one], ServiceStates(lambda: NOW, nobody), 600, pause=3600)
    assert service.taken == [(0, ("theirs",)), (5, ("theirs",)), (15, ("theirs",))]


@in_virtual_time
async def test_a_message_that_is_not_handed_out_is_no_outage_of_the_service() -> None:
    """The service is not reported as gone: it answers, and everything else is fetched."""
    noted: list[str] = []
    states = ServiceStates(lambda: NOW, lambda kind, at, reason: noted.append(reason))
    one = client("a", "mt.example.se", Asked(failure=NotHandedOut()))
    await rounds([one], states, 100)
    assert set(noted) == {""}
    assert states.away_since(one.organisation) is None


@pytest.mark.parametrize("ours", [True, False])
@in_virtual_time
async def test_a_service_of_ours_that_waits_for_its_database_or_object_store_is_there_for_the_operator(
    ours: bool,
) -> None:
    """The dependency reports its own outage; another supplier's is unknown here. People wait for both."""
    noted: list[str] = []
    states = ServiceStates(lambda: NOW, lambda kind, at, reason: noted.append(reason))
    one = client("a", "mt.example.se", Asked(failure=Unreachable("HTTP status 503", "database")))
    one.ours = ours
    await rounds([one], states, 100)
    assert set(noted) == ({""} if ours else {"HTTP status 503"})
    assert states.away_since(one.organisation) == NOW


@in_virtual_time
async def test_what_cuts_off_silent_streams_gets_signs_of_life() -> None:
    """The token was still good, so something else had ended the stream."""
    service = Streams(silent=60)
    await rounds([client("a", "mt.example.se", service)], ServiceStates(lambda: NOW, nobody), 200)
    assert service.begun[:3] == [("", 300), ("17", None), ("17", None)]


@in_virtual_time
async def test_who_hears_events_is_asked_once_an_hour_all_the_same() -> None:
    service = Streams(silent=10**6)
    await rounds([client("a", "mt.example.se", service)], ServiceStates(lambda: NOW, nobody), 4 * 3600)
    assert 4 <= len(service.at) <= 7


@in_virtual_time
async def test_a_round_does_not_wake_for_each_one_that_hears_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients without events are not asked all together; the round wakes once a second for those it skips."""
    pauses, sleep = list[float](), asyncio.sleep

    async def noted(pause: float) -> None:
        pauses.append(pause)
        await sleep(pause)

    monkeypatch.setattr(asyncio, "sleep", noted)
    service, asked = Streams(seconds=0, silent=10**6), Asked(seconds=0.01)
    hearing = [client(f"h{number}", "mt.example.se", service) for number in range(270)]
    others = [client(f"o{number}", "mt.example.se", asked) for number in range(30)]
    await rounds([*hearing, *others], ServiceStates(lambda: NOW, nobody), 600)
    assert len(pauses) <= 600 + 5 * 300 + 20 * 30 * 4
    assert max(sum(begin <= at < begin + 1 for at in asked.at) for begin in range(590)) <= 11
    assert len(asked.at) >= 600 / 30 * 30 * 0.99


@in_virtual_time
async def test_a_stream_that_ends_with_its_token_goes_on_with_the_next_before_a_round_notices() -> None:
    service = Streams(silent=100, good=False)
    states = ServiceStates(lambda: NOW, nobody)
    await rounds([client("a", "mt.example.se", service)], states, 1050, pause=1)
    assert len(service.begun) == 11, "each stream must follow the previous one without a pause"
    assert len(service.at) <= 3, "lists may be requested only at the start, and when the stream first begins"


@in_virtual_time
async def test_a_service_whose_tokens_are_over_when_they_are_issued_is_not_asked_without_a_pause() -> None:
    service = Streams(silent=0.5, good=False)
    await rounds([client("a", "mt.example.se", service)], ServiceStates(lambda: NOW, nobody), 60)
    assert len(service.begun) <= 13


@in_virtual_time
async def test_the_hourly_question_follows_a_new_token_where_it_is_soon_due() -> None:
    """The message service's vault is open then; tokens last a quarter of an hour, so three at most go by."""
    service = Streams(seconds=0, silent=900, good=False)
    states = ServiceStates(lambda: NOW, nobody)
    await rounds([client("a", "mt.example.se", service)], states, 4 * 3600)
    assert service.at[0] == 0
    assert [each for each in service.at if each >= 900] == [3600, 6300, 9000, 11700]
