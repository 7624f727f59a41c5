"""Groups of a directory in the message client: the people they admit, and their display on the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from samdrift.contracts.statements import NumberedStatement
from samdrift.messageclient.permissions import Through
from samdrift.rights import Given, Right, Rights, Scope, Subject
from samdrift.rights.groups import changes
from tests.unit.messageclient.test_entrance import MK, ROLES, SOC, House, house, service
from tests.unit.rights import signers
from tests.unit.rights.building import AD, ANNA, BO

__all__ = ["ROLES", "house", "service"]
GROUP = Subject.group("ad", "cn=Natt\\, norr,ou=Grupper,dc=habo,dc=se")


async def listed(house: House, *people: str, age: timedelta = timedelta()) -> None:
    """Let a group read a mailbox, and freeze its members of some time ago."""
    now = (datetime.now(UTC) - age - timedelta(hours=1)).replace(microsecond=0)
    record = signers.founded(house.organisation.value, now - timedelta(hours=1))
    record.now = now
    record.enrolled(signers.Ssh(AD, "ad"), ANNA, BO)
    start = record.now + timedelta(minutes=1)
    rights = Rights(GROUP, Scope(SOC), frozenset({Right.READ}))
    record.state(ANNA, Given(rights, start, start + timedelta(days=90), asked=False))
    ids = [await house.person(each) for each in people]
    for act in changes(GROUP, "ldaps://dc1.habo.se:636", record.now, (), ids) if ids else ():
        record.state(AD, act)
    signed = [NumberedStatement(entry.number, entry.signed.content) for entry in record.record.entries]
    async with house.installation.open(house.organisation, MK) as vault:
        await vault.append_signed_statements(signed)


async def page(house: House, person: str = "anna") -> str:
    async with house.browser() as browser:
        await house.sign_in(browser, person)
        return (await browser.get(f"/rights/{SOC}")).text


async def test_a_member_signs_in_and_the_page_names_the_group_and_when_its_list_was_read(
    house: House,
) -> None:
    """architecture-sad 5.4 step 3"""
    await listed(house, "anna")
    assigned = await house.role.assignments.now(house.organisation)
    (reader,) = assigned.readers(SOC)
    (way,) = reader.ways
    assert (reader.person, way.through, way.by) == (await house.person("anna"), Through.DIRECTORY, ANNA)
    assert assigned.groups(SOC) == (way,)
    shown = await page(house)
    assert "Gruppen Natt, norr i katalogen" in shown
    assert "listan läst" in shown
    assert "gammal lista" not in shown


async def test_a_list_that_has_not_been_read_for_days_is_marked_and_removes_nobody(house: House) -> None:
    await listed(house, "anna", age=timedelta(days=5))
    shown = await page(house)
    assert "Anna Andersson" in shown
    assert shown.count("gammal lista") == 2


async def test_a_group_that_was_never_read_lets_nobody_in_and_is_said_to_be_so(house: House) -> None:
    await listed(house)
    await house.administrator()
    assigned = await house.role.assignments.now(house.organisation)
    assert assigned.readers(SOC) == ()
    shown = await page(house, "eva")
    assert "katalogen har inte lästs än" in shown


async def test_who_is_not_in_the_group_has_no_right(house: House) -> None:
    await listed(house, "anna")
    async with house.browser() as browser:
        await house.sign_in(browser, "bo")
        assert (await browser.get("/", follow_redirects=True)).status_code == 403
