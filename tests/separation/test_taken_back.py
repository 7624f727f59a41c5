"""What was taken back stays taken back: a superuser of the database, without any key, gives nothing back.

Attacks: one DELETE of the row by which a right has ended, while everything runs and after a restart; a row in
the place of another; and what must not be taken for an attack.
"""

from __future__ import annotations

import pytest

from samdrift.contracts.principals import Role
from samdrift.governance.records import Records
from samdrift.messageclient.permissions import Assignments
from samdrift.rights import ORGANISATION, Approved, Ended, Given, Right, Rights, Subject
from samdrift.vault.heads import RecordBehind
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.governance.test_records import roots
from tests.unit.messageclient.test_signed_rights import begun, may_read
from tests.unit.rights.building import ANNA, BO, KARIN, KURT, SCHOOL
from tests.unit.rights.signers import YEAR, House
from tests.unit.rights.test_record import grant
from tests.vaults import NOW, Installation

MK, GOV = Role.MESSAGE_CLIENT, Role.GOVERNANCE
Begun = tuple[ParticipantIdentifier, House, Records, Assignments, Subject]


async def ended(installation: Installation) -> Begun:
    """Return an organisation whose officer gave a person a right and ended it, as everyone has seen."""
    organisation, house, records, assignments, kim = await begun(installation)
    given = house.sign(ANNA, grant(house, kim, SCHOOL))
    await records.append(organisation, [given], roots)
    house.record.append(given)
    house.now += 2 * (house.now - NOW)
    assert await may_read(assignments, organisation)
    await records.append(organisation, [house.sign(BO, Ended(of=given.statement.digest))], roots)
    assert not await may_read(assignments, organisation)
    return organisation, house, records, assignments, kim


async def run(
    installation: Installation, organisation: ParticipantIdentifier, role: Role, statement: str
) -> list[tuple[object, ...]]:
    schema = (await vault_login(installation, organisation, role)).schema
    return (await superuser(installation)).rows(statement.format(schema=schema))


LAST = "DELETE FROM {schema}.signed_statements WHERE number = 12"


async def refused(assignments: Assignments, organisation: ParticipantIdentifier) -> None:
    with pytest.raises(RecordBehind):
        await may_read(assignments, organisation)


async def test_a_deleted_end_of_a_right_gives_nothing_back_live_or_after_a_restart(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    organisation, house, _, assignments, _ = await ended(installation)
    await run(installation, organisation, MK, LAST)
    await refused(assignments, organisation)
    restarted = Assignments(installation.gate.worker("test", MK), lambda: house.now)
    await refused(restarted, organisation)
    (line,) = [each.getMessage() for each in caplog.records if each.getMessage().startswith("ALARM")]
    assert (
        f"{organisation.value} (mk): its record signed_statements ends with number 11 and had number 12"
        in line
    )


async def test_a_deleted_statement_of_governance_is_read_by_nobody(installation: Installation) -> None:
    organisation, house, records, *_ = await ended(installation)
    await run(installation, organisation, GOV, LAST)
    for each in (records, Records(installation.gate, lambda: house.now)):
        with pytest.raises(RecordBehind):
            await each.read(organisation)
        with pytest.raises(RecordBehind):
            await each.append(organisation, [house.sign(BO, Ended(subject=ANNA))], roots)


async def test_what_is_stored_again_is_read_again(installation: Installation) -> None:
    organisation, _, records, assignments, _ = await ended(installation)
    await run(installation, organisation, MK, LAST)
    await refused(assignments, organisation)
    assert (await records.copy(organisation))[MK]
    assert not await may_read(assignments, organisation)


async def test_another_row_in_the_place_of_an_end_is_not_the_end(installation: Installation) -> None:
    organisation, _, _, assignments, _ = await ended(installation)
    swap = (
        "UPDATE {schema}.signed_statements SET sealed = (SELECT sealed FROM {schema}.signed_statements"
        " WHERE number = 11) WHERE number = 12"
    )
    await run(installation, organisation, MK, swap)
    await refused(assignments, organisation)


async def test_an_end_without_a_signature_is_not_taken_back_either(installation: Installation) -> None:
    organisation, house, _, assignments, kim = await begun(installation)
    role = Rights(ANNA, ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    asked = await assignments.state(
        organisation, KARIN, "beslut 1", lambda at: Given(role, at, at + YEAR, asked=True)
    )
    await assignments.state(organisation, KURT, "beslut 1", lambda at: Approved(asked.digest))
    house.now += YEAR / 300
    rights = Rights(kim, SCHOOL, frozenset({Right.READ}))
    given = await assignments.state(
        organisation, ANNA, "beslut 2", lambda at: Given(rights, at, at + YEAR, asked=False)
    )
    house.now += YEAR / 300
    assert await may_read(assignments, organisation)
    await assignments.state(organisation, ANNA, "beslut 3", lambda at: Ended(of=given.digest))
    assert not await may_read(assignments, organisation)
    await run(installation, organisation, MK, "DELETE FROM {schema}.statements WHERE number = 4")
    await refused(assignments, organisation)


async def test_a_process_that_ends_between_commit_and_head_leaves_no_alarm(
    installation: Installation,
) -> None:
    """The record is then ahead of its head, and the next look moves that up."""
    organisation, _, _, assignments, _ = await ended(installation)
    vault = (await vault_login(installation, organisation, MK)).vault
    head = installation.settings.secrets / ".marks" / vault / "signed_statements.head"
    head.unlink()
    assert not await may_read(assignments, organisation)
    assert head.exists()
    await run(installation, organisation, MK, LAST)
    await refused(assignments, organisation)


async def test_a_head_of_another_vault_is_none(installation: Installation) -> None:
    """Whoever writes into the key store, and has no key, stops the vault that they write to alone."""
    organisation, _, records, assignments, _ = await ended(installation)
    heads = installation.settings.secrets / ".marks"
    mine, other = [(await vault_login(installation, organisation, role)).vault for role in (MK, GOV)]
    (heads / mine / "signed_statements.head").write_bytes(
        (heads / other / "signed_statements.head").read_bytes()
    )
    await refused(assignments, organisation)
    assert (await records.read(organisation)).number == 12
