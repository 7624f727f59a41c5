"""Sign-in at an organisation's origin, over its vault and the demonstration's sign-in service."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.responses import Response
from starlette.types import ASGIApp
from starlette.types import Scope as StarletteScope

from samdrift.audit.events import AuditEvent
from samdrift.config.organisations import DEMONSTRATION_LEVEL
from samdrift.contracts.principals import Role
from samdrift.entrance.events import EntranceEvent
from samdrift.entrance.sites import Sites, SiteSettings
from samdrift.federation.signin import SignInClient, SignInPerson, SignInService, sign_in_service
from samdrift.installation.services import NoAddressBook
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.notices.manning import Manning
from samdrift.messageclient.permissions import RightsRefused, person_subject
from samdrift.messageclient.role import MessageClientRole
from samdrift.net.addresses import any_address
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.forwarding import Forwarder
from samdrift.net.front import Front
from samdrift.net.server import listening_socket, serving
from samdrift.rights import (
    ORGANISATION,
    Approved,
    Effect,
    Ended,
    Given,
    Right,
    Rights,
    Scope,
    Subject,
    SubjectKind,
    Substitution,
)
from samdrift.vault.events import VaultEvent
from samdrift.vault.mailrecords import MailboxRecord
from samdrift.vault.people import Identity
from samdrift.vault.registry import RegistrationState
from samdrift.web.cookies import SESSION
from samdrift.web.signin.provider import Provider, ProviderSettings, by_secret
from samdrift.web.signin.service import OidcService
from samdrift.web.sites import Refusal
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import Installation, until

ROLES = (Role.MESSAGE_CLIENT,)
MK = Role.MESSAGE_CLIENT
SECRET = "a secret: of this test/"
PERSONS = (
    SignInPerson("anna", "Anna Andersson", "Handläggare", {"groups": ["soc"]}),
    SignInPerson("bo", "Bo Berg", "Handläggare"),
    SignInPerson("eva", "Eva Ek", "Administratör"),
)
SOC, SCHOOL = "mailbox-soc", "mailbox-school"
YEAR = timedelta(days=300)


@dataclass
class Clock:
    """A clock that a test moves on between two decisions, since none takes effect within a second.

    It starts behind that of the sign-in service, which is the machine's.
    """

    ahead: timedelta = timedelta(seconds=-30)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self) -> None:
        self.ahead += timedelta(seconds=2)


@dataclass
class House:
    """One organisation with two mailboxes and an administrator, reached over HTTP."""

    installation: Installation
    organisation: ParticipantIdentifier
    name: str
    origin: str
    role: MessageClientRole
    application: ASGIApp
    service: SignInService
    client: SignInClient
    clock: Clock
    failures: list[BaseException] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.origin.partition("://")[2]

    def browser(self) -> httpx.AsyncClient:
        """Open a browser with its own cookies; as on this machine, it keeps them without TLS."""
        transport = httpx.ASGITransport(self.application, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=f"https://{self.host}")

    async def sign_in(self, browser: httpx.AsyncClient, person: str) -> httpx.Response:
        """Follow the links from the first page to the one behind sign-in; the provider is on the network."""
        begun = await browser.get("/sign-in/start?back=/")
        assert begun.status_code == 303, begun.text
        async with httpx.AsyncClient() as outside:
            chosen = begun.headers["location"].replace("/authorize?", "/choose?")
            answered = await outside.get(f"{chosen}&person={person}")
        assert answered.status_code == 303, answered.text
        back = answered.headers["location"].removeprefix(self.origin)
        return await browser.get(back)

    def persons(self, *those: SignInPerson) -> None:
        """Replace the people that the sign-in service knows."""
        self.service.add(replace(self.client, persons=those))

    async def person(self, name: str) -> str:
        identity = Identity(self.service.issuer(self.name), name, name)
        async with self.installation.open(self.organisation, MK) as vault:
            known = await vault.person(identity.issuer, name)
            return known or await vault.know_person(identity)

    async def give(self, by: Subject, what: Rights | Substitution, *, asked: bool = False) -> str:
        """Grant something for less than a year; return the statement's digest."""
        self.clock.forward()
        given = await self.role.assignments.state(
            self.organisation, by, "test", lambda at: Given(what, at, at + YEAR, asked)
        )
        self.clock.forward()
        return given.digest

    async def events(self, event: AuditEvent) -> list[str]:
        async with self.installation.open(self.organisation, MK) as vault:
            entries = await vault.log()
        return [entry.ids.get("reason", "") for entry in entries if entry.event == event]

    async def drafts(self) -> list[dict[str, Any]]:
        """Return the drafts of the social services' mailbox."""
        async with self.installation.open(self.organisation, MK) as vault:
            return [dict(each.content) for each in await vault.drafts([SOC])]

    async def administrator(self) -> Subject:
        """Make Eva administrator by the decision of two custodians."""
        eva = person_subject(await self.person("eva"))
        first, second = (Subject(SubjectKind.CUSTODIAN, name) for name in ("kim", "lo"))
        asked = await self.give(
            first, Rights(eva, ORGANISATION, frozenset({Right.ADMINISTRATOR})), asked=True
        )
        await self.role.assignments.state(self.organisation, second, "test", lambda at: Approved(asked))
        self.clock.forward()
        return eva

    async def reader(self, name: str, mailbox: str = SOC, *rights: Right) -> str:
        """Grant a person rights to a mailbox; return the statement's digest."""
        what = Rights(
            person_subject(await self.person(name)), Scope(mailbox), frozenset(rights or {Right.READ})
        )
        return await self.give(person_subject(await self.person("eva")), what)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[SignInService]:
    async with sign_in_service() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def house(installation: Installation, service: SignInService) -> AsyncIterator[House]:
    """Yield a new organisation for each test, with a log of its own."""
    organisation = await installation.organisation([MK])
    clock, failures = Clock(), list[BaseException]()
    name = organisation.value.partition(":")[2].removesuffix(".se")
    async with AsyncExitStack() as stack:
        sock = listening_socket("127.0.0.1")
        port = sock.getsockname()[1]
        origin = f"http://{name}.localhost:{port}"
        provider = ProviderSettings(
            service.issuer(name), "samdrift", (DEMONSTRATION_LEVEL,), claims=("groups",)
        )
        client = await stack.enter_async_context(EnteredAddressClient(any_address, plain=True))
        used = OidcService(Provider(provider, by_secret("samdrift", SECRET), client, clock))
        settings = SiteSettings(organisation, "Håbo kommun", origin, used, contact="Ring 1234.")
        sites = Sites(installation.gate, [settings], clock)
        role = MessageClientRole(
            installation.gate, {f"{name}.localhost": organisation}, sites, clock, NoAddressBook()
        )
        application = role.application(failures.append)
        await stack.enter_async_context(serving(application, sock))
        reached = f"http://127.0.0.1:{port}"
        client_of = SignInClient(
            name, "Håbo kommun", "samdrift", SECRET, DEMONSTRATION_LEVEL, PERSONS, origin, reached
        )
        service.add(client_of)
        async with installation.open(organisation, MK) as vault:
            for mailbox, title in ((SOC, "Socialtjänst"), (SCHOOL, "Skola")):
                await vault.keep_mailbox(MailboxRecord(mailbox, f"sdk.{mailbox}", title))
        yield House(
            installation, organisation, name, origin, role, application, service, client_of, clock, failures
        )
        assert failures == []


