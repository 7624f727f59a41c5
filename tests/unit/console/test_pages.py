"""The console's pages: their content, the acts that they offer, and that they also show outages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from samdrift.administration import incidents
from samdrift.audit.entries import LogEntry
from samdrift.console.availabilitypage import spans
from samdrift.console.certificates import soonest
from samdrift.console.events import ConsoleEvent
from samdrift.console.now import merged
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferState
from samdrift.evidence.trace import Asked
from samdrift.installation.control import ControlRefused
from samdrift.installation.health import Condition
from samdrift.installation.reporting import Running
from samdrift.keystore.keyfiles import KeyName
from samdrift.rights.incidents import Clock, IncidentOpened
from samdrift.vault.errors import VaultLocked
from samdrift.vault.gate import Gate
from samdrift.vault.records import Transfer
from samdrift.vault.registry import RegistrationState
from samdrift.web.signin.faults import Fault
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.administration.closings import certify_operator
from tests.unit.console.scene import (
    CERTIFICATE,
    DETAIL,
    PEER,
    Scene,
    config_of,
    person,
    refused,
    report,
    stuck,
)
from tests.unit.web.provider import SignInService
from tests.vaults import Installation, until

ROLES = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE)
ORIGIN = "https://console.test"


@pytest_asyncio.fixture
async def scene(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> AsyncIterator[Scene]:
    opened = Scene(installation, config_of(tmp_path, [organisation]), ORIGIN)
    opened.running = (report(),)
    yield opened
    assert opened.failures == []


def words(page: str) -> str:
    """Return the text of a page as a person reads it."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


async def test_now_shows_each_dependency_with_reason_since_when_and_what_to_type(scene: Scene) -> None:
    async with scene.visit() as visitor:
        page = words((await visitor.get("/")).text)
    assert "Sökning efter skadlig kod borta 4 min" in page
    assert "connection refused at 127.0.0.1:3310 skriv: samdrift doctor" in page
    assert "Databas svarar 9 tim" in page
    assert "connection refused at db1:5432" in page
    assert "borta 14 s" in page
    assert "Sökningen efter skadlig kod svarar inte mt 3" in page
    assert page.index("Sökning efter skadlig kod borta") < page.index("Databas svarar")


async def test_now_shows_that_nothing_runs_and_what_to_type(scene: Scene) -> None:
    scene.running = ()
    async with scene.visit() as visitor:
        answer = await visitor.get("/")
    assert answer.status_code == 200
    assert "Inget är i gång. Skriv: systemctl start samdrift" in words(answer.text)
    assert "organisationer, 1 inte i drift" in words(answer.text)


async def test_a_suspended_organisation_is_not_among_those_that_are_all_served(scene: Scene) -> None:
    """Its processes run as before, but refuse requests."""
    (one, *_) = scene.config.organisations
    async with scene.visit() as visitor:
        assert "organisationer, alla i drift" in words((await visitor.get("/")).text)
        administration = await scene.opened()
        await administration.provisioner.set_state(
            one.identifier, Role.ACCESS_POINT, RegistrationState.SUSPENDED
        )
        registry = administration.gate.registry
        await until(lambda: not registry.serves(one.identifier, Role.ACCESS_POINT))
        assert "organisationer, 1 inte i drift" in words((await visitor.get("/")).text)


async def test_now_is_shown_while_the_database_is_away_and_other_pages_say_so(scene: Scene) -> None:
    scene.away = True
    async with scene.visit() as visitor:
        now = await visitor.get("/")
        assert now.status_code == 200
        assert "Databasen går inte att nå härifrån. connection refused at 127.0.0.1:5432" in words(now.text)
        for path in ("/queues", "/refusals", "/incidents", "/organisations", "/certificates", "/maintenance"):
            answer = await visitor.get(path)
            assert answer.status_code == 503, path
            assert "127.0.0.1" not in answer.text


async def test_an_outage_that_many_pages_meet_is_one_line_with_its_cause(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "samdrift")
    scene.away = True
    async with scene.visit() as visitor:
        for _ in range(5):
            assert (await visitor.get("/queues")).status_code == 503
    assert [each for each in caplog.messages if "retry" in each] == [
        "the console asked the caller to retry later: VaultUnavailable: connection refused at 127.0.0.1:5432"
    ]


