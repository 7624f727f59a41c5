"""Every route of the governance pages, requested by every kind of person of another organisation.

They know the ids of the victim's statements, keys and persons, which they would first have to learn, and
use their own session at the victim's host. No response reveals any content, and nothing changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route

from samdrift.contracts.principals import Role
from samdrift.governance.incidents import IncidentEvent, facts_of
from samdrift.rights import Right
from samdrift.rights.incidents import Clock, IncidentOpened
from samdrift.rights.keyacts import Enrolled
from samdrift.rights.statements import ORGANISATION, Given, Rights
from samdrift.vault.officers import OfferedKey
from samdrift.web.cookies import SESSION
from tests.unit.governance.office import AUDITOR, GOV, Office, office
from tests.unit.rights.building import ANNA, BO, CILLA
from tests.unit.rights.signers import YEAR, Authenticator, Ssh
from tests.vaults import Installation

ROLES = (Role.GOVERNANCE,)
WORD = "Planterat"
KINDS = {"administrator": ANNA, "security officer": BO, "auditor": AUDITOR, "without a role": CILLA}
CHANGING = {
    "decision": "end",
    "how": "end",
    "why": "x",
    "person": "person:x",
    "mailbox": "x",
    "rights": "read",
    "until": "2027-01-01",
    "role": "auditor",
    "about": "organisation",
    "reviewer": "person:x",
    "stand-in": "person:y",
    "number": "SE:212000-0142",
    "name": "x",
    "kind": "company",
    "agreement": "{}",
    "sending": "stop",
    "title": "x",
    "aware": "2026-11-01T10:00",
    "clocks": "concerned",
    "clock": "concerned",
    "told": "2026-11-01T10:00",
    "reference": "x",
    "to": "operator:olle",
    "extent": "everything",
    "level": "metadata",
    "ground": "outage",
    "ticket": "x",
    "minutes": "60",
    "duty": "sdk-nyckel",
    "subject": "person:x",
    "of": "x",
    "public": Ssh(CILLA, "cilla").key.public,
    "directory": "ad",
    "performer": "SE:556036-0793",
    "functions": "hosting",
    "countries": "SE",
    "window": "2027-01-01",
    "start": "2027-02-01",
}


@dataclass
class Scene:
    """Two organisations at one installation."""

    victim: Office
    other: Office
    ids: dict[str, str]


@pytest_asyncio.fixture
async def scene(installation: Installation) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        victim = await stack.enter_async_context(office(installation, origin="https://styrning.alfa.test"))
        other = await stack.enter_async_context(office(installation, origin="https://styrning.beta.test"))
        made = Authenticator(CILLA, 9).key
        asked = Enrolled(CILLA, WORD, made, victim.house.now + YEAR)
        waiting = await victim.state(ANNA, asked)
        what = Rights(CILLA, ORGANISATION, frozenset({Right.AUDITOR}))
        start = victim.house.now.replace(microsecond=0)
        await victim.state(ANNA, Given(what, start + YEAR / 2, start + YEAR, asked=True))
        async with installation.open(victim.organisation, GOV) as vault:
            person = await vault.person("https://login.habo.test", "cilla")
            assert person is not None
            vault.offer_key(OfferedKey("rut", victim.house.now, WORD, json.dumps(made.members())))
            vault.keep_report(victim.house.now, json.dumps({"at": WORD}).encode())
            opened = IncidentOpened(WORD, victim.house.now, victim.house.now, frozenset({Clock.CONCERNED}))
            vault.record(IncidentEvent.GOV_INCIDENT_OPENED, incident="e" * 64, **facts_of(opened, WORD))
        number = (await victim.role.records.read(victim.organisation)).number
        ids = {"digest": waiting.digest, "number": str(number), "person": "rut", "clock": "concerned"}
        yield Scene(victim, other, ids)


def routes(opened: Office) -> list[tuple[str, str]]:
    """Return method and path of every route."""
    return [
        (method, route.path)
        for route in opened.role.routes()
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"})
        if route.path != "/jwks"
    ]


def filled(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: ids[found[1]], path)


async def test_no_route_shows_or_changes_another_organisations_record(scene: Scene) -> None:
    """The other organisation's ids are used at one's own host; new routes are tried automatically."""
    before = (await scene.victim.role.records.read(scene.victim.organisation)).number
    tried = routes(scene.other)
    assert len(tried) > 25
    for who in KINDS.values():
        visitor = await scene.other.visit(who)
        for method, path in tried:
            address = filled(path, scene.ids)
            answer = await (
                visitor.get(address) if method == "GET" else visitor.post(address, dict(CHANGING))
            )
            assert WORD not in answer.text, (who, path)
            assert scene.victim.organisation.value not in answer.text, (who, path)
            if "{digest}" in path:
                assert answer.status_code == 404, (who, path)
    assert (await scene.victim.role.records.read(scene.victim.organisation)).number == before
    async with scene.victim.installation.open(scene.victim.organisation, GOV) as vault:
        assert [each.person for each in await vault.offered_keys()] == ["rut"]


async def test_an_incident_that_another_organisation_was_told_of_is_not_there(scene: Scene) -> None:
    page = f"/incidents/{'e' * 64}"
    assert WORD in (await (await scene.victim.visit(ANNA)).get(page)).text
    visitor = await scene.other.visit(ANNA)
    assert WORD not in (await visitor.get("/incidents")).text
    for path in (page, f"{page}/draft/concerned"):
        assert (await visitor.get(path)).status_code == 404
    assert (await visitor.post(page, dict(CHANGING))).status_code == 404


async def test_a_session_of_one_organisation_opens_no_page_of_another(scene: Scene) -> None:
    for who in KINDS.values():
        value, token = await scene.other.session(who)
        transport = httpx.ASGITransport(
            scene.victim.role.application(scene.victim.failures.append), raise_app_exceptions=False
        )
        origin = scene.victim.origin
        async with httpx.AsyncClient(transport=transport, base_url=origin) as browser:
            browser.cookies.set(SESSION, value)
            for method, path in routes(scene.victim):
                headers = {"sec-fetch-site": "same-origin", "origin": origin}
                fields = {"form-token": token(), **CHANGING}
                address = filled(path, scene.ids)
                answer = await browser.request(
                    method, address, data=fields if method == "POST" else None, headers=headers
                )
                assert answer.status_code in (401, 403, 404), (who, path)
                assert WORD not in answer.text


async def test_a_statement_signed_for_one_organisation_is_brought_to_no_other(scene: Scene) -> None:
    record = await scene.victim.role.records.read(scene.victim.organisation)
    visitor = await scene.other.visit(ANNA)
    for entry in record.entries:
        answer = await visitor.brings(entry.statement.content.decode(), entry.signed)
        assert answer.status_code == 404


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "administrator"])
async def test_within_an_organisation_nobody_signs_for_the_administrator(scene: Scene, kind: str) -> None:
    record = await scene.victim.role.records.read(scene.victim.organisation)
    entry = next(each for each in reversed(record.entries) if each.statement.by == ANNA)
    visitor = await scene.victim.visit(KINDS[kind])
    answer = await visitor.brings(entry.statement.content.decode(), entry.signed)
    assert answer.status_code == 404
