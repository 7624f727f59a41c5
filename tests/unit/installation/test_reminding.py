"""Reminders over vaults: one entry for each step, mail to officers who want it, metrics, no content."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from samdrift.contracts.principals import Purpose, Role
from samdrift.governance.consent import SETTLES, ConsentEvent
from samdrift.governance.incidents import EVENTS, facts_of
from samdrift.installation import reminding
from samdrift.installation.cover import CoverKeeper
from samdrift.installation.events import RunEvent
from samdrift.installation.remindermetrics import ReminderMetrics
from samdrift.installation.reminding import NOTICE, Reminders, reminded
from samdrift.messageclient.notices.worker import Kind
from samdrift.rights import Approved, Ended
from samdrift.rights.consents import AccountGiven
from samdrift.rights.incidents import Clock, IncidentAct, IncidentOpened, IncidentTold
from samdrift.vault.noticing import NoticeRecord
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.governance.test_consent import Served, served
from tests.unit.rights.building import ANNA, BO, CILLA
from tests.unit.rights.test_consents import OLA, PIA, asking, emergency
from tests.vaults import Installation, until

GOV, MK = Role.GOVERNANCE, Role.MESSAGE_CLIENT
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class NoCover(CoverKeeper):
    """Cover in which no function has an end."""

    def __init__(self) -> None:
        self.known: dict[str, datetime] = {}

    def ends(self, organisation: object) -> dict[str, datetime]:
        return self.known


@dataclass
class Office:
    """An organisation with officers, and the service that reminds them at any moment."""

    town: Served
    now: datetime = field(init=False)
    cover: NoCover = field(default_factory=NoCover)
    reminders: Reminders = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.town.house.now
        self.begin()

    def begin(self) -> None:
        """Start another process, which remembers nothing."""
        gate = self.town.installation.gate
        self.reminders = Reminders(gate, lambda: self.now, (GOV, MK), self.cover, per_organisation=True)

    async def look(self, after: timedelta = timedelta()) -> None:
        self.now = self.town.house.now + after
        for role in (GOV, MK):
            await self.reminders.look(self.town.organisation, role)

    async def told(self, act: IncidentAct, incident: str = "") -> None:
        """Inform the organisation of an incident at the operator."""
        named = {"incident": incident} if incident else {}
        async with self.town.installation.open(self.town.organisation, GOV) as vault:
            vault.record(EVENTS[type(act)], **facts_of(act, "INC-7"), **named)

    def metrics(self) -> str:
        """Return the metrics as they are served."""
        registry = CollectorRegistry()
        registry.register(ReminderMetrics(self.reminders.rows))
        return generate_latest(registry).decode()

    async def entries(self, role: Role = GOV) -> list[dict[str, str]]:
        async with self.town.installation.open(self.town.organisation, role, Purpose.TRACE) as vault:  # type: ignore[call-overload]
            found = await vault.log(0, 5000)
        return [dict(one.ids) for one in found if one.event == RunEvent.MATTER_REMINDED]

    async def mails(self) -> list[NoticeRecord]:
        async with self.town.installation.open(self.town.organisation, MK, Purpose.PROCESS) as vault:
            claimed = await vault.claim_notices(now=self.now + HOUR, lease=DAY)
            return [each for each in await vault.notices(claimed) if each.kind == NOTICE]

    async def choose(self, *persons: str) -> None:
        async with self.town.installation.open(self.town.organisation, MK, Purpose.PROCESS) as vault:
            for each in persons:
                choice = {"address": f"{each}@habo.se", "mailboxes": {}, "hour": 8}
                vault.keep_notice_choice(each, choice)


@pytest.fixture
async def office(installation: Installation) -> Office:
    return Office(await served(installation))


async def test_a_step_is_one_entry_in_each_log_however_often_somebody_looks(office: Office) -> None:
    asked = await office.town.state(OLA, asking())
    await office.look(DAY)
    assert await office.entries() == [], "the first reminder is due a day later, with two days left"
    for _ in range(3):
        await office.look(2 * DAY + HOUR)
        office.begin()
    for role in (GOV, MK):
        (entry,) = await office.entries(role)
        assert (entry["matter"], entry["of"], entry["hours_ahead"]) == ("consent", asked.digest, "48")
    await office.look(3 * DAY + HOUR)
    assert [each["hours_ahead"] for each in await office.entries()] == ["48", "24"]


async def test_a_step_is_reached_by_what_a_witness_signed_although_the_clock_was_set_back(
    office: Office,
) -> None:
    asked = await office.town.state(OLA, asking())
    for role in (GOV, MK):
        await office.town.installation.witness(
            office.town.organisation, role, office.town.house.now + 3 * DAY + HOUR
        )
    await office.look()
    for role in (GOV, MK):
        found = [(each["of"], each["hours_ahead"]) for each in await office.entries(role)]
        assert found == [(asked.digest, "24")]


async def test_a_consent_that_is_over_is_summed_up_once_with_all_that_was_opened_within_it(
    office: Office,
) -> None:
    """It ends by time or by revocation; the sum comes seconds later, after sessions that were cut short."""
    town, summed = office.town, ConsentEvent.SUMMED
    used, revoked = [await town.state(OLA, asking()) for _ in range(2)]
    await town.state(BO, Approved(used.digest))
    for parts in (3, 4):
        async with town.session() as running:
            for _ in range(parts):
                await running.check()
    await town.state(BO, Approved(revoked.digest))
    await office.look()
    assert await town.logged(summed) == [], "consents in force must not be summed up"
    await town.state(BO, Ended(of=revoked.digest))
    await office.look(timedelta(seconds=9))
    assert await town.logged(summed) == []
    await office.look(timedelta(seconds=11))
    (none,) = await town.logged(summed)
    assert none == {
        "consent": revoked.digest,
        "person": str(OLA),
        "outcome": "revoked",
        "opened": "0",
        "parts": "0",
    }
    for _ in range(2):
        await office.look(timedelta(minutes=62))
        office.begin()
        await office.look(timedelta(minutes=62))
    _, one = await town.logged(summed)
    facts = ("consent", "outcome", "opened", "parts", "commands")
    assert [one[each] for each in facts] == [used.digest, "over", "2", "7", "trace"]


async def test_a_consent_is_summed_up_when_it_is_over_and_not_hours_later(office: Office) -> None:
    asked = await office.town.state(OLA, asking())
    await office.town.state(BO, Approved(asked.digest))
    office.now = office.town.house.now
    await office.reminders._see(office.town.organisation, GOV)
    end = office.town.house.now + timedelta(minutes=60) + SETTLES
    assert office.reminders._next.moment((office.town.organisation, GOV)) == end


async def test_what_was_decided_is_heard_of_no_more(office: Office) -> None:
    stated = await office.town.state(OLA, emergency())
    await office.town.state(PIA, Approved(stated.digest))
    await office.town.state(OLA, AccountGiven(stated.digest, "looked at the queue"))
    await office.look(30 * HOUR)
    assert await office.entries() == []


async def test_officers_who_chose_mail_get_one_for_a_look_and_nobody_else_does(office: Office) -> None:
    await office.choose(ANNA.id, CILLA.id)
    await office.town.state(OLA, asking())
    await office.town.state(PIA, asking(to=PIA))
    await office.look(3 * DAY + HOUR)
    (mail,) = await office.mails()
    assert mail.content["to"] == f"{ANNA.id}@habo.se", "Cilla is not an officer, and Bo has not chosen mail"
    assert Kind(mail.kind) is Kind.DECISION
    office.begin()
    await office.look(3 * DAY + HOUR)
    assert await office.mails() == []


async def test_the_end_of_cover_is_mailed_and_its_entry_is_the_keepers_own(office: Office) -> None:
    await office.choose(ANNA.id)
    office.cover.known = {"mk": office.now + 100 * DAY}
    await office.look(11 * DAY)
    assert len(await office.mails()) == 1
    assert await office.entries(GOV) == []
    assert [each["of"] for each in await office.entries(MK)] == ["mk"]


async def test_nothing_that_a_person_wrote_is_in_an_entry(office: Office) -> None:
    await office.town.state(OLA, asking())
    await office.look(3 * DAY + HOUR)
    (entry,) = await office.entries()
    assert set(entry) == {"item", "matter", "of", "until", "hours_ahead"}
    assert "INC-4711" not in repr(entry)


async def test_metrics_count_what_waits_once_and_say_how_long_is_left(office: Office) -> None:
    await office.town.state(OLA, asking())
    stated = await office.town.state(OLA, emergency())
    await office.town.state(PIA, Approved(stated.digest))
    await office.look(25 * HOUR)
    shown = office.metrics()
    owner = office.town.organisation.value
    assert 'samdrift_governance_waiting{matter="consent"} 1.0' in shown
    assert 'samdrift_governance_waiting{matter="emergency"} 1.0' in shown
    labels = f'{{matter="emergency",owner="{owner}"}}'
    assert f"samdrift_governance_due_seconds{labels} -3600.0" in shown
    assert "INC-47" not in shown


async def test_a_clock_of_the_operators_incident_is_in_the_metrics_and_the_log_until_somebody_is_told(
    office: Office,
) -> None:
    """The operator is reminded by the entry in the organisation's log; no officer gets mail."""
    await office.choose(ANNA.id)
    aware = office.town.house.now = datetime.now(UTC).replace(microsecond=0)  # Entries get the real time.
    opened = IncidentOpened("Avbrott", aware, aware, frozenset({Clock.CONCERNED}))
    await office.told(opened, "e" * 64)
    labels = f'{{matter="operators-incident",owner="{office.town.organisation.value}"}}'
    await office.look(HOUR)
    assert f"samdrift_governance_due_seconds{labels} 18000.0" in office.metrics()
    assert 'samdrift_governance_waiting{matter="operators-incident"}' not in office.metrics()
    assert await office.entries() == []
    await office.look(5 * HOUR)
    (entry,) = await office.entries()
    assert (entry["matter"], entry["of"], entry["hours_ahead"]) == (
        "operators-incident",
        f"{'e' * 64} concerned",
        "2",
    )
    assert await office.entries(MK) == []
    assert await office.mails() == []
    await office.told(IncidentTold("e" * 64, Clock.CONCERNED, aware, "telefon"))
    await office.look(5 * HOUR)
    assert "operators-incident" not in office.metrics()