async def test_a_person_signs_in_and_sees_the_mailboxes_that_they_may_read(house: House) -> None:
    await house.administrator()
    await house.reader("anna")
    async with house.browser() as browser:
        before = await browser.get("/", follow_redirects=True)
        assert before.status_code == 401
        assert "Logga in till Håbo kommun" in before.text
        back = await house.sign_in(browser, "anna")
        assert (back.status_code, back.headers["location"]) == (303, "/")
        page = await browser.get("/", follow_redirects=True)
    assert page.status_code == 200
    assert "Anna Andersson" in page.text
    assert "Socialtjänst" in page.text
    assert "Skola" not in page.text
    assert await house.events(VaultEvent.MK_SESSION_BEGUN) == [""]


async def test_a_person_without_any_right_sees_nothing_and_is_signed_out(house: House) -> None:
    async with house.browser() as browser:
        await house.sign_in(browser, "bo")
        page = await browser.get("/", follow_redirects=True)
        assert page.status_code == 403
        assert "Du har inte tillgång" in page.text
        assert "Socialtjänst" not in page.text
        assert (await browser.get("/", follow_redirects=True)).status_code == 401
    assert await house.events(VaultEvent.MK_SESSION_ENDED) == ["no right left"]


async def test_a_right_that_ends_is_gone_at_the_next_request(house: House) -> None:
    eva = await house.administrator()
    given = await house.reader("anna")
    async with house.browser() as browser, house.browser() as other:
        await house.sign_in(browser, "anna")
        await house.sign_in(other, "anna")
        assert (await browser.get("/", follow_redirects=True)).status_code == 200
        await house.role.assignments.state(house.organisation, eva, "test", lambda at: Ended(of=given))
        house.clock.forward()
        page = await browser.get("/", follow_redirects=True)
        assert page.status_code == 403
        assert "Du har inte längre tillgång" in page.text
        head = page.text.partition("<main")[0]
        assert "anna" not in head.casefold(), "the head must not name a person who is signed out"
        assert "data-session" not in page.text
        assert (await other.get("/", follow_redirects=True)).status_code == 401, (
            "all sessions of the person must have ended"
        )


