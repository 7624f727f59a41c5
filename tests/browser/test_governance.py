"""Governance pages in Chromium, with its virtual authenticator: stories, sizes, no sideways scrolling."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Unpack
from urllib.parse import unquote_plus

import pytest_asyncio
from playwright.async_api import Browser, CDPSession, ConsoleMessage, Page, expect

from samdrift.contracts.principals import Role
from samdrift.governance.papercode import public_of
from samdrift.net.server import listening_socket, serving
from samdrift.rights import ORGANISATION, Approved, Given, Right, Rights, Scope, Subject
from samdrift.rights.consents import AccessAsked, Extent, Ground, Level
from samdrift.rights.incidents import Clock, IncidentOpened
from samdrift.rights.keyacts import Enrolled, PublicKey, Scheme
from samdrift.rights.reviews import ReviewClosed, ReviewOpened
from samdrift.rights.settling import SettlementAsked
from samdrift.rights.statements import Outcome, Reviewed, Statement
from samdrift.vault.officers import OfferedKey
from samdrift.wire.crypto.sshsig import armoured
from tests.browser.harness import CHROMIUM, Seen, complained, keep_session, profile
from tests.browser.test_pages import TOO_SMALL, TOO_WIDE
from tests.sizes import whole
from tests.unit.governance.office import AUDITOR, GOV, Office, office
from tests.unit.governance.test_entering import countersigned, without
from tests.unit.governance.test_rights_page import give, shown
from tests.unit.governance.test_settling import two
from tests.unit.rights.building import ANNA, BO, CILLA, KARIN, KURT
from tests.unit.rights.signers import YEAR, Authenticator, Ssh
from tests.vaults import Installation

pytestmark = CHROMIUM
ROLES = (Role.GOVERNANCE, Role.MESSAGE_CLIENT)
PICTURES = os.environ.get("SAMDRIFT_TESTS_SEEN", "")
"""Folder into which the walk saves a picture of each page, for people who change the look."""


@dataclass
class Open:
    """The role as it is served, and the console errors and warnings of its pages."""

    office: Office
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def visitor(self, who: Subject, **seen: Unpack[Seen]) -> AsyncIterator[Page]:
        async with profile(self.browser, **seen) as context:
            value, _ = await self.office.session(who)
            await keep_session(context, self.office.origin, value)
            page = await context.new_page()
            page.on("console", self._complained)
            yield page

    def _complained(self, message: ConsoleMessage) -> None:
        no_rsa = "pub_key_cred_params.md"
        if complained(message, "responded with a status of", no_rsa):
            self.complaints.append(message.text)

    def at(self, path: str) -> str:
        return f"{self.office.origin}{path}"

    async def asked(self, to: Subject, role: Right = Right.AUDITOR) -> Statement:
        """State that Anna requests a role for a person, which needs another administrator's approval."""
        self.office.house.now += timedelta(seconds=1)
        start = self.office.house.now + timedelta(hours=1)
        what = Rights(to, ORGANISATION, frozenset({role}))
        return await self.office.state(ANNA, Given(what, start, start + YEAR, asked=True))


@dataclass
class Authenticating:
    """A virtual authenticator of a page."""

    page: Page
    devtools: CDPSession
    id: str

    async def verifies(self, *, user: bool) -> None:
        """Set whether the authenticator succeeds in verifying the person."""
        await self.devtools.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": user}
        )