async def test_a_clock_that_was_set_back_makes_nobody_hear_later(office: Office) -> None:
    asked = await office.town.state(OLA, asking())
    office.town.house.now = asked.at + 3 * DAY
    await office.town.state(PIA, asking(to=PIA))
    await office.look(-5 * DAY)
    assert [each["of"] for each in await office.entries()] == [asked.digest]


async def test_a_vault_is_opened_when_something_is_stated_or_a_step_is_reached_and_not_in_each_round(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminding, "_EVERY", timedelta(seconds=0))
    monkeypatch.setattr(reminding, "_SOON", timedelta(seconds=0.01))
    looks: list[Role] = []
    look = office.reminders.look

    async def noted(organisation: ParticipantIdentifier, role: Role) -> None:
        await look(organisation, role)
        if organisation == office.town.organisation:
            looks.append(role)

    monkeypatch.setattr(office.reminders, "look", noted)

    async def seen(number: int) -> None:
        async with asyncio.timeout(120):
            while looks.count(GOV) < number:
                await asyncio.sleep(0.01)

    async with reminded(office.reminders):
        await seen(1)
        await asyncio.sleep(0.5)  # Wait for dozens of rounds.
        assert looks.count(GOV) == looks.count(MK) == 1
        await office.town.state(OLA, asking())
        await seen(2)
        before = looks.count(GOV)
        office.now = office.town.house.now + 2 * DAY + HOUR
        await seen(before + 1)
        assert [each["hours_ahead"] for each in await office.entries()] == ["48"]


