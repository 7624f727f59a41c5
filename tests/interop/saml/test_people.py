"""People sign in with pysaml2, in Chromium and without script, over the organisation's vault and keys."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree
from playwright.async_api import Browser, Page, expect

from samdrift.entrance.events import EntranceEvent
from samdrift.keystore.keyfiles import KeyName
from samdrift.vault.openkeys import open_keys
from samdrift.web.signin.faults import Fault
from samdrift.web.signin.saml.flow import Site
from samdrift.web.signin.saml.provider import SamlProvider, SamlSettings
from samdrift.web.signin.service import SamlService
from tests.browser.harness import CHROMIUM, chromium
from tests.interop.pages import MK, PeersPages, peers_pages
from tests.interop.saml.driver import Idp
from tests.programs import requires
from tests.separation.vaultlogin import vault_login
from tests.unit.web.samlprovider import LEVEL, NEXT, SERVICE
from tests.vaults import Installation

pytestmark = [CHROMIUM, requires("xmlsec1", "xmlsec1"), pytest.mark.asyncio(loop_scope="session")]
ROLES = (MK,)
TRIPLE_DES = None
CBC = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
ISSUED = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "habo.sdk.test")])


@dataclass
class Peer:
    """Pages whose people sign in with the peer."""

    pages: PeersPages
    idp: Idp
    browser: Browser
    entity: str

    def settle(self, **changed: Any) -> None:
        """Change the organisation's settings."""
        settings = replace(
            SamlSettings(self.entity, (LEVEL,), name_attribute="urn:oid:2.16.840.1.113730.3.1.241"),
            **changed,
        )

        async def read() -> bytes:
            return self.idp.metadata.encode()

        self.pages.use(SamlService(SamlProvider(settings, read, self.pages.clock), self.pages.keys))

    async def visit(self, *, script: bool = True) -> Page:
        """Open a page in a new browser profile."""
        context = await self.browser.new_context(locale="sv-SE", java_script_enabled=script)
        return await context.new_page()

    async def reasons(self) -> list[str]:
        """Return the reasons of failed sign-ins from the organisation's log."""
        return await self.pages.events(EntranceEvent.SIGN_IN_REFUSED)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def peer(installation: Installation) -> AsyncIterator[Peer]:
    async with peers_pages(installation) as pages, chromium() as browser:
        vault = (await vault_login(installation, pages.organisation, MK)).vault
        store = open_keys(installation.settings)
        until = pages.clock() + timedelta(days=365)
        certificates = [
            store.create_certified_key(vault, name, ISSUED, until, bits=2048)
            for name in (KeyName.SIGN_IN_SIGNING, KeyName.SIGN_IN_ENCRYPTION)
        ]
        metadata = Site(pages.origin, "Håbo kommun").described(*[(each,) for each in certificates])
        assert metadata is not None
        encrypt_for = certificates[1].public_bytes(Encoding.DER)
        idp = await asyncio.to_thread(
            Idp,
            SERVICE,
            metadata,
            base64.b64encode(encrypt_for).decode(),
            subject="anna-4711",
            name="Anna Andersson",
            level=LEVEL,
        )
        entity = str(etree.fromstring(idp.metadata.encode()).get("entityID"))
        await pages.let(entity, "anna-4711")
        yield Peer(pages, idp, browser, entity)
        idp.close()


@pytest.fixture(autouse=True)
def _anew(peer: Peer) -> None:
    peer.settle()
    peer.idp.otherwise()


async def sign_in(peer: Peer, page: Page) -> None:
    """Open a page that requires sign-in, follow the link, and press the service's button."""
    await page.goto(f"{peer.pages.origin}/rights")
    await page.get_by_role("link", name="Logga in", exact=True).click()
    await page.get_by_role("button", name="Go on").click()


async def test_a_person_signs_in_and_comes_back(peer: Peer) -> None:
    """pysaml2 reads our metadata and verifies our request; we verify and decrypt the output of xmlsec1."""
    page = await peer.visit()
    await sign_in(peer, page)
    await page.wait_for_url(f"{peer.pages.origin}/rights")
    await expect(page.locator(".person-name")).to_have_text("Anna Andersson")
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies(peer.pages.origin)}
    assert (cookies["__Host-session"]["sameSite"], "__Host-sign-in" in cookies) == ("Lax", False)
    await page.context.close()


