"""The page of unsigned rights: each is shown, signed over or left, and two officers end the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.messageclient.permissions import Assignments, SignedAlone
from samdrift.rights import ORGANISATION, Approved, Given, Right, Rights, Scope, Subject
from samdrift.rights.settling import SettlementAsked
from samdrift.rights.settlingfold import settled_in
from samdrift.rights.statements import Act, Statement
from samdrift.vault.errors import VaultLocked
from tests.unit.governance.office import AUDITOR, Office, office, statement_on
from tests.unit.governance.test_entering import stated
from tests.unit.rights.building import ANNA, BO, CILLA, DAG, KARIN, KURT
from tests.unit.rights.signers import YEAR
from tests.vaults import Installation

ROLES = (Role.GOVERNANCE, Role.MESSAGE_CLIENT)
PAGE = "/rights/unsigned"
EVA = Subject.parse("person:eva")


@pytest_asyncio.fixture
async def open_office(installation: Installation) -> AsyncIterator[Office]:
    async with office(installation, roles=ROLES) as opened:
        yield opened


def assignments(opened: Office) -> Assignments:
    return Assignments(opened.installation.gate.worker("test", Role.MESSAGE_CLIENT), opened.clock)


async def unsigned(opened: Office, by: Subject, to: Subject, scope: Scope, right: Right) -> Statement:
    """Grant a right on the pages of the message client, as before statements were signed."""
    opened.clock.ahead += timedelta(seconds=1)

    def act(at: datetime) -> Act:
        return Given(Rights(to, scope, frozenset({right})), at, at + YEAR / 2, asked=by.id == KARIN.id)

    made = await assignments(opened).state(opened.organisation, by, "före", act)
    if by == KARIN:
        await assignments(opened).state(opened.organisation, KURT, "före", lambda at: Approved(made.digest))
    opened.clock.ahead += timedelta(seconds=1)
    return made


async def two(opened: Office) -> tuple[Statement, Statement]:
    """Make unsigned rights: one of Eva's, one of Anna's own, and the role of Dag, who granted it."""
    of_eva = await unsigned(opened, ANNA, EVA, Scope("skola"), Right.READ)
    await unsigned(opened, KARIN, DAG, ORGANISATION, Right.ADMINISTRATOR)
    return of_eva, await unsigned(opened, DAG, ANNA, Scope("skola"), Right.WRITE)


async def keeps(opened: Office, who: Subject, given: Statement) -> httpx.Response:
    visitor = await opened.visit(who)
    return await visitor.post(PAGE, {"decision": "over", "of": given.digest, "why": "behövs"})


async def test_what_people_need_is_signed_over_one_by_one_and_two_officers_end_the_rest(
    open_office: Office,
) -> None:
    of_eva, of_anna = await two(open_office)
    left = await unsigned(open_office, ANNA, CILLA, Scope("arkiv"), Right.READ)
    anna = await open_office.visit(ANNA)
    shown = (await anna.get(PAGE)).text
    for words in ("person:eva", "Cilla Dahl", "Ingen har skrivit under", "Dessa upphör", ": 4."):
        assert words in shown
    assert f'href="{PAGE}"' in (await anna.get("/rights")).text
    fields = {"decision": "over", "of": of_eva.digest, "why": "behövs"}
    given = await stated(open_office, ANNA, PAGE, fields)
    assert isinstance(given, Given)
    old = of_eva.act
    assert isinstance(old, Given)
    assert (given.what, given.end, given.asked) == (old.what, old.end, False), (
        "the signed right must be the same as the unsigned one"
    )
    own = await keeps(open_office, ANNA, of_anna)
    assert own.status_code == 422
    assert "en annan befattningshavare" in own.text.lower()
    shown = (await anna.get(PAGE)).text
    assert f'value="{of_anna.digest}"' not in shown
    assert "Du har själv den här rätten" in shown
    assert f'value="{of_eva.digest}"' not in shown, "a signed right must not be offered again"

    asked = await stated(open_office, ANNA, PAGE, {"decision": "settle", "why": "beslut 14"})
    assert isinstance(asked, SettlementAsked)
    assert asked.number == 5
    record = await open_office.role.records.read(open_office.organisation)
    digest = record.entries[-1].statement.digest
    bo = await open_office.visit(BO)
    assert f'href="{PAGE}"' in (await bo.get(f"/decide/{digest}")).text, (
        "the request must link to the rights that it ends"
    )
    assert f'href="/decide/{digest}"' in (await bo.get(PAGE)).text
    await stated(open_office, BO, f"/decide/{digest}", {"decision": "approve", "why": "läst"})
    record = await open_office.role.records.read(open_office.organisation)
    assert settled_in(record) is not None
    open_office.in_another_second()
    shown = (await anna.get(PAGE)).text
    assert "Bara underskrivna beslut gäller." in shown
    assert "decision" not in shown
    held = {each.given.what.subject for each in record.state.holdings(open_office.second())}
    assert EVA in held
    with pytest.raises(SignedAlone):
        await unsigned(open_office, ANNA, CILLA, Scope("skola"), Right.READ)
    assigned = await assignments(open_office).now(open_office.organisation)
    assert not assigned.allows(CILLA.id, frozenset(), Right.READ, "arkiv"), (
        "an unsigned right must no longer count"
    )
    assert assigned.allows(EVA.id, frozenset(), Right.READ, "skola")
    assert left.digest not in assigned.copy.signed


async def test_after_a_signature_the_page_comes_again_with_what_is_left(open_office: Office) -> None:
    of_eva, _ = await two(open_office)
    open_office.in_another_second()
    anna = await open_office.visit(ANNA)
    answer = await anna.signs(await keeps(open_office, ANNA, of_eva), open_office.house.signers[ANNA], PAGE)
    assert answer.headers["location"] == f"{PAGE}?signed"
    assert "Inte underskrivna än: 2." in (await anna.get(f"{PAGE}?signed")).text


async def test_a_role_that_is_signed_over_waits_for_another_officer_and_is_not_asked_for_twice(
    open_office: Office,
) -> None:
    role = await unsigned(open_office, KARIN, EVA, ORGANISATION, Right.AUDITOR)
    fields = {"decision": "over", "of": role.digest, "why": "behövs"}
    asked = await stated(open_office, ANNA, PAGE, fields)
    assert isinstance(asked, Given)
    assert asked.asked
    shown = (await (await open_office.visit(BO)).get(PAGE)).text
    assert "Väntar på en annan befattningshavare" in shown
    assert f'value="{role.digest}"' not in shown


async def test_rights_that_were_given_since_are_not_ended_unseen(open_office: Office) -> None:
    await two(open_office)
    await stated(open_office, ANNA, PAGE, {"decision": "settle", "why": "beslut 14"})
    bo = await open_office.visit(BO)
    assert "rättigheter har getts sedan dess" not in (await bo.get(PAGE)).text
    await unsigned(open_office, ANNA, CILLA, Scope("skola"), Right.READ)
    assert "rättigheter har getts sedan dess" in (await bo.get(PAGE)).text


async def test_an_auditor_sees_them_and_states_nothing_and_others_see_no_page(open_office: Office) -> None:
    of_eva, _ = await two(open_office)
    rut = await open_office.visit(AUDITOR)
    shown = (await rut.get(PAGE)).text
    assert "person:eva" in shown
    assert 'name="decision"' not in shown
    assert (await keeps(open_office, AUDITOR, of_eva)).status_code == 404
    assert (await keeps(open_office, CILLA, of_eva)).status_code == 404
    assert (await (await open_office.visit(CILLA)).get(PAGE)).status_code == 404
    anna = await open_office.visit(ANNA)
    for fields in ({"decision": "over", "of": "0" * 64}, {"decision": "over"}, {"decision": "end"}, {}):
        assert (await anna.post(PAGE, {**fields, "why": "x"})).status_code == 404


async def test_a_reason_that_is_missing_is_asked_for_at_its_right(open_office: Office) -> None:
    of_eva, _ = await two(open_office)
    anna = await open_office.visit(ANNA)
    answer = await anna.post(PAGE, {"decision": "over", "of": of_eva.digest, "why": " "})
    assert answer.status_code == 422
    assert 'href="#why"' in answer.text
    assert answer.text.count('id="why"') == 1


async def test_where_the_message_clients_vault_is_closed_the_page_says_so_and_ends_nothing(
    open_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At isolation level process, another process has the keys of that vault."""
    await two(open_office)
    gate, opened = open_office.installation.gate, type(open_office.installation.gate).open

    def locked(self: object, principal: object, organisation: object, role: Role, purpose: object):  # type: ignore[no-untyped-def]
        if role is Role.MESSAGE_CLIENT:
            raise VaultLocked
        return opened(gate, principal, organisation, role, purpose)  # type: ignore[call-overload]

    monkeypatch.setattr(type(gate), "open", locked)
    anna = await open_office.visit(ANNA)
    shown = await anna.get(PAGE)
    assert shown.status_code == 200
    assert "Inte känt här." in shown.text
    assert "samdrift gov grant unsigned" in shown.text
    assert (await anna.post(PAGE, {"decision": "settle", "why": "x"})).status_code == 404


async def test_an_organisation_without_a_message_client_has_none_to_sign(installation: Installation) -> None:
    async with office(installation) as opened:
        shown = (await (await opened.visit(ANNA)).get(PAGE)).text
    assert "Ingen rätt gäller utan underskrift." in shown
    assert "ingen blir av med något" in shown


async def test_the_statement_that_is_signed_is_the_one_that_is_shown(open_office: Office) -> None:
    of_eva, _ = await two(open_office)
    open_office.in_another_second()
    page = await keeps(open_office, ANNA, of_eva)
    for words in ("person:eva", "skola", "Läs"):
        assert words in page.text
    act = statement_on(page).act
    assert isinstance(act, Given)
    assert act.what.subject == EVA