async def with_authenticator(page: Page, *, keeps: bool = False) -> Authenticating:
    """Add a virtual authenticator to a page; it verifies the person."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasUserVerification": True,
        "hasResidentKey": keeps,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return Authenticating(page, devtools, made["authenticatorId"])


@contextlib.asynccontextmanager
async def opened(installation: Installation, browser: Browser) -> AsyncIterator[Open]:
    sock = listening_socket("127.0.0.1")
    origin = f"http://styrning.localhost:{sock.getsockname()[1]}"
    lacks = without("is-7.4.2", "sdk-sep")
    async with office(installation, origin=origin, roles=ROLES, catalogues=lambda: lacks) as house:
        running = Open(house, browser)
        async with serving(house.role.application(house.failures.append), sock):
            yield running
        assert running.complaints == []


@pytest_asyncio.fixture
async def role(installation: Installation, browser: Browser) -> AsyncIterator[Open]:
    async with opened(installation, browser) as running:
        yield running


async def heading(page: Page, text: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(text)


async def enrolled(role: Open, page: Page, who: Subject) -> PublicKey:
    """Make a passkey in the browser as a person, which Anna enrols and Bo approves; return its public key."""
    await page.goto(role.at("/keys"))
    await page.get_by_label("Vilken det är, och varför").fill("Nyckelringen")
    await page.get_by_role("button", name="Skapa en passernyckel").click()
    await expect(page.get_by_role("status")).to_contain_text("Din nyckel är erbjuden.")
    async with role.office.installation.open(role.office.organisation, GOV) as vault:
        (offered,) = await vault.offered_keys()
    key = PublicKey.parse(offered.key)
    asked = await role.office.state(ANNA, Enrolled(who, "Nyckelringen", key, role.office.house.now + YEAR))
    await role.office.state(BO, Approved(asked.digest))
    role.office.in_another_second()
    return key


async def administrator(role: Open, who: Subject) -> None:
    start = role.office.house.now + timedelta(seconds=1)
    what = Rights(who, ORGANISATION, frozenset({Right.ADMINISTRATOR}))
    asked = await role.office.state(ANNA, Given(what, start, start + YEAR, asked=True))
    await role.office.state(KURT, Approved(asked.digest))


async def test_an_officer_makes_a_passkey_and_decides_with_it(role: Open) -> None:
    await administrator(role, CILLA)
    waiting = await role.asked(Subject.parse("person:dag"))
    async with role.visitor(CILLA) as page:
        device = await with_authenticator(page)
        key = await enrolled(role, page, CILLA)
        await page.goto(role.at("/"))
        await heading(page, "I dag")
        await page.get_by_role("link", name="Begär en rätt").click()
        await page.get_by_label("Varför").fill("beslut 21")
        await page.get_by_role("button", name="Godkänn").click()
        await heading(page, "Läs och skriv under")
        await expect(page.locator("#statement-text")).to_contain_text(waiting.digest)
        await device.verifies(user=False)
        await page.get_by_role("button", name="Skriv under med din passernyckel").click()
        await expect(page.locator("[data-trouble]")).to_contain_text("Inget skrevs under")
        await device.verifies(user=True)
        await page.get_by_role("button", name="Skriv under med din passernyckel").click()
        await expect(page.get_by_role("status")).to_contain_text("Ditt beslut står i registret")
        await page.goto(role.at("/"))
        await expect(page.get_by_role("link", name="Begär en rätt")).to_have_count(0)
    record = await role.office.role.records.read(role.office.organisation)
    assert record.entries[-1].statement.act == Approved(waiting.digest)
    assert record.entries[-1].signed.key == key.fingerprint
    assert record.entries[-1].verified.counter > 0


async def under_review(role: Open, reviewer: Subject, *people: str) -> int:
    """Open a review of people's rights to read a mailbox, and return its number."""
    digests = []
    for each in people:
        role.office.house.now += timedelta(seconds=1)
        what = Rights(Subject.parse(f"person:{each}"), Scope("socialtjanst"), frozenset({Right.READ}))
        start = role.office.second() + timedelta(seconds=len(digests))
        given = await role.office.state(ANNA, Given(what, start, start + YEAR, asked=False))
        digests.append(given.digest)
    role.office.in_another_second()
    due = role.office.second() + timedelta(days=30)
    opened = ReviewOpened("mailbox:socialtjanst", tuple(sorted(digests)), reviewer, BO, due)
    await role.office.state(ANNA, opened)
    role.office.in_another_second()
    return (await role.office.role.records.read(role.office.organisation)).number


async def test_a_reviewer_answers_for_each_right_and_closes_the_review_with_a_passkey(role: Open) -> None:
    await administrator(role, CILLA)
    role.office.in_another_second()
    number = await under_review(role, CILLA, "dag", "eva")
    async with role.visitor(CILLA) as page:
        await with_authenticator(page)
        await enrolled(role, page, CILLA)
        await page.goto(role.at("/"))
        await page.get_by_role("link", name="En granskning: socialtjanst").click()
        await heading(page, "Granskning: socialtjanst")
        for name, answer in (("dag", "Behåll"), ("eva", "Ta bort")):
            right = page.get_by_role("article", name=f"person:{name}")
            await expect(right.get_by_text("Senast använd")).to_be_visible()
            await right.get_by_label("Varför").fill("talat med chefen")
            await right.get_by_role("button", name=answer).click()
            await heading(page, "Läs och skriv under")
            await page.get_by_role("button", name="Skriv under med din passernyckel").click()
            await heading(page, "Granskning: socialtjanst")
            await expect(page.get_by_role("status")).to_contain_text("Ditt beslut står i registret")
            await expect(right.get_by_role("button")).to_have_count(0)
        await page.get_by_label("Varför").fill("klart")
        role.office.house.now = role.office.clock()
        role.office.in_another_second()
        await page.get_by_role("button", name="Avsluta och skriv under").click()
        await page.get_by_role("button", name="Skriv under med din passernyckel").click()
        await expect(page.get_by_text(re.compile("^avslutad "))).to_be_visible()
        await expect(page.get_by_role("button", name="Avsluta")).to_have_count(0)
    record = await role.office.role.records.read(role.office.organisation)
    assert isinstance(record.entries[-1].statement.act, ReviewClosed)
    assert record.entries[-1].statement.act.of == record.entries[number - 1].statement.digest
    assert [
        each.statement.act.outcome for each in record.entries if isinstance(each.statement.act, Reviewed)
    ] == [
        Outcome.KEEP,
        Outcome.REMOVE,
    ]