async def test_a_person_signs_in_without_script_by_one_button_more(peer: Peer) -> None:
    page = await peer.visit(script=False)
    await sign_in(peer, page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Du är strax inloggad")
    await page.get_by_role("button", name="Fortsätt").click()
    await page.wait_for_url(f"{peer.pages.origin}/rights")
    await expect(page.locator(".person-name")).to_have_text("Anna Andersson")
    await page.context.close()


WAYS: dict[str, dict[str, Any]] = {
    "response signed": {"sign_response": True, "sign_assertion": False},
    "both signed": {"sign_response": True},
    "namespaces of the response": {"self_contained": False},
}


@pytest.mark.parametrize("changed", WAYS.values(), ids=WAYS)
async def test_the_ways_in_which_it_may_answer(peer: Peer, changed: dict[str, Any]) -> None:
    peer.idp.otherwise(**changed)
    page = await peer.visit()
    await sign_in(peer, page)
    await page.wait_for_url(f"{peer.pages.origin}/rights")
    await page.context.close()


async def test_an_answer_in_the_clear_where_the_organisation_allows_it(peer: Peer) -> None:
    peer.settle(encrypted=False)
    peer.idp.otherwise(encrypt=False)
    page = await peer.visit()
    await sign_in(peer, page)
    await page.wait_for_url(f"{peer.pages.origin}/rights")
    await page.context.close()


BROKEN: dict[str, tuple[dict[str, Any], Fault]] = {
    "unencrypted": ({"encrypt": False}, Fault.UNENCRYPTED),
    "AES-CBC": ({"cipher": CBC}, Fault.CIPHER),
    "unsigned": ({"sign_assertion": False}, Fault.SIGNED_BY),
    "level": ({"level": "http://id.sambi.se/loa/loa2"}, Fault.LEVEL),
    "audience": ({"audience": "https://another.test/metadata"}, Fault.ADDRESSEE),
    "destination": ({"destination": "https://another.test/posted"}, Fault.DESTINATION),
}


@pytest.mark.parametrize(("changed", "fault"), BROKEN.values(), ids=BROKEN)
async def test_an_answer_that_is_not_right_begins_nothing(
    peer: Peer, changed: dict[str, Any], fault: Fault
) -> None:
    peer.idp.otherwise(**changed)
    page = await peer.visit()
    await sign_in(peer, page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Du blev inte inloggad")
    assert (await peer.reasons())[-1] == fault
    await page.context.close()


async def test_an_answer_by_a_key_that_its_metadata_do_not_have_begins_nothing(peer: Peer) -> None:
    own, other = (
        base64.b64encode(each.certificate.public_bytes(Encoding.DER)).decode() for each in (SERVICE, NEXT)
    )
    genuine = peer.idp.metadata
    squeezed = etree.fromstring(genuine.encode())
    for each in squeezed.iter("{http://www.w3.org/2000/09/xmldsig#}X509Certificate"):
        assert "".join((each.text or "").split()) == own
        each.text = other
    peer.idp.metadata = etree.tostring(squeezed).decode()
    peer.settle()
    page = await peer.visit()
    await sign_in(peer, page)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Du blev inte inloggad")
    assert (await peer.reasons())[-1] == Fault.SIGNED_BY
    peer.idp.metadata = genuine
    await page.context.close()


async def test_an_answer_that_is_planted_in_another_browser_begins_nothing(peer: Peer) -> None:
    """The form that the service made for one browser is posted by another."""
    page, victim = await peer.visit(), await peer.visit()
    await page.goto(f"{peer.pages.origin}/rights")
    await page.get_by_role("link", name="Logga in", exact=True).click()
    form = await page.content()
    await victim.goto(f"{peer.pages.origin}/sign-in/start")
    await victim.set_content(form)
    await victim.get_by_role("button", name="Go on").click()
    await expect(victim.get_by_role("heading", level=1)).to_have_text("Du blev inte inloggad")
    assert (await peer.reasons())[-1] == Fault.REQUEST
    for each in (page, victim):
        await each.context.close()
