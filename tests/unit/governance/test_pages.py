"""Pages of governance over a vault: access for each role, and statements made on them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.governance.consent import Caller, Wanted, session
from samdrift.governance.events import GovEvent
from samdrift.governance.pages import signing
from samdrift.governance.pages.keys import PROOF_NAMESPACE
from samdrift.governance.papercode import new_code, public_of
from samdrift.rights import ORGANISATION, Approved, Ended, Given, Right, Rights, Scope, Subject
from samdrift.rights.consents import AccessAsked, Extent, Ground, Level
from samdrift.rights.groups import changes
from samdrift.rights.incidents import Clock, IncidentOpened
from samdrift.rights.keyacts import Enrolled, PublicKey, Scheme
from samdrift.rights.reviews import ReviewOpened
from samdrift.rights.signing import Signed
from samdrift.rights.statements import MAX_REASON, Statement
from samdrift.vault.officers import OfferedKey
from samdrift.vault.people import Identity
from samdrift.wire.crypto.sshsig import armoured, sign
from tests.unit.governance.office import AUDITOR, GOV, PERSONS, STRANGER, Office, office, statement_on
from tests.unit.messageclient.wholerole import ISSUER
from tests.unit.rights.building import AD, ANNA, BO, CILLA, KARIN, KURT, LISTED
from tests.unit.rights.signers import YEAR, Authenticator, Ssh
from tests.vaults import Installation

ROLES = (Role.GOVERNANCE,)
FOR_ROLES = (
    "/",
    "/officers",
    "/rights",
    "/rights/unsigned",
    "/agreements",
    "/agreements/chain.svg",
    "/report",
    "/operator-view",
    "/record",
)
FOR_OFFICERS = (
    *("/rights/give", "/rights/role", "/rights/substitute", "/rights/end-all", "/consents/order"),
    *("/reviews/open", "/agreements/party", "/agreements/enter", "/agreements/at-end", "/incidents/open"),
    *("/agreements/release", "/officers/directory", "/keys/paper"),
)
FOR_ALL = ("/keys", "/keys/openssh")


@pytest_asyncio.fixture
async def open_office(installation: Installation) -> AsyncIterator[Office]:
    async with office(installation) as opened:
        yield opened


async def asked(opened: Office, by: Subject, to: Subject = CILLA) -> Statement:
    """Ask for a role, which waits for approval."""
    now = (await opened.role.records.read(opened.organisation)).last
    assert now is not None
    start = now + timedelta(hours=1)
    what = Rights(to, ORGANISATION, frozenset({Right.AUDITOR}))
    return await opened.state(by, Given(what, start, start + YEAR, asked=True))


async def test_each_sees_the_pages_of_their_role_and_no_other(open_office: Office) -> None:
    waiting = await asked(open_office, ANNA)
    paths = (*FOR_ALL, *FOR_ROLES, *FOR_OFFICERS, f"/decide/{waiting.digest}", "/record/1")
    seen = {
        who: {path for path in paths if (await visitor.get(path)).status_code == 200}
        for who in PERSONS
        for visitor in [await open_office.visit(who)]
    }
    assert seen[ANNA] == seen[BO] == set(paths)
    assert seen[AUDITOR] == set(paths) - set(FOR_OFFICERS)
    assert seen[CILLA] == set(FOR_ALL)
    refused = [entry for entry in await open_office.log() if entry.event == GovEvent.PAGE_REFUSED]
    assert {(entry.ids["person"], entry.ids["page"]) for entry in refused} >= {
        (AUDITOR.id, "/rights/give"),
        (CILLA.id, "/officers"),
    }


async def test_without_a_session_nothing_is_shown(open_office: Office) -> None:
    visitor = await open_office.visit(ANNA)
    visitor._browser.cookies.clear()
    for path in (*FOR_ALL, *FOR_ROLES, *FOR_OFFICERS):
        assert (await visitor.get(path)).status_code == 401


async def test_an_officer_approves_what_is_asked_for_with_a_passkey(open_office: Office) -> None:
    made = Authenticator(CILLA, 9)
    waiting = await open_office.state(
        BO, Enrolled(CILLA, "Nyckelring", made.key, open_office.house.now + YEAR)
    )
    visitor = await open_office.visit(ANNA)
    assert f"/decide/{waiting.digest}" in (await visitor.get("/")).text
    page = await visitor.post(f"/decide/{waiting.digest}", {"decision": "approve", "why": "har ringt"})
    assert made.key.public in page.text, "the page must show in full what is approved"
    assert (await visitor.signs(page, open_office.house.signers[ANNA])).status_code == 303
    assert f"/decide/{waiting.digest}" not in (await visitor.get("/")).text
    record = await open_office.role.records.read(open_office.organisation)
    assert [each.key for each in record.keys.in_force(record.last or open_office.house.now, CILLA)] == [
        made.key
    ]


async def test_an_officer_refuses_what_is_asked_for(open_office: Office) -> None:
    waiting = await asked(open_office, ANNA)
    visitor = await open_office.visit(BO)
    page = await visitor.post(f"/decide/{waiting.digest}", {"decision": "refuse", "why": "behövs inte"})
    signed = open_office.house.signers[BO].sign(statement_on(page))
    fields = {"statement": signed.statement.content.decode(), "sshsig": _lines(signed)}
    answer = await visitor.post("/sign", fields)
    assert answer.status_code == 303
    assert f"/decide/{waiting.digest}" not in (await visitor.get("/")).text


async def test_an_officer_decides_about_the_operators_request_and_revokes_it(open_office: Office) -> None:
    """The pages suffice: they show person, purpose and reason, and a notice while the consent lasts."""
    olle = Subject.parse("operator:olle")
    own = Ssh(olle, "olle")
    act = Enrolled(olle, "Olle Ohm", own.key, open_office.house.now + YEAR)
    key = await open_office.state(KARIN, act)
    await open_office.state(KURT, Approved(key.digest))
    open_office.house.signers[olle] = own
    wanted = AccessAsked(olle, Ground.OUTAGE, "INC-17", Extent.mailbox("soc"), Level.METADATA, 60)
    asked = await open_office.state(olle, wanted)
    anna, rut = await open_office.visit(ANNA), await open_office.visit(AUDITOR)
    page = (await anna.get("/consents")).text
    for words in ("Olle Ohm", "Avbrott", "INC-17", "60 minuter", "godkännanden: 1", "Godkänn eller avslå"):
        assert words in page
    assert "Godkänn eller avslå" not in (await rut.get("/consents")).text
    assert "ser något nu" not in (await rut.get("/rights")).text
    signer = open_office.house.signers[ANNA]
    page = await anna.post(f"/decide/{asked.digest}", {"decision": "approve", "why": "avbrottet"})
    assert (await anna.signs(page, signer)).status_code == 303
    assert "Olle Ohm hos driften ser något nu" in (await rut.get("/rights")).text
    assert "Ingenting" in (await rut.get("/consents")).text
    wanted, gate = Wanted("trace", Level.METADATA, Extent.mailbox("soc")), open_office.installation.gate
    who, clock = Caller("operator:olle", "INC-17"), lambda: datetime.now(UTC)
    async with session(gate, open_office.organisation, wanted, who, clock) as running:
        for _ in range(3):
            await running.check()
    assert "gånger: 1, lästa saker: 3" in (await rut.get("/consents")).text
    page = await anna.post(f"/decide/{asked.digest}", {"decision": "end", "why": "löst"})
    assert (await anna.signs(page, signer)).status_code == 303
    assert "ser något nu" not in (await rut.get("/rights")).text
    assert "Återkallad" in (await rut.get("/consents")).text


@pytest.mark.parametrize(
    "ticket", ["person: Anna A", "claim:x y", "2026-99-99T00:00:00Z", "0001-01-01T00:00:00Z", "metadata"]
)
async def test_what_the_operator_writes_itself_is_shown_as_it_is(open_office: Office, ticket: str) -> None:
    """A ticket that imitates something else neither hides a request nor misrepresents it."""
    olle = Subject.parse("operator:olle")
    own = Ssh(olle, "olle")
    key = await open_office.state(KARIN, Enrolled(olle, "Olle", own.key, open_office.house.now + YEAR))
    await open_office.state(KURT, Approved(key.digest))
    open_office.house.signers[olle] = own
    wanted = AccessAsked(olle, Ground.OUTAGE, ticket, Extent.mailbox("soc"), Level.CONTENT, 60)
    asked = await open_office.state(olle, wanted)
    page = await (await open_office.visit(ANNA)).get(f"/decide/{asked.digest}")
    assert page.status_code == 200
    assert f'<dd class="value">{ticket}</dd>' in page.text


@pytest.mark.parametrize("who", [ANNA, CILLA], ids=["who has a key", "who has none"])
async def test_who_only_asks_for_a_key_names_nobody_anew(open_office: Office, who: Subject) -> None:
    made = Authenticator(who, 9)
    act = Enrolled(who, "Nils Nilsson", made.key, open_office.house.now + YEAR)
    asked = await open_office.state(KARIN, act)
    page = await (await open_office.visit(BO)).get("/officers")
    assert PERSONS[who][1] in page.text
    assert "Nils Nilsson" not in page.text
    assert "Nils Nilsson" in (await (await open_office.visit(BO)).get(f"/decide/{asked.digest}")).text


async def test_a_review_is_answered_and_incidents_show_their_clocks(open_office: Office) -> None:
    record = await open_office.role.records.read(open_office.organisation)
    at = record.last or open_office.house.now
    (holding,) = record.state.holdings(at, AUDITOR)
    open_office.in_another_second()
    digest, due = holding.statements[0], open_office.house.now + timedelta(days=30)
    await open_office.state(ANNA, ReviewOpened("organisation", (digest,), ANNA, BO, due))
    anna, rut = await open_office.visit(ANNA), await open_office.visit(AUDITOR)
    assert "Väntar på svar" in (await rut.get("/reviews")).text
    page = await anna.post(f"/decide/{digest}", {"decision": "keep", "why": "arbetar kvar"})
    assert (await anna.signs(page, open_office.house.signers[ANNA])).status_code == 303
    assert "Behålls" in (await rut.get("/reviews")).text
    at = open_office.house.now - timedelta(hours=7)
    clocks = frozenset({Clock.CONCERNED, Clock.PERSONAL_DATA})
    await open_office.state(ANNA, IncidentOpened("Fel mottagare", at, at, clocks))
    page = await rut.get("/incidents")
    for words in ("Fel mottagare", "berörda, inom 6 timmar", "En tidsgräns har gått ut", "tim"):
        assert words in page.text


async def test_a_right_is_given_from_a_form_and_signed(open_office: Office) -> None:
    visitor = await open_office.visit(ANNA)
    day = f"{open_office.house.now + timedelta(days=30):%Y-%m-%d}"
    fields = {
        "person": str(CILLA),
        "mailbox": "soc",
        "rights": ["read", "write"],
        "until": day,
        "why": "beslut 7",
    }
    page = await visitor.post("/rights/give", fields)
    statement = statement_on(page)
    assert statement.by == ANNA
    assert statement.digest in page.text
    answer = await visitor.signs(page, open_office.house.signers[ANNA])
    assert answer.status_code == 303
    shown = await visitor.get(answer.headers["location"])
    assert "Ditt beslut står i registret" in shown.text
    assert "beslut 7" in (await visitor.get("/rights")).text
    again = await visitor.brings(statement.content.decode(), open_office.house.signers[ANNA].sign(statement))
    assert again.status_code == 422
    assert "finns redan i registret" in again.text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"flags": 1}, "inte frågat vem du är"),
        ({"origin": "https://annat.example"}, "annan webbplats"),
        ({"site": "annat.example"}, "annan webbplats"),
        ({"counter": 0}, "kan finnas en kopia"),
        ({"seed": 77}, "Underskriften stämmer inte"),
    ],
    ids=["not verified", "another origin", "another site", "counter", "another key"],
)
async def test_what_an_authenticator_must_not_sign_so_is_refused_and_logged(
    open_office: Office, change: dict[str, object], says: str
) -> None:
    visitor = await open_office.visit(ANNA)
    own = open_office.house.signers[ANNA]
    assert isinstance(own, Authenticator)
    signer = Authenticator(ANNA, 1, counter=own.counter)
    fingerprint = signer.key.fingerprint
    for name, value in change.items():
        setattr(signer, name, value)
    signer.__post_init__()
    page = await visitor.post("/officers/offered/nobody", {"why": "x"})
    assert page.status_code == 404
    record = await open_office.role.records.read(open_office.organisation)
    page = await visitor.post(
        f"/decide/{record.entries[-2].statement.digest}", {"decision": "end", "why": "behövs inte"}
    )
    statement = statement_on(page)
    signed = signer.sign(statement)
    answer = await visitor.brings(
        statement.content.decode(), type(signed)(statement, fingerprint, signed.signature)
    )
    assert answer.status_code == 422
    assert says in answer.text
    assert (await open_office.role.records.read(open_office.organisation)).number == record.number
    assert any(entry.event == GovEvent.STATEMENT_REFUSED for entry in await open_office.log())


async def test_nobody_brings_a_statement_of_somebody_else(open_office: Office) -> None:
    """Even a statement that its author has signed must be brought by the author."""
    record = await open_office.role.records.read(open_office.organisation)
    of = record.entries[-2].statement.digest
    statement = Statement(
        open_office.organisation.value, ANNA, record.last or open_office.house.now, "x", Ended(of=of)
    )
    signed = open_office.house.signers[ANNA].sign(statement)
    for who in (BO, AUDITOR, CILLA):
        visitor = await open_office.visit(who)
        assert (await visitor.brings(statement.content.decode(), signed)).status_code == 404
    anna = await open_office.visit(ANNA)
    foreign = Statement("0203:annan.se", ANNA, statement.at, "x", Ended(of=of))
    answer = await anna.brings(foreign.content.decode(), open_office.house.signers[ANNA].sign(foreign))
    assert answer.status_code == 404
    refused = [each for each in await open_office.log() if each.event == GovEvent.STATEMENT_REFUSED]
    assert [(each.ids["by"], each.ids["reason"]) for each in refused] == [
        (str(who), "others-statement") for who in (BO, AUDITOR, CILLA, ANNA)
    ]


async def test_a_page_that_is_signed_leads_to_no_other_site(open_office: Office) -> None:
    visitor = await open_office.visit(BO)
    waiting = await asked(open_office, ANNA)
    page = await visitor.post(f"/decide/{waiting.digest}", {"decision": "refuse", "why": "x"})
    for back in ("https://annan.se", "//annan.se", "/\\annan.se", "/\t/annan.se"):
        answer = await visitor.post("/sign", {"statement": statement_on(page).content.decode(), "back": back})
        assert answer.status_code == 422
        assert "annan.se" not in answer.text


@pytest.mark.parametrize("why", ["x" * 501, "nej\u200bja", "x" * 100_000])
async def test_a_reason_that_cannot_be_stated_is_refused_in_the_persons_language(
    open_office: Office, why: str
) -> None:
    waiting = await asked(open_office, ANNA)
    visitor = await open_office.visit(BO)
    page = await visitor.post(f"/decide/{waiting.digest}", {"decision": "refuse", "why": why})
    assert page.status_code == 422
    assert "Skriv högst 500 tecken" in page.text


async def test_a_reason_of_marks_without_end_is_refused_before_they_are_put_in_order(
    open_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Normalising grows with the square of their number: eleven minutes, in which no other thread runs."""
    normalized: list[int] = []

    def noted(form: Literal["NFC"], text: str) -> str:
        normalized.append(len(text))
        return unicodedata.normalize(form, text)

    monkeypatch.setattr(signing, "normalize", noted)
    waiting = await asked(open_office, ANNA)
    visitor = await open_office.visit(BO)
    why = "e" + "\u0301" * 3_000 + "\u0316" * 3_000
    page = await visitor.post(f"/decide/{waiting.digest}", {"decision": "refuse", "why": why})
    assert (page.status_code, "Skriv högst 500 tecken" in page.text) == (422, True)
    assert max(normalized, default=0) <= 4 * MAX_REASON
    fits = "e\u0323\u0302" * MAX_REASON
    page = await visitor.post(f"/decide/{waiting.digest}", {"decision": "refuse", "why": fits})
    assert statement_on(page).why == "\u1ec7" * MAX_REASON