async def test_a_reviewer_without_script_is_told_how_to_sign_and_does(role: Open) -> None:
    number = await under_review(role, ANNA, "dag")
    async with role.visitor(BO, script=False) as page:
        await page.goto(role.at(f"/reviews/{number}"))
        await expect(page.get_by_text("utan skript, en OpenSSH-nyckel")).to_be_visible()
        await page.get_by_label("Varför").fill("arbetar kvar")
        await page.get_by_role("button", name="Behåll").click()
        await heading(page, "Läs och skriv under")
        await expect(page.get_by_text("ssh-keygen -Y sign")).to_be_visible()
        async with page.expect_download() as saved:
            await page.get_by_role("button", name="Spara beslutet").click()
        file = await (await saved.value).path()
        signed = role.office.house.signers[BO].sign(Statement.parse(Path(file).read_bytes()))
        assert isinstance(signed.signature, bytes)
        await page.get_by_label("Underskriften, ur statement.json.sig").fill(armoured(signed.signature))
        await page.get_by_role("button", name="Lägg till i registret").click()
        await heading(page, "Granskning: socialtjanst")
        await expect(page.get_by_text("Behålls")).to_be_visible()


async def test_a_statement_to_sign_is_saved_as_often_as_it_is_asked_for(role: Open) -> None:
    number = await under_review(role, ANNA, "dag")
    async with role.visitor(BO) as page:
        await page.goto(role.at(f"/reviews/{number}"))
        await page.get_by_label("Varför").fill("arbetar kvar")
        await page.get_by_role("button", name="Behåll").click()
        await heading(page, "Läs och skriv under")
        for _ in range(2):
            async with page.expect_download() as saved:
                await page.get_by_role("button", name="Spara beslutet").click()
            assert (await saved.value).suggested_filename == "statement.json"


async def test_a_text_that_was_changed_on_its_way_is_not_signed(role: Open) -> None:
    await administrator(role, CILLA)
    waiting = await role.asked(Subject.parse("person:dag"))
    async with role.visitor(CILLA) as page:
        await with_authenticator(page)
        await enrolled(role, page, CILLA)
        await page.goto(role.at(f"/decide/{waiting.digest}"))
        await page.get_by_label("Varför").fill("beslut 21")
        await page.get_by_role("button", name="Godkänn").click()
        await heading(page, "Läs och skriv under")
        await page.evaluate(
            "() => { const text = document.querySelector('#statement-text');"
            " text.textContent = text.textContent.replace('beslut 21', 'beslut 22'); }"
        )
        await page.get_by_role("button", name="Skriv under med din passernyckel").click()
        await expect(page.locator("[data-trouble]")).to_contain_text("stämmer inte med sitt fingeravtryck")
    record = await role.office.role.records.read(role.office.organisation)
    assert not any(each.statement.act == Approved(waiting.digest) for each in record.entries)


async def test_a_new_passkey_leaves_the_one_before_on_the_device(role: Open) -> None:
    """Phones and computers store passkeys by the person's id, so a second one must not replace the first."""
    async with role.visitor(CILLA) as page:
        await page.add_init_script(
            "const make = navigator.credentials.create.bind(navigator.credentials);"
            " navigator.credentials.create = (options) => {"
            " options.publicKey.authenticatorSelection.residentKey = 'required'; return make(options); };"
        )
        device = await with_authenticator(page, keeps=True)
        for _ in range(2):
            await page.goto(role.at("/keys"))
            await page.get_by_label("Vilken det är, och varför").fill("Datorn")
            await page.get_by_role("button", name="Skapa en passernyckel").click()
            await expect(page.get_by_role("status")).to_contain_text("Din nyckel är erbjuden.")
        kept = await device.devtools.send("WebAuthn.getCredentials", {"authenticatorId": device.id})
        assert len(kept["credentials"]) == 2


