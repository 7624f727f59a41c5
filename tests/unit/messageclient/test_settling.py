"""The end of unsigned rights: two officers decide, and from then on only signed ones count."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from samdrift.contracts.statements import RightsBehind
from samdrift.governance.records import Records
from samdrift.messageclient.permissions import Assignments, SignedAlone
from samdrift.rights import ORGANISATION, Approved, Copy, Ended, Given, Right, Rights, Statement, Subject
from samdrift.rights.folding import Effect
from samdrift.rights.folds import FOLDS
from samdrift.rights.record import Record
from samdrift.rights.settling import SettlementAsked, listing
from samdrift.rights.settlingfold import settled_in
from samdrift.rights.statements import Act
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.governance.test_records import roots
from tests.unit.messageclient.test_signed_rights import begun, may_read
from tests.unit.rights.building import ANNA, BO, CILLA, HABO, KARIN, KURT, SCHOOL
from tests.unit.rights.signers import YEAR, House, founded
from tests.unit.rights.test_record import grant
from tests.vaults import Installation

NONE = SettlementAsked(0, listing(()))


def test_one_officer_asks_and_another_approves() -> None:
    house = founded()
    asked = house.state(ANNA, NONE)
    assert house.record.judge(house.sign(ANNA, Approved(asked.digest)), house.now) is Effect.SELF
    assert house.record.judge(house.sign(KARIN, Approved(asked.digest)), house.now) is Effect.NO_AUTHORITY
    assert settled_in(house.record) is None
    house.state(BO, Approved(asked.digest))
    settled = settled_in(house.record)
    assert settled is not None
    assert (settled.since, settled.by, settled.number) == (house.now, ANNA, 0)
    assert house.record.judge(house.sign(ANNA, NONE), house.now) is Effect.OVER
    again = Record.of(HABO, [each.signed.content for each in house.record.entries], FOLDS)
    assert settled_in(again) == settled


@pytest.mark.parametrize("how", ["late", "withdrawn"])
def test_what_is_not_approved_in_a_day_or_was_withdrawn_settles_nothing(how: str) -> None:
    house = founded()
    asked = house.state(ANNA, NONE)
    if how == "late":
        house.now += timedelta(days=1)
    else:
        house.state(BO, Ended(of=asked.digest))
    assert house.record.judge(house.sign(BO, Approved(asked.digest)), house.now) is Effect.OVER


def unsigned(house: House, count: int) -> list[tuple[int, bytes]]:
    """Return statements of the pages: Karin and Kurt make Anna administrator, who grants Cilla rights."""
    at = house.record.entries[-1].statement.at
    role = Given(Rights(ANNA, ORGANISATION, frozenset({Right.ADMINISTRATOR})), at, at + YEAR, asked=True)
    asked = Statement(HABO, KARIN, at, "beslut 1", role)
    found = [asked, Statement(HABO, KURT, at, "beslut 1", Approved(asked.digest))]
    for number in range(count):
        later = at + timedelta(seconds=1 + number)
        what = Rights(CILLA, SCHOOL, frozenset({Right.READ}))
        found.append(
            Statement(HABO, ANNA, later, f"beslut {number}", Given(what, later, later + YEAR, False))
        )
    return [(number, each.content) for number, each in enumerate(found, 1)]


def test_past_days_stay_as_they_were_and_later_unsigned_statements_count_for_nothing() -> None:
    house = founded()
    own = unsigned(house, 2)
    copy = Copy.of(HABO, own)
    copy.include(house.record.statements(), settled_in(house.record))
    before = house.record.entries[-1].statement.at + timedelta(seconds=30)
    past = copy.state.as_of(before)
    assert list(copy.state.holdings(before, CILLA))
    asked = house.state(ANNA, SettlementAsked(copy.number, listing(copy.digests)))
    house.state(BO, Approved(asked.digest))
    for each in (copy, Copy.of(HABO, own)):
        each.include(house.record.statements(), settled_in(house.record))
        assert each.state.as_of(before) == past
        assert not list(each.state.holdings(house.now, CILLA))
        late = Statement(
            HABO,
            ANNA,
            house.now + timedelta(seconds=1),
            "late",
            Given(
                Rights(CILLA, SCHOOL, frozenset({Right.READ})),
                house.now + timedelta(seconds=1),
                house.now + YEAR,
                False,
            ),
        )
        each.accept([(each.number + 1, late.content)])
        assert not list(each.state.holdings(house.now + timedelta(hours=1), CILLA))
    signed = house.state(ANNA, grant(house, CILLA, SCHOOL))
    copy.include(house.record.statements(), settled_in(house.record))
    (holding,) = copy.state.holdings(house.now + timedelta(hours=1), CILLA)
    assert holding.statements == (signed.digest,)


async def test_unsigned_rights_end_on_the_pages_and_none_is_stated_there_again(
    installation: Installation,
) -> None:
    organisation, house, records, assignments, kim = await begun(installation)
    await unsigned_right(assignments, house, organisation, kim)
    assert await may_read(assignments, organisation)
    copy = (await assignments.now(organisation)).copy
    asked = await stated(house, records, ANNA, SettlementAsked(copy.number, listing(copy.digests)))
    assert await may_read(assignments, organisation)
    await stated(house, records, BO, Approved(asked.digest))
    assert not await may_read(assignments, organisation)
    rights = Rights(kim, SCHOOL, frozenset({Right.READ}))
    with pytest.raises(SignedAlone, match="only by signed decisions"):
        await assignments.state(
            organisation, ANNA, "beslut 9", lambda at: Given(rights, at, at + YEAR, asked=False)
        )
    await stated(house, records, ANNA, grant(house, kim, SCHOOL))
    house.now += timedelta(hours=1)
    assert await may_read(assignments, organisation)


async def test_unsigned_statements_that_were_changed_since_they_were_looked_at_decide_nothing(
    installation: Installation,
) -> None:
    organisation, house, records, assignments, kim = await begun(installation)
    await unsigned_right(assignments, house, organisation, kim)
    copy = (await assignments.now(organisation)).copy
    other = [hashlib.sha256(each.encode()).hexdigest() for each in copy.digests]
    asked = await stated(house, records, ANNA, SettlementAsked(copy.number, listing(other)))
    await stated(house, records, BO, Approved(asked.digest))
    with pytest.raises(RightsBehind):
        await may_read(assignments, organisation)


async def stated(house: House, records: Records, by: Subject, act: Act) -> Statement:
    statement = house.state(by, act)
    signed = house.record.entries[-1].signed
    await records.append(ParticipantIdentifier.parse(house.organisation), [signed], roots)
    return statement


async def unsigned_right(
    assignments: Assignments, house: House, whose: ParticipantIdentifier, kim: Subject
) -> None:
    role = Rights(ANNA, ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    asked = await assignments.state(
        whose, KARIN, "beslut 1", lambda at: Given(role, at, at + YEAR, asked=True)
    )
    await assignments.state(whose, KURT, "beslut 1", lambda at: Approved(asked.digest))
    house.now += timedelta(hours=1)
    rights = Rights(kim, SCHOOL, frozenset({Right.READ}))
    await assignments.state(whose, ANNA, "beslut 2", lambda at: Given(rights, at, at + YEAR, asked=False))
    house.now += timedelta(hours=1)
