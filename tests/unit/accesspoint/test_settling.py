"""The poll that reports a transfer's end also records it, without the record depending on the poll."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.accesspoint.interface_c import Polling
from samdrift.accesspoint.outbound import Sending
from samdrift.audit.entries import LogEntry
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.contracts.transfer import Poll, TransferState
from samdrift.net.interface_c import PollRequest
from samdrift.scheduling.signals import Signals
from samdrift.vault import company
from samdrift.vault.accesspoint import AccessPointVault
from samdrift.vault.bodies import IN_ROW
from samdrift.vault.errors import VaultDenied
from samdrift.vault.events import VaultEvent
from samdrift.vault.opening import Vault
from samdrift.vault.records import Transfer
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.settings import access_point_settings
from tests.unit.accesspoint.ends import settling
from tests.vaults import NOW, Installation, body, incoming, submitted

AP = Role.ACCESS_POINT
ROLES = (AP,)
DELIVERED, ACKNOWLEDGED = APEvent.AP_TRANSFER_DELIVERED, APEvent.AP_ENVELOPE_ACKNOWLEDGED
GRANTED = VaultEvent.VAULT_OPENING_GRANTED
SETTINGS = access_point_settings("AP0001-SDK-TEST", "test", "ap.test", parallel=8)


class Station:
    """An access point with transfers whose receipts have arrived, and a message service that polls."""

    def __init__(self, installation: Installation, organisation: ParticipantIdentifier) -> None:
        self.installation, self.organisation = installation, organisation
        self.signals = Signals()
        self.settling = settling(installation.gate, self.signals)
        self.polling = Polling(installation.gate, self.signals, self.settling, lambda: NOW)
        self.who = Principal(PrincipalKind.SYSTEM, "journal", organisation.value)

    async def sent(self, data: bytes = b"<xhe/>") -> Transfer:
        async with self.installation.open(self.organisation, AP) as vault:
            return await submitted(vault, data)

    def ends(self, transfer: Transfer) -> asyncio.Task[None]:
        """Settle a transfer as if its receipt had arrived."""

        async def step(vault: AccessPointVault) -> None:
            vault.record(DELIVERED, transfer=transfer.id, envelope=transfer.envelope.envelope_id)
            await vault.delivered(transfer.id, now=NOW, receipt=b"<receipt/>", peer="AP0002-SDK-TEST")

        return asyncio.create_task(self.settling.settle(self.organisation, transfer, step))

    async def poll(self, *taken: str, wait: float = 0.0, after: int = 0, small: int = 1000) -> Poll:
        asked = PollRequest(after, wait, taken, "")
        return await self.polling.poll(self.who, self.organisation, asked, small=small)

    async def polls(self) -> asyncio.Task[Poll]:
        """Start a poll that waits for news."""
        events = (await self.poll()).events
        after = events[-1].sequence if events else 0
        polling = asyncio.create_task(self.poll(wait=600, after=after))
        await until(lambda: self.organisation in self.signals._changed)
        return polling

    async def log(self, *events: object) -> list[LogEntry]:
        async with self.installation.open(self.organisation, AP) as vault:
            return [entry for entry in await vault.log(1) if entry.event in events]

    async def delivered(self, *transfers: Transfer) -> bool:
        async with self.installation.open(self.organisation, AP) as vault:
            found = [await vault.status(one.id) for one in transfers]
        return all(one is not None and one.state is TransferState.DELIVERED for one in found)


@pytest.fixture
def station(installation: Installation, organisation: ParticipantIdentifier) -> Station:
    return Station(installation, organisation)


@pytest.fixture
def openings(station: Station, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count openings of this vault by purpose; other tests' operators keep opening theirs meanwhile."""
    made, begin = Counter[str](), Vault.__init__
    registration = station.installation.gate.registry.find(station.organisation, AP)
    assert registration is not None

    def begun(vault: Vault, *given: Any) -> None:
        begin(vault, *given)
        if vault._room.vault == registration.vault:
            made[vault._reason.purpose.value] += 1

    monkeypatch.setattr(Vault, "__init__", begun)
    return made


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make waiting ends wait until there is a poll."""
    monkeypatch.setattr(company, "_WITHIN", 600.0)


async def test_the_poll_that_tells_of_the_end_of_a_transfer_records_it(
    station: Station, openings: Counter[str], patient: None
) -> None:
    transfer = await station.sent()
    polling = await station.polls()
    openings.clear()
    await station.ends(transfer)
    (event,) = (await polling).events
    assert (event.transfer_id, event.state) == (transfer.id, TransferState.DELIVERED)
    assert openings == {Purpose.DELIVER.value: 1}
    assert await station.delivered(transfer)
    (end,) = await station.log(DELIVERED)
    seen = [each.principal for each in await station.log(GRANTED) if each.purpose == Purpose.DELIVER]
    assert (end.principal, end.purpose) == ("worker:access-point-outbound", Purpose.SEND.value)
    assert seen == ["system:journal"]


async def test_the_end_of_a_transfer_is_recorded_at_once_where_nobody_polls(station: Station) -> None:
    transfer = await station.sent()
    await station.ends(transfer)
    assert await station.delivered(transfer)
    assert len(await station.log(DELIVERED)) == 1


async def test_a_large_envelope_goes_with_the_end_of_its_transfer_and_not_with_a_poll(
    station: Station, patient: None
) -> None:
    """The envelope's object is removed once the end is committed."""
    transfer = await station.sent(bytes(IN_ROW + 1))
    polling = await station.polls()
    await station.ends(transfer)
    assert len((await polling).events) == 1
    assert station.installation.objects(station.organisation) == set()


