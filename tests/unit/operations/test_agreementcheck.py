"""The doctor on agreements: covered, covered not much longer, not covered, and silence without any."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from samdrift.administration.administration import Administration
from samdrift.contracts.cover import Mode
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement
from samdrift.governance.coverage import Standing
from samdrift.governance.duties.catalogue import PassOn, shipped
from samdrift.governance.records import FOLDS
from samdrift.operations.agreementcheck import check_agreements, judge
from samdrift.operations.findings import Finding, State
from samdrift.rights.agreements import Function
from samdrift.rights.record import Record
from samdrift.rights.statements import Approved
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.governance.test_records import begun, roots, statements
from tests.unit.rights.agreementbuilding import OPERATOR, TOWN, agreed, named
from tests.unit.rights.building import ANNA, BO, CILLA, SCHOOL
from tests.unit.rights.test_record import grant
from tests.vaults import NOW, Installation, inherits

PASSED_ON = [each.id for each in shipped()[-1].duties.values() if each.pass_on is not PassOn.NO]


def beside(installation: Installation, *canaries: ParticipantIdentifier) -> Administration:
    own = SimpleNamespace(canaries=canaries) if canaries else None
    found = SimpleNamespace(gate=installation.gate, config=SimpleNamespace(isolation_check=own, operator=""))
    return cast(Administration, found)


@pytest.mark.parametrize(
    ("mode", "days", "inherited", "state"),
    [
        (Mode.ON, None, False, State.OK),
        (Mode.ON, 91, False, State.OK),
        (Mode.ON, 30, False, State.WARN),
        (Mode.ON, 7, False, State.WARN),
        (Mode.ON, 90, True, State.FAIL),
        (Mode.ON, 80, True, State.FAIL),
        (Mode.ON, None, True, State.FAIL),
        (Mode.RECEIVING, None, False, State.FAIL),
        (Mode.UNCOVERED, None, False, State.FAIL),
        (Mode.OFF, None, False, State.WARN),
    ],
)
def test_how_a_role_stands_is_judged(mode: Mode, days: int | None, inherited: bool, state: State) -> None:
    until = None if days is None else NOW + timedelta(days=days)
    found = judge(Standing(Function.AP, mode, NOW, until, inherited), "0203:habo.se", NOW)
    assert found.state is state
    assert (found.todo == "") is (state is State.OK)


@pytest.mark.asyncio(loop_scope="session")
async def test_each_role_here_is_judged_by_the_organisations_own_record(installation: Installation) -> None:
    organisation, house, kept = await begun(installation)
    empty = await installation.organisation((Role.GOVERNANCE,))

    async def found(now: datetime) -> dict[str, Finding]:
        every = [each async for each in check_agreements(beside(installation), now)]
        assert empty.value not in {each.about for each in every}
        return {each.id: each for each in every if each.about == organisation.value}

    roles = ("agreements.ap", "agreements.mt", "agreements.mk")
    before = await found(house.now)
    assert {each: before[each].state for each in before} == dict.fromkeys(roles, State.FAIL)
    assert all("inherited rights" in each.found for each in before.values())
    await inherits(installation, organisation, None)
    never = await found(house.now)
    assert {each: never[each].state for each in never} == dict.fromkeys(roles, State.WARN)
    house.record = Record.of(organisation.value, [each.content for each in statements(house)], FOLDS)
    number, end = house.record.number, NOW + timedelta(days=200)
    house.state(ANNA, named(TOWN, organisation.value))
    house.state(ANNA, named(OPERATOR))
    whole = agreed(duties=PASSED_ON, end=end, organisations=(organisation.value,))
    entered = house.state(ANNA, whole)
    house.state(BO, Approved(entered.digest))
    await kept.append(organisation, statements(house)[number:], roots)
    for now, state in ((house.now, State.OK), (end - timedelta(days=5), State.WARN), (end, State.FAIL)):
        assert {each.state for each in (await found(now)).values()} == {state}


@pytest.mark.asyncio(loop_scope="session")
async def test_a_record_that_does_not_hold_is_a_fault_of_its_organisation_alone(
    installation: Installation,
) -> None:
    broken, house, _ = await begun(installation)
    whole, _, _ = await begun(installation)
    async with installation.open(broken, Role.GOVERNANCE) as vault:
        await vault.append_signed_statements([NumberedStatement(house.record.number + 1, b"made up")])
    found = {each.about: each async for each in check_agreements(beside(installation), house.now)}
    assert found[broken.value].state is State.FAIL
    assert "is not valid from number" in found[broken.value].found
    assert found[whole.value].id.startswith("agreements.")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_role_from_which_the_newest_statements_are_withheld_is_named(
    installation: Installation,
) -> None:
    organisation, house, _ = await begun(installation)
    signed = house.sign(ANNA, grant(house, CILLA, SCHOOL))
    number = house.record.number
    for role in (Role.GOVERNANCE, Role.ACCESS_POINT, Role.MESSAGE_CLIENT):
        async with installation.open(organisation, role) as vault:
            await vault.append_signed_statements([NumberedStatement(number + 1, signed.content)])
    behind = {
        each.id: each
        async for each in check_agreements(beside(installation), house.now)
        if each.about == organisation.value and each.id.startswith("statements.")
    }
    assert set(behind) == {"statements.mt"}
    assert behind["statements.mt"].state is State.FAIL
    assert f"has {number} of {number + 1}" in behind["statements.mt"].found


@pytest.mark.asyncio(loop_scope="session")
async def test_the_operators_own_canaries_are_not_asked_for_agreements(installation: Installation) -> None:
    canary, other = await installation.organisation(), await installation.organisation()
    about = {each.about async for each in check_agreements(beside(installation, canary), datetime.now(UTC))}
    assert other.value in about
    assert canary.value not in about


@pytest.mark.asyncio(loop_scope="session")
async def test_a_record_behind_its_head_is_a_fault_of_its_organisation_and_role(
    installation: Installation,
) -> None:
    behind, house, records = await begun(installation)
    await records.copy(behind)
    schema = (await vault_login(installation, behind, Role.ACCESS_POINT)).schema
    (await superuser(installation)).rows(f"DELETE FROM {schema}.signed_statements WHERE number = 10")
    every = [each async for each in check_agreements(beside(installation), house.now)]
    (found,) = [each for each in every if each.about == behind.value]
    assert (found.id, found.state) == ("record.ap", State.FAIL)
    assert found.todo == "docs/backup.md#a-record-behind-its-head"