async def test_processes_that_do_not_serve_and_roles_that_nobody_serves_are_named(scene: Scene) -> None:
    whose = f"ap of {scene.config.organisations[0].identifier}"
    workers = {whose: False, "mt of 0203:x.se": True}
    scene.running = (Running(datetime.now(UTC), frozenset(), workers, ()),)
    async with scene.visit() as visitor:
        page = words((await visitor.get("/")).text)
    assert f"Processer som inte är i gång {whose}" in page
    assert "Sköts inte: ap" in page


async def test_an_installation_that_does_not_answer_is_shown_with_the_reason(scene: Scene) -> None:
    async def refuses() -> tuple[Running, ...]:
        raise ControlRefused("a running process does not answer")

    scene._ask = refuses  # type: ignore[method-assign]
    scene.__post_init__()
    async with scene.visit() as visitor:
        page = words((await visitor.get("/")).text)
    assert "Installationen svarar inte. a running process does not answer" in page


def test_a_dependency_of_two_processes_is_gone_where_one_of_them_misses_it() -> None:
    now = datetime(2026, 11, 2, tzinfo=UTC)
    there = Running(now, frozenset(), {}, (Condition("smp", "a"), Condition("database")))
    gone = Running(now, frozenset(), {}, (Condition("database", "", now, "away"),))
    assert merged([there, gone]) == merged([gone, there])
    assert [each.dependency for each in merged([there, gone])] == ["database", "smp"]
    assert merged([there, gone])[0].gone_since == now


