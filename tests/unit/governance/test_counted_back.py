"""Authenticators with a counter that went back: a key that may have a copy is shown until stated lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.governance.events import GovEvent
from samdrift.rights.keyacts import Lost
from tests.unit.governance.office import GOV, Office, office
from tests.unit.rights.building import ANNA, BO
from tests.unit.rights.signers import Authenticator
from tests.vaults import Installation

ROLES = (Role.GOVERNANCE,)


@pytest_asyncio.fixture
async def open_office(installation: Installation) -> AsyncIterator[Office]:
    async with office(installation) as opened:
        yield opened


async def test_a_key_that_may_have_a_copy_is_shown_to_the_officers_until_it_is_stated_lost(
    open_office: Office,
) -> None:
    anna, bo = await open_office.visit(ANNA), await open_office.visit(BO)
    own, said = open_office.house.signers[ANNA], "En underskrift av Anna Andersson nekades"
    assert isinstance(own, Authenticator)
    assert said not in (await bo.get("/officers")).text
    copy = Authenticator(ANNA, 1, counter=own.counter - 1)
    record = await open_office.role.records.read(open_office.organisation)
    page = await anna.post(f"/decide/{record.entries[-2].statement.digest}", {"decision": "end", "why": "x"})
    assert (await anna.signs(page, copy)).status_code == 422
    for page_of_officers in ("/officers", "/"):
        assert said in (await bo.get(page_of_officers)).text
    (refused,) = [each for each in await open_office.log() if each.event == GovEvent.STATEMENT_REFUSED]
    assert refused.ids["counted_back"] == own.key.fingerprint
    assert "item" not in refused.ids
    (key,) = record.keys.in_force(record.last or open_office.house.now, ANNA)
    await open_office.state(BO, Lost(key.id, open_office.house.now))
    assert said not in (await bo.get("/officers")).text


async def test_a_key_that_counted_less_by_an_entry_of_before_is_shown_still(open_office: Office) -> None:
    """An old entry names the key as ``item``."""
    own = open_office.house.signers[ANNA].key.fingerprint
    async with open_office.installation.open(open_office.organisation, GOV) as vault:
        vault.record(GovEvent.STATEMENT_REFUSED, reason="counter", item=own, by=str(ANNA))
    page = await (await open_office.visit(BO)).get("/officers")
    assert "En underskrift av Anna Andersson nekades" in page.text