async def test_letters_of_two_parts_are_stated_as_one(open_office: Office) -> None:
    waiting = await asked(open_office, ANNA)
    visitor = await open_office.visit(BO)
    page = await visitor.post(f"/decide/{waiting.digest}", {"decision": "refuse", "why": "ga\u030ar"})
    assert statement_on(page).why == "går"


async def test_a_key_that_was_offered_since_the_officer_looked_is_not_asked_for(open_office: Office) -> None:
    cilla, anna = await open_office.visit(CILLA), await open_office.visit(ANNA)
    first, second = Authenticator(CILLA, 9), Authenticator(CILLA, 10)
    for each in (first, second):
        fields = {"why": "Nyckelring", "public": each.key.public, "credential": each.key.credential}
        assert (await cilla.post("/keys", fields)).status_code == 303
    looked = {"why": "beslut 3", "key": first.key.fingerprint}
    answer = await anna.post(f"/officers/offered/{CILLA.id}", looked)
    assert answer.status_code == 422
    assert "En annan nyckel har erbjudits" in answer.text


async def test_what_is_refused_has_nobody_verify_the_whole_record_again(open_office: Office) -> None:
    """Anyone who signs in can bring a statement that is refused, as often as they like."""
    records, cilla = open_office.role.records, await open_office.visit(CILLA)
    before = await records.read(open_office.organisation)
    statement = Statement(
        open_office.organisation.value, CILLA, before.last or open_office.house.now, "x", Ended(of="0" * 64)
    )
    answer = await cilla.brings(statement.content.decode(), Authenticator(CILLA, 9).sign(statement))
    assert answer.status_code == 422
    assert await records.read(open_office.organisation) is before


