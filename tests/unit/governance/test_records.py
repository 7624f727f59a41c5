"""Records of signed statements in vaults: appended whole, logged or refused in the log, and copied."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from samdrift.audit.events import AuditEvent
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import NumberedStatement, RightsBehind
from samdrift.governance.events import GovEvent
from samdrift.governance.records import RecordBroken, Records, StatementRefused
from samdrift.rights import Ended, Subject
from samdrift.rights.folding import Effect
from samdrift.rights.record import Record
from samdrift.rights.signing import Refusal, Signed
from samdrift.vault.events import VaultEvent
from samdrift.vault.signedstatements import SignedStatementKeeping, StatementTaken
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.rights.building import ANNA, BO, CARE, CILLA, KARIN, KURT, SCHOOL
from tests.unit.rights.signers import House, Ssh, founded
from tests.unit.rights.test_record import grant
from tests.vaults import NOW, Installation

GOV = Role.GOVERNANCE
COPIES = (Role.ACCESS_POINT, Role.MESSAGE_SERVICE, Role.MESSAGE_CLIENT)


def roots(subject: Subject) -> Collection[str]:
    return {Ssh(subject, f"{subject}").key.fingerprint} if subject in (KARIN, KURT) else ()


def statements(house: House) -> list[Signed]:
    return [each.signed for each in house.record.entries]


def records(installation: Installation, house: House) -> Records:
    return Records(installation.gate, lambda: house.now)


async def begun(installation: Installation) -> tuple[ParticipantIdentifier, House, Records]:
    """Return an organisation whose first officers have been enrolled."""
    organisation = await installation.organisation()
    house = founded(organisation.value, NOW)
    kept = records(installation, house)
    await kept.append(organisation, statements(house), roots)
    return organisation, house, kept


async def stored(
    installation: Installation, organisation: ParticipantIdentifier, role: Role
) -> list[NumberedStatement]:
    async with installation.open(organisation, role) as vault:  # type: ignore[call-overload]
        assert isinstance(vault, SignedStatementKeeping)
        return list(await vault.signed_statements_after(0, 1000))


async def logged(
    installation: Installation, organisation: ParticipantIdentifier, event: AuditEvent, role: Role = GOV
) -> list[dict[str, str]]:
    async with installation.open(organisation, role) as vault:  # type: ignore[call-overload]
        return [dict(entry.ids) for entry in await vault.log() if entry.event == event]


async def test_statements_are_stored_logged_and_copied_to_every_role(installation: Installation) -> None:
    organisation, house, kept = await begun(installation)
    at = house.now.replace(microsecond=0)
    mine = [NumberedStatement(number, each.content, at) for number, each in enumerate(statements(house), 1)]
    for role in (GOV, *COPIES):
        assert await stored(installation, organisation, role) == mine
        entries = await logged(installation, organisation, VaultEvent.GOV_STATEMENT_KEPT, role)
        assert [entry["statement"] for entry in entries] == [str(each.number) for each in mine]
    record = await kept.read(organisation)
    assert record.keys.all() == house.record.keys.all()


async def test_another_process_reads_what_was_appended(installation: Installation) -> None:
    organisation, house, kept = await begun(installation)
    other = records(installation, house)
    assert (await other.read(organisation)).number == house.record.number
    signed = house.sign(ANNA, grant(house, CILLA, SCHOOL))
    await kept.append(organisation, [signed], roots)
    assert (await other.read(organisation)).number == house.record.number + 1


async def test_an_end_reaches_every_role_before_the_command_returns(installation: Installation) -> None:
    organisation, house, kept = await begun(installation)
    given = house.state(ANNA, grant(house, CILLA, SCHOOL))
    await kept.append(organisation, statements(house)[-1:], roots)
    house.state(BO, Ended(of=given.digest))
    await kept.append(organisation, statements(house)[-1:], roots)
    for role in COPIES:
        contents = [each.content for each in await stored(installation, organisation, role)]
        copy = Record.of(organisation.value, contents)
        assert not list(copy.state.holdings(house.now, CILLA))


async def test_what_is_refused_is_in_the_log_with_its_reason_and_nothing_is_stored(
    installation: Installation,
) -> None:
    organisation, house, kept = await begun(installation)
    before = house.record.number
    good = house.sign(ANNA, grant(house, CILLA, SCHOOL))
    forged = house.sign(BO, grant(house, CILLA, CARE))
    with pytest.raises(StatementRefused) as refused:
        await kept.append(organisation, [good, forged], roots)
    assert refused.value.verdict is Effect.NO_AUTHORITY
    (entry,) = await logged(installation, organisation, GovEvent.STATEMENT_REFUSED)
    assert entry == {
        "reason": "no-authority",
        "kind": "grant",
        "by": "person:bo",
        "digest": forged.statement.digest,
    }
    assert len(await stored(installation, organisation, GOV)) == before
    assert (await kept.read(organisation)).number == before
    await kept.append(organisation, [good], roots)


async def test_a_custodian_who_is_none_here_begins_nothing(installation: Installation) -> None:
    organisation = await installation.organisation()
    house = founded(organisation.value, NOW)
    kept = records(installation, house)
    with pytest.raises(StatementRefused) as refused:
        await kept.append(organisation, statements(house), lambda subject: ())
    assert refused.value.verdict is Refusal.UNKNOWN_KEY
    assert await stored(installation, organisation, GOV) == []


async def test_what_was_signed_for_another_organisation_is_refused(installation: Installation) -> None:
    organisation, house, kept = await begun(installation)
    other, _, _ = await begun(installation)
    signed = house.sign(ANNA, grant(house, CILLA, SCHOOL))
    with pytest.raises(StatementRefused) as refused:
        await kept.append(other, [signed], roots)
    assert refused.value.verdict is Refusal.OTHER_ORGANISATION
    await kept.append(organisation, [signed], roots)


async def test_two_who_state_something_at_the_same_time_are_both_heard_or_told_why(
    installation: Installation,
) -> None:
    organisation, house, kept = await begun(installation)
    other = records(installation, house)
    await other.read(organisation)
    one, two = house.sign(ANNA, grant(house, CILLA, SCHOOL)), house.sign(BO, Ended(subject=CILLA))
    done = await asyncio.gather(
        kept.append(organisation, [one], roots),
        other.append(organisation, [two], roots),
        return_exceptions=True,
    )
    failed = [each for each in done if isinstance(each, BaseException)]
    assert all(isinstance(each, StatementRefused) for each in failed)
    assert len(failed) < 2
    kept_now, there = await kept.read(organisation), await other.read(organisation)
    contents = [each.content for each in await stored(installation, organisation, GOV)]
    for record in (kept_now, there):
        assert [each.signed.content for each in record.entries] == contents


async def test_a_role_that_was_not_reached_gets_what_it_lacks_afterwards(installation: Installation) -> None:
    organisation, house, kept = await begun(installation)
    signed = house.sign(ANNA, grant(house, CILLA, SCHOOL))
    async with installation.open(organisation, GOV) as vault:
        await vault.append_signed_statements([NumberedStatement(house.record.number + 1, signed.content)])
    assert len(await stored(installation, organisation, Role.MESSAGE_CLIENT)) == house.record.number
    assert await kept.copy(organisation) == dict.fromkeys(COPIES, True)
    assert len(await stored(installation, organisation, Role.MESSAGE_CLIENT)) == house.record.number + 1


async def test_a_copy_that_has_something_else_is_left_alone_and_said_to_be_behind(
    installation: Installation,
) -> None:
    organisation, house, kept = await begun(installation)
    number = house.record.number + 1
    async with installation.open(organisation, Role.ACCESS_POINT) as vault:
        await vault.append_signed_statements([NumberedStatement(number, b"made up")])
    signed = house.sign(ANNA, grant(house, CILLA, SCHOOL))
    await kept.append(organisation, [signed], roots)
    done = await kept.copy(organisation)
    assert done == {**dict.fromkeys(COPIES, True), Role.ACCESS_POINT: False}
    assert (await stored(installation, organisation, Role.ACCESS_POINT))[-1].content == b"made up"


async def test_a_record_that_somebody_wrote_into_the_database_is_not_read(installation: Installation) -> None:
    organisation, house, _ = await begun(installation)
    made_up = Ssh(CILLA, "made up").sign(house.stated(CILLA, grant(house, CILLA, SCHOOL)))
    async with installation.open(organisation, GOV) as vault:
        number = house.record.number + 1
        await vault.append_signed_statements([NumberedStatement(number, made_up.content)])
    with pytest.raises(RecordBroken) as broken:
        await records(installation, house).read(organisation)
    assert broken.value.broken.verdict is Refusal.UNKNOWN_KEY


async def test_a_record_of_a_newer_program_decides_nothing(installation: Installation) -> None:
    organisation, house, kept = await begun(installation)
    content = house.record.entries[-1].signed.content.replace(rb"\"kind\":\"", rb"\"kind\":\"x")
    async with installation.open(organisation, GOV) as vault:
        await vault.append_signed_statements([NumberedStatement(house.record.number + 1, content)])
    with pytest.raises(RightsBehind):
        await kept.read(organisation)


async def appended(
    installation: Installation, organisation: ParticipantIdentifier, role: Role, *new: NumberedStatement
) -> int:
    async with installation.open(organisation, role) as vault:  # type: ignore[call-overload]
        assert isinstance(vault, SignedStatementKeeping)
        return await vault.append_signed_statements(new)


async def test_signed_statements_have_numbers_without_a_gap_in_every_role(installation: Installation) -> None:
    organisation = await installation.organisation()
    one, two = NumberedStatement(1, b"one"), NumberedStatement(2, b"two")
    for role in Role:
        for wrong in ([two], [NumberedStatement(0, b"none")], [one, NumberedStatement(3, b"a gap")]):
            with pytest.raises(StatementTaken):
                await appended(installation, organisation, role, *wrong)
        assert await appended(installation, organisation, role, two, one) == 2
        with pytest.raises(StatementTaken):
            await appended(installation, organisation, role, NumberedStatement(1, b"another"))
        assert await stored(installation, organisation, role) == [one, two]
        assert len(await logged(installation, organisation, VaultEvent.GOV_STATEMENT_KEPT, role)) == 2


class Overtaken(Records):
    """Records of a process that another overtakes ``times`` times between reading and appending."""

    times = 1
    other: Records
    theirs: list[Signed]

    async def _current(self, organisation: ParticipantIdentifier, vault: SignedStatementKeeping) -> Record:
        record = await super()._current(organisation, vault)
        if self.times and self.theirs:
            self.times -= 1
            await self.other.append(organisation, [self.theirs.pop()], roots)
        return record


async def test_what_is_signed_at_the_same_moment_at_two_processes_is_all_appended(
    installation: Installation,
) -> None:
    """The number of the second is already used, but neither person has to sign again."""
    organisation, house, kept = await begun(installation)
    here = Overtaken(installation.gate, lambda: house.now)
    here.other = kept
    here.theirs = [house.sign(ANNA, grant(house, CILLA, CARE))]
    before = house.record.number
    (entry,) = await here.append(organisation, [house.sign(ANNA, grant(house, CILLA, SCHOOL))], roots)
    assert entry.number == before + 2
    assert (await here.read(organisation)).number == before + 2
    for role in COPIES:
        assert len(await stored(installation, organisation, role)) == before + 2
