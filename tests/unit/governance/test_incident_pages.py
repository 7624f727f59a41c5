"""Pages of incidents: officers keep them without an operator's command, and see the operator's own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from samdrift.contracts.principals import Role
from samdrift.governance.incidents import IncidentEvent, facts_of, id_of
from samdrift.rights.incidents import (
    Clock,
    IncidentAct,
    IncidentClosed,
    IncidentNoted,
    IncidentOpened,
    IncidentTold,
)
from tests.unit.governance.office import AUDITOR, GOV, Office, office, statement_on
from tests.unit.rights.building import ANNA, CILLA, KARIN
from tests.vaults import Installation

ROLES = (Role.GOVERNANCE,)
HOUR = timedelta(hours=1)


@pytest_asyncio.fixture
async def open_office(installation: Installation) -> AsyncIterator[Office]:
    async with office(installation) as opened:
        yield opened


def typed(moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo('Europe/Stockholm')):%Y-%m-%dT%H:%M}"


def fields(**others: object) -> dict[str, object]:
    aware = typed(datetime.now(UTC) - HOUR)
    clocks = ["concerned", "personal-data"]
    return {"title": "Fel mottagare", "aware": aware, "clocks": clocks, "why": "larm 4"} | others


async def opened_by_form(opened: Office) -> str:
    """Open an incident as an officer, by form and passkey; return the address of its page."""
    anna = await opened.visit(ANNA)
    answer = await anna.signs(await anna.post("/incidents/open", fields()), opened.house.signers[ANNA])
    assert answer.status_code == 303
    return answer.headers["location"].partition("?")[0]


async def test_an_officer_opens_tells_and_closes_an_incident_with_a_passkey_alone(
    open_office: Office,
) -> None:
    page = await opened_by_form(open_office)
    anna, signer = await open_office.visit(ANNA), open_office.house.signers[ANNA]
    text = (await anna.get(f"{page}?signed")).text
    for words in (
        "Fel mottagare",
        "larm 4",
        "berörda, inom 6 timmar",
        "4 tim",
        "Ditt beslut står i registret",
    ):
        assert words in text
    assert f'href="{page}"' in (await anna.get("/incidents")).text

    open_office.in_another_second()
    note = await anna.post(page, {"decision": "note", "why": "spärrat", "clocks": "federation"})
    assert statement_on(note).act == IncidentNoted(page[-64:], frozenset({Clock.FEDERATION}))
    answer = await anna.signs(note, signer, page)
    assert answer.headers["location"] == f"{page}?signed"
    telling = {
        "decision": "tell",
        "clock": "concerned",
        "told": typed(datetime.now(UTC)),
        "reference": "mejl",
    }
    told = await anna.post(page, {**telling, "why": "ringde"})
    act = statement_on(told).act
    assert isinstance(act, IncidentTold)
    assert (act.of, act.clock, act.reference) == (page[-64:], Clock.CONCERNED, "mejl")
    assert (await anna.signs(told, signer, page)).status_code == 303
    text = (await anna.get(page)).text
    assert "rapport till Digg" in text
    assert 'id="told-concerned"' not in text, "those concerned have been notified, so the form must be gone"
    assert 'id="told-personal-data"' in text
    open_office.in_another_second()
    closing = await anna.post(page, {"decision": "close", "why": "klart"})
    assert statement_on(closing).act == IncidentClosed(page[-64:])
    assert (await anna.signs(closing, signer, page)).status_code == 303
    assert 'value="close"' not in (await anna.get(page)).text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"aware": "i går"}, "aware"),
        ({"aware": typed(datetime.now(UTC) + 2 * HOUR)}, "aware"),
        ({"began": typed(datetime.now(UTC))}, "began"),
        ({"why": ""}, "why"),
    ],
)
async def test_an_incident_that_cannot_be_is_refused_with_the_field_and_keeps_what_was_typed(
    open_office: Office, wrong: dict[str, object], field: str
) -> None:
    page = await (await open_office.visit(ANNA)).post("/incidents/open", fields(**wrong))
    assert page.status_code == 422
    assert f'href="#{field}"' in page.text
    if field != "title":
        assert "Fel mottagare" in page.text
    assert re.search(r'id="clock-personal-data"[^>]* checked', page.text)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"clock": "final-report"}, "clock"),
        ({"told": typed(datetime.now(UTC) + 2 * HOUR)}, "told"),
        ({"reference": ""}, "reference"),
        ({"why": ""}, "why"),
    ],
)
async def test_that_somebody_was_told_is_refused_with_the_field(
    open_office: Office, wrong: dict[str, str], field: str
) -> None:
    page = await opened_by_form(open_office)
    told = {"clock": "concerned", "told": typed(datetime.now(UTC)), "reference": "mejl", "why": "ringde"}
    answer = await (await open_office.visit(ANNA)).post(page, {"decision": "tell", **told, **wrong})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text


async def test_an_auditor_sees_incidents_and_states_nothing(open_office: Office) -> None:
    page = await opened_by_form(open_office)
    rut = await open_office.visit(AUDITOR)
    assert "Fel mottagare" in (await rut.get(page)).text
    assert 'name="decision"' not in (await rut.get(page)).text
    assert (await rut.get("/incidents/open")).status_code == 404
    assert (await rut.post(page, {"decision": "close", "why": "x"})).status_code == 404
    cilla = await open_office.visit(CILLA)
    for path in ("/incidents", page, f"{page}/draft/concerned"):
        assert (await cilla.get(path)).status_code == 404


async def test_a_draft_is_a_file_with_what_is_known_and_blanks(open_office: Office) -> None:
    page = await opened_by_form(open_office)
    rut = await open_office.visit(AUDITOR)
    answer = await rut.get(f"{page}/draft/personal-data")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "IMY: anmälan" in answer.text
    assert "Fel mottagare" in answer.text
    assert "____" in answer.text
    assert (await rut.get(f"{page}/draft/notification")).status_code == 404, (
        "there is no draft for a clock that does not run"
    )


async def told_by_operator(opened: Office) -> str:
    """Write an incident of the operator's to the log as its command does; return its id."""
    at = datetime.now(UTC).replace(microsecond=0) - 7 * HOUR
    act = IncidentOpened("Avbrott i driften", at, at, frozenset({Clock.CONCERNED}))
    identifier = id_of(act, at)
    acts: list[tuple[IncidentEvent, IncidentAct]] = [
        (IncidentEvent.GOV_INCIDENT_OPENED, act),
        (IncidentEvent.GOV_INCIDENT_NOTED, IncidentNoted(identifier, frozenset())),
    ]
    async with opened.installation.open(opened.organisation, GOV) as vault:
        for event, each in acts:
            vault.record(event, incident=identifier, **facts_of(each, "felsöker"))
    return identifier


