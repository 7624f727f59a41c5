"""Rights to a mailbox that officers grant on the page to a system, and to everyone with a claim."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from samdrift.rights import Right, Rights, Scope, Subject
from samdrift.rights.statements import Given
from tests.unit.governance.office import AUDITOR, CILLA, Office, office
from tests.unit.governance.test_entering import stated
from tests.unit.messageclient.wholerole import ISSUER
from tests.unit.rights.building import ANNA, BO
from tests.vaults import Installation

GIVE = "/rights/give"


@pytest_asyncio.fixture
async def open_office(installation: Installation) -> AsyncIterator[Office]:
    async with office(installation) as opened:
        yield opened


def giving(opened: Office, **changed: str) -> dict[str, str]:
    until = f"{opened.second() + timedelta(days=30):%Y-%m-%d}"
    fields = {"person": "", "mailbox": "soc", "rights": "read", "until": until, "why": "beslut 9"}
    return fields | changed


@pytest.mark.parametrize(
    ("typed", "whose"),
    [
        ({"system": " arendesystem "}, Subject.parse("system:arendesystem")),
        ({"claim": "groups = nattskiftet"}, Subject.claim(ISSUER, "groups", "nattskiftet")),
        ({"claim": "roll=hand läggare=a"}, Subject.claim(ISSUER, "roll", "hand läggare=a")),
    ],
)
async def test_a_right_is_given_to_a_system_and_to_all_with_a_claim_of_the_own_service(
    open_office: Office, typed: dict[str, str], whose: Subject
) -> None:
    act = await stated(open_office, ANNA, GIVE, giving(open_office, **typed))
    assert isinstance(act, Given)
    assert act.what == Rights(whose, Scope("soc"), frozenset({Right.READ}))
    open_office.in_another_second()
    shown = (await (await open_office.visit(AUDITOR)).get("/rights")).text
    assert str(whose) in shown


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"system": "a b"}, "system"),
        ({"system": "arende\u202esystem"}, "system"),
        ({"system": "arendesystem", "person": str(BO)}, "system"),
        ({"system": "arendesystem", "claim": "groups=x"}, "system"),
        ({"claim": "nattskiftet"}, "claim"),
        ({"claim": "groups="}, "claim"),
        ({"claim": "=x"}, "claim"),
        ({"claim": "a#b=x"}, "claim"),
        ({"claim": "groups=x", "person": str(CILLA)}, "claim"),
        ({"system": "arendesystem", "rights": "manage"}, "rights"),
        ({"claim": "groups=x", "rights": "manage"}, "rights"),
        ({}, "person"),
    ],
    ids=str,
)
async def test_a_receiver_that_cannot_be_is_refused_with_the_field_and_stays_as_typed(
    open_office: Office, typed: dict[str, str], field: str
) -> None:
    before = (await open_office.role.records.read(open_office.organisation)).number
    answer = await (await open_office.visit(ANNA)).post(GIVE, giving(open_office, **typed))
    assert (answer.status_code, f'href="#{field}"' in answer.text) == (422, True)
    assert "beslut 9" in answer.text
    assert (await open_office.role.records.read(open_office.organisation)).number == before
