"""Cover by agreements as roles require it: opening, sending, the end, and its traces.

The traces are those in logs, metrics and health.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from samdrift.config.model import Config
from samdrift.config.toml import ConfigError
from samdrift.contracts.cover import COVERED_PURPOSES, Mode, NotCovered
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.statements import NumberedStatement, RightsBehind
from samdrift.governance.duties.catalogue import PassOn, shipped
from samdrift.governance.records import Records
from samdrift.installation import cover
from samdrift.installation.cover import COVERED_ROLES, CoverKeeper, covered, operator_of
from samdrift.installation.covermetrics import CoverMetrics
from samdrift.installation.events import RunEvent
from samdrift.installation.health import Dependency, Health
from samdrift.rights.agreements import AtEnd, Chosen, Extended
from samdrift.rights.fields import Subject
from samdrift.rights.folds import FOLDS
from samdrift.rights.record import Record
from samdrift.rights.statements import Act, Approved, Statement
from samdrift.vault.errors import VaultLocked, VaultUnavailable, VaultUncovered
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.governance.test_records import roots, statements
from tests.unit.rights.agreementbuilding import HOST, OPERATOR, TOWN, agreed, named
from tests.unit.rights.building import ANNA, BO
from tests.unit.rights.signers import House, founded
from tests.vaults import WORKER, Installation, inherits, until

PASSED_ON = [each.id for each in shipped()[-1].duties.values() if each.pass_on is not PassOn.NO]
MT, AP, GOV = Role.MESSAGE_SERVICE, Role.ACCESS_POINT, Role.GOVERNANCE


@dataclass
class Covered:
    """An organisation with officers, its own gate that asks for cover, and a clock."""

    installation: Installation
    gate: Gate
    now: datetime
    organisation: ParticipantIdentifier = field(init=False)
    health: Health = field(init=False)
    keeper: CoverKeeper = field(init=False)
    _house: House = field(init=False)
    _records: Records = field(init=False)

    async def begin(self, *, inherited: bool = False) -> Covered:
        self.organisation = await self.installation.organisation()
        self._house = founded(self.organisation.value, self.now)
        self._records = Records(self.installation.gate, lambda: self._house.now)
        signed = statements(self._house)
        await self._records.append(self.organisation, signed, roots)
        self._house.record = Record.of(self.organisation.value, [each.content for each in signed], FOLDS)
        self.now = self._house.now
        await inherits(
            self.installation, self.organisation, self.now + timedelta(days=90) if inherited else None
        )
        self.health = Health(lambda: self.now)
        self.ask_again()
        return self

    def ask_again(self) -> None:
        """Start another process, which remembers nothing."""
        self.keeper = CoverKeeper(self.gate, lambda: self.now, COVERED_ROLES, self.health.note)
        self.gate.covered_by(self.keeper)

    def write_through(self, gate: Gate) -> None:
        """Let the process of ``gate`` append statements from now on."""
        self._records = Records(gate, lambda: self._house.now)

    async def state(self, by: Subject, *acts: Act) -> Statement:
        number = self._house.record.number
        self._house.now = max(self._house.now, self.now)
        made = [self._house.state(by, act) for act in acts]
        await self._records.append(self.organisation, statements(self._house)[number:], roots)
        self.now = max(self.now, self._house.now)
        self.ask_again()
        return made[-1]

    async def agree(self, end: datetime, choice: AtEnd = AtEnd.STOP) -> str:
        """Enter and countersign an agreement for every duty; return its name."""
        mine = (self.organisation.value,)
        await self.state(ANNA, named(TOWN, mine[0]), named(OPERATOR), Chosen(choice))
        whole = agreed(duties=PASSED_ON, start=self.now, end=end, organisations=mine)
        entered = await self.state(ANNA, whole)
        await self.state(BO, Approved(entered.digest))
        return entered.digest

    async def mode(self, role: Role = MT) -> Mode:
        return (await self.gate.cover(self.organisation, role)).mode

    async def logged(self, role: Role = MT) -> list[dict[str, str]]:
        async with self.installation.open(self.organisation, role, Purpose.TRACE) as vault:  # type: ignore[call-overload]
            return [dict(one.ids) for one in await vault.log(0, 1000) if one.event == RunEvent.COVER_CHANGED]

    async def operators(self) -> list[dict[str, str]]:
        entries = [entry async for entry in _operators(self.gate)]
        return [each for each in entries if each["organisation"] == self.organisation.value]


async def _operators(gate: Gate):  # type: ignore[no-untyped-def]
    after = 0
    while found := await gate.read_operator_log(after):
        for entry in found:
            after = entry.sequence
            if entry.event == RunEvent.COVER_CHANGED:
                yield dict(entry.ids)


@pytest.fixture
async def house(installation: Installation) -> Covered:
    gate = await Gate.start(installation.settings, keys=installation.gate._keys)
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        yield await Covered(installation, gate, now).begin()
    finally:
        await gate.close()


async def test_a_function_that_was_never_covered_opens_for_nothing_that_it_does(house: Covered) -> None:
    assert await house.mode() is Mode.OFF
    for purpose in Purpose:
        if purpose in COVERED_PURPOSES:
            with pytest.raises(VaultUncovered):
                async with house.gate.open(WORKER, house.organisation, MT, purpose):
                    pass
        elif purpose not in (Purpose.EXPORT, Purpose.IMPORT, Purpose.CLOSE):
            async with house.gate.open(WORKER, house.organisation, MT, purpose):
                pass
    async with house.gate.open(WORKER, house.organisation, GOV, Purpose.READ):
        pass
    assert (await house.logged())[-1] == {"state": "off"}


async def test_cover_opens_it_and_its_end_stops_new_messages_alone(house: Covered) -> None:
    end = house.now + timedelta(days=200)
    await house.agree(end)
    assert await house.mode() is Mode.ON
    (await house.gate.cover(house.organisation, MT)).require_sending()
    house.now = end - timedelta(seconds=1)
    assert await house.mode() is Mode.ON
    house.now = end
    for purpose in sorted(COVERED_PURPOSES):
        async with house.gate.open(WORKER, house.organisation, MT, purpose):
            pass
    cover = await house.gate.cover(house.organisation, MT)
    assert (cover.mode, cover.since) == (Mode.RECEIVING, end)
    with pytest.raises(NotCovered, match="no agreement covers it since"):
        cover.require_sending()


async def test_what_was_chosen_before_the_end_lets_sending_go_on(house: Covered) -> None:
    end = house.now + timedelta(days=1)
    await house.agree(end, AtEnd.CONTINUE)
    house.now = end
    cover = await house.gate.cover(house.organisation, AP)
    assert cover.mode is Mode.UNCOVERED
    cover.require_sending()


async def test_two_officers_extend_and_sending_goes_on_within_a_second(house: Covered) -> None:
    end = house.now + timedelta(days=1)
    agreement = await house.agree(end)
    house.now = end
    assert await house.mode() is Mode.RECEIVING
    keeper = house.keeper
    asked = await house.state(ANNA, Extended(agreement, house.now + timedelta(days=30)))
    assert await house.mode() is Mode.RECEIVING
    await house.state(BO, Approved(asked.digest))
    house.gate.covered_by(keeper)  # It has cached that the agreement had ended.
    await asyncio.sleep(1.05)
    assert await house.mode() is Mode.ON


async def test_each_state_and_each_warning_is_logged_once_whoever_sees_it(house: Covered) -> None:
    end = house.now + timedelta(days=200)
    await house.agree(end)
    for left in (200, 180, 100, 90, 30, 7, 3, 0, -5):
        house.now = end - timedelta(days=left)
        await asyncio.gather(house.mode(), house.mode(AP))
        house.ask_again()
        await house.mode()
    until, since = end.isoformat(), end.isoformat()
    expected = [
        {"state": "on", "until": until},
        *({"state": "on", "until": until, "within_days": days} for days in ("180", "90", "30", "7")),
        {"state": "receiving", "since": since},
    ]
    assert await house.logged() == expected
    whose = {"organisation": house.organisation.value}
    assert [each for each in await house.operators() if each["role"] == "mt"] == [
        {**each, **whose, "role": "mt"} for each in expected
    ]


async def test_what_was_inherited_covers_ninety_days_and_is_shown(installation: Installation) -> None:
    gate = await Gate.start(installation.settings, keys=installation.gate._keys)
    try:
        house = await Covered(installation, gate, datetime.now(UTC).replace(microsecond=0)).begin(
            inherited=True
        )
        end = house.now + timedelta(days=90)
        assert await house.mode() is Mode.ON
        assert (await house.logged())[0] == {
            "state": "inherited",
            "until": end.isoformat(),
            "within_days": "90",
        }
        metrics = CollectorRegistry()
        metrics.register(CoverMetrics(house.keeper.rows))
        assert b'samdrift_cover_functions{role="mt",state="inherited"} 1.0' in generate_latest(metrics)
        assert _agreements(house.health) == ""
        house.now = end
        assert await house.mode() is Mode.RECEIVING
        assert b'samdrift_cover_functions{role="mt",state="receiving"} 1.0' in generate_latest(metrics)
        assert house.organisation.value.encode() not in generate_latest(metrics)
        assert "not covered" in _agreements(house.health)
    finally:
        await gate.close()


def _agreements(health: Health) -> str:
    return next(each.reason for each in health.conditions() if each.dependency == Dependency.AGREEMENTS)


async def test_a_clock_that_is_set_back_prolongs_nothing(house: Covered) -> None:
    end = house.now + timedelta(days=1)
    agreement = await house.agree(end)
    house.now = end + timedelta(days=1)
    # This still needs a second officer's approval.
    await house.state(ANNA, Extended(agreement, end + timedelta(days=60)))
    house.now = end - timedelta(hours=5)
    assert await house.mode() is Mode.RECEIVING


async def test_a_moment_that_a_witness_has_put_under_the_log_counts_for_ends(house: Covered) -> None:
    end = house.now + timedelta(days=1)
    await house.agree(end)
    assert await house.mode() is Mode.ON
    await house.installation.witness(house.organisation, MT, end)
    house.ask_again()
    assert await house.mode() is Mode.RECEIVING


async def test_a_copy_that_does_not_hold_receives_and_sends_when_it_is_whole_again(house: Covered) -> None:
    await house.agree(house.now + timedelta(days=100))
    number = house._house.record.number
    async with house.installation.open(house.organisation, MT, Purpose.MAINTAIN) as vault:
        await vault.append_signed_statements([NumberedStatement(number + 1, b"made up")])
    house.ask_again()
    cover = await house.gate.cover(house.organisation, MT)
    assert cover.mode.receives
    with pytest.raises(RightsBehind):
        cover.require_sending()
    assert (await house.logged())[-1]["behind"] == str(number)
    assert "not covered" in _agreements(house.health)
    (await house.gate.cover(house.organisation, AP)).require_sending()


async def test_without_traffic_an_end_is_seen_too(house: Covered) -> None:
    async with covered(house.keeper, house.gate):
        async with asyncio.timeout(120):
            while not await house.logged():
                await asyncio.sleep(0.02)
    assert (await house.logged())[0] == {"state": "off"}


@pytest.mark.parametrize("by", ["this process", "another"])
async def test_without_traffic_what_is_stated_is_seen_too(house: Covered, by: str) -> None:
    """The house writes its records through the gate of another process than the one that keeps cover."""
    keeper = CoverKeeper(house.gate, lambda: house.now, COVERED_ROLES, per_organisation=True)
    mine = house.organisation.value, MT.value
    if by == "this process":
        house.write_through(house.gate)
    async with covered(keeper, house.gate):
        async with asyncio.timeout(120):
            while not await house.logged():
                await asyncio.sleep(0.02)
            await house.agree(house.now + timedelta(days=200))
            while {(one.owner, one.role): one.state for one in keeper.rows()}[mine] != "on":
                await asyncio.sleep(0.02)


async def test_a_round_opens_no_vault_in_which_nothing_can_have_changed(
    house: Covered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cover, "_EVERY", timedelta(seconds=0))
    monkeypatch.setattr(cover, "_SOON", timedelta(seconds=0.01))
    end = house.now + timedelta(days=200)
    await house.agree(end)
    looks: list[Role] = []
    look = house.keeper._look

    async def noted(organisation: ParticipantIdentifier, role: Role, kept: Any) -> Any:
        if organisation == house.organisation:
            looks.append(role)
        return await look(organisation, role, kept)

    monkeypatch.setattr(house.keeper, "_look", noted)
    forgotten: list[None] = []
    forget = house.keeper._forget
    monkeypatch.setattr(house.keeper, "_forget", lambda: (forgotten.append(None), forget()))
    hosted = [role for role in COVERED_ROLES if house.gate.registry.find(house.organisation, role)]
    keeping = asyncio.create_task(house.keeper.keep())
    try:
        async with asyncio.timeout(120):
            while len(forgotten) < 20:
                await asyncio.sleep(0.01)
            assert sorted(looks) == sorted(hosted), "each vault must be opened only once"
            house.now = end
            while looks.count(MT) < 2:
                await asyncio.sleep(0.01)
    finally:
        keeping.cancel()


async def test_a_look_that_is_half_due_goes_along_with_a_login(
    house: Covered, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.agree(house.now + timedelta(days=200))
    async with covered(house.keeper, house.gate):
        kept = house.keeper._of(house.organisation, MT)
        await until(lambda: kept.looked > 0 and not kept.lock.locked())
        before = kept.looked = time.monotonic() - 50 * 60
        house.gate.visits._tell((house.organisation, MT))
        await asyncio.sleep(0.1)  # Leave time for a look that would be too early.
        assert kept.looked == before
        before = kept.looked = time.monotonic() - 61 * 60
        house.gate.visits._tell((house.organisation, MT))
        await until(lambda: kept.looked > before)


async def test_an_organisation_inherits_once_for_all_roles_and_nothing_after_the_end(
    installation: Installation,
) -> None:
    organisation = await installation.organisation((AP, GOV))
    facts = await _facts(installation, organisation, (AP, GOV))
    assert facts[0] == facts[1] is not None
    await installation.provisioner.add_organisation(organisation, (AP, GOV, MT))
    await installation.known(organisation, MT)
    assert await _facts(installation, organisation, (MT,)) == [facts[0]]
    await inherits(installation, organisation, datetime.now(UTC) - timedelta(days=1))
    await installation.provisioner.add_organisation(organisation, tuple(Role))
    await installation.known(organisation, Role.MESSAGE_CLIENT)
    assert await _facts(installation, organisation, (Role.MESSAGE_CLIENT,)) == [None]


async def _facts(
    installation: Installation, organisation: ParticipantIdentifier, roles: Sequence[Role]
) -> list[tuple[datetime, datetime] | None]:
    found = []
    for role in roles:
        async with installation.open(organisation, role, Purpose.MAINTAIN) as vault:  # type: ignore[call-overload]
            found.append((await vault.cover_facts()).inherited)
    return found


async def test_looking_at_cover_leaves_no_entry_while_nothing_changes(house: Covered) -> None:
    await house.agree(house.now + timedelta(days=100))
    await house.mode()
    async with house.installation.open(house.organisation, MT, Purpose.TRACE) as vault:
        before = await vault.log_end()
    for _ in range(3):
        house.ask_again()
        await house.mode()
    async with house.installation.open(house.organisation, MT, Purpose.TRACE) as vault:
        assert await vault.log_end() == before


async def test_a_canary_of_the_operators_needs_no_agreement_and_its_log_says_why(house: Covered) -> None:
    roles = COVERED_ROLES
    house.gate.covered_by(CoverKeeper(house.gate, lambda: house.now, roles, canaries=[house.organisation]))
    (await house.gate.cover(house.organisation, MT)).require_sending()
    assert await house.logged() == [{"state": "canary"}]


async def test_an_outage_is_met_once_by_all_who_ask_at_the_same_time(
    house: Covered, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = 0

    def away(*_: object) -> object:
        nonlocal opened
        opened += 1
        return _away()

    monkeypatch.setattr(house.gate, "open", away)
    found = await asyncio.gather(*(house.mode() for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in found} == {VaultUnavailable}
    assert opened == 1
    monkeypatch.undo()
    assert await house.mode() is Mode.OFF


@contextlib.asynccontextmanager
async def _away() -> AsyncIterator[None]:
    await asyncio.sleep(0.05)
    raise VaultUnavailable
    yield


async def test_what_one_organisation_takes_to_be_decided_holds_up_no_other(
    house: Covered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its officers may state thousands of agreements, and the process goes on meanwhile."""
    decided, meanwhile = cover.standing, threading.Event()

    def slowly(*given: Any) -> Any:
        assert meanwhile.wait(10), "the decision blocked the event loop"
        return decided(*given)

    monkeypatch.setattr(cover, "standing", slowly)
    asked = asyncio.ensure_future(house.keeper(house.organisation, MT))
    asyncio.get_running_loop().call_later(0.2, meanwhile.set)
    assert (await asked).mode is Mode.OFF