async def test_a_code_on_paper_is_made_in_the_browser_and_is_the_one_that_signs_later(role: Open) -> None:
    """The code is never sent, and Python derives the same public key from it as the browser does."""
    await administrator(role, CILLA)
    sent = list[str]()
    async with role.visitor(CILLA, width=320) as page:
        page.on("request", lambda one: sent.append(f"{one.url} {one.post_data or ''}"))
        await with_authenticator(page)
        await enrolled(role, page, CILLA)
        await page.goto(role.at("/keys"))
        await page.get_by_role("link", name="Skapa en papperskod").click()
        await heading(page, "Skapa en papperskod")
        await expect(page.get_by_label("Varför")).to_be_hidden()
        await page.get_by_role("button", name="Skapa en kod").click()
        code = await page.locator("[data-code]").inner_text()
        assert not await page.evaluate(TOO_WIDE)
        assert await page.evaluate(TOO_SMALL) == []
        if PICTURES:
            await page.screenshot(path=Path(PICTURES) / "code-320.png", full_page=True)
        await page.get_by_label("Varför").fill("i kassaskåpet")
        await page.get_by_role("button", name="Jag har skrivit ner den").click()
        await heading(page, "Läs och skriv under")
        await page.get_by_role("button", name="Skriv under med din passernyckel").click()
        await expect(page.get_by_role("status")).to_contain_text("Ditt beslut står i registret")
    record = await role.office.role.records.read(role.office.organisation)
    act = record.entries[-1].statement.act
    assert isinstance(act, Enrolled)
    assert (act.to, act.key) == (CILLA, PublicKey(Scheme.PAPER, public_of(code)))
    assert sent
    assert not any(code in unquote_plus(each) or code.replace("-", "") in each for each in sent)


async def test_a_browser_that_makes_no_codes_says_so(role: Open) -> None:
    async with role.visitor(ANNA) as page:
        await page.add_init_script("crypto.subtle.importKey = () => Promise.reject(new Error());")
        await page.goto(role.at("/keys/paper"))
        await page.get_by_role("button", name="Skapa en kod").click()
        await expect(page.locator("[data-trouble]")).to_contain_text("kan inte skapa en kod")
        await expect(page.get_by_label("Varför")).to_be_hidden()


async def test_a_browser_without_passkeys_says_so(role: Open) -> None:
    async with role.visitor(CILLA) as page:
        await page.add_init_script("delete window.PublicKeyCredential")
        await page.goto(role.at("/keys"))
        await expect(page.locator("[data-trouble]")).to_contain_text("kan inte skapa passernycklar")


async def test_a_lone_officer_without_script_reads_all_and_signs_by_openssh(role: Open) -> None:
    waiting = await role.asked(Subject.parse("person:dag"))
    async with role.visitor(BO, script=False) as page:
        await page.goto(role.at(f"/decide/{waiting.digest}"))
        await page.get_by_label("Varför").fill("behövs inte")
        await page.get_by_role("button", name="Avslå").click()
        await heading(page, "Läs och skriv under")
        async with page.expect_download() as saved:
            await page.get_by_role("button", name="Spara beslutet").click()
        file = await (await saved.value).path()
        signed = role.office.house.signers[BO].sign(Statement.parse(Path(file).read_bytes()))
        assert isinstance(signed.signature, bytes)
        await page.get_by_label("Underskriften, ur statement.json.sig").fill(armoured(signed.signature))
        await page.get_by_role("button", name="Lägg till i registret").click()
        await expect(page.get_by_role("status")).to_contain_text("Ditt beslut står i registret")


async def asked_twice(role: Open) -> None:
    """State that the operator's staff request the same access twice."""
    olle, house = Subject.parse("operator:olle"), role.office.house
    house.signers[olle] = own = Ssh(olle, "olle")
    key = await role.office.state(KARIN, Enrolled(olle, "Olle Ohm", own.key, house.now + YEAR))
    await role.office.state(KURT, Approved(key.digest))
    for ticket in ("INC-17", "INC-18"):
        wanted = AccessAsked(olle, Ground.OUTAGE, ticket, Extent.mailbox("soc"), Level.METADATA, 60)
        await role.office.state(olle, wanted)