async def test_a_name_is_written_without_what_nobody_sees(open_office: Office) -> None:
    """Names from the sign-in service with direction marks or decomposed letters can still be stated."""
    disa = Subject.parse("person:disa")
    async with open_office.installation.open(open_office.organisation, GOV) as vault:
        await vault.adopt_person(Identity(ISSUER, "disa", " \u202eDisa A\u030aberg" + "g" * 200), disa.id)
    known = {**PERSONS, disa: ("disa", " \u202eDisa A\u030aberg" + "g" * 200)}
    cilla = await open_office.visit(disa, known)
    made = Authenticator(disa, 9)
    fields = {"why": "Nyckelring", "public": made.key.public, "credential": made.key.credential}
    assert (await cilla.post("/keys", fields)).status_code == 303
    anna = await open_office.visit(ANNA)
    assert "\u202e" not in (await anna.get("/")).text
    page = await anna.post(f"/officers/offered/{disa.id}", {"why": "x", "key": made.key.fingerprint})
    act = statement_on(page).act
    assert isinstance(act, Enrolled)
    assert act.name == "Disa Åberg" + "g" * 90


async def test_an_auditor_changes_nothing(open_office: Office) -> None:
    visitor = await open_office.visit(AUDITOR)
    record = await open_office.role.records.read(open_office.organisation)
    digest = record.entries[-2].statement.digest
    for path in (
        f"/decide/{digest}",
        "/rights/give",
        "/rights/role",
        "/rights/substitute",
        "/officers/offered/x",
    ):
        assert (await visitor.post(path, {"decision": "end", "why": "x"})).status_code == 404
    page = await visitor.get(f"/decide/{digest}")
    assert "Ditt beslut" not in page.text


