"""People sign in with oidc-provider at pages over a vault: its sessions, its log, and its key.

The provider reads our published public keys, and verifies what our private key signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding
from playwright.async_api import Browser, Page, expect

from samdrift.entrance.events import EntranceEvent
from samdrift.net.addresses import any_address
from samdrift.net.entered import EnteredAddressClient
from samdrift.net.tls import client_tls
from samdrift.vault.events import VaultEvent
from samdrift.vault.openkeys import open_keys
from samdrift.web.signin.faults import Fault
from samdrift.web.signin.provider import Authenticate, Provider, ProviderSettings, by_key, by_secret
from samdrift.web.signin.service import OidcService
from samdrift.wire.jose.keys import Algorithm
from tests.browser.harness import CHROMIUM, chromium
from tests.interop.oidc.build import install
from tests.interop.oidc.test_external_issuer import TLS, running, tls_server
from tests.interop.pages import MK, PeersPages, peers_pages
from tests.interop.tools import Unavailable, left_out
from tests.separation.vaultlogin import vault_login
from tests.unit.web.scene import LEVEL
from tests.vaults import Installation

pytestmark = [CHROMIUM, pytest.mark.asyncio(loop_scope="session")]
ROLES = (MK,)
SECRET = "a secret of this test"


@dataclass
class Peer:
    """Pages whose people sign in with the peer."""

    pages: PeersPages
    issuer: str
    client: EnteredAddressClient
    browser: Browser

    def use(self, client_id: str, authenticate: Authenticate) -> None:
        """Switch the pages to a client of the peer."""
        settings = ProviderSettings(self.issuer, client_id, (LEVEL,), algorithms=frozenset({Algorithm.ES256}))
        clock = self.pages.clock
        self.pages.use(OidcService(Provider(settings, authenticate, self.client, clock)))

    async def visit(self) -> Page:
        """Open a page in a new browser profile."""
        context = await self.browser.new_context(ignore_https_errors=True, locale="sv-SE")
        return await context.new_page()

    async def signed_in(self) -> Page:
        """Sign a person in, and return the page to which they came back."""
        page = await self.visit()
        await page.goto(f"{self.pages.origin}/rights")
        await page.get_by_role("link", name="Logga in", exact=True).click()
        await page.wait_for_url(f"{self.pages.origin}/rights")
        await expect(page.locator(".person-name")).to_have_text("Anna Andersson")
        return page


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def peer(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Peer]:
    """Run oidc-provider and the pages, or skip the test where oidc-provider cannot run."""
    try:
        await asyncio.to_thread(install)
    except Unavailable as reason:
        left_out("oidc-provider", reason)
    trust = tmp_path_factory.mktemp("people") / "tls.pem"
    trust.write_bytes(TLS.certificate.public_bytes(Encoding.PEM))
    async with (
        peers_pages(installation) as pages,
        chromium() as browser,
        running(_settings(pages.origin), "person.mjs") as issuer,
        EnteredAddressClient(any_address, client_tls(trust=Path(trust))) as client,
    ):
        await pages.let(issuer, "anna")
        yield Peer(pages, issuer, client, browser)


@pytest.fixture(autouse=True)
def _anew(peer: Peer) -> None:
    peer.use("key", by_key("key", peer.pages.keys.tokens))


def _settings(origin: str) -> dict[str, Any]:
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
    key = {"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256"}
    secret = {"token_endpoint_auth_method": "client_secret_basic", "client_secret": SECRET}
    return {
        "certificate": certificate,
        "key": private_key,
        "level": LEVEL,
        "other": "http://id.sambi.se/loa/loa2",
        "person": "anna",
        "name": "Anna Andersson",
        "clients": [
            {**common, **key, "client_id": "key", "jwks_uri": f"{origin}/jwks"},
            {**common, **secret, "client_id": "secret"},
            {**common, **secret, "client_id": "low"},
        ],
    }


async def test_our_own_key_in_the_vault_shows_who_we_are_also_when_it_is_replaced(peer: Peer) -> None:
    """The peer reads our keys only once, while both are published, and so knows the second one already."""
    installation = peer.pages.installation
    vault = (await vault_login(installation, peer.pages.organisation, MK)).vault
    today = peer.pages.clock().date()
    (before,) = [each.public for each in await peer.pages.keys.tokens()]
    keys = open_keys(installation.settings)
    keys.renew_token_keys(vault, today + timedelta(days=91))
    first, after = [each.public for each in await peer.pages.keys.tokens()]
    assert (first, after == before) == (before, False)
    await (await peer.signed_in()).context.close()
    keys.renew_token_keys(vault, today + timedelta(days=94))
    assert [each.public for each in await peer.pages.keys.tokens()] == [after]
    await (await peer.signed_in()).context.close()


async def test_a_person_who_leaves_the_service_is_signed_out_in_the_vault_by_its_notice(peer: Peer) -> None:
    peer.use("secret", by_secret("secret", SECRET))
    page = await peer.signed_in()
    ended = len(await peer.pages.events(VaultEvent.MK_SESSION_ENDED))
    await page.goto(f"{peer.pages.origin}/signed-out")
    await page.get_by_role("link", name="Logga ut även där").click()
    await page.get_by_role("button", name="Yes").click()
    await page.wait_for_url(f"{peer.pages.origin}/signed-out**")
    async with asyncio.timeout(60):
        while len(await peer.pages.events(VaultEvent.MK_SESSION_ENDED)) == ended:
            await asyncio.sleep(0.05)
    assert (await peer.pages.events(VaultEvent.MK_SESSION_ENDED))[-1] == "sign-in service"
    await page.goto(f"{peer.pages.origin}/rights")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Du har loggats ut")
    await page.context.close()


async def test_a_lower_level_of_assurance_opens_nothing_and_is_in_the_log(peer: Peer) -> None:
    peer.use("low", by_secret("low", SECRET))
    page = await peer.visit()
    await page.goto(f"{peer.pages.origin}/sign-in/start")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Du blev inte inloggad")
    assert (await peer.pages.events(EntranceEvent.SIGN_IN_REFUSED))[-1] == Fault.LEVEL
    await page.context.close()
