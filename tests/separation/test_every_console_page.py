"""Every route of the operator's console, requested by every kind of person outside the operator's staff.

No response reveals any content, and nothing changes. Even for the staff, no page shows anything of a
message, or who sent it to whom.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.routing import Route

from samdrift.config.staff import StaffKeysConfig
from samdrift.console.outages import announce_outage, planned_outages
from samdrift.contracts.principals import NOT_PROVEN, Role
from samdrift.contracts.transfer import TransferState
from samdrift.net.server import CLIENT_CERTIFICATE, SHOWN_CERTIFICATE
from samdrift.vault.people import Identity, SessionRecord
from samdrift.web.assets import Assets
from samdrift.web.cookies import SESSION
from samdrift.web.pages import Pages
from samdrift.web.sessions import Person, Sessions
from samdrift.web.signin.certificate import CertificateSettings, ClientCertificates
from samdrift.web.signin.faults import SignInFailed
from samdrift.web.texts import Texts
from samdrift.wire.crypto.certificates import common_name, fingerprint
from samdrift.wire.crypto.sshsig import SshKey
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import pki
from tests.sizes import sampled
from tests.unit.console.scene import Scene, config_of, person, refused, report, stuck
from tests.unit.web.scene import MemoryStore
from tests.vaults import Installation, body, message

ROLES = tuple(Role)
ORIGIN = "https://console.test"
WORD = "Planterat"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2sT0Twb24BUkl/op6pZ0BSF9sRxBSJPow1Zi8STSdZ"
CHANGING = {
    "reason": "x",
    "starts": "2027-03-01T10:00",
    "ends": "2027-03-01T11:00",
    "text": "x",
    "late": "yes",
}


@dataclass
class Ground:
    """The console of an installation that has a message, a stuck transfer and a planned outage."""

    scene: Scene
    organisation: ParticipantIdentifier
    transfer: str
    recipient: str
    ids: Mapping[str, str]

    def routes(self) -> Iterator[tuple[str, str]]:
        """Yield the method and address of every route, with the ids of existing records."""
        pages = Pages(Texts(), Assets(), self.scene.clock)
        for route in self.scene.console.routes(pages):
            assert isinstance(route, Route)
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, re.sub(r"\{(\w+)\}", lambda found: self.ids[found[1]], route.path)

    async def unchanged(self) -> bool:
        """Return whether the transfer still waits and the outage is still planned."""
        async with self.scene.installation.open(self.organisation, Role.ACCESS_POINT) as vault:
            status = await vault.status(self.transfer)
        assert status is not None
        outages = {each.id: each for each in planned_outages(await self.scene.operators_log())}
        waits = status.state is TransferState.QUEUED and status.next_attempt is not None
        return waits and status.next_attempt > datetime.now(UTC) and not outages[self.ids["outage"]].withdrawn


@pytest_asyncio.fixture
async def ground(
    installation: Installation, organisation: ParticipantIdentifier, tmp_path: Path
) -> AsyncIterator[Ground]:
    scene = Scene(installation, config_of(tmp_path, [organisation]), ORIGIN)
    scene.running = (report(),)
    transfer = await stuck(installation, organisation)
    await refused(installation, organisation)
    async with installation.open(organisation, Role.MESSAGE_SERVICE) as vault:
        planted = message(label=WORD, sender_address=f"{WORD}:0203:habo.se")
        await vault.create_outgoing(
            planted, await body(vault, WORD.encode()), now=datetime.now(UTC), lease=None
        )
    async with installation.open(organisation, Role.MESSAGE_CLIENT) as client:
        identity = Identity("https://login.habo.test", "olle", f"{WORD} Person", {})
        now = datetime.now(UTC)
        await client.begin_session(SessionRecord(b"s" * 32, b"i" * 32, identity, "loa3", now, None, now, now))
    starts = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    opened = await scene.opened()
    outage = await announce_outage(
        opened, "jl", NOT_PROVEN, starts, starts + timedelta(hours=1), "Byte", [organisation]
    )
    ids = {"organisation": str(organisation), "transfer": transfer.id, "outage": outage}
    yield Ground(scene, organisation, transfer.id, transfer.envelope.recipient.value, ids)
    assert scene.failures == []


async def members_session(ground: Ground) -> str:
    """Begin a session of a person at their organisation's own pages, and return its cookie."""
    members = Sessions(MemoryStore(), b"m" * 32, ground.scene.clock)
    value = await members.begin(person(), b"i" * 32)
    assert value is not None
    return value