async def test_where_no_poll_comes_ends_that_wait_are_recorded_together(
    station: Station, openings: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company, "_WITHIN", 0.01)
    await station.poll()
    transfers = [await station.sent() for _ in range(3)]
    openings.clear()
    ends = [station.ends(each) for each in transfers]
    polled = station.signals.count(station.organisation)
    await asyncio.gather(*ends)
    assert openings == {Purpose.SEND.value: 1}
    assert await station.delivered(*transfers)
    assert station.signals.count(station.organisation) > polled, "the next poll must be notified of news"
    assert [entry.principal for entry in await station.log(DELIVERED)] == ["worker:access-point-outbound"] * 3


async def test_what_fails_as_nobody_expected_while_ends_are_recorded_together_is_said_and_each_goes_by_itself(
    station: Station, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(*_: object) -> bool:
        raise ArithmeticError("a secret")

    monkeypatch.setattr(company, "_WITHIN", 0.01)
    monkeypatch.setattr(Vault, "suppose", failing)
    await station.poll()
    transfers = [await station.sent() for _ in range(2)]
    await asyncio.gather(*map(station.ends, transfers))
    assert await station.delivered(*transfers)
    assert "unexpected ArithmeticError in steps that are done together" in caplog.text
    assert "a secret" not in caplog.text


async def test_of_ends_that_wait_one_that_is_known_already_holds_up_no_other(
    station: Station, patient: None
) -> None:
    """The operator has given up one of the transfers meanwhile."""
    given_up, other = await station.sent(), await station.sent()
    polling = await station.polls()
    async with station.installation.open(station.organisation, AP) as vault:
        await vault.give_up(given_up.id, now=NOW, why="no more")
    ends = [station.ends(given_up), station.ends(other)]
    await asyncio.gather(*ends)
    await polling
    assert await station.delivered(other)
    assert not await station.delivered(given_up)
    assert len(await station.log(DELIVERED)) == 1


async def test_of_ends_that_are_recorded_together_one_that_is_known_already_keeps_none_from_being_recorded(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No poll arrives here; only ends that are really recorded count as recorded."""
    monkeypatch.setattr(company, "_WITHIN", 0.01)
    given_up, other = await station.sent(), await station.sent()
    await station.poll()
    async with station.installation.open(station.organisation, AP) as vault:
        await vault.give_up(given_up.id, now=NOW, why="no more")
    await asyncio.gather(station.ends(given_up), station.ends(other))
    assert await station.delivered(other)
    assert not await station.delivered(given_up)
    assert len(await station.log(DELIVERED)) == 1


async def test_a_poll_that_looked_while_ends_were_being_recorded_finds_them_at_the_next_look(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That poll found nothing, and otherwise would not look again for half an hour."""
    suppose = Vault.suppose

    async def looked_at_meanwhile(vault: Vault, work: Callable[[], Awaitable[None]]) -> bool:
        assert (await station.poll()).events == ()
        return await suppose(vault, work)

    await station.poll()
    transfers = [await station.sent() for _ in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(company, "_WITHIN", 0.01)
        patched.setattr(Vault, "suppose", looked_at_meanwhile)
        await asyncio.gather(*map(station.ends, transfers))
    assert len((await station.poll()).events) == 2


async def test_a_poll_takes_along_nothing_of_another_organisation(
    station: Station, installation: Installation, patient: None
) -> None:
    """One process serves both, and each poll shows an organisation only its own transfers."""
    other = Station(installation, await installation.organisation(ROLES))
    other.signals, other.settling, other.polling = station.signals, station.settling, station.polling
    await station.poll()
    transfer = await station.sent()
    ending = station.ends(transfer)
    await until(lambda: bool(station.settling.over(station.organisation)))
    assert (await other.poll()).events == ()
    assert await other.log(DELIVERED) == []
    await asyncio.sleep(0)
    assert station.settling.over(station.organisation) != [], (
        "the end must wait for a poll of its own organisation"
    )
    assert len((await station.poll()).events) == 1
    await ending


async def test_the_end_of_a_transfer_is_recorded_whatever_becomes_of_the_poll(
    station: Station, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object, **__: object) -> None:
        raise failure

    for failure in (VaultDenied(), asyncio.CancelledError()):
        transfer = await station.sent()
        with monkeypatch.context() as patched:
            patched.setattr(AccessPointVault, "supposed_news", failing)
            polling = await station.polls()
            await station.ends(transfer)
            with pytest.raises(type(failure)):
                await polling
        assert await station.delivered(transfer)


async def test_an_end_that_is_cancelled_while_it_waits_is_recorded_by_nobody(
    station: Station, patient: None
) -> None:
    """Its claim is given back, and the transfer is sent again."""
    await station.poll()
    transfer = await station.sent()
    ending = station.ends(transfer)
    await until(lambda: bool(station.settling.over(station.organisation)))
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    await station.poll()
    assert not await station.delivered(transfer)
    assert station.settling.over(station.organisation) == []


async def test_an_attempt_that_is_over_has_no_place_while_its_end_waits(
    station: Station, patient: None
) -> None:
    sending = Sending(SETTINGS, station.installation.gate, cast(Any, Ends(station)), station.settling, now)
    await station.poll()
    transfers = [await station.sent() for _ in range(SETTINGS.parallel)]
    (recipient,) = {each.envelope.recipient for each in transfers}
    for each in transfers:
        sending.start(station.organisation, each, cast(Any, None))
    assert not sending.room_for(station.organisation, recipient)
    await until(lambda: len(station.settling.over(station.organisation)) == len(transfers))
    assert sending.room(station.organisation) == SETTINGS.parallel
    assert sending.room_for(station.organisation, recipient)
    await station.poll()
    await until(lambda: not station.settling.over(station.organisation))
    assert await station.delivered(*transfers)
    assert sending.room(station.organisation) == SETTINGS.parallel


async def test_a_process_that_stops_records_the_ends_that_wait_and_sends_nothing_again(
    station: Station, patient: None
) -> None:
    sending = Sending(SETTINGS, station.installation.gate, cast(Any, Ends(station)), station.settling, now)
    await station.poll()
    transfer = await station.sent()
    sending.start(station.organisation, transfer, cast(Any, None))
    await until(lambda: bool(station.settling.over(station.organisation)))
    await sending.stop()
    assert await station.delivered(transfer)


class Ends:
    """A stand-in for outbound where receipts arrive immediately."""

    def __init__(self, station: Station) -> None:
        self._station = station

    async def attempt(self, organisation: ParticipantIdentifier, transfer: Transfer, *_: object) -> None:
        await self._station.ends(transfer)


async def test_what_was_handed_over_is_acknowledged_in_one_round_trip_with_the_next_news(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    news = AccessPointVault.news
    registration = station.installation.gate.registry.find(station.organisation, AP)
    assert registration is not None

    async def noted(vault: AccessPointVault, *given: Any, **named: Any) -> Any:
        if vault._room.vault == registration.vault:
            asked.append("by itself")
        return await news(vault, *given, **named)

    monkeypatch.setattr(AccessPointVault, "news", noted)
    items = [incoming(), incoming()]
    for each in items:
        async with station.installation.open(station.organisation, AP) as vault:
            await vault.accept(each, await body(vault), b"", now=NOW)
    first, second = (await station.poll()).inbox
    assert asked == ["by itself"]
    assert [item.id for item in (await station.poll(first.id)).inbox] == [second.id]
    assert asked == ["by itself"]
    again = await station.poll(first.id, second.id)
    assert (again.inbox, asked) == ((), ["by itself"] * 2), "the first item must be known as acknowledged"
    told = [entry.ids["envelope"] for entry in await station.log(ACKNOWLEDGED)]
    assert told == [each.envelope_id for each in items]


async def test_an_envelope_that_does_not_wait_any_more_is_not_acknowledged_twice(station: Station) -> None:
    """Another message service of the same organisation was faster."""
    async with station.installation.open(station.organisation, AP) as vault:
        await vault.accept(incoming(), await body(vault), b"", now=NOW)
    (item,) = (await station.poll()).inbox
    async with station.installation.open(station.organisation, AP) as vault:
        assert await vault.acknowledge(item.id, now=NOW) is not None
    assert (await station.poll(item.id)).inbox == ()
    assert await station.log(ACKNOWLEDGED) == []


def now() -> Any:
    return NOW


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