async def test_what_the_operator_told_of_stands_beside_ones_own_and_is_the_operators_to_add_to(
    open_office: Office,
) -> None:
    identifier = await told_by_operator(open_office)
    own = await opened_by_form(open_office)
    anna = await open_office.visit(ANNA)
    listed = (await anna.get("/incidents")).text
    for words in ("Avbrott i driften", "meddelad av driften", "En tidsgräns har gått ut", "Fel mottagare"):
        assert words in listed
    page = await anna.get(f"/incidents/{identifier}")
    assert "felsöker" in page.text
    assert 'name="decision"' not in page.text
    answer = await anna.post(f"/incidents/{identifier}", {"decision": "close", "why": "x"})
    assert answer.status_code == 404
    assert (await anna.get(own)).status_code == 200


async def test_an_incident_of_the_staff_is_closed_by_an_officer(open_office: Office) -> None:
    at = open_office.house.now - HOUR
    stated = await open_office.state(KARIN, IncidentOpened("Läcka", at, at, frozenset()))
    open_office.in_another_second()
    anna = await open_office.visit(ANNA)
    page = await anna.post(f"/incidents/{stated.digest}", {"decision": "close", "why": "klart"})
    assert (await anna.signs(page, open_office.house.signers[ANNA])).status_code == 303


async def test_no_incident_is_found_by_another_id(open_office: Office) -> None:
    anna = await open_office.visit(ANNA)
    assert (await anna.get(f"/incidents/{'0' * 64}")).status_code == 404


async def test_an_officer_attaches_a_file_by_its_sha_256_and_nothing_of_it_is_kept(
    open_office: Office,
) -> None:
    page, section = await opened_by_form(open_office), b"a section of the log, with its proofs" * 9000
    open_office.in_another_second()
    anna, signer = await open_office.visit(ANNA), open_office.house.signers[ANNA]
    assert f'href="{page}/file"' in (await anna.get(page)).text
    asked = await anna.upload(f"{page}/file", {"why": "loggen för i går"}, ("logg.zip", section))
    digest = hashlib.sha256(section).hexdigest()
    assert statement_on(asked).act == IncidentNoted(page[-64:], frozenset(), digest)
    answer = await anna.signs(asked, signer, page)
    assert answer.headers["location"] == f"{page}?signed"
    shown = (await anna.get(page)).text
    assert digest in shown
    assert "loggen för i går" in shown
    assert "logg.zip" not in shown, "the file's name must not be stored, as it may be confidential"


@pytest.mark.parametrize(
    ("file", "fields", "field"),
    [(None, {"why": "loggen"}, "file"), (("", b""), {"why": "loggen"}, "file"), (("a", b"x"), {}, "why")],
    ids=["no file", "none chosen", "no reason"],
)
async def test_a_file_that_is_missing_or_unexplained_is_refused_with_the_field(
    open_office: Office, file: tuple[str, bytes] | None, fields: dict[str, str], field: str
) -> None:
    page = await opened_by_form(open_office)
    anna = await open_office.visit(ANNA)
    answer = await anna.upload(f"{page}/file", fields, file)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text


async def test_a_file_that_is_too_large_is_refused(open_office: Office) -> None:
    page = await opened_by_form(open_office)
    answer = await (await open_office.visit(ANNA)).upload(
        f"{page}/file", {"why": "loggen"}, ("logg.zip", bytes((48 << 20) + 1))
    )
    assert answer.status_code == 413


async def test_nobody_attaches_a_file_to_the_operators_incident_or_without_a_role(
    open_office: Office,
) -> None:
    own = await opened_by_form(open_office)
    now = open_office.second()
    told = IncidentOpened("Avbrott", now, now, frozenset({Clock.CONCERNED}))
    identifier = id_of(told, now)
    async with open_office.installation.open(open_office.organisation, GOV) as vault:
        vault.record(
            IncidentEvent.GOV_INCIDENT_OPENED, incident=identifier, **facts_of(told, "INC-7"), by="ola"
        )
    before = (await open_office.role.records.read(open_office.organisation)).number
    anna = await open_office.visit(ANNA)
    assert (await anna.get(f"/incidents/{identifier}")).status_code == 200
    for who, page in ((ANNA, f"/incidents/{identifier}"), (AUDITOR, own), (CILLA, own)):
        visitor = await open_office.visit(who)
        assert (await visitor.get(f"{page}/file")).status_code == 404, who
        answer = await visitor.upload(f"{page}/file", {"why": "x"}, ("a", b"x"))
        assert answer.status_code == 404, who
    assert (await open_office.role.records.read(open_office.organisation)).number == before