async def ended_session(ground: Ground) -> str:
    value = await ground.scene.session()
    session = await ground.scene.sessions.find(value)
    assert session is not None
    await ground.scene.sessions.end(session)
    return value


ACTORS = ("stranger", "member's session", "member's certificate", "access token", "ended session", "guessed")


async def browser_of(ground: Ground, actor: str) -> httpx.AsyncClient:
    """Return a client of a person outside the staff, with all credentials that this person has."""
    headers = {"authorization": "Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln"} if actor == "access token" else {}
    transport = httpx.ASGITransport(_shown(ground.scene.application, actor), raise_app_exceptions=False)
    browser = httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)
    if actor == "member's session":
        browser.cookies.set(SESSION, await members_session(ground))
    elif actor == "ended session":
        browser.cookies.set(SESSION, await ended_session(ground))
    elif actor == "guessed":
        browser.cookies.set(SESSION, "A" * 43)
    return browser


def _shown(application: object, actor: str) -> object:
    """Return the application; for a member's certificate, each of its connections presents one."""

    async def with_certificate(scope: dict[str, object], receive: object, send: object) -> None:
        shown = {CLIENT_CERTIFICATE: "ab" * 32, SHOWN_CERTIFICATE: b"certificate"}
        more = shown if actor == "member's certificate" else {}
        await application({**scope, **more}, receive, send)  # type: ignore[operator]

    return with_certificate


@pytest.mark.parametrize("actor", sampled(ACTORS, every=2))
async def test_nobody_but_the_staff_sees_or_changes_anything(ground: Ground, actor: str) -> None:
    """Routes are read from the application, so that a new one is tried without being named here."""
    tried = list(ground.routes())
    assert len(tried) > 15
    same_origin = {"sec-fetch-site": "same-origin", "origin": ORIGIN}
    async with await browser_of(ground, actor) as browser:
        for method, path in tried:
            token = ground.scene.sessions.form_token(browser.cookies.get(SESSION) or "x")
            fields = {"form-token": token, "organisations": str(ground.organisation), **CHANGING}
            data = fields if method == "POST" else None
            answer = await browser.request(method, path, data=data, headers=same_origin)
            assert answer.status_code in (401, 403, 404), (method, path)
            page = answer.text.replace(quote(path), "").replace(path, "")  # Pages may repeat the path.
            brought = set(fields.values()) if method == "POST" else set()  # A form returns its own fields.
            known = {ground.transfer, str(ground.organisation), "connection refused", "Byte", WORD}
            for word in known - brought:
                assert word not in page, (method, path, word)
    assert await ground.unchanged()


STAFF_ISSUER = pki.root("Driftens utfärdare", 21)
ANNA, OLLE = (STAFF_ISSUER.issue(pki.name(name), private_key=pki.key(23)) for name in ("anna", "olle"))
REVOKED = STAFF_ISSUER.issue(pki.name("jl"), private_key=pki.key(24))


@pytest.mark.parametrize(
    "shown",
    sampled([None, OLLE, REVOKED, b"no certificate"], every=2),
    ids=["none", "olle", "revoked", "junk"],
)
async def test_a_cookie_without_its_certificate_opens_no_route_where_persons_sign_in_by_certificate(
    ground: Ground, tmp_path: Path, shown: pki.Certified | bytes | None
) -> None:
    """A staff session and valid form tokens do not suffice without the client certificate."""
    (tmp_path / "staff.pem").write_bytes(STAFF_ISSUER.certificate.public_bytes(Encoding.PEM))
    revoked = frozenset({fingerprint(REVOKED.certificate)})
    settings = CertificateSettings(tmp_path / "staff.pem", None, revoked, common_name)
    judged = ClientCertificates(settings, lambda: datetime.now(UTC))
    scene = Scene(ground.scene.installation, ground.scene.config, ORIGIN, holds=judged.hold)
    own = ANNA if shown is not REVOKED else REVOKED
    whose = Person("issuer", str(common_name(own.certificate)), "Anna", "certificate", datetime.now(UTC))
    cookie = await scene.session(replace(whose, provider_session=fingerprint(own.certificate)))
    der = shown.certificate.public_bytes(Encoding.DER) if isinstance(shown, pki.Certified) else shown

    def transport(certificate: bytes | None) -> httpx.ASGITransport:
        return httpx.ASGITransport(_showing(scene.application, certificate), raise_app_exceptions=False)

    same_origin = {"sec-fetch-site": "same-origin", "origin": ORIGIN, "cookie": f"{SESSION}={cookie}"}
    async with httpx.AsyncClient(transport=transport(der), base_url=ORIGIN, headers=same_origin) as browser:
        for method, path in ground.routes():
            fields = {"form-token": scene.sessions.form_token(cookie), **CHANGING}
            answer = await browser.request(method, path, data=fields if method == "POST" else None)
            assert answer.status_code in (401, 403, 404), (method, path)
        assert (await browser.get("/session/now")).status_code == 401
    assert await ground.unchanged()
    if shown is not REVOKED:
        anna = ANNA.certificate.public_bytes(Encoding.DER)
        async with httpx.AsyncClient(
            transport=transport(anna), base_url=ORIGIN, headers=same_origin
        ) as browser:
            assert (await browser.get("/session/now")).status_code == 200
    assert scene.failures == []