async def test_who_loses_one_mailbox_while_writing_reads_so_and_has_what_was_typed(house: House) -> None:
    """A person with another mailbox stays signed in; for one who never had access, there is no such page."""
    eva = await house.administrator()
    given = await house.reader("anna", SOC, Right.READ, Right.WRITE)
    for name in ("anna", "bo"):
        await house.reader(name, SCHOOL)
    async with house.browser() as anna, house.browser() as bo:
        await house.sign_in(anna, "anna")
        await house.sign_in(bo, "bo")
        headers = {"sec-fetch-site": "same-origin", "origin": house.origin}
        page = await anna.get(f"/mailbox/{SOC}/open")
        token = re.findall(r'name="form-token" value="([^"]+)"', page.text)[0]
        begun = await anna.post(f"/mailbox/{SOC}/write", data={"form-token": token}, headers=headers)
        draft = begun.headers["location"]
        await house.role.assignments.state(house.organisation, eva, "test", lambda at: Ended(of=given))
        house.clock.forward()
        typed = {"form-token": token, "version": "1", "subject": "Om Kim", "text": "Skrivet nyss"}
        answers = [
            await anna.post(draft, data=typed, files={"files": ("a.txt", b"hej")}, headers=headers),
            await anna.get(draft),
            await anna.get(f"/mailbox/{SOC}/open"),
        ]
        assert [one.status_code for one in answers] == [404, 404, 404]
        assert ["Du har inte längre tillgång" in one.text for one in answers] == [True, True, True]
        assert ["Skrivet nyss" in one.text for one in answers] == [True, False, False]
        assert "Skola" in answers[0].text
        saved = await anna.post(f"{draft}/save", data=typed, headers=headers)
        assert (saved.json()["over"], "inte längre tillgång" in saved.json()["said"]) == (True, True)
        for path in (draft, f"/mailbox/{SOC}/open"):
            nowhere = await bo.get(path)
            assert (nowhere.status_code, "inte längre tillgång" in nowhere.text) == (404, False)
    async with house.installation.open(house.organisation, MK) as vault:
        assert await vault.draft(draft.rpartition("/")[2]) is not None
    assert len(await house.events(MKEvent.MK_ACCESS_DENIED)) == 6


@pytest.mark.parametrize("ended", ["session", "right"])
async def test_what_ends_while_a_file_is_on_its_way_keeps_the_file_out(house: House, ended: str) -> None:
    """The text of the form is shown again, even to a person who may no longer see anything."""
    eva = await house.administrator()
    given = await house.reader("anna", SOC, Right.READ, Right.WRITE)
    async with house.browser() as browser:
        await house.sign_in(browser, "anna")
        page = await browser.get("/", follow_redirects=True)
        headers = {"sec-fetch-site": "same-origin", "origin": house.origin}
        token = re.findall(r'name="form-token" value="([^"]+)"', page.text)[0]
        path = f"/mailbox/{SOC}/write"
        draft = (await browser.post(path, data={"form-token": token}, headers=headers)).headers["location"]

        async def body() -> AsyncIterator[bytes]:
            named = "content-disposition: form-data; name="
            yield f'--b\r\n{named}"form-token"\r\n\r\n{token}\r\n'.encode()
            yield f'--b\r\n{named}"files"; filename="a.pdf"\r\n\r\n'.encode() + b"%PDF-1.7 " + bytes(300_000)
            if ended == "right":
                await house.role.assignments.state(
                    house.organisation, eva, "test", lambda at: Ended(of=given)
                )
                house.clock.forward()
            else:
                async with house.installation.open(house.organisation, MK) as vault:
                    await vault.end_sessions_of(await house.person("anna"), "test")
            yield f'\r\n--b\r\n{named}"text"\r\n\r\nSkrivet\r\n--b--\r\n'.encode()

        kind = {"content-type": "multipart/form-data; boundary=b"}
        answer = await browser.post(draft, content=body(), headers=headers | kind)
    assert answer.status_code == 403
    assert "Skrivet" in answer.text
    assert ("Kopiera det du behöver" in answer.text) == (ended == "right")
    assert house.installation.objects(house.organisation) == set()