async def test_an_auditor_has_no_part_in_a_decision(open_office: Office) -> None:
    """Not even by signing it with a key of their own."""
    own = Authenticator(AUDITOR, 31)
    act = Enrolled(AUDITOR, "Rut Ros", own.key, open_office.house.now + YEAR)
    key = await open_office.state(ANNA, act)
    await open_office.state(BO, Approved(key.digest))
    made = Authenticator(CILLA, 9)
    act = Enrolled(CILLA, "Cilla Dahl", made.key, open_office.house.now + YEAR)
    waiting = await open_office.state(ANNA, act)
    record = await open_office.role.records.read(open_office.organisation)
    at = record.last or open_office.house.now
    statement = Statement(open_office.organisation.value, AUDITOR, at, "x", Approved(waiting.digest))
    rut = await open_office.visit(AUDITOR)
    answer = await rut.brings(statement.content.decode(), own.sign(statement))
    assert answer.status_code == 422
    assert "Det får du inte besluta" in answer.text


async def test_the_key_of_another_is_not_there_for_whoever_has_no_role(open_office: Office) -> None:
    record = await open_office.role.records.read(open_office.organisation)
    key = next(record.keys.in_force(open_office.house.now, ANNA))
    for who in (CILLA, AUDITOR):
        visitor = await open_office.visit(who)
        assert (await visitor.get(f"/keys/{key.id}/lost")).status_code == 404
        assert (await visitor.post(f"/keys/{key.id}/lost", {"how": "end", "why": "x"})).status_code == 404


