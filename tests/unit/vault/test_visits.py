"""Visits: occasional readers of vaults learn of a login that other work has made."""

from __future__ import annotations

import asyncio

from samdrift.contracts.principals import Purpose, Role
from samdrift.vault.gate import Gate
from samdrift.vault.wakeups import Visits
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import WORKER, Installation
from tests.virtualtime import in_virtual_time, seconds

ORGANISATION = ParticipantIdentifier("0203:habo.se")
AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE


@in_virtual_time
async def test_a_login_is_heard_of_a_moment_after_it_and_by_everybody_who_listens() -> None:
    visits = Visits()
    heard = [visits.listen(), visits.listen()]
    visits.know("login", (ORGANISATION, AP))
    visits.begun("login")
    visits.begun("the registry's")
    assert [await anext(each) for each in heard] == [(ORGANISATION, AP)] * 2
    assert seconds() == 2


@in_virtual_time
async def test_whoever_looks_into_vaults_of_one_role_is_not_woken_by_a_login_to_another() -> None:
    visits = Visits()
    ours, others = visits.listen(AP), asyncio.create_task(anext(visits.listen(MT)))
    visits.know("login", (ORGANISATION, AP))
    visits.begun("login")
    assert await anext(ours) == (ORGANISATION, AP)
    await asyncio.sleep(60)
    assert not others.done()
    visits.know("other", (ORGANISATION, MT))
    visits.begun("other")
    assert await others == (ORGANISATION, MT)


async def test_a_vault_is_heard_of_when_it_is_logged_in_to_and_not_when_its_connection_is_used_again(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    gate = await Gate.start(installation.settings)
    gate.visits._after = 0.0
    visits = gate.visits.listen()
    try:
        for role in (AP, AP, MT):
            async with gate.open(WORKER, organisation, role, Purpose.MAINTAIN) as vault:
                await vault.tree.state()
        async with asyncio.timeout(60):
            assert [await anext(visits), await anext(visits)] == [(organisation, AP), (organisation, MT)]
    finally:
        await gate.close()