async def pages(role: Open) -> list[tuple[Subject, str]]:
    """Return each page's path, with a person who may see it."""
    await two(role.office)
    key = Authenticator(CILLA, 9).key
    waiting = await role.office.state(
        BO, Enrolled(CILLA, "Nyckelring", key, role.office.house.now + timedelta(days=20))
    )
    soon = role.office.house.now + timedelta(seconds=1)
    what = Rights(CILLA, Scope("socialtjanst"), frozenset({Right.READ, Right.WRITE}))
    await role.office.state(ANNA, Given(what, soon, soon + timedelta(days=20), asked=False))
    review = await under_review(role, ANNA, "dag", "dag")  # Two, so that parts of a page repeat.
    await asked_twice(role)
    async with role.office.installation.open(role.office.organisation, GOV) as vault:
        offered = json.dumps(Ssh(CILLA, "offered").key.members())
        vault.offer_key(OfferedKey(CILLA.id, role.office.second(), "Cilla Dahl", offered))
    at, clocks = role.office.house.now - timedelta(hours=7), frozenset(Clock)
    incident, _ = [
        await role.office.state(who, IncidentOpened("Fel mottagare", at, at, clocks)) for who in (ANNA, BO)
    ]
    await countersigned(role.office)
    agreed = (await role.office.role.records.read(role.office.organisation)).entries[-2]
    own = next(role.office.house.record.keys.in_force(role.office.house.now, ANNA))
    paths = [
        *("/", "/keys", "/officers", "/rights", "/rights/give", "/rights/role", "/rights/substitute"),
        *("/rights/unsigned", "/rights/end-all", "/consents/order", "/agreements/release"),
        *("/reviews/open", "/agreements/party", "/agreements/enter", "/agreements/at-end"),
        *("/keys/openssh", "/keys/paper", "/officers/directory", f"/officers/offered/{CILLA.id}"),
        *(f"/agreements/{agreed.statement.digest}/{page}" for page in ("extend", "notice")),
        f"/record/{agreed.number}",
        *(
            "/agreements",
            "/report",
            "/operator-view",
            "/record",
            "/consents",
            "/reviews",
            f"/reviews/{review}",
            *("/incidents", "/incidents/open", f"/incidents/{incident.digest}"),
            f"/incidents/{incident.digest}/file",
            "/record/1",
            f"/decide/{waiting.digest}",
        ),
        f"/keys/{own.id}/lost",
    ]
    return [*((ANNA, path) for path in paths), (AUDITOR, "/"), (CILLA, "/keys")]


@whole
async def test_no_page_scrolls_sideways_and_what_is_pressed_is_large_enough(role: Open) -> None:
    walk = await pages(role)
    for who in (ANNA, AUDITOR, CILLA):
        for width in (320, 1280):
            async with role.visitor(who, width=width) as page:
                for person, path in walk:
                    if person != who:
                        continue
                    answer = await page.goto(role.at(path))
                    assert answer is not None
                    assert answer.status == 200, path
                    assert not await page.evaluate(TOO_WIDE), (path, width)
                    assert await page.evaluate(TOO_SMALL) == [], (path, width)
                    if PICTURES:
                        for look in ("light", "dark"):
                            await page.emulate_media(color_scheme=look)  # type: ignore[arg-type]
                            page_name = (
                                re.sub("[0-9a-f]{64}", "x", path).strip("/").replace("/", "-") or "today"
                            )
                            name = f"{who.id}-{page_name}-{width}-{look}.png"
                            await page.screenshot(path=Path(PICTURES) / name, full_page=True)
    async with role.visitor(ANNA, width=320) as page:
        await page.goto(role.at(next(path for _, path in walk if path.startswith("/decide/"))))
        await page.get_by_label("Varför").fill("har ringt")
        await page.get_by_role("button", name="Godkänn").click()
        await heading(page, "Läs och skriv under")
        assert not await page.evaluate(TOO_WIDE)
        assert await page.evaluate(TOO_SMALL) == []
        if PICTURES:
            await page.screenshot(path=Path(PICTURES) / "sign-320.png", full_page=True)
            await page.set_viewport_size({"width": 1280, "height": 900})
            await page.screenshot(path=Path(PICTURES) / "sign-1280.png", full_page=True)