def _showing(application: object, certificate: bytes | None) -> object:
    async def with_certificate(scope: dict[str, object], receive: object, send: object) -> None:
        await application({**scope, SHOWN_CERTIFICATE: certificate}, receive, send)  # type: ignore[operator]

    return with_certificate


async def test_one_who_signs_in_and_is_not_named_among_the_staff_with_keys_looks_and_does_nothing(
    ground: Ground,
) -> None:
    """New forms are tried without being named here; the log could not say who acted through one."""
    ola = StaffKeysConfig("ola", (SshKey.parse(KEY),))
    scene = Scene(ground.scene.installation, replace(ground.scene.config, staff=(ola,)), ORIGIN)
    scene.running = (report(),)
    async with scene.visit() as visitor:
        for method, path in ground.routes():
            fields = {"organisations": str(ground.organisation), **CHANGING}
            answer = await (visitor.get(path) if method == "GET" else visitor.post(path, fields))
            assert answer.status_code == (200 if method == "GET" else 403), (method, path)
    assert await ground.unchanged()
    assert scene.failures == []


async def test_a_person_who_is_not_of_the_staff_gets_no_session(ground: Ground) -> None:
    with pytest.raises(SignInFailed):
        await ground.scene.sessions.begin(person("olle", "Olle Ohm"), b"i" * 32)


@pytest.mark.parametrize(
    "change",
    sampled(
        [
            {"sec-fetch-site": "cross-site"},
            {"origin": "https://habo.messages.test"},
            {"token": "another session's"},
            {"token": ""},
        ],
        every=2,
    ),
    ids=str,
)
async def test_what_another_site_has_a_staff_members_browser_post_changes_nothing(
    ground: Ground, change: dict[str, str]
) -> None:
    other = await ground.scene.session(person("jl", "Jill Lind"))
    async with ground.scene.visit() as visitor:
        for method, path in ground.routes():
            if method != "POST":
                continue
            token = ground.scene.sessions.form_token(visitor.cookie)
            if "token" in change:
                token = ground.scene.sessions.form_token(other) if change["token"] else ""
            right = {"sec-fetch-site": "same-origin", "origin": ORIGIN}
            headers = {name: change.get(name, value) for name, value in right.items()}
            fields = {"form-token": token, "organisations": str(ground.organisation), **CHANGING}
            answer = await visitor.browser.post(path, data=fields, headers=headers)
            assert answer.status_code in (403, 404), path
    assert await ground.unchanged()


async def test_the_consoles_session_opens_no_other_host(ground: Ground) -> None:
    async with ground.scene.visit() as visitor:
        for host in ("habo.messages.test", "console.test.evil.test", ""):
            answer = await visitor.browser.get("/", headers={"host": host})
            assert (answer.status_code, answer.content) == (404, b"")


async def test_no_page_shows_anything_of_a_message_or_its_people(ground: Ground) -> None:
    async with ground.scene.visit() as visitor:
        for method, path in ground.routes():
            if method == "GET":
                answer = await visitor.get(path)
                assert answer.status_code == 200, path
                for word in (WORD, ground.recipient):
                    assert word not in answer.text, (path, word)
