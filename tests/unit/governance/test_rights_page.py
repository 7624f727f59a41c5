"""The page of people who can read, when an organisation has granted thousands of rights: parts with links."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from html import unescape

import pytest_asyncio

from samdrift.rights import Given, Right, Rights, Scope, Subject
from samdrift.rights.statements import MAX_REASON
from samdrift.web.formats import SWEDEN
from tests.unit.governance.office import AUDITOR, Office, Visitor, office
from tests.unit.rights.building import ANNA
from tests.unit.rights.signers import YEAR
from tests.vaults import Installation

MANY = 2_500
MAX_BYTES = 150_000
PARTS = re.compile(r'<li><a href="(/rights\?page=\d+)"')


@pytest_asyncio.fixture
async def open_office(installation: Installation) -> AsyncIterator[Office]:
    async with office(installation) as opened:
        yield opened


async def give(opened: Office, count: int) -> Sequence[str]:
    """Grant ``count`` persons a right to one of 25 mailboxes; return the persons.

    All statements have the same second, as when an officer signs over unsigned ones.
    """
    opened.in_another_second()
    house = opened.house
    house.now = start = opened.second()
    persons = [Subject.parse(f"person:{number:032x}") for number in range(count)]
    rights = frozenset({Right.READ, Right.WRITE, Right.APPROVE})
    signed = []
    for number, person in enumerate(persons):
        what = Rights(person, Scope(f"{number % 25:032x}"), rights)
        statement = house.stated(ANNA, Given(what, start, start + YEAR, asked=False))
        signed.append(house.signers[ANNA].sign(replace(statement, why="å" * MAX_REASON)))
    await opened.append(*signed)
    opened.in_another_second()
    return [str(each) for each in persons]


def shown(page: str) -> list[str]:
    """Return the persons on a page, in order."""
    return re.findall(r'<span class="beneath">(person:[0-9a-f]{32})</span>', page)


async def follow(visitor: Visitor, path: str, label: str) -> list[str]:
    """Return the page and those that follow it by the link with that label."""
    pages = []
    while path:
        pages.append((await visitor.get(path)).text)
        link = re.search(rf'href="([^"]+)">{label}<', pages[-1])
        path = unescape(link[1]) if link else ""
    return pages


async def test_thousands_of_rights_are_shown_in_parts_each_of_which_is_small(open_office: Office) -> None:
    persons = await give(open_office, MANY)
    visitor = await open_office.visit(AUDITOR)
    pages = await follow(visitor, "/rights", "Fler rättigheter")
    assert max(len(each.encode()) for each in pages) <= MAX_BYTES
    found = [one for each in pages for one in shown(each)]
    assert len(found) == MANY
    assert sorted(found) == sorted(persons)
    last = f"/rights?page={len(pages)}"
    back = await follow(visitor, last, "Föregående rättigheter")
    assert [shown(each) for each in back] == [shown(each) for each in pages[::-1]]
    listed = PARTS.findall(pages[0])
    assert listed == PARTS.findall(pages[-1])
    assert len(listed) == len(pages)
    assert listed[-1] == last
    assert shown((await visitor.get(listed[2])).text) == shown(pages[2])


async def test_parts_of_a_day_lead_to_parts_of_that_day_and_one_that_is_not_there_is_the_nearest(
    open_office: Office,
) -> None:
    await give(open_office, 60)
    visitor = await open_office.visit(AUDITOR)
    day = f"{open_office.second().astimezone(SWEDEN):%Y-%m-%d}"
    pages = await follow(visitor, f"/rights?on={day}", "Fler rättigheter")
    assert len(pages) == 2
    assert all("Vilka kunde läsa" in each for each in pages)
    first, second = await follow(visitor, "/rights", "Fler rättigheter")
    for page in ("0", "-1", "1", "9999999", "x", "²", ""):
        assert shown((await visitor.get(f"/rights?page={page}")).text) == shown(first), page
    for page in ("2", "3", "999999"):
        assert shown((await visitor.get(f"/rights?page={page}")).text) == shown(second), page


async def test_few_rights_are_shown_without_parts(open_office: Office) -> None:
    persons = await give(open_office, 3)
    page = (await (await open_office.visit(AUDITOR)).get("/rights")).text
    assert shown(page) == persons
    assert "page=" not in page