async def test_agreements_have_to_lead_to_the_party_that_runs_the_roles(house: Covered) -> None:
    await house.agree(house.now + timedelta(days=100))
    for operator, mode in ((OPERATOR, Mode.ON), (HOST, Mode.OFF), (TOWN, Mode.ON), (None, Mode.ON)):
        roles = COVERED_ROLES
        house.gate.covered_by(CoverKeeper(house.gate, lambda: house.now, roles, operator=operator))
        assert await house.mode() is mode


def test_a_number_that_cannot_be_a_partys_is_a_fault_of_the_configuration() -> None:
    known = cast(Config, SimpleNamespace(operator="SE:556036-0793"))
    assert str(operator_of(known)) == "SE:556036-0793"
    assert operator_of(cast(Config, SimpleNamespace(operator=""))) is None
    with pytest.raises(ConfigError, match="operator"):
        operator_of(cast(Config, SimpleNamespace(operator="SE:556036-0794")))


async def test_of_two_processes_that_see_a_state_one_tells_of_it(house: Covered) -> None:
    told = []
    for state in ("state=on", "state=on until=then"):
        async with house.installation.open(house.organisation, MT, Purpose.MAINTAIN) as vault:
            told.append(await vault.note_cover("", state))
    assert told == [True, False]


async def test_while_a_vault_is_locked_nothing_is_decided_and_its_clocks_run(
    house: Covered, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = house.now + timedelta(days=1)
    await house.agree(end)
    assert await house.mode() is Mode.ON
    monkeypatch.setattr(house.gate, "open", lambda *_: _locked())
    house.now = end + timedelta(days=3)
    with pytest.raises(VaultLocked):
        await house.mode()
    monkeypatch.undo()
    assert (await house.logged())[-1]["state"] == "on"
    assert await house.mode() is Mode.RECEIVING
    assert (await house.logged())[-1] == {"state": "receiving", "since": end.isoformat()}


@contextlib.asynccontextmanager
async def _locked() -> AsyncIterator[None]:
    raise VaultLocked
    yield