async def test_a_key_is_offered_asked_for_and_approved(open_office: Office) -> None:
    """Cilla makes a passkey, Anna asks for its enrolment, and Bo approves; then it is Cilla's."""
    made = Authenticator(CILLA, 9)
    cilla = await open_office.visit(CILLA)
    fields = {"why": "Nyckelring", "public": made.key.public, "credential": made.key.credential}
    assert (await cilla.post("/keys", fields)).status_code == 303
    assert made.key.fingerprint[:16] in (await cilla.get("/keys")).text
    anna = await open_office.visit(ANNA)
    assert f"/officers/offered/{CILLA.id}" in (await anna.get("/")).text
    compared = {"why": "beslut 3", "key": made.key.fingerprint}
    page = await anna.post(f"/officers/offered/{CILLA.id}", compared)
    assert made.key.fingerprint[:16] in page.text
    statement = statement_on(page)
    assert isinstance(statement.act, Enrolled)
    assert statement.act.key == made.key
    assert (await anna.signs(page, open_office.house.signers[ANNA])).status_code == 303
    bo = await open_office.visit(BO)
    assert f"/decide/{statement.digest}" in (await bo.get("/")).text
    assert made.key.fingerprint[:16] in (await bo.get(f"/decide/{statement.digest}")).text
    page = await bo.post(f"/decide/{statement.digest}", {"decision": "approve", "why": "har ringt"})
    assert made.key.fingerprint[:16] in page.text
    signed = open_office.house.signers[BO].sign(statement_on(page))
    answer = await bo.post(
        "/sign", {"statement": signed.statement.content.decode(), "back": "/", "sshsig": _lines(signed)}
    )
    assert answer.status_code == 303
    record = await open_office.role.records.read(open_office.organisation)
    assert [each.key for each in record.keys.in_force(record.last or open_office.house.now, CILLA)] == [
        made.key
    ]


