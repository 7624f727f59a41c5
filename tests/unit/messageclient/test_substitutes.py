"""Conversations of an absent handler: marked as such for all, and listed among the substitute's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.messageclient.permissions import person_subject
from samdrift.rights import Right, Scope, Substitution
from samdrift.rights.statements import Given
from tests.unit.messageclient.wholerole import ENVIRONMENT, SOC, Whole, hrefs, whole_role
from tests.vaults import Installation

MK = Role.MESSAGE_CLIENT
_AWAY = timedelta(days=7)


@pytest_asyncio.fixture
async def house(installation: Installation) -> AsyncIterator[Whole]:
    async with whole_role(installation) as opened:
        yield opened


async def taken(house: Whole, name: str, label: str) -> str:
    """Let a message arrive and a person take the conversation; return its address."""
    await house.receives(label=label)
    browser = await house.visit(name)
    (href,) = set(hrefs(await browser.get(f"/mailbox/{SOC}/unhandled"), r"/conversation/[^\"]+"))
    conversation = href.partition("?")[0]
    await browser.get(conversation)
    assert (await browser.post(f"{conversation}/take", version="1")).status_code == 303
    return conversation


async def substitute(house: Whole, absent: str, name: str, mailbox: str = SOC) -> None:
    """Let a person work in the place of another for a week, in one mailbox."""
    who, of = [person_subject(await house.person(each)) for each in (name, absent)]
    eva = person_subject(await house.person("eva"))
    what = Substitution(who, Scope(mailbox), of)
    await house._state(eva, lambda at: Given(what, at, at + _AWAY, asked=False))


async def mine(house: Whole, name: str) -> str:
    return (await (await house.visit(name)).get(f"/mailbox/{SOC}/mine")).text


@pytest.mark.parametrize("writes_already", [True, False])
async def test_an_absent_handlers_conversations_go_to_the_substitute_until_that_ends(
    house: Whole, writes_already: bool
) -> None:
    for name in ("anna", "cia", *(["bo"] if writes_already else [])):
        await house.give(name, SOC, Right.READ, Right.WRITE)
    await house.give("bo", ENVIRONMENT, Right.READ, Right.WRITE)
    conversation = await taken(house, "anna", "Planerat möte")
    assert conversation not in await mine(house, "bo")
    await substitute(house, "anna", "bo")
    bos = await mine(house, "bo")
    assert conversation in bos
    assert "hos dig, i stället för Anna som är frånvarande" in bos
    assert conversation not in await mine(house, "cia")
    assert "hos Anna, frånvarande; Bo vikarierar" in (await (await house.visit("cia")).get(conversation)).text
    assert conversation in await mine(house, "anna"), "a handler who returns early must find the conversation"
    house.clock.ahead += _AWAY
    if writes_already:
        assert conversation not in await mine(house, "bo")
    assert "hos Anna" in (page := (await (await house.visit("cia")).get(conversation)).text)
    assert "vikarierar" not in page


async def test_who_substitutes_in_one_mailbox_has_nothing_of_another(house: Whole) -> None:
    for mailbox in (SOC, ENVIRONMENT):
        for name in ("anna", "bo"):
            await house.give(name, mailbox, Right.READ, Right.WRITE)
    conversation = await taken(house, "anna", "Planerat möte")
    await substitute(house, "anna", "bo", ENVIRONMENT)
    bos = await mine(house, "bo")
    assert conversation not in bos
    assert "vikarierar" not in bos


async def test_the_count_and_a_selection_of_ones_own_have_them_too(house: Whole) -> None:
    for name in ("anna", "bo"):
        await house.give(name, SOC, Right.READ, Right.WRITE)
    await taken(house, "anna", "Planerat möte")
    async with house.installation.open(house.organisation, MK) as vault:
        anna, bo = [await house.person(each) for each in ("anna", "bo")]
        for absent, number in (((), 0), (((SOC, anna),), 1), (((ENVIRONMENT, anna),), 0)):
            (counts,) = await vault.mailbox_counts([SOC], bo, absent)
            assert counts.mine == number