async def test_an_officer_refuses_by_keyboard_alone(role: Open) -> None:
    waiting = await role.asked(Subject.parse("person:dag"))
    async with role.visitor(ANNA) as page:
        await page.goto(role.at("/"))
        for _ in range(40):
            await page.keyboard.press("Tab")
            href = await page.evaluate("() => document.activeElement?.getAttribute('href')")
            if href == f"/decide/{waiting.digest}":
                break
        await page.keyboard.press("Enter")
        await heading(
            page, f"Beslut {(await role.office.role.records.read(role.office.organisation)).number}"
        )
        for _ in range(40):
            await page.keyboard.press("Tab")
            if await page.evaluate("() => document.activeElement?.id") == "why":
                break
        await page.keyboard.type("behövs inte")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Avslå")).to_be_focused()
        await page.keyboard.press("Enter")
        await heading(page, "Läs och skriv under")


async def test_an_officer_signs_a_right_over_and_ends_the_rest_with_a_passkey(role: Open) -> None:
    await administrator(role, CILLA)
    role.office.in_another_second()
    await two(role.office)
    async with role.visitor(CILLA) as page:
        await with_authenticator(page)
        await enrolled(role, page, CILLA)
        await page.goto(role.at("/rights"))
        await page.get_by_role("link", name="Rättigheter utan underskrift").click()
        await heading(page, "Rättigheter utan underskrift")
        right = page.get_by_role("article", name="person:eva")
        await expect(right.get_by_label("Varför")).to_have_value(re.compile("behövs fortfarande"))
        await right.get_by_role("button", name="Behåll").click()
        await heading(page, "Läs och skriv under")
        await page.get_by_role("button", name="Skriv under med din passernyckel").click()
        await heading(page, "Rättigheter utan underskrift")
        await expect(page.get_by_role("status")).to_contain_text("Inte underskrivna än: 2.")
        await expect(right.get_by_role("button")).to_have_count(0)
        role.office.in_another_second()
        await page.get_by_label("Varför Avsluta det som ingen har skrivit under").fill("beslut 14")
        await page.get_by_role("button", name="Gå vidare och skriv under").click()
        await page.get_by_role("button", name="Skriv under med din passernyckel").click()
        await expect(page.get_by_role("status")).to_contain_text("En annan person beslutar, där det behövs")
        await page.get_by_role("link", name="Se vad som upphör genom det").click()
        await expect(page.get_by_role("heading", name="Att de upphör väntar")).to_be_visible()
    record = await role.office.role.records.read(role.office.organisation)
    assert isinstance(record.entries[-1].statement.act, SettlementAsked)


async def test_an_officer_attaches_a_file_without_script(role: Open) -> None:
    at = role.office.house.now - timedelta(hours=1)
    incident = await role.office.state(BO, IncidentOpened("Fel mottagare", at, at, frozenset(Clock)))
    async with role.visitor(BO, script=False) as page:
        await page.goto(role.at(f"/incidents/{incident.digest}"))
        await page.get_by_role("link", name="Bifoga en fil").click()
        file = {"name": "logg.zip", "mimeType": "application/zip", "buffer": b"a section"}
        await page.get_by_label("Fil", exact=True).set_input_files(file)  # type: ignore[arg-type]
        await page.get_by_label("Vad filen är").fill("loggen för i går")
        await page.get_by_role("button", name="Gå vidare och skriv under").click()
        await heading(page, "Läs och skriv under")
        await expect(page.locator("#statement-text")).to_contain_text(
            hashlib.sha256(b"a section").hexdigest()
        )


async def test_rights_in_parts_are_walked_by_their_links_at_every_width(role: Open) -> None:
    persons = await give(role.office, 120)
    for width in (320, 1280):
        async with role.visitor(ANNA, width=width) as page:
            await page.goto(role.at("/rights"))
            seen = []
            for name in ("Fler rättigheter", "Fler rättigheter", "Föregående rättigheter"):
                seen += shown(await page.content())
                await page.get_by_text("Alla delar").click()
                assert not await page.evaluate(TOO_WIDE), width
                assert await page.evaluate(TOO_SMALL) == [], width
                if PICTURES:
                    for look in ("light", "dark"):
                        await page.emulate_media(color_scheme=look)  # type: ignore[arg-type]
                        name_of_page = f"rights-{len(seen)}-{width}-{look}.png"
                        await page.screenshot(path=Path(PICTURES) / name_of_page, full_page=True)
                await page.get_by_role("link", name=name).click()
                await page.wait_for_load_state()
            assert sorted(set(seen)) == persons
            await page.get_by_text("Alla delar").click()
            await expect(page.locator("details [aria-current=page]")).to_have_count(1)