def _lines(signed: Signed) -> str:
    assert isinstance(signed.signature, bytes)
    return armoured(signed.signature)


async def test_an_officer_does_not_approve_what_they_asked_for(open_office: Office) -> None:
    waiting = await asked(open_office, ANNA)
    visitor = await open_office.visit(ANNA)
    page = await visitor.get(f"/decide/{waiting.digest}")
    assert 'value="approve"' not in page.text
    answer = await visitor.post(f"/decide/{waiting.digest}", {"decision": "approve", "why": "x"})
    assert answer.status_code == 422
    assert "Ingen ger sig själv" in answer.text


async def test_a_lone_officer_who_lost_the_key_comes_back_by_the_code_on_paper(
    installation: Installation,
) -> None:
    async with office(installation) as opened:
        code = new_code()
        paper = PublicKey(Scheme.PAPER, public_of(code))
        record = await opened.role.records.read(opened.organisation)
        at = record.last or opened.house.now
        asked = await opened.state(ANNA, Enrolled(ANNA, "Kuvertet i skåpet", paper, at + YEAR))
        await opened.state(BO, Approved(asked.digest))
        bo_key = next(record.keys.in_force(at, BO))
        await opened.state(ANNA, Ended(of=bo_key.id))
        lost = next(record.keys.in_force(at, ANNA))
        await opened.state(ANNA, Ended(of=lost.id))
        new = Authenticator(ANNA, 55)
        visitor = await opened.visit(ANNA)
        fields = {
            "name": "Ny nyckel",
            "public": new.key.public,
            "credential": new.key.credential,
            "why": "borta",
        }
        page = await visitor.post("/keys", fields)
        statement = statement_on(page)
        wrong = await visitor.post(
            "/sign", {"statement": statement.content.decode(), "back": "/keys", "code": "AAAA-BBBB"}
        )
        assert "Det är ingen kod" in wrong.text
        answer = await visitor.post(
            "/sign", {"statement": statement.content.decode(), "back": "/keys", "code": code}
        )
        assert answer.status_code == 303
        record = await opened.role.records.read(opened.organisation)
        assert [each.key for each in record.keys.in_force(record.last or at, ANNA)] == [new.key]


