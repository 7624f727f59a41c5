"""People sign in with oidc-provider, in Chromium: the code flow with PKCE, and logout from both sides."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey
from playwright.async_api import Browser, Page, expect
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from samdrift.net.addresses import any_address
from samdrift.net.clock import system_clock
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.tls import client_tls
from samdrift.web.application import application, signed_in
from samdrift.web.assets import Assets
from samdrift.web.guards import session_of
from samdrift.web.pages import Pages
from samdrift.web.sessions import Sessions
from samdrift.web.signin.faults import Fault
from samdrift.web.signin.flow import SignIn
from samdrift.web.signin.provider import Authenticate, Provider, ProviderSettings, by_key, by_secret
from samdrift.web.sites import Site
from samdrift.web.texts import Texts
from samdrift.wire.jose.keys import Algorithm, PublicKey
from tests.browser.harness import CHROMIUM, chromium
from tests.interop.oidc.build import install
from tests.interop.oidc.test_external_issuer import TLS, running, tls_server
from tests.interop.tools import Unavailable, left_out
from tests.unit.web.scene import LEVEL, MemoryStore

pytestmark = CHROMIUM
OTHER_LEVEL = "http://id.sambi.se/loa/loa2"
SECRET = "a secret of this test"


@dataclass
class OurKey:
    """A :class:`~samdrift.wire.crypto.keys.TokenKey` in memory."""

    key: ECKey

    @property
    def public(self) -> Any:
        return self.key.public_key

    def sign(self, data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self.key.private_key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


@dataclass
class Peer:
    """A site whose people sign in with the peer."""

    browser: Browser
    issuer: str
    client: EnteredAddressClient
    origin: str
    key: OurKey
    store: MemoryStore
    faults: list[Fault]
    site: Site

    def use(self, client_id: str, authenticate: Authenticate, **changed: Any) -> None:
        """Switch the site to another client of the peer, with other settings of the organisation."""
        settings = ProviderSettings(
            self.issuer, client_id, (LEVEL,), algorithms=frozenset({Algorithm.ES256}), **changed
        )
        provider = Provider(settings, authenticate, self.client, system_clock)
        sign_in = SignIn(
            provider, self.site.sessions, f"{self.origin}/sign-in/answer", system_clock, self._failed
        )
        self.site = replace(self.site, sign_in=sign_in)

    async def _failed(self, fault: Fault) -> None:
        self.faults.append(fault)

    async def visit(self) -> Page:
        """Open a page in a new browser profile."""
        context = await self.browser.new_context(ignore_https_errors=True, locale="sv-SE")
        return await context.new_page()


async def inside(request: Request) -> Response:
    session = session_of(request)
    assert session is not None
    return PlainTextResponse(f"{session.person.name}, {session.person.level}, {session.person.subject}")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def peer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Peer]:
    """Run oidc-provider and a site, or skip the test where oidc-provider cannot run."""
    try:
        await asyncio.to_thread(install)
    except Unavailable as reason:
        left_out("oidc-provider", reason)
    trust = tmp_path_factory.mktemp("people") / "tls.pem"
    trust.write_bytes(TLS.certificate.public_bytes(Encoding.PEM))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        origin = f"http://localhost:{listening.getsockname()[1]}"
        key = OurKey(ECKey.generate_key("P-256"))
        async with (
            chromium() as browser,
            running(_settings(origin, key), "person.mjs") as issuer,
            EnteredAddressClient(any_address, client_tls(trust=Path(trust))) as client,
        ):
            store = MemoryStore()
            sessions = Sessions(store, b"k" * 32, system_clock)
            nobody: Any = None
            site = Site(origin, "Håbo kommun", sessions, nobody)
            one = Peer(browser, issuer, client, origin, key, store, [], site)
            pages = Pages(Texts(), Assets(), system_clock)

            async def find(host: str) -> Site:
                return one.site

            outages: list[Exception] = []
            routes = [Route("/inside", signed_in(inside))]
            served = application(find, pages, routes, lambda error: None, on_outage=outages.append)
            server = uvicorn.Server(uvicorn.Config(served, log_level="error", lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            yield one
            assert outages == []
            server.should_exit = True
            await serving


@pytest.fixture(autouse=True)
def _anew(peer: Peer) -> None:
    peer.store.sessions.clear()
    peer.faults.clear()
    peer.use("secret", by_secret("secret", SECRET))


def _settings(origin: str, key: OurKey) -> dict[str, Any]:
    certificate, private_key = tls_server()
    common = {
        "redirect_uris": [f"{origin}/sign-in/answer"],
        "post_logout_redirect_uris": [f"{origin}/signed-out"],
        "backchannel_logout_uri": f"{origin}/sign-out/notice",
        "backchannel_logout_session_required": True,
        "id_token_signed_response_alg": "ES256",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    }
    by_secret_of = {**common, "client_secret": SECRET, "token_endpoint_auth_method": "client_secret_basic"}
    ours = PublicKey.named(key.public).published()
    return {
        "certificate": certificate,
        "key": private_key,
        "level": LEVEL,
        "other": OTHER_LEVEL,
        "person": "anna",
        "name": "Anna Andersson",
        "clients": [
            {**by_secret_of, "client_id": "secret"},
            {**by_secret_of, "client_id": "low"},
            {
                **common,
                "client_id": "key",
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": "ES256",
                "jwks": {"keys": [ours]},
            },
        ],
    }


async def sign_in(peer: Peer, page: Page) -> None:
    """Open a page that requires sign-in, and follow the link."""
    await page.goto(f"{peer.origin}/inside")
    await page.get_by_role("link", name="Logga in", exact=True).click()


@pytest.mark.parametrize("way", ["secret", "key"])
async def test_a_person_signs_in_and_comes_back(peer: Peer, way: str) -> None:
    """Discovery, S256, ``iss``, ``acr`` and the ID token's signature work with either client authentication.

    architecture-sad 5.4 step 2
    """
    if way == "key":

        async def keys() -> list[OurKey]:
            return [peer.key]

        peer.use("key", by_key("key", keys))
    page = await peer.visit()
    await sign_in(peer, page)
    await page.wait_for_url(f"{peer.origin}/inside")
    assert await page.locator("body").inner_text() == f"Anna Andersson, {LEVEL}, anna"
    assert peer.faults == []
    await page.context.close()


async def test_a_time_of_authentication_that_is_asked_for_comes(peer: Peer) -> None:
    peer.use("secret", by_secret("secret", SECRET), longest_since=timedelta(minutes=5))
    page = await peer.visit()
    await sign_in(peer, page)
    await page.wait_for_url(f"{peer.origin}/inside")
    assert peer.faults == []
    await page.context.close()


async def test_a_lower_level_of_assurance_opens_nothing(peer: Peer) -> None:
    """architecture-sad 4.2 sentence 1, 5.6 sentence 1"""
    peer.use("low", by_secret("low", SECRET))
    page = await peer.visit()
    await sign_in(peer, page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Du blev inte inloggad")
    assert (peer.faults, peer.store.sessions) == ([Fault.LEVEL], {})
    await page.context.close()


async def test_a_wrong_secret_opens_nothing(peer: Peer) -> None:
    peer.use("secret", by_secret("secret", "another"))
    page = await peer.visit()
    await sign_in(peer, page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Du blev inte inloggad")
    assert (peer.faults, peer.store.sessions) == ([Fault.CODE], {})
    await page.context.close()


async def test_a_person_who_leaves_the_service_is_signed_out_here_by_its_notice(peer: Peer) -> None:
    """Logout is initiated from here by a link, and the service then posts its logout notice (2.5)."""
    page = await peer.visit()
    await sign_in(peer, page)
    await page.wait_for_url(f"{peer.origin}/inside")
    assert len(peer.store.sessions) == 1
    await page.goto(f"{peer.origin}/signed-out")
    await page.get_by_role("link", name="Logga ut även där").click()
    await page.get_by_role("button", name="Yes").click()
    await page.wait_for_url(f"{peer.origin}/signed-out**")
    async with asyncio.timeout(60):
        while peer.store.sessions:
            await asyncio.sleep(0.05)
    assert peer.faults == []
    await page.context.close()
    assert peer.faults == []
    await page.context.close()