async def test_all_are_looked_at_again_when_a_clock_that_was_ahead_is_set_right(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminding, "_EVERY", timedelta(seconds=0))
    monkeypatch.setattr(reminding, "_SOON", timedelta(seconds=0.01))
    looks = list[Role]()

    async def noted(organisation: ParticipantIdentifier, role: Role) -> None:
        if organisation == office.town.organisation:
            looks.append(role)

    monkeypatch.setattr(office.reminders, "look", noted)
    right, office.now = office.now, office.now + 30 * DAY
    async with reminded(office.reminders):
        await until(lambda: sorted(looks) == sorted((GOV, MK)))
        office.now = right
        for _ in range(6_000):
            if len(looks) == 4:
                break
            await asyncio.sleep(0.01)
    assert sorted(looks) == sorted((GOV, MK) * 2)


async def test_a_look_that_is_half_due_goes_along_with_a_login(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Counter[Role]()
    look, gate = office.reminders.look, office.town.installation.gate

    async def noted(organisation: ParticipantIdentifier, role: Role) -> None:
        await look(organisation, role)
        looks[role] += organisation == office.town.organisation

    monkeypatch.setattr(office.reminders, "look", noted)
    async with reminded(office.reminders):
        await until(lambda: looks[GOV] == looks[MK] == 1)
        for passed, number in ((59 * HOUR / 60, 1), (HOUR / 30, 2)):
            office.now += passed
            gate.visits._tell((office.town.organisation, GOV))
            await asyncio.sleep(0.1)  # Leave time for a look that would be too early.
            await until(lambda number=number: looks[GOV] == number)
    assert looks[MK] == 1, "the message client's vault was not logged in to"