async def test_a_sign_in_is_the_person_whose_key_has_signed_so(open_office: Office) -> None:
    """The record knows a person's SSH key, but the first sign-in creates another id in the vault."""
    key = Ssh(BO, "bo")
    async with open_office.installation.open(open_office.organisation, GOV) as vault:
        assert await vault.rename_person(BO.id, "another")
    visitor = await open_office.visit(BO)
    page = await visitor.get("/keys")
    assert (await visitor.get("/officers")).status_code == 404
    found = re.search(r"printf %s '(.*?)'", page.text)
    assert found is not None
    text = found[1].encode()
    for proof in (
        sign(key.private, text, "samdrift-end"),
        sign(key.private, text + b"x", PROOF_NAMESPACE),
        sign(Ssh(BO, "somebody").private, text, PROOF_NAMESPACE),
        "nothing",
    ):
        assert (await visitor.post("/keys/prove", {"proof": proof})).status_code == 422
    answer = await visitor.post("/keys/prove", {"proof": sign(key.private, text, PROOF_NAMESPACE)})
    assert answer.status_code == 303
    again = await open_office.visit(BO)
    assert (await again.get("/officers")).status_code == 200


async def test_a_person_is_known_by_the_id_of_the_message_client(installation: Installation) -> None:
    async with office(installation, roles=(GOV, Role.MESSAGE_CLIENT)) as opened:
        visitor = await opened.visit(STRANGER)
        page = await visitor.get("/keys")
        async with installation.open(opened.organisation, Role.MESSAGE_CLIENT) as vault:
            (person,) = [one for one in await vault.persons() if one.identity.subject == STRANGER.id]
        assert f"person:{person.id}" in page.text