@pytest.mark.parametrize("sent", ["by the page", "with another session's token", "by another site"])
async def test_who_loses_the_last_right_while_writing_has_the_text_back_and_it_is_saved_nowhere(
    house: House, sent: str
) -> None:
    """The page shows nothing from the vault, and nothing that no page of the session has sent."""
    eva = await house.administrator()
    given = await house.reader("anna", SOC, Right.READ, Right.WRITE)
    typed = {"version": "1", "subject": "Om Kim", "text": "Skrivet nyss\n<script>x</script>", "find": "Mu"}
    async with house.browser() as anna, house.browser() as other:
        headers = {"sec-fetch-site": "same-origin", "origin": house.origin}
        tokens = {}
        for browser in (anna, other):
            await house.sign_in(browser, "anna")
            page = await browser.get(f"/mailbox/{SOC}/open")
            tokens[browser] = re.findall(r'name="form-token" value="([^"]+)"', page.text)[0]
        own = {"form-token": tokens[anna]}
        draft = (await anna.post(f"/mailbox/{SOC}/write", data=own, headers=headers)).headers["location"]
        kept = typed | own | {"text": "Sparat tidigare", "later": "yes"}
        assert (await anna.post(draft, data=kept, headers=headers)).status_code == 303
        before = await house.drafts()
        await house.role.assignments.state(house.organisation, eva, "test", lambda at: Ended(of=given))
        house.clock.forward()
        token = tokens[other if "another session" in sent else anna]
        if sent == "by another site":
            headers["sec-fetch-site"] = "cross-site"
        files = {"files": ("a.txt", b"hej")}
        answer = await anna.post(draft, data=typed | {"form-token": token}, files=files, headers=headers)
    ours = sent == "by the page"
    assert answer.status_code == (404 if sent == "by another site" else 403)
    for part in ("Om Kim", "Skrivet nyss\n&lt;script&gt;", "Kopiera det du behöver"):
        assert (part in answer.text) == ours
    for part in ("Sparat tidigare", "Socialtjänst", "<script>x"):
        assert part not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert await house.drafts() == before
    assert house.installation.objects(house.organisation) == set()


async def test_an_administrator_signs_a_person_out_in_all_browsers_and_nobody_else_can(house: House) -> None:
    await house.administrator()
    await house.reader("anna")
    await house.reader("bo")
    async with (
        house.browser() as eva,
        house.browser() as anna,
        house.browser() as other,
        house.browser() as bo,
    ):
        for browser, who in ((eva, "eva"), (anna, "anna"), (other, "anna"), (bo, "bo")):
            await house.sign_in(browser, who)
        page = await eva.get("/sessions")
        assert (page.status_code, "Anna Andersson" in page.text) == (200, True)
        for attempt in (await bo.get("/sessions"), await post(house, bo, "/sessions", person="x")):
            assert (attempt.status_code, "Anna Andersson" in attempt.text) == (404, False)
        assert (await post(house, eva, "/sessions", person="x")).status_code == 422
        ended = await post(house, eva, "/sessions", person=await house.person("anna"))
        assert (ended.status_code, "är utloggad i alla webbläsare" in ended.text) == (200, True)
        gone = [(await each.get("/", follow_redirects=True)).status_code for each in (anna, other)]
        assert (gone, (await bo.get("/", follow_redirects=True)).status_code) == ([401, 401], 200)
        await house.sign_in(anna, "anna")
        assert (await anna.get("/", follow_redirects=True)).status_code == 200
    assert await house.events(VaultEvent.MK_SESSION_ENDED) == ["administrator", "administrator"]
    assert len(await house.events(MKEvent.MK_ACCESS_DENIED)) == 2


async def test_a_claim_gives_what_a_stored_mapping_names_and_no_more(house: House) -> None:
    eva = await house.administrator()
    issuer = house.service.issuer(house.name)
    group = Subject.claim(issuer, "groups", "soc")
    await house.give(eva, Rights(group, Scope(SOC), frozenset({Right.READ})))
    async with house.browser() as browser, house.browser() as other:
        await house.sign_in(browser, "anna")
        page = await browser.get("/", follow_redirects=True)
        assert (page.status_code, "Socialtjänst" in page.text, "Skola" in page.text) == (200, True, False)
        await house.sign_in(other, "bo")
        assert (await other.get("/", follow_redirects=True)).status_code == 403
    assigned = await house.role.assignments.now(house.organisation)
    (reader,) = assigned.readers(SOC)
    assert (reader.name, reader.rights) == ("Anna Andersson", {Right.READ})
    assert reader.seen_at is not None
    (way,) = reader.ways
    assert (way.through, way.group, way.by) == ("group", group.id, eva)
    assert assigned.groups(SOC) == (way,)
    assert assigned.readers(SCHOOL) == ()


async def test_who_left_a_group_has_nothing_by_it_in_an_older_session_either(house: House) -> None:
    """A person who is not among the readers reads nothing, even in a browser with an earlier sign-in."""
    eva = await house.administrator()
    issuer = house.service.issuer(house.name)
    group = Subject.claim(issuer, "groups", "soc")
    await house.give(eva, Rights(group, Scope(SOC), frozenset({Right.READ})))
    await house.reader("anna", SCHOOL)
    async with house.browser() as before, house.browser() as after:
        await house.sign_in(before, "anna")
        assert "Socialtjänst" in (await before.get("/", follow_redirects=True)).text
        house.persons(*(replace(each, claims={}) for each in PERSONS))
        await house.sign_in(after, "anna")
        assert (await house.role.assignments.now(house.organisation)).readers(SOC) == ()
        for browser in (after, before):
            page = await browser.get("/", follow_redirects=True)
            assert (page.status_code, "Skola" in page.text, "Socialtjänst" in page.text) == (200, True, False)
            assert (await browser.get(f"/mailbox/{SOC}/open")).status_code == 404


