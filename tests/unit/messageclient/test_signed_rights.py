"""Rights by signed statements in a message client: verified there, effective immediately, and ended."""

from __future__ import annotations

import pytest

from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement, RightsBehind
from samdrift.governance.records import Records
from samdrift.messageclient.permissions import Assignments, RightsRefused, Through
from samdrift.rights import ORGANISATION, Approved, Ended, Given, Right, Rights, Subject
from samdrift.vault.people import Identity
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.governance.test_records import roots
from tests.unit.rights.building import ANNA, BO, KARIN, KURT, SCHOOL
from tests.unit.rights.signers import YEAR, House, Ssh, founded
from tests.unit.rights.test_record import grant
from tests.vaults import NOW, Installation

MK, GOV = Role.MESSAGE_CLIENT, Role.GOVERNANCE
ISSUER = "https://login.habo.test"
KIM = Identity(ISSUER, "kim", "Kim")


async def begun(
    installation: Installation,
) -> tuple[ParticipantIdentifier, House, Records, Assignments, Subject]:
    """Return an organisation with officers, and a person in its message client."""
    organisation = await installation.organisation([MK, GOV])
    house = founded(organisation.value, NOW)
    records = Records(installation.gate, lambda: house.now)
    await records.append(organisation, [each.signed for each in house.record.entries], roots)
    async with installation.open(organisation, MK) as vault:
        kim = Subject.parse(f"person:{await vault.know_person(KIM)}")
    assignments = Assignments(installation.gate.worker("test", MK), lambda: house.now)
    return organisation, house, records, assignments, kim


async def may_read(assignments: Assignments, organisation: ParticipantIdentifier) -> bool:
    kim = await assignments.of(organisation, ISSUER, "kim", {})
    return kim.may(Right.READ, SCHOOL.mailbox)


async def test_what_an_officer_signed_is_had_at_once_and_gone_with_its_end(
    installation: Installation,
) -> None:
    organisation, house, records, assignments, kim = await begun(installation)
    assert not await may_read(assignments, organisation)
    given = house.sign(ANNA, grant(house, kim, SCHOOL))
    await records.append(organisation, [given], roots)
    house.record.append(given)
    house.now += 2 * (house.now - NOW)
    assert await may_read(assignments, organisation)
    (reader,) = (await assignments.now(organisation)).readers(str(SCHOOL.mailbox))
    (way,) = reader.ways
    assert (way.through, way.number, way.by) == (Through.ASSIGNMENT, "S11", ANNA)
    await records.append(organisation, [house.sign(BO, Ended(of=given.statement.digest))], roots)
    assert not await may_read(assignments, organisation)


async def test_what_was_assigned_before_goes_on_and_an_officer_ends_it(installation: Installation) -> None:
    organisation, house, records, assignments, kim = await begun(installation)
    role = Rights(ANNA, ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    asked = await assignments.state(
        organisation, KARIN, "beslut 1", lambda at: Given(role, at, at + YEAR, asked=True)
    )
    await assignments.state(organisation, KURT, "beslut 1", lambda at: Approved(asked.digest))
    house.now += YEAR / 300
    rights = Rights(kim, SCHOOL, frozenset({Right.READ}))
    assigned = await assignments.state(
        organisation, ANNA, "beslut 2", lambda at: Given(rights, at, at + YEAR, asked=False)
    )
    house.now += YEAR / 300
    assert await may_read(assignments, organisation)
    ended = house.signers[BO].sign(house.stated(BO, Ended(subject=kim)))
    await records.append(organisation, [ended], roots)
    assert not await may_read(assignments, organisation)
    assert (await assignments.now(organisation)).copy.number_of(assigned.digest) == "3"


async def test_a_copy_with_a_statement_that_nobody_signed_decides_nothing(
    installation: Installation,
) -> None:
    """A grant forged with keys and database has no effect, and the role reports the forged statement."""
    organisation, house, _, assignments, kim = await begun(installation)
    made_up = Ssh(ANNA, "made up").sign(house.stated(ANNA, grant(house, kim, SCHOOL)))
    number = house.record.number + 1
    async with installation.open(organisation, MK) as vault:
        await vault.append_signed_statements([NumberedStatement(number, made_up.content)])
    with pytest.raises(RightsBehind) as behind:
        await may_read(assignments, organisation)
    assert (behind.value.has, behind.value.wanted) == (number - 1, number)


async def test_a_right_that_has_ended_by_what_a_witness_signed_is_not_had_again_by_a_clock_set_back(
    installation: Installation,
) -> None:
    """Neither reading nor granting is possible, although no later statement shows how late it is."""
    organisation, house, records, assignments, kim = await begun(installation)
    given = house.sign(ANNA, grant(house, kim, SCHOOL))
    await records.append(organisation, [given], roots)
    house.now += 2 * (house.now - NOW)
    assert await may_read(assignments, organisation)
    await installation.witness(organisation, MK, house.now + 2 * YEAR)
    assert not await may_read(assignments, organisation)
    assert (await assignments.now(organisation)).readers(str(SCHOOL.mailbox)) == ()
    rights = Rights(kim, SCHOOL, frozenset({Right.READ}))
    with pytest.raises(RightsRefused, match="you may not do that"):
        await assignments.state(
            organisation, ANNA, "beslut 3", lambda at: Given(rights, at, at + YEAR, asked=False)
        )