async def test_the_newest_report_is_shown(open_office: Office) -> None:
    visitor = await open_office.visit(AUDITOR)
    assert "Ingen rapport är gjord än" in (await visitor.get("/report")).text
    row = {
        **{"duty": "sdk-1", "reference": "3.1", "seen": True, "status": "gap", "evidence": [], "gaps": 0},
        "says": {"sv": "Skyldigheten", "en": "Duty"},
    }
    counts = {"people's": 0, "held": 0, "silent": 0, "stale": 0, "gap": 1}
    made = {"at": "2026-11-26T08:00:00Z", "catalogue": "2026-11", "counts": counts, "rows": [row]}
    async with open_office.installation.open(open_office.organisation, GOV) as vault:
        vault.keep_report(open_office.house.now - timedelta(days=1), b"{}")
        vault.keep_report(open_office.house.now, json.dumps(made).encode())
    page = await visitor.get("/report")
    assert "Skyldigheten" in page.text
    assert "1 Lucka" in page.text


async def test_only_what_a_person_offers_themselves_is_offered_in_their_name(open_office: Office) -> None:
    async with open_office.installation.open(open_office.organisation, GOV) as vault:
        made = Authenticator(CILLA, 9).key
        vault.offer_key(OfferedKey(CILLA.id, open_office.house.now, "Cilla", json.dumps(made.members())))
    visitor = await open_office.visit(AUDITOR)
    await visitor.post("/keys/withdraw")
    async with open_office.installation.open(open_office.organisation, GOV) as vault:
        assert [each.person for each in await vault.offered_keys()] == [CILLA.id]


async def test_a_group_of_a_directory_stands_with_the_age_of_its_list(open_office: Office) -> None:
    key = Ssh(AD, "ad")
    asked = await open_office.state(ANNA, open_office.house.enrolment(key))
    await open_office.state(BO, Approved(asked.digest))
    open_office.house.signers[AD] = key
    start = open_office.second()
    what = Rights(LISTED, Scope("soc"), frozenset({Right.READ}))
    await open_office.state(ANNA, Given(what, start + timedelta(seconds=1), start + YEAR, asked=False))
    open_office.in_another_second()
    open_office.house.now = open_office.second()
    open_office.in_another_second()
    page = (await (await open_office.visit(ANNA)).get("/rights")).text
    assert "katalogen har inte lästs än" in page
    at = open_office.second()
    (act,) = changes(LISTED, "ldaps://dc1.habo.se:636", at, (), ["cilla"])
    await open_office.state(AD, act)
    page = (await (await open_office.visit(ANNA)).get("/rights")).text
    assert "1 i gruppen" in page
    assert "listan läst" in page


async def test_an_officer_gives_a_group_of_an_enrolled_directory_a_right(open_office: Office) -> None:
    visitor = await open_office.visit(ANNA)
    assert "grupp i katalogen" not in (await visitor.get("/rights/give")).text
    key = Ssh(AD, "ad")
    asked_ = await open_office.state(ANNA, open_office.house.enrolment(key))
    await open_office.state(BO, Approved(asked_.digest))
    day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    fields = {"group": LISTED.id, "mailbox": "soc", "rights": "read", "until": day, "why": "beslut 9"}
    assert "Eller en grupp i katalogen" in (await visitor.get("/rights/give")).text
    for unfit in ({"group": "cn=Nattskiftet"}, {"group": "ad#cn=a\u202eb"}, {"person": str(BO)}):
        refused = await visitor.post("/rights/give", {**fields, **unfit})
        assert refused.status_code == 422
        assert "Ange en grupp i katalogen" in refused.text
    statement = statement_on(await visitor.post("/rights/give", fields))
    assert isinstance(statement.act, Given)
    assert statement.act.what == Rights(LISTED, Scope("soc"), frozenset({Right.READ}))
