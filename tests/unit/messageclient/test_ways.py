"""Paths through the pages: no person meets a link to a page that they cannot see."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.rights import Right
from tests.sizes import sampled
from tests.unit.messageclient.wholerole import ENVIRONMENT, SOC, Visitor, Whole, whole_role
from tests.vaults import Installation

ROLES = (Role.MESSAGE_CLIENT,)
PERSONS = {
    "anna": (Right.READ, Right.WRITE),
    "ali": (Right.READ,),
    "lars": (Right.APPROVE,),
    "mia": (Right.READ, Right.WRITE, Right.APPROVE, Right.MANAGE),
    "olle": (Right.MANAGE,),
}
"""Rights to one mailbox; ``eva`` is an administrator and ``sten`` a security officer."""
_ELSEWHERE = ("/sign-in", "/sign-out", "/language/", "/static/", "/assets/")
_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27,}")


@pytest_asyncio.fixture
async def whole(installation: Installation) -> AsyncIterator[Whole]:
    async with whole_role(installation) as opened:
        await opened.appoint("sten", Right.SECURITY_OFFICER)
        for name, rights in PERSONS.items():
            await opened.give(name, SOC, *rights)
        await opened.give("anna", ENVIRONMENT, Right.READ)
        yield opened


def _links(page: str) -> list[str]:
    return [html.unescape(each).partition("#")[0] for each in re.findall(r'href="(/[^"]*)"', page)]


async def _walk(visitor: Visitor) -> dict[str, int]:
    """Follow each link of each page once; links that differ only in an id count as one."""
    found: dict[str, int] = {}
    ways, seen = ["/"], set[str]()
    while ways:
        path = ways.pop()
        kind = _IDS.sub("*", path.partition("?")[0])
        if kind in seen or not path.startswith("/") or path.startswith(_ELSEWHERE):
            continue
        seen.add(kind)
        answer = await visitor.get(path)
        found[path] = answer.status_code
        if 300 <= answer.status_code < 400:
            ways.append(answer.headers["location"])
        elif answer.headers["content-type"].startswith("text/html"):
            ways += _links(answer.text)
    return found


@pytest.mark.parametrize("name", sampled([*PERSONS, "eva", "sten"]))
async def test_every_link_leads_to_a_page_that_is_there_for_the_person(whole: Whole, name: str) -> None:
    await whole.receives(label="Fråga")
    if Right.WRITE in PERSONS.get(name, ()):
        await (await whole.visit(name)).post(f"/mailbox/{SOC}/write")
    found = await _walk(await whole.visit(name))
    assert len(found) > 4
    assert {path: status for path, status in found.items() if status not in (200, 303)} == {}
    assert whole.failures == []


async def test_who_works_with_no_mailbox_begins_at_the_administration(whole: Whole) -> None:
    """They see only their own pages: no list of messages, address book or search."""
    for name, first in (("eva", "/administration/mailboxes"), ("sten", "/administration/log")):
        visitor = await whole.visit(name)
        page = await visitor.get("/")
        while 300 <= page.status_code < 400:
            place = page.headers["location"]
            page = await visitor.get(place)
        assert (page.status_code, place) == (200, first)
        assert not {"/mine", "/drafts", "/sent", "/addresses", "/notices"} & set(_links(page.text))
        assert 'role="search"' not in page.text