async def test_who_can_read_names_the_decision_and_its_end(house: House) -> None:
    eva = await house.administrator()
    await house.reader("anna", SOC, Right.READ, Right.WRITE)
    anna, bo = [person_subject(await house.person(name)) for name in ("anna", "bo")]
    await house.give(eva, Substitution(bo, Scope(SOC), anna))
    readers = (await house.role.assignments.now(house.organisation)).readers(SOC)
    found = {reader.person: reader for reader in readers}
    assert found.keys() == {anna.id, bo.id}
    (own,), (lent,) = found[anna.id].ways, found[bo.id].ways
    assert (own.through, own.number, own.by, own.absent) == ("assignment", "3", eva, "")
    assert own.until - own.since == YEAR
    assert (lent.through, lent.number, lent.absent) == ("substitution", "4", anna.id)
    assert found[bo.id].rights == found[anna.id].rights == {Right.READ, Right.WRITE}
    assert found[bo.id].seen_at is None


async def test_nobody_gives_without_authority_or_to_themselves(house: House) -> None:
    eva = await house.administrator()
    anna = person_subject(await house.person("anna"))
    read = frozenset({Right.READ})
    for by, to, effect in ((anna, eva, Effect.NO_AUTHORITY), (eva, eva, Effect.SELF)):
        with pytest.raises(RightsRefused) as refused:
            await house.give(by, Rights(to, Scope(SOC), read))
        assert refused.value.effect is effect
    assert len(await house.events(MKEvent.MK_RIGHTS_STATED)) == 2


async def test_a_person_who_leaves_the_sign_in_service_is_signed_out_here_by_its_notice(house: House) -> None:
    await house.administrator()
    await house.reader("anna")
    async with house.browser() as browser:
        await house.sign_in(browser, "anna")
        assert (await browser.get("/", follow_redirects=True)).status_code == 200
        (session,) = house.service.sessions(house.name)
        assert await house.service.end(session)
        assert (await browser.get("/", follow_redirects=True)).status_code == 401
    assert await house.events(VaultEvent.MK_SESSION_ENDED) == ["sign-in service"]


async def test_the_page_of_a_person_who_signed_out_leads_out_of_the_service_as_well(house: House) -> None:
    async with house.browser() as browser:
        page = await browser.get("/signed-out")
        leave = f"{house.service.issuer(house.name)}/end?client_id=samdrift"
        assert leave in page.text
        async with httpx.AsyncClient() as outside:
            left = await outside.get(f"{leave}&post_logout_redirect_uri={house.origin}/signed-out")
        assert left.headers["location"] == f"{house.origin}/signed-out"


async def test_an_answer_that_is_used_again_begins_nothing_and_is_in_the_log(house: House) -> None:
    await house.administrator()
    await house.reader("anna")
    async with house.browser() as browser:
        begun = await browser.get("/sign-in/start?back=/")
        kept = dict(browser.cookies)
        async with httpx.AsyncClient() as outside:
            chosen = begun.headers["location"].replace("/authorize?", "/choose?")
            answered = await outside.get(f"{chosen}&person=anna")
        back = answered.headers["location"].removeprefix(house.origin)
        assert (await browser.get(back)).status_code == 303
        browser.cookies.clear()
        browser.cookies.update(kept)
        again = await browser.get(back)
        assert again.status_code == 403
        assert SESSION not in browser.cookies
    assert await house.events(EntranceEvent.SIGN_IN_REFUSED) == ["the code was not redeemed"]


async def test_a_request_that_another_site_makes_in_a_persons_name_is_in_the_log(house: House) -> None:
    """The answer is that of an unknown address, and nothing is done; without a session there is no entry."""
    await house.administrator()
    await house.reader("anna", SOC, Right.READ, Right.WRITE)
    anna = await house.person("anna")
    ours = {"sec-fetch-site": "same-origin", "origin": house.origin}
    forged = (
        {**ours, "sec-fetch-site": "cross-site"},
        {**ours, "origin": "https://evil.test"},
        {**ours, "x-form-token": "replayed"},
    )
    async with house.browser() as browser, house.browser() as stranger:
        await house.sign_in(browser, "anna")
        for headers in forged:
            for one in (browser, stranger):
                assert (await one.post(f"/mailbox/{SOC}/write", headers=headers)).status_code == 404
        for _ in range(30):
            await browser.post(f"/mailbox/{SOC}/write", headers=forged[0])
    async with house.installation.open(house.organisation, MK) as vault:
        log = await vault.log()
        assert await vault.drafts([SOC]) == ()
    found = [entry.ids for entry in log if entry.event == EntranceEvent.REQUEST_REFUSED]
    assert [each["reason"] for each in found[:3]] == [Refusal.FETCH_SITE, Refusal.ORIGIN, Refusal.TOKEN]
    assert {each["person"] for each in found} == {anna}
    assert len(found) == 20, "repeated requests of another site must not fill the log"