async def test_a_queue_is_shown_by_reason_and_age_with_the_ids_of_what_is_stuck(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    transfer = await stuck(scene.installation, organisation)
    async with scene.visit() as visitor:
        page = words((await visitor.get("/queues")).text)
    assert f"{organisation} 1 1" in page
    assert f"{transfer.id} {organisation} · Motparten nekar: {DETAIL}" in page
    assert "försök 1 av 4" in page
    assert transfer.envelope.recipient.value not in page


async def log_of(scene: Scene, organisation: ParticipantIdentifier) -> list[tuple[str, str]]:
    async with scene.installation.open(organisation, Role.ACCESS_POINT) as vault:
        return [(entry.event, entry.principal) for entry in await vault.log(0, 10_000)]


async def state_of(scene: Scene, organisation: ParticipantIdentifier, transfer: Transfer) -> TransferState:
    async with scene.installation.open(organisation, Role.ACCESS_POINT) as vault:
        status = await vault.status(transfer.id)
    assert status is not None
    return status.state


async def test_who_looks_at_a_queue_is_in_the_organisations_log_by_name(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    async with scene.visit() as visitor:
        await visitor.get("/queues")
    assert ("vault:opening:granted", "operator:anna-ap") in await log_of(scene, organisation)


async def test_a_transfer_is_attempted_now_as_queue_retry_does_it(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    transfer = await stuck(scene.installation, organisation)
    at = f"/queues/{organisation}/{transfer.id}"
    async with scene.visit() as visitor:
        answer = await visitor.post(f"{at}/retry")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{at}?done=retry")
        page = words((await visitor.get(answer.headers["location"])).text)
    assert "Den försöks nu." in page
    assert ("ap:transfer:hastened", "operator:anna-ap") in await log_of(scene, organisation)
    async with scene.installation.open(organisation, Role.ACCESS_POINT) as vault:
        status = await vault.status(transfer.id)
    assert status is not None
    assert status.next_attempt is not None
    assert status.next_attempt <= datetime.now(UTC)


async def test_a_transfer_is_given_up_for_a_reason_that_its_sender_is_told(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    transfer = await stuck(scene.installation, organisation)
    at = f"/queues/{organisation}/{transfer.id}"
    async with scene.visit() as visitor:
        asked = words((await visitor.get(f"{at}/give-up")).text)
        assert "Avsändaren får veta det, med ditt skäl." in asked
        for reason in ("", "x" * 201, "två\nrader"):
            answer = await visitor.post(f"{at}/give-up", {"reason": reason})
            assert answer.status_code == 422
        assert await state_of(scene, organisation, transfer) is TransferState.QUEUED
        answer = await visitor.post(f"{at}/give-up", {"reason": "Motparten är stängd"})
        assert answer.status_code == 303
        page = words((await visitor.get(answer.headers["location"])).text)
        assert "Den har misslyckats, och avsändaren får veta det." in page
        assert "Försök nu" not in page
        again = await visitor.post(f"{at}/give-up", {"reason": "igen"})
        assert again.status_code == 409
        assert "Den hade redan misslyckats; inget gjordes." in words(again.text)
    assert ("ap:transfer:failed", "operator:anna-ap") in await log_of(scene, organisation)
    async with scene.installation.open(organisation, Role.ACCESS_POINT) as vault:
        told = [each for each in await vault.events(0, 10) if each.transfer_id == transfer.id]
    assert told[-1].detail == "Motparten är stängd"


async def test_a_locked_queue_hides_no_other_ones(
    scene: Scene, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = await scene.installation.organisation((Role.ACCESS_POINT,))
    transfer = await stuck(scene.installation, organisation)
    operate = scene.installation.gate.operate

    def operate_unless_locked(principal: object, whose: ParticipantIdentifier) -> object:
        if whose == locked:
            raise VaultLocked
        return operate(principal, whose)  # type: ignore[arg-type]

    monkeypatch.setattr(scene.installation.gate, "operate", operate_unless_locked)
    async with scene.visit() as visitor:
        for path in ("/queues", "/refusals"):
            page = words((await visitor.get(path)).text)
            assert f"{locked} " in page
            assert "the vault is locked" in page
        assert transfer.id in (await visitor.get("/queues")).text


async def test_refusals_are_counted_by_peer_with_the_rules_that_were_broken(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    await refused(scene.installation, organisation)
    await refused(scene.installation, organisation)
    async with scene.visit() as visitor:
        page = words((await visitor.get("/refusals")).text)
    assert f"{PEER} {CERTIFICATE[:16]} 2" in page
    assert "EBMS:0004: NOT_SERVICED (2)" in page
    assert "samdrift peers report" in page


async def test_an_organisation_is_shown_with_its_checklist(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    async with scene.visit() as visitor:
        listed = words((await visitor.get("/organisations")).text)
        assert f"Kommun 1 {organisation} ap i drift mt i drift" in listed
        page = words((await visitor.get(f"/organisations/{organisation}")).text)
        assert "inte redo" in page
        assert "nyckel signing har inte skapats" in page
        english = await visitor.browser.get(
            f"/organisations/{organisation}", headers={"accept-language": "en"}
        )
        assert "key signing has not been made" in words(english.text)
        assert "betjänas ap ingen process som kör betjänar den" in page
        for unknown in ("0203:nobody.se", "x", "0203:"):
            assert (await visitor.get(f"/organisations/{unknown}")).status_code == 404


async def test_certificates_are_shown_by_their_end_with_the_command_for_a_new_one(scene: Scene) -> None:
    certify_operator(scene.installation.gate._keys)
    opened = await scene.opened()
    found = soonest(opened, scene.clock())
    assert [each.until for each in found] == sorted(each.until for each in found)
    (own,) = [each for each in found if each.key.name is KeyName.ACCESS_POINT]
    assert soonest(opened, own.until + timedelta(days=1))[0].until <= own.until
    async with scene.visit() as visitor:
        page = words((await visitor.get("/certificates")).text)
    row = re.search(
        r"Driften Accesspunkt .{3,20} (har gått ut|\d+ dagar) samdrift keys request access-point", page
    )
    assert row is not None, page
    assert (row[1] == "har gått ut") == (own.until <= scene.clock())


async def test_an_incident_is_shown_with_its_clocks(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    aware = now - timedelta(hours=7)
    act = IncidentOpened("Avbrott i nätet", aware, aware, frozenset({Clock.CONCERNED, Clock.NOTIFICATION}))
    await incidents.open_for(await scene.opened(), act, [organisation], Asked("anna-ap", "test"))
    async with scene.visit() as visitor:
        page = words((await visitor.get("/incidents")).text)
    assert "Avbrott i nätet öppen" in page
    assert re.search(r"berörda, inom 6 timmar 6\d min över tiden", page)
    assert re.search(r"anmälan till MCF, inom 72 timmar 2 dagar kvar", page)
    assert str(organisation) in page


async def test_of_the_operators_log_the_incidents_read_again_what_is_new_alone(
    scene: Scene, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has an entry for each command over years, and the page is opened again and again."""
    read: list[tuple[int, int]] = []
    whole = Gate.read_operator_log

    async def counted(gate: Gate, after: int = 0, limit: int = 500) -> tuple[LogEntry, ...]:
        found = await whole(gate, after, limit)
        read.append((after, len(found)))
        return found

    monkeypatch.setattr(Gate, "read_operator_log", counted)
    now = datetime.now(UTC).replace(microsecond=0)
    async with scene.visit() as visitor:
        await visitor.get("/incidents")
        (last, none), first = read[-1], sum(number for _, number in read)
        assert (none, first > 0) == (0, True)
        act = IncidentOpened("Ett avbrott till", now, now, frozenset({Clock.CONCERNED}))
        await incidents.open_for(await scene.opened(), act, [organisation], Asked("anna-ap", "test"))
        del read[:]
        assert "Ett avbrott till öppen" in words((await visitor.get("/incidents")).text)
    assert min(after for after, _ in read) == last
    assert 0 < sum(number for _, number in read) <= 5


def fields_of(organisation: ParticipantIdentifier, days: int, hours: int = 2) -> dict[str, str]:
    starts = datetime.now(UTC) + timedelta(days=days)
    form = "%Y-%m-%dT%H:%M"
    return {
        "starts": starts.strftime(form),
        "ends": (starts + timedelta(hours=hours)).strftime(form),
        "text": "Byte av databas",
        "organisations": str(organisation),
    }


def outage_of(page: str, organisation: ParticipantIdentifier) -> str:
    """Return the one planned outage on the page that concerns the organisation."""
    (one,) = [
        each for each in re.findall(r"<article.*?</article>", page, re.DOTALL) if str(organisation) in each
    ]
    return one


async def test_the_page_names_organisations_that_could_not_be_reached(
    scene: Scene, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locked(*arguments: object) -> bool:
        return False

    async with scene.visit() as visitor:
        monkeypatch.setattr(Gate, "record_for_organisation", locked)
        answer = await visitor.post("/maintenance/new", fields_of(organisation, 20))
        page = (await visitor.get(answer.headers["location"])).text
    said = words(outage_of(page, organisation))
    assert f"Saknas i loggen hos {organisation}: kunde inte nås, så underrätta dem själv" in said


async def test_an_outage_is_announced_in_time_and_withdrawn(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    async with scene.visit() as visitor:
        assert (await visitor.get("/maintenance/new")).status_code == 200
        answer = await visitor.post("/maintenance/new", fields_of(organisation, 20))
        assert answer.status_code == 303
        page = (await visitor.get(answer.headers["location"])).text
        assert "Det är annonserat" in words(page)
        announced = outage_of(page, organisation)
        assert "räknas som oplanerat" not in words(announced)
        (at,) = re.findall(r'action="(/maintenance/\w+/withdraw)"', announced)
        await visitor.post(at)
        withdrawn = outage_of((await visitor.get("/maintenance")).text, organisation)
        assert "Byte av databas återtaget" in words(withdrawn)
        assert "/withdraw" not in withdrawn
        assert (await visitor.post("/maintenance/unknown/withdraw")).status_code == 404


async def test_a_late_announcement_takes_a_second_yes_and_counts_as_unplanned(
    scene: Scene, organisation: ParticipantIdentifier
) -> None:
    fields = fields_of(organisation, 3)
    async with scene.visit() as visitor:
        answer = await visitor.post("/maintenance/new", fields)
        assert answer.status_code == 422
        assert "Det är färre än 5 arbetsdagar dit" in words(answer.text)
        answer = await visitor.post("/maintenance/new", {**fields, "late": "yes"})
        assert answer.status_code == 303
        page = (await visitor.get("/maintenance")).text
    assert "annonserat för sent, räknas som oplanerat" in words(outage_of(page, organisation))


@pytest.mark.parametrize(
    "change",
    [
        {"starts": "2020-01-01T00:00"},
        {"starts": "0001-01-01T00:00"},
        {"starts": "9999-12-31T23:59"},
        {"ends": ""},
        {"ends": "2020-01-01T00:00"},
        {"text": ""},
        {"text": "x" * 301},
        {"organisations": "0203:nobody.se"},
    ],
    ids=str,
)
async def test_what_is_wrong_with_an_announcement_is_said_and_nothing_is_announced(
    scene: Scene, organisation: ParticipantIdentifier, change: dict[str, str]
) -> None:
    before = len(await scene.operators_log())
    async with scene.visit() as visitor:
        answer = await visitor.post("/maintenance/new", {**fields_of(organisation, 20), **change})
    assert answer.status_code == 422
    assert "Något behöver rättas" in words(answer.text)
    assert len(await scene.operators_log()) == before


async def test_availability_is_counted_from_what_was_recorded_and_what_is_watched_now(scene: Scene) -> None:
    """The recorded silences are in a month of their own, in which nothing else was recorded."""
    await scene.watch.look()
    scene.reached = False
    async with scene.visit() as visitor:
        page = words((await visitor.get("/availability")).text)
        assert "Tillgänglighet" in page
        since = spans(scene.clock())[2][0] + timedelta(days=9)
        facts = {"since": since.isoformat(), "until": (since + timedelta(minutes=90)).isoformat()}
        event = ConsoleEvent.AVAILABILITY_MEASURED
        await scene.installation.gate.operator_log(event, **facts, silences="60-600")
        page = words((await visitor.get("/availability")).text)
    assert "90 % under målet" in page
    assert "Gick inte att nå 9 min" in page


async def test_one_of_the_staff_signs_in_and_another_person_does_not(
    installation: Installation, tmp_path: Path
) -> None:
    service = SignInService(lambda: datetime.now(UTC))
    scene = Scene(installation, config_of(tmp_path), ORIGIN, outgoing=service)
    async with scene.visit(signed_in=False) as visitor:
        began = await visitor.get("/sign-in/start?back=/")
        fields = service.visit(began.headers["location"])
        answer = await visitor.get(f"/sign-in/answer?{urlencode(fields, doseq=True)}")
        assert answer.status_code == 303
        assert (await visitor.get("/")).status_code == 200
    service.claims = {"sub": "olle"}
    async with scene.visit(signed_in=False) as visitor:
        began = await visitor.get("/sign-in/start?back=/")
        fields = service.visit(began.headers["location"])
        answer = await visitor.get(f"/sign-in/answer?{urlencode(fields, doseq=True)}")
        assert answer.status_code == 403
        assert (await visitor.get("/")).status_code == 401
    assert scene.signed_in == ["anna-ap"]
    assert scene.faults == [Fault.PERSON]


async def test_a_level_without_several_factors_opens_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    service = SignInService(lambda: datetime.now(UTC), claims={"acr": "password"})
    scene = Scene(installation, config_of(tmp_path), ORIGIN, outgoing=service)
    async with scene.visit(signed_in=False) as visitor:
        began = await visitor.get("/sign-in/start?back=/")
        fields = service.visit(began.headers["location"])
        answer = await visitor.get(f"/sign-in/answer?{urlencode(fields, doseq=True)}")
        assert answer.status_code == 403
    assert (scene.signed_in, scene.faults) == ([], [Fault.LEVEL])


async def test_a_sign_in_that_is_replayed_begins_no_second_session(scene: Scene) -> None:
    mark = b"m" * 16
    assert await scene.sessions.begin(person(), mark) is not None
    assert await scene.sessions.begin(person(), mark) is None


async def test_the_sign_in_service_ends_sessions_from_outside(scene: Scene) -> None:
    async with scene.visit() as visitor:
        assert (await visitor.get("/")).status_code == 200
        now = datetime.now(UTC) + timedelta(seconds=1)
        assert await scene.sessions.end_of(person().issuer, "anna", None, now) == 1
        assert (await visitor.get("/")).status_code == 401


async def test_monitoring_learns_that_the_console_answers_and_nothing_else(scene: Scene) -> None:
    async with scene.visit(signed_in=False) as visitor:
        answer = await visitor.get("/health")
    assert (answer.status_code, answer.content) == (204, b"")
