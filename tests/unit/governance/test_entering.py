"""Reviews, parties and agreements that officers enter on pages."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.governance.duties.catalogue import Catalogue, shipped
from samdrift.governance.pages.waiting import register_of
from samdrift.rights import Approved, Right, Rights, Scope, Subject
from samdrift.rights.agreements import (
    Agreed,
    AtEnd,
    Chosen,
    Extended,
    Function,
    NoticeGiven,
    PartyKind,
    PartyNamed,
    Released,
)
from samdrift.rights.reviews import ReviewOpened
from samdrift.rights.statements import Given
from samdrift.wire.crypto.sshsig import armoured
from tests.unit.governance.office import AUDITOR, Office, office, statement_on
from tests.unit.rights.agreementbuilding import OPERATOR, TOWN, agreed
from tests.unit.rights.building import ANNA, BO, CILLA
from tests.unit.rights.signers import YEAR
from tests.vaults import Installation

ROLES = (Role.GOVERNANCE,)
RELEASE = "/agreements/release"
PATHS = ("/reviews/open", "/agreements/party", "/agreements/enter", "/agreements/at-end")


@pytest_asyncio.fixture
async def open_office(installation: Installation) -> AsyncIterator[Office]:
    async with office(installation) as opened:
        yield opened


def review(opened: Office, **changed: str) -> dict[str, str]:
    until = f"{opened.house.now + timedelta(days=30):%Y-%m-%d}"
    fields = {
        "about": "organisation",
        "reviewer": str(ANNA),
        "stand-in": str(BO),
        "until": until,
        "why": "årlig",
    }
    return fields | changed


async def stated(opened: Office, who: Subject, path: str, fields: dict[str, Any]) -> object:
    """Fill in a form and sign the statement that it leads to; return the act that is in the record then."""
    opened.in_another_second()
    visitor = await opened.visit(who)
    signed = opened.house.signers[who].sign(statement_on(await visitor.post(path, fields)))
    content = signed.statement.content.decode()
    if isinstance(signed.signature, bytes):
        answer = await visitor.post("/sign", {"statement": content, "sshsig": armoured(signed.signature)})
    else:
        answer = await visitor.brings(content, signed)
    assert answer.status_code == 303, answer.text[-2000:]
    record = await opened.role.records.read(opened.organisation)
    return record.entries[-1].statement.act


async def test_an_officer_opens_a_review_of_all_roles_and_each_then_waits_for_an_answer(
    open_office: Office,
) -> None:
    act = await stated(open_office, ANNA, "/reviews/open", review(open_office))
    assert isinstance(act, ReviewOpened)
    record = await open_office.role.records.read(open_office.organisation)
    assert record.last is not None
    roles = {each.statements[0] for each in record.state.holdings(record.last)}
    assert set(act.items) == roles
    assert (act.reviewer, act.stand_in) == (ANNA, BO)
    shown = (await (await open_office.visit(AUDITOR)).get("/reviews")).text
    assert shown.count("Väntar på svar") == len(roles)
    again = await (await open_office.visit(ANNA)).get("/reviews/open")
    assert "inget att granska" in again.text, "all roles are already in a review"


async def test_a_mailbox_is_reviewed_by_its_name_and_its_rights_alone(open_office: Office) -> None:
    start = open_office.second() + timedelta(seconds=1)
    what = Rights(CILLA, Scope("soc"), frozenset({Right.READ}))
    await open_office.state(ANNA, Given(what, start, start + YEAR, asked=False))
    open_office.house.now = start
    open_office.in_another_second()
    act = await stated(open_office, BO, "/reviews/open", review(open_office, about="mailbox:soc"))
    assert isinstance(act, ReviewOpened)
    assert act.about == "mailbox:soc"
    assert len(act.items) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"about": "mailbox:nowhere"}, "about"),
        ({"reviewer": str(CILLA)}, "reviewer"),
        ({"reviewer": "operator:olle"}, "reviewer"),
        ({"stand-in": str(ANNA)}, "stand-in"),
        ({"until": "2020-01-01"}, "until"),
        ({"until": "2031-01-01"}, "until"),
        ({"until": "i morgon"}, "until"),
        ({"why": " "}, "why"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_review_that_cannot_be_is_refused_with_the_field_and_keeps_what_was_typed(
    open_office: Office, change: dict[str, str], field: str
) -> None:
    before = (await open_office.role.records.read(open_office.organisation)).number
    visitor = await open_office.visit(ANNA)
    answer = await visitor.post("/reviews/open", review(open_office, **{"why": "årlig", **change}))
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    if field != "why":
        assert "årlig" in answer.text
    assert (await open_office.role.records.read(open_office.organisation)).number == before


async def test_parties_and_an_agreement_are_entered_and_another_officer_countersigns(
    open_office: Office,
) -> None:
    own = {"number": str(TOWN), "name": "Håbo kommun", "kind": "municipality", "own": "yes", "why": "dnr 1"}
    act = await stated(open_office, ANNA, "/agreements/party", own)
    assert act == PartyNamed(TOWN, "Håbo kommun", PartyKind.MUNICIPALITY, open_office.organisation.value)
    supplier = {"number": str(OPERATOR), "name": "Driften AB", "kind": "company", "why": "dnr 1"}
    assert (await stated(open_office, ANNA, "/agreements/party", supplier)) == PartyNamed(
        OPERATOR, "Driften AB", PartyKind.COMPANY, ""
    )
    entered = agreed(duties=["sdk-nyckel"], organisations=(open_office.organisation.value,))
    written = json.dumps(entered.members(), indent=2, ensure_ascii=False)
    act = await stated(open_office, ANNA, "/agreements/enter", {"agreement": written, "why": "dnr 2"})
    assert act == entered
    record = await open_office.role.records.read(open_office.organisation)
    digest = record.entries[-1].statement.digest
    assert "Väntar på din kontrasignering" in (await (await open_office.visit(BO)).get("/agreements")).text
    await stated(open_office, BO, f"/decide/{digest}", {"decision": "approve", "why": "läst"})
    shown = (await (await open_office.visit(AUDITOR)).get("/agreements")).text
    assert "Driften AB" in shown
    assert "Väntar på kontrasignering" not in shown


async def countersigned(opened: Office) -> Agreed:
    """Return an agreement that Anna has entered and Bo has countersigned, the last but one statement."""
    parties = (TOWN, "Håbo kommun", PartyKind.MUNICIPALITY), (OPERATOR, "Driften AB", PartyKind.COMPANY)
    for party, name, kind in parties:
        participant = opened.organisation.value if party == TOWN else ""
        await opened.state(ANNA, PartyNamed(party, name, kind, participant))
    entered = agreed(duties=["sdk-nyckel"], organisations=(opened.organisation.value,))
    digest = (await opened.state(ANNA, entered)).digest
    opened.in_another_second()
    await opened.state(BO, Approved(digest))
    opened.in_another_second()
    return entered


async def test_two_officers_have_an_agreement_go_on_from_its_page(open_office: Office) -> None:
    entered = await countersigned(open_office)
    digest = (await open_office.role.records.read(open_office.organisation)).entries[-2].statement.digest
    page, anna = f"/agreements/{digest}/extend", await open_office.visit(ANNA)
    assert f'href="{page}"' in (await anna.get(f"/decide/{digest}")).text
    (last,) = re.findall(r'id="until"[^>]* value="([^"]+)"', (await anna.get(page)).text)
    asked = await stated(open_office, ANNA, page, {"until": last, "why": "nytt avtal i maj"})
    assert isinstance(asked, Extended)
    assert asked.of == digest
    assert timedelta(days=88) < asked.end - entered.end <= timedelta(days=90)
    request = (await open_office.role.records.read(open_office.organisation)).entries[-1].statement.digest
    assert f"/decide/{request}" in (await (await open_office.visit(BO)).get("/")).text
    await stated(open_office, BO, f"/decide/{request}", {"decision": "approve", "why": "läst"})
    record = await open_office.role.records.read(open_office.organisation)
    assert record.last is not None
    (row,) = register_of(record, record.last).agreements
    assert row.end == asked.end


def notice(opened: Office, **changed: str | list[str]) -> dict[str, Any]:
    day = opened.second().date()
    fields = {
        "performer": str(OPERATOR),
        "functions": ["hosting", "backup"],
        "countries": "se, fi SE",
        "window": f"{day + timedelta(days=30)}",
        "start": f"{day + timedelta(days=40)}",
        "why": "brev 4",
    }
    return fields | changed


async def test_an_officer_enters_a_notice_that_came_on_paper_and_another_objects(open_office: Office) -> None:
    await countersigned(open_office)
    digest = (await open_office.role.records.read(open_office.organisation)).entries[-2].statement.digest
    page, anna = f"/agreements/{digest}/notice", await open_office.visit(ANNA)
    assert f'href="{page}"' in (await anna.get(f"/decide/{digest}")).text
    assert "Driften AB" in (await anna.get(page)).text
    act = await stated(open_office, ANNA, page, notice(open_office))
    assert isinstance(act, NoticeGiven)
    assert (act.of, act.performer, act.countries) == (digest, OPERATOR, ("FI", "SE"))
    assert act.functions == {Function.HOSTING, Function.BACKUP}
    assert act.start - act.window == timedelta(days=10)
    given = (await open_office.role.records.read(open_office.organisation)).entries[-1].statement.digest
    assert f"/decide/{given}" in (await (await open_office.visit(BO)).get("/")).text
    await stated(open_office, BO, f"/decide/{given}", {"decision": "object", "why": "utanför EES"})
    record = await open_office.role.records.read(open_office.organisation)
    open_office.in_another_second()
    (row,) = register_of(record, open_office.second()).notices
    assert row.objected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"performer": "SE:556677-8899"}, "performer"),
        ({"functions": []}, "functions"),
        ({"functions": ["cleaning"]}, "functions"),
        ({"countries": " "}, "countries"),
        ({"countries": "Finland"}, "countries"),
        ({"window": "2020-01-01"}, "window"),
        ({"window": "snart"}, "window"),
        ({"start": ""}, "start"),
        ({"start": f"{datetime.now(UTC).date()}"}, "start"),
        ({"why": ""}, "why"),
    ],
    ids=str,
)
async def test_a_notice_that_cannot_be_is_refused_with_the_field(
    open_office: Office, change: dict[str, Any], field: str
) -> None:
    await countersigned(open_office)
    record = await open_office.role.records.read(open_office.organisation)
    page = f"/agreements/{record.entries[-2].statement.digest}/notice"
    answer = await (await open_office.visit(ANNA)).post(page, notice(open_office, **change))
    assert (answer.status_code, f'href="#{field}"' in answer.text) == (422, True)
    assert (await open_office.role.records.read(open_office.organisation)).number == record.number


async def test_a_notice_is_of_a_countersigned_agreement_and_by_officers_alone(open_office: Office) -> None:
    await countersigned(open_office)
    entries = (await open_office.role.records.read(open_office.organisation)).entries
    page, rut = f"/agreements/{entries[-2].statement.digest}/notice", await open_office.visit(AUDITOR)
    assert page not in (await rut.get(f"/decide/{entries[-2].statement.digest}")).text
    assert (await rut.get(page)).status_code == 404
    assert (await rut.post(page, notice(open_office))).status_code == 404
    anna = await open_office.visit(ANNA)
    for of in ("0" * 64, entries[0].statement.digest):
        assert (await anna.get(f"/agreements/{of}/notice")).status_code == 404
        assert (await anna.post(f"/agreements/{of}/notice", notice(open_office))).status_code == 404


async def test_an_agreement_that_cannot_go_on_so_is_refused_with_the_field(open_office: Office) -> None:
    entered = await countersigned(open_office)
    digest = (await open_office.role.records.read(open_office.organisation)).entries[-2].statement.digest
    page, anna = f"/agreements/{digest}/extend", await open_office.visit(ANNA)
    for until in ("", "i maj", "2020-01-01", f"{entered.end + timedelta(days=91):%Y-%m-%d}"):
        answer = await anna.post(page, {"until": until, "why": "x"})
        assert (answer.status_code, 'href="#until"' in answer.text) == (422, True), until
    rut = await open_office.visit(AUDITOR)
    words = (await rut.get(f"/decide/{digest}")).text
    for each in (
        "Driften AB (SE:",
        "Nyttjandeavtal",
        "Accesspunkt, Säkerhetskopiering",
        "Skyldigheter 1: Klausul",
    ):
        assert each in words, "the page must use words instead of the program's codes"
    assert (await rut.get(page)).status_code == 404
    assert page not in (await rut.get(f"/decide/{digest}")).text
    for other in ("0" * 64, (await open_office.role.records.read(open_office.organisation)).entries[0]):
        of = other if isinstance(other, str) else other.statement.digest
        assert (await anna.get(f"/agreements/{of}/extend")).status_code == 404


async def test_an_officer_chooses_what_becomes_of_sending_when_cover_ends(open_office: Office) -> None:
    rut = await open_office.visit(AUDITOR)
    assert "Nya meddelanden stoppas" in (await rut.get("/agreements")).text
    chosen = {"sending": "continue", "why": "samhällsviktigt"}
    assert await stated(open_office, ANNA, "/agreements/at-end", chosen) == Chosen(AtEnd.CONTINUE)
    open_office.in_another_second()
    assert "Nya meddelanden skickas även i fortsättningen" in (await rut.get("/agreements")).text
    answer = await (await open_office.visit(ANNA)).post("/agreements/at-end", {"sending": "x", "why": "y"})
    assert (answer.status_code, 'href="#sending"' in answer.text) == (422, True)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"form": "service", "form": "service"}', '{"form": "no such form"}'),
        "[" * 5000,
        "x" * 70_000,
    ],
    ids=lambda text: text[:20] or "empty",
)
async def test_what_is_no_agreement_is_refused_with_why_and_nothing_is_stated(
    open_office: Office, text: str
) -> None:
    before = (await open_office.role.records.read(open_office.organisation)).number
    visitor = await open_office.visit(ANNA)
    answer = await visitor.post("/agreements/enter", {"agreement": text, "why": "dnr 2"})
    assert answer.status_code == 422
    assert 'href="#agreement"' in answer.text
    assert "Det är inget avtal" in answer.text
    assert (await open_office.role.records.read(open_office.organisation)).number == before


async def test_an_agreement_with_a_party_that_nobody_stated_is_refused(open_office: Office) -> None:
    entered = agreed(organisations=(open_office.organisation.value,))
    fields = {"agreement": json.dumps(entered.members()), "why": "dnr 2"}
    answer = await (await open_office.visit(ANNA)).post("/agreements/enter", fields)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [({"number": "212000-0142"}, "number"), ({"name": " "}, "name"), ({"kind": "guild"}, "kind")],
)
async def test_a_party_that_cannot_be_is_refused_with_the_field(
    open_office: Office, change: dict[str, str], field: str
) -> None:
    fields = {"number": str(OPERATOR), "name": "Driften AB", "kind": "company", "why": "dnr 1"} | change
    answer = await (await open_office.visit(ANNA)).post("/agreements/party", fields)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text


@pytest.mark.parametrize("path", PATHS)
async def test_only_officers_see_the_forms_and_post_them(open_office: Office, path: str) -> None:
    for who, status in ((ANNA, 200), (BO, 200), (AUDITOR, 404), (CILLA, 404)):
        visitor = await open_office.visit(who)
        assert (await visitor.get(path)).status_code == status
        if status == 404:
            assert (await visitor.post(path, {"why": "x"})).status_code == 404


def without(*gone: str) -> Sequence[Catalogue]:
    """Return the catalogues when the newest one lacks some duties and already applies."""
    current = shipped()[-1]
    duties = {key: duty for key, duty in current.duties.items() if key not in gone}
    return (*shipped(), replace(current, version="2026.12", duties=duties))


async def test_two_officers_let_a_duty_go_that_the_new_catalogue_lacks(installation: Installation) -> None:
    gone = "is-7.4.2"
    async with office(installation, catalogues=lambda: without(gone, "sdk-sep")) as opened:
        anna = await opened.visit(ANNA)
        says = shipped()[-1].duties[gone].says.sv
        assert "Finns inte längre i katalogen" in (await anna.get("/agreements")).text
        assert says in (await anna.get(RELEASE)).text
        act = await stated(opened, ANNA, RELEASE, {"duty": gone, "why": "beslut 31"})
        assert act == Released(gone, f"{shipped()[-1].name}/2026.12")
        digest = (await opened.role.records.read(opened.organisation)).entries[-1].statement.digest
        waiting = (await anna.get(RELEASE)).text
        assert f'href="/decide/{digest}"' in waiting
        assert f'id="duty-{gone}"' not in waiting, (
            "a duty whose release is requested must not be offered again"
        )
        assert 'id="duty-sdk-sep"' in waiting
        await stated(opened, BO, f"/decide/{digest}", {"decision": "approve", "why": "läst"})
        opened.in_another_second()
        record = await opened.role.records.read(opened.organisation)
        assert register_of(record, opened.second()).released == {gone}
        assert says not in (await anna.get(RELEASE)).text


async def test_a_duty_that_the_catalogue_has_is_not_let_go_and_the_page_says_there_is_none(
    open_office: Office,
) -> None:
    anna = await open_office.visit(ANNA)
    assert "Katalogen har varje skyldighet som binder er" in (await anna.get(RELEASE)).text
    assert RELEASE not in (await anna.get("/agreements")).text
    answer = await anna.post(RELEASE, {"duty": "sdk-sep", "why": "x"})
    assert answer.status_code == 422
    assert 'href="#duty"' in answer.text
    assert (await (await open_office.visit(AUDITOR)).get(RELEASE)).status_code == 404


async def test_a_duty_is_let_go_for_a_reason_alone(installation: Installation) -> None:
    async with office(installation, catalogues=lambda: without("sdk-sep")) as opened:
        answer = await (await opened.visit(ANNA)).post(RELEASE, {"duty": "sdk-sep", "why": ""})
    assert answer.status_code == 422
    assert 'href="#why"' in answer.text