async def test_strangers_fill_no_log_with_sign_ins_that_fail(house: House) -> None:
    async with house.browser() as browser:
        for _ in range(30):
            assert (await browser.get("/sign-in/answer?state=x")).status_code == 403
        assert len(await house.events(EntranceEvent.SIGN_IN_REFUSED)) == 20
        house.clock.ahead += timedelta(minutes=2)
        await browser.get("/sign-in/answer?state=x")
    async with house.installation.open(house.organisation, MK) as vault:
        *_, last = [entry for entry in await vault.log() if entry.event == EntranceEvent.SIGN_IN_REFUSED]
    assert last.ids["left-out"] == "10"


async def test_failed_sign_ins_are_logged_again_when_a_clock_that_was_ahead_is_right(house: House) -> None:
    async with house.browser() as browser:
        house.clock.ahead += timedelta(days=1)
        for _ in range(21):
            await browser.get("/sign-in/answer?state=x")
        house.clock.ahead -= timedelta(days=1)
        await browser.get("/sign-in/answer?state=x")
    assert len(await house.events(EntranceEvent.SIGN_IN_REFUSED)) == 21


async def test_a_suspended_organisation_says_so_and_no_session_outlives_it(house: House) -> None:
    await house.administrator()
    await house.reader("anna")
    provisioner, registry = house.installation.provisioner, house.installation.gate.registry
    async with house.browser() as browser:
        await house.sign_in(browser, "anna")
        await provisioner.set_state(house.organisation, MK, RegistrationState.SUSPENDED)
        await until(lambda: not registry.serves(house.organisation, MK))
        for path in ("/", "/sign-in", "/sign-in/start"):
            page = await browser.get(path)
            assert (page.status_code, "Ring 1234." in page.text) == (503, True)
        assert (await browser.post("/sign-out/notice")).status_code == 503
        await provisioner.set_state(house.organisation, MK, RegistrationState.ACTIVE)
        await until(lambda: registry.serves(house.organisation, MK))
        assert (await browser.get("/", follow_redirects=True)).status_code == 401


async def test_a_host_that_is_not_served_gets_a_bare_answer(house: House) -> None:
    async with house.browser() as browser:
        answers = [
            await browser.get(path, headers={"host": host})
            for path in ("/", "/sign-in")
            for host in ("elsewhere.localhost", f"{house.name}.localhost", f"x{house.host}")
        ]
        assert {(answer.status_code, answer.content) for answer in answers} == {(404, b"")}
        health = await browser.get("/health", headers={"host": f"{house.name}.localhost"})
        assert health.status_code == 204


async def test_a_cookie_of_one_organisation_opens_nothing_at_another(
    house: House, installation: Installation
) -> None:
    """Two organisations use different keys for their marks, so the same value is another session."""
    await house.administrator()
    await house.reader("anna")
    async with house.browser() as browser:
        await house.sign_in(browser, "anna")
        value = browser.cookies[SESSION]
        other = await installation.organisation([MK])
        async with installation.open(house.organisation, MK) as vault:
            mine = vault.pages_key()
        async with installation.open(other, MK) as vault:
            assert vault.pages_key() != mine
        assert value not in (await browser.get("/", follow_redirects=True)).text


def inputs(page: str) -> str:
    """Return the token of a page's forms."""
    found = re.search(r'name="form-token" content="([^"]+)"', page)
    assert found is not None
    return found[1]


async def post(house: House, browser: httpx.AsyncClient, path: str, **fields: Any) -> httpx.Response:
    """Submit a form of a page."""
    token = inputs((await browser.get("/rights")).text)
    headers = {"sec-fetch-site": "same-origin", "origin": house.origin}
    answer = await browser.post(path, data={"form-token": token, **fields}, headers=headers)
    house.clock.forward()
    return answer


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


async def test_an_administrator_gives_and_ends_rights_and_sees_no_content_by_that(house: House) -> None:
    await house.administrator()
    async with house.browser() as eva, house.browser() as anna:
        await house.sign_in(eva, "eva")
        assert (await eva.get("/")).headers["location"] == "/administration"
        give = f"/rights/{SOC}/give"
        assert (await eva.get(give)).status_code == 200
        wrong = await post(house, eva, give, why="x")
        assert wrong.status_code == 422
        for text in ("Välj minst en behörighet", "Välj en person", "Välj sista dagen"):
            assert text in wrong.text
        late = {"subject": "anna", "name": "Anna Andersson", "rights": ["read", "write"], "why": "Nyanställd"}
        too_late = await post(house, eva, give, until=day(500), **late)
        assert (too_late.status_code, "högst ett år bort" in too_late.text) == (422, True)
        assert "Nyanställd" in too_late.text, "the typed text must be kept"
        given = await post(house, eva, give, until=day(30), **late)
        assert (given.status_code, given.headers["location"]) == (303, f"/rights/{SOC}")
        listed = (await eva.get(f"/rights/{SOC}")).text
        for text in ("Anna Andersson", "Nyanställd", "beslut 3, Eva Ek", "inte än"):
            assert text in listed
        await house.sign_in(anna, "anna")
        assert "Socialtjänst" in (await anna.get("/", follow_redirects=True)).text
        assert "Anna Andersson" in (await anna.get(f"/rights/{SOC}")).text
        elsewhere = await post(house, eva, f"/rights/{SCHOOL}/end/3", why="Slutar")
        assert elsewhere.status_code == 404, "the decision is about another mailbox"
        asked = await eva.get(f"/rights/{SOC}/end/3")
        assert (asked.status_code, "Anna Andersson" in asked.text) == (200, True)
        assert (await post(house, eva, f"/rights/{SOC}/end/3", why="")).status_code == 422
        ended = await post(house, eva, f"/rights/{SOC}/end/3", why="Slutar")
        assert ended.status_code == 303
        assert (await anna.get("/", follow_redirects=True)).status_code == 403
        assert "Ingen kan läsa" in (await eva.get(f"/rights/{SOC}")).text


async def test_a_manager_gives_content_of_the_own_mailbox_alone(house: House) -> None:
    await house.administrator()
    await house.reader("bo", SOC, Right.READ, Right.MANAGE)
    anna = await house.person("anna")
    async with house.browser() as bo:
        await house.sign_in(bo, "bo")
        fields = {"person": anna, "until": day(30), "why": "Hjälper till"}
        assert (await post(house, bo, f"/rights/{SOC}/give", rights=["read"], **fields)).status_code == 303
        more = await post(house, bo, f"/rights/{SOC}/give", rights=["manage"], **fields)
        assert (more.status_code, "Det får en administratör" in more.text) == (422, True)
        mine = await post(
            house,
            bo,
            f"/rights/{SOC}/give",
            rights=["write"],
            **fields | {"person": (await house.person("bo"))},
        )
        assert (mine.status_code, "Ingen ger sig själv" in mine.text) == (422, True)
        new = {"subject": "new", "name": "New", "rights": ["read"], **fields, "person": ""}
        assert (await post(house, bo, f"/rights/{SOC}/give", **new)).status_code == 422
        substitute = {"absent": anna, "person": await house.person("eva"), "until": day(3), "why": "Semester"}
        assert (await post(house, bo, f"/rights/{SOC}/substitute", **substitute)).status_code == 303
        assert "Ersätter anna" in (await bo.get(f"/rights/{SOC}")).text
        for path in (f"/rights/{SCHOOL}", f"/rights/{SCHOOL}/give", f"/rights/{SCHOOL}/substitute"):
            assert (await bo.get(path)).status_code == 404
        assert (await post(house, bo, f"/rights/{SCHOOL}/give", rights=["read"], **fields)).status_code == 404
        assert (await post(house, bo, f"/rights/{SOC}/end/1", why="x")).status_code == 404, (
            "the decision is not about this mailbox"
        )
    assert len(await house.events(MKEvent.MK_ACCESS_DENIED)) == 4


async def test_a_reader_sees_who_reads_and_gives_nothing(house: House) -> None:
    await house.administrator()
    await house.reader("anna")
    async with house.browser() as anna:
        await house.sign_in(anna, "anna")
        page = await anna.get(f"/rights/{SOC}")
        assert (page.status_code, "Ge behörighet" in page.text) == (200, False)
        assert (await anna.get(f"/rights/{SCHOOL}")).status_code == 404
        assert (await anna.get("/rights/nothing")).status_code == 404
        for path in (f"/rights/{SOC}/give", f"/rights/{SOC}/end/3", f"/rights/{SOC}/substitute"):
            assert (await post(house, anna, path, decision="3", rights=["write"])).status_code == 404
    statements = (await house.role.assignments.now(house.organisation)).copy.number
    assert statements == 3


@contextlib.asynccontextmanager
async def through_the_front(house: House, folder: Path) -> AsyncIterator[str]:
    """Serve the pages behind the front, as at isolation level process; yield the front's address."""
    place = folder / "worker"
    forwarder = Forwarder()

    async def later(scope: StarletteScope) -> Response:
        return Response(status_code=503)

    with socket.socket(socket.AF_UNIX) as behind, listening_socket("127.0.0.1") as before:
        behind.bind(str(place))
        front = Front(forwarder, house.failures.append).by_head("mk", lambda _: place, later)  # type: ignore[arg-type]
        async with serving(house.application, behind), serving(front, before):
            try:
                yield f"http://127.0.0.1:{before.getsockname()[1]}"
            finally:
                await forwarder.aclose()


async def test_a_stream_through_the_front_ends_with_the_session_and_with_the_right(
    house: House, tmp_path: Path
) -> None:
    """After sign-out or the end of the right, nothing more is shown."""
    eva, given = await house.administrator(), await house.reader("anna")

    async def sign_out(browser: httpx.AsyncClient) -> None:
        assert (await post(house, browser, "/sign-out")).status_code == 303

    async def take_away(browser: httpx.AsyncClient) -> None:
        ended = Ended(of=given)
        house.clock.forward()
        await house.role.assignments.state(house.organisation, eva, "test", lambda at: ended)

    async with through_the_front(house, tmp_path) as address, httpx.AsyncClient() as outside:
        for act in (sign_out, take_away):
            async with house.browser() as browser:
                await house.sign_in(browser, "anna")
                headers = {"host": house.host, "cookie": f"{SESSION}={browser.cookies[SESSION]}"}
                asked = f"{address}/live/events?list={SOC}&lists=0"
                async with outside.stream("GET", asked, headers=headers, timeout=30) as answer:
                    assert answer.headers["content-type"].startswith("text/event-stream")
                    pieces = answer.aiter_text()
                    assert "retry:" in await anext(pieces)
                    await act(browser)
                    rest = "".join([piece async for piece in pieces])
                assert "news" not in rest
                again = await outside.get(asked, headers=headers)
                assert again.status_code in (401, 403)


async def test_a_person_chooses_what_to_be_told_of_by_mail_in_mailboxes_that_they_read(house: House) -> None:
    await house.administrator()
    await house.reader("anna")
    async with house.browser() as anna:
        await house.sign_in(anna, "anna")
        page = (await anna.get("/notices")).text
        assert "Socialtjänst" in page
        assert "Skola" not in page
        chosen = {f"box-{SOC}": "daily", f"box-{SCHOOL}": "soon", "hour": "7"}
        wrong = await post(house, anna, "/notices", address="anna på habo", **chosen)
        assert (wrong.status_code, "Skriv en e-postadress" in wrong.text) == (422, True)
        assert "anna på habo" in wrong.text
        kept = await post(house, anna, "/notices", address="anna@habo.se", **chosen)
        assert kept.headers["location"] == "/notices?kept=1"
        page = (await anna.get("/notices")).text
        assert 'value="anna@habo.se"' in page
        assert '<option value="daily" selected>' in page
    async with house.installation.open(house.organisation, MK) as vault:
        (choice,) = (await vault.notice_choices()).values()
    assert choice == {"address": "anna@habo.se", "mailboxes": {SOC: "daily"}, "hour": 7}


async def test_a_manager_says_when_a_mailbox_is_manned_and_others_find_nothing_there(house: House) -> None:
    await house.administrator()
    await house.reader("anna", SOC, Right.READ, Right.MANAGE)
    await house.reader("bo", SOC, Right.READ, Right.WRITE)
    async with house.browser() as anna, house.browser() as bo:
        await house.sign_in(anna, "anna")
        await house.sign_in(bo, "bo")
        for browser, mailbox in ((bo, SOC), (anna, SCHOOL), (anna, "nowhere")):
            assert (await browser.get(f"/manning/{mailbox}")).status_code == 404
            assert (await post(house, browser, f"/manning/{mailbox}", hours="4")).status_code == 404
        assert 'value="08:00"' in (await anna.get(f"/manning/{SOC}")).text
        times = {"from-0": "8.30", "to-0": "16:00", "from-5": "09:00", "to-5": "24:00", "holidays": "yes"}
        faults = {"to-0": "7:00", "from-0": "24:30", "closed": "i juli", "hours": "0", "to": "x"}
        decades = "\n".join(f"{year}-01-01 – {year}-12-31" for year in range(1900, 2100))
        one_day_often = "\n".join(["2026-12-23"] * 401)
        vast = (("hours", "9" * 5000), ("closed", decades), ("closed", one_day_often))
        for field, value in (*faults.items(), *vast):
            wrong = await post(house, anna, f"/manning/{SOC}", **(times | {field: value}))
            assert (wrong.status_code, "Något behöver rättas" in wrong.text) == (422, True), field
        more = {"closed": "2026-12-23\n2026-07-06 – 2026-07-07", "hours": "4", "to": "chef@habo.se"}
        kept = await post(house, anna, f"/manning/{SOC}", **times, **more)
        assert kept.headers["location"] == f"/manning/{SOC}?kept=1"
        page = (await anna.get(f"/manning/{SOC}")).text
        assert "2026-07-06\n2026-07-07\n2026-12-23" in page
    async with house.installation.open(house.organisation, MK) as vault:
        manning = Manning.read((await vault.manning())[SOC])
        denied = [entry for entry in await vault.log() if entry.event == MKEvent.MK_ACCESS_DENIED]
    assert manning.hours == ((510, 960), None, None, None, None, (540, 1440), None)
    assert (manning.escalate_after, manning.escalate_to, manning.holidays) == (4, "chef@habo.se", True)
    assert len(denied) == 6
