"""Sign-in by SAML: the way there and back, and every check broken by the service or an attacker."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree
from signxml import DigestAlgorithm, SignatureMethod

from samdrift.net.client import Fetched, FetchLimits, HttpFault, NoAnswer
from samdrift.web.cookies import SESSION, SIGN_IN
from samdrift.web.signin.faults import Fault
from samdrift.web.signin.kept import ProviderUnavailable
from samdrift.web.signin.saml.flow import SamlSignIn, Site
from samdrift.web.signin.saml.provider import SamlProvider, SamlSettings, from_address, from_file
from samdrift.wire.crypto.xmldsig import sign_enveloped
from tests import pki
from tests.unit.web.samlprovider import (
    CBC_256,
    DISPLAY_NAME,
    DS,
    ENTITY,
    FEDERATION,
    GCM_128,
    LEVEL,
    NAMES,
    NEXT,
    OURS,
    OURS_NEXT,
    RSA_1_5,
    SERVICE,
    STRANGER,
    TRANSIENT,
    Element,
    OurKeys,
    SamlService,
    asked,
    described,
    signed,
)
from tests.unit.web.samlprovider import (
    SIGN_IN as SSO,
)
from tests.unit.web.scene import ORIGIN, SAME_ORIGIN, Clock, Scene

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
POSTED, METADATA = f"{ORIGIN}/sign-in/posted", f"{ORIGIN}/sign-in/metadata"
FROM_ELSEWHERE = {"sec-fetch-site": "cross-site", "origin": "https://idp.habo.test"}
SETTINGS = SamlSettings(ENTITY, (LEVEL,))


@dataclass
class Visit:
    """A person with a browser, the site, and the sign-in service."""

    scene: Scene
    service: SamlService
    browser: httpx.AsyncClient
    keys: OurKeys

    def settle(self, settings: SamlSettings) -> None:
        """Replace the organisation's settings."""
        provider = SamlProvider(settings, self.service.metadata, self.scene.clock)
        site = Site(self.scene.origin, "Håbo kommun")
        sign_in = SamlSignIn(
            provider, self.keys, self.scene.sessions, site, self.scene.clock, self.scene._failed
        )
        self.scene.site = replace(self.scene.site, sign_in=sign_in)

    async def start(self) -> str:
        """Follow the link to the sign-in service; return its address."""
        answer = await self.browser.get("/sign-in/start?back=/list")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def finish(self, encoded: str) -> httpx.Response:
        """Return as a browser does: a cross-site post without cookies, then a post from our page."""
        kept = httpx.Cookies(self.browser.cookies)
        self.browser.cookies.clear()
        fields = {"SAMLResponse": encoded}
        page = await self.browser.post("/sign-in/posted", data=fields, headers=FROM_ELSEWHERE)
        assert "set-cookie" not in page.headers
        self.browser.cookies = kept
        if page.status_code != 200:
            return page
        (action,) = re.findall(r'<form method="post" action="([^"]+)" data-go-on>', page.text)
        (value,) = re.findall(r'name="SAMLResponse" value="([^"]+)"', page.text)
        assert value == encoded
        return await self.browser.post(action, data={"SAMLResponse": value}, headers=SAME_ORIGIN)

    async def answered(self, **changed: Any) -> httpx.Response:
        """Sign in with a service that sends such an answer."""
        return await self.finish(replace(self.service.visit(await self.start()), **changed).encoded())

    @property
    def subjects(self) -> list[str]:
        return [session.person.subject for session in self.scene.store.sessions.values()]


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    clock = Clock()
    scene = Scene(clock)
    async with scene.browser() as browser:
        visit = Visit(scene, SamlService(clock), browser, OurKeys())
        visit.settle(SETTINGS)
        yield visit


def refused(visit: Visit, answer: httpx.Response, *faults: Fault) -> None:
    """Check that there is no session, the page hides the fault, and the organisation's log has it."""
    assert (answer.status_code, visit.subjects) == (403, [])
    assert SESSION not in answer.headers.get("set-cookie", "")
    assert tuple(visit.scene.faults) == faults
    assert "Du blev inte inloggad" in answer.text
    assert not any(fault.value in answer.text for fault in Fault)


async def test_a_person_comes_back_with_a_session_to_where_they_wanted(visit: Visit) -> None:
    answer = await visit.answered()
    assert (answer.status_code, answer.headers["location"]) == (303, "/list")
    (session,) = visit.scene.store.sessions.values()
    person = session.person
    assert (person.issuer, person.subject, person.name) == (ENTITY, "anna", "Anna Andersson")
    assert (person.level, person.provider_session) == (LEVEL, "session-1")
    assert person.authenticated_at == visit.scene.clock() - MINUTE
    assert await visit.scene.sessions.find(visit.browser.cookies[SESSION]) == session
    assert SIGN_IN not in visit.browser.cookies


async def test_the_request_is_signed_and_asks_for_what_the_checks_need(visit: Visit) -> None:
    url = await visit.start()
    assert url.startswith(f"{SSO}?SAMLRequest=")
    request = asked(url)
    assert (request.get("Destination"), request.get("AssertionConsumerServiceURL")) == (SSO, POSTED)
    assert request.get("ProtocolBinding") == "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
    assert request.findtext("saml:Issuer", "", NAMES) == METADATA
    levels = request.findall("samlp:RequestedAuthnContext/saml:AuthnContextClassRef", NAMES)
    assert [level.text for level in levels] == [LEVEL]
    assert request.get("ForceAuthn") is None
    another = asked(await visit.start())
    assert another.get("ID") != request.get("ID")
    again = await visit.browser.get("/sign-in/start?again=1")
    assert asked(again.headers["location"]).get("ForceAuthn") == "true"


async def test_the_way_that_an_address_of_the_service_has_a_query_of_its_own(visit: Visit) -> None:
    visit.service.document = lambda: described([SERVICE], location=f"{SSO}?tenant=1")
    url = await visit.start()
    assert url.startswith(f"{SSO}?tenant=1&SAMLRequest=")
    asked(url)


async def test_our_metadata_have_both_signing_keys_while_one_is_replaced(visit: Visit) -> None:
    visit.keys.owners = [OURS, OURS_NEXT]
    answer = await visit.browser.get("/sign-in/metadata")
    assert answer.headers["content-type"] == "application/samlmetadata+xml"
    root = etree.fromstring(answer.content)
    assert root.get("entityID") == METADATA
    keys = {
        use: root.xpath(f"//md:KeyDescriptor[@use='{use}']//ds:X509Certificate/text()", namespaces=NAMES)
        for use in ("signing", "encryption")
    }
    encoded = [
        base64.b64encode(each.certificate.public_bytes(pki.Encoding.DER)).decode()
        for each in (OURS, OURS_NEXT)
    ]
    assert keys == {"signing": encoded, "encryption": encoded[:1]}
    (acs,) = root.findall(".//md:AssertionConsumerService", NAMES)
    assert acs.get("Location") == POSTED


async def test_an_assertion_for_the_key_of_before_still_opens(visit: Visit) -> None:
    visit.keys.owners = [OURS_NEXT, OURS]
    request = await visit.browser.get("/sign-in/start")
    assert request.status_code == 303
    visit.keys.owners = [OURS]
    url = await visit.start()
    visit.keys.owners = [OURS_NEXT, OURS]
    assert (await visit.finish(visit.service.visit(url).encoded())).status_code == 303


async def test_without_keys_there_are_no_metadata_and_no_sign_in(visit: Visit) -> None:
    visit.keys.owners = []
    assert (await visit.browser.get("/sign-in/metadata")).status_code == 404
    assert (await visit.browser.get("/sign-in/start")).status_code == 503


async def test_a_service_that_speaks_openid_connect_has_no_metadata_of_ours() -> None:
    async with Scene().browser() as browser:
        assert (await browser.get("/sign-in/metadata")).status_code == 404


WAYS: dict[str, dict[str, Any]] = {
    "assertion signed": {},
    "response signed": {"assertion_key": None, "response_key": SERVICE},
    "both signed": {"response_key": SERVICE},
    "shorter key": {"cipher": GCM_128},
    "key beside": {"key_beside": True},
    "no issuer of the response": {"issuer": None},
    "qualified name": {"qualifier": ENTITY, "service_qualifier": METADATA},
    "no bounds but the bearer's": {"valid_from": None, "valid_until": None, "session_until": None},
    "several audiences": {"audiences": (("https://another.test", "service"), ("service",))},
    "one time use": {"further_condition": "<saml:OneTimeUse/>"},
    "clock ahead": {"valid_from": 50 * SECOND, "authenticated": 50 * SECOND},
    "clock behind": {"valid_until": -50 * SECOND, "bearer_until": -50 * SECOND},
}


@pytest.mark.parametrize("changed", WAYS.values(), ids=WAYS)
async def test_the_ways_in_which_a_service_may_answer(visit: Visit, changed: dict[str, Any]) -> None:
    assert (await visit.answered(**changed)).status_code == 303
    assert visit.subjects == ["anna"]


@pytest.mark.parametrize(
    "changed",
    [{}, {"assertion_key": None, "response_key": SERVICE}],
    ids=["assertion signed", "response signed"],
)
async def test_an_assertion_need_not_be_encrypted_where_the_organisation_says_so(
    visit: Visit, changed: dict[str, Any]
) -> None:
    visit.settle(replace(SETTINGS, encrypted=False))
    assert (await visit.answered(encrypted_for=None, **changed)).status_code == 303
    assert visit.subjects == ["anna"]


async def test_an_assertion_in_the_namespaces_of_the_response_around_it(visit: Visit) -> None:
    """xmlsec encrypts an element as it is, with prefixes that its ancestors declare."""

    def as_it_stands(text: bytes) -> bytes:
        return text.replace(b' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"', b"", 1)

    assert (await visit.answered(plain=as_it_stands)).status_code == 303
    assert visit.subjects == ["anna"]


async def test_a_comment_in_a_name_does_not_cut_it_short(visit: Visit) -> None:
    """CVE-2017-11427 and similar: comments are not part of the signed text, and the name stays whole."""

    def comment(assertion: Element) -> None:
        (name,) = assertion.iterfind(".//saml:NameID", NAMES)
        name.text = "anna"
        name.append(etree.Comment("x"))
        name[0].tail = ".evil"

    await visit.answered(name="anna.evil", after_signing=comment)
    assert visit.subjects == ["anna.evil"]


async def test_claims_that_the_organisation_maps_are_kept_and_no_others(visit: Visit) -> None:
    visit.settle(replace(SETTINGS, attributes=("groups", "title")))
    await visit.answered(
        attributes={DISPLAY_NAME: ["Anna"], "groups": ["soc", "reg"], "mail": ["anna@habo.test"]}
    )
    (session,) = visit.scene.store.sessions.values()
    assert session.person.claims == {"groups": ("soc", "reg")}


async def test_persons_may_be_known_by_an_attribute(visit: Visit) -> None:
    visit.settle(replace(SETTINGS, subject_attribute="hsa"))
    request = asked(await visit.start())
    assert request.find("samlp:NameIDPolicy", NAMES) is None
    named = {DISPLAY_NAME: ["Anna"], "hsa": ["SE123-1"]}
    await visit.answered(name="_once", name_format=TRANSIENT, attributes=named)
    assert visit.subjects == ["SE123-1"]


@pytest.mark.parametrize("values", [[], ["a", "b"], [""], ["x" * 256]], ids=len)
async def test_a_person_without_one_value_of_that_attribute_is_not_known(
    visit: Visit, values: list[str]
) -> None:
    visit.settle(replace(SETTINGS, subject_attribute="hsa"))
    refused(visit, await visit.answered(attributes={DISPLAY_NAME: ["Anna"], "hsa": values}), Fault.SUBJECT)


# --- each check, broken by the sign-in service ----------------------------------------------------------


BROKEN: dict[str, tuple[dict[str, Any], Fault]] = {
    "destination of another": ({"destination": "https://evil.test/"}, Fault.DESTINATION),
    "no destination": ({"destination": None}, Fault.DESTINATION),
    "another request": ({"in_response_to": "_other"}, Fault.REQUEST),
    "unsolicited": ({"in_response_to": None}, Fault.REQUEST),
    "issuer of the response": ({"issuer": "https://evil.test"}, Fault.ISSUER_OF_ANSWER),
    "not signed in": (
        {"status": "urn:oasis:names:tc:SAML:2.0:status:Responder", "response_key": SERVICE},
        Fault.REFUSED,
    ),
    "no assertion": ({"assertions": 0, "response_key": SERVICE}, Fault.REFUSED),
    "two assertions": ({"assertions": 2}, Fault.ANSWER),
    "version": ({"version": "1.1"}, Fault.ANSWER),
    "unencrypted": ({"encrypted_for": None}, Fault.UNENCRYPTED),
    "encrypted for another": ({"encrypted_for": OURS_NEXT}, Fault.DECRYPTION),
    "AES-CBC": ({"cipher": CBC_256}, Fault.CIPHER),
    "RSA without OAEP": ({"transport": RSA_1_5}, Fault.DECRYPTION),
    "unsigned": ({"assertion_key": None}, Fault.SIGNED_BY),
    "signed by another": ({"assertion_key": STRANGER}, Fault.SIGNED_BY),
    "response signed by another": ({"response_key": STRANGER}, Fault.SIGNED_BY),
    "assertion signed by another in a signed response": (
        {"assertion_key": STRANGER, "response_key": SERVICE},
        Fault.SIGNED_BY,
    ),
    "RSA-SHA1": ({"signature_method": SignatureMethod.RSA_SHA1}, Fault.CIPHER),
    "SHA-1 digest": ({"digest": DigestAlgorithm.SHA1}, Fault.CIPHER),
    "asserted by another": ({"asserted_by": "https://evil.test"}, Fault.ASSERTED_BY),
    "no audience": ({"audiences": ()}, Fault.ADDRESSEE),
    "another audience": ({"audiences": (("https://another.test",),)}, Fault.ADDRESSEE),
    "one of two restrictions": ({"audiences": (("service",), ("https://another.test",))}, Fault.ADDRESSEE),
    "another condition": ({"further_condition": "<saml:Condition/>"}, Fault.ANSWER),
    "not yet": ({"valid_from": 70 * SECOND}, Fault.PERIOD),
    "no longer": ({"valid_until": -70 * SECOND}, Fault.PERIOD),
    "no bearer": ({"method": "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"}, Fault.BEARER),
    "another recipient": ({"recipient": f"{ORIGIN}/elsewhere"}, Fault.BEARER),
    "no recipient": ({"recipient": None}, Fault.BEARER),
    "confirms another request": ({"confirms": "_other"}, Fault.BEARER),
    "confirms no request": ({"confirms": None}, Fault.BEARER),
    "bearer too late": ({"bearer_until": -70 * SECOND}, Fault.BEARER),
    "bearer for ever": ({"bearer_until": None}, Fault.BEARER),
    "bearer not yet": ({"bearer_from": -MINUTE}, Fault.BEARER),
    "lower level": ({"level": "http://id.sambi.se/loa/loa2"}, Fault.LEVEL),
    "no level": ({"level": None}, Fault.LEVEL),
    "no statement": ({"statements": 0}, Fault.STATEMENT),
    "two statements": ({"statements": 2}, Fault.STATEMENT),
    "session ended": ({"session_until": -70 * SECOND}, Fault.PERIOD),
    "signs in later": ({"authenticated": 70 * SECOND}, Fault.AUTHENTICATION_TIME),
    "transient name": ({"name_format": TRANSIENT}, Fault.SUBJECT),
    "name of no format": ({"name_format": None}, Fault.SUBJECT),
    "name in another realm": ({"qualifier": "https://evil.test"}, Fault.SUBJECT),
    "name for another service": ({"service_qualifier": "https://another.test"}, Fault.SUBJECT),
    "empty name": ({"name": " "}, Fault.SUBJECT),
    "long name": ({"name": "x" * 256}, Fault.SUBJECT),
    "nobody": ({"attributes": {}}, Fault.SUBJECT),
    "two names": ({"attributes": {DISPLAY_NAME: ["Anna", "Eva"]}}, Fault.SUBJECT),
}


@pytest.mark.parametrize(("changed", "fault"), BROKEN.values(), ids=BROKEN)
async def test_an_answer_that_is_not_right_begins_nothing(
    visit: Visit, changed: dict[str, Any], fault: Fault
) -> None:
    refused(visit, await visit.answered(**changed), fault)


async def test_how_long_ago_a_person_showed_who_they_are_is_checked(visit: Visit) -> None:
    visit.settle(replace(SETTINGS, longest_since=5 * MINUTE))
    refused(visit, await visit.answered(authenticated=-7 * MINUTE), Fault.AUTHENTICATION_TIME)
    assert (await visit.answered(authenticated=-5 * MINUTE)).status_code == 303


async def test_an_answer_that_was_not_asked_for_in_this_browser_begins_nothing(visit: Visit) -> None:
    """An attacker plants another person's answer in a browser."""
    encoded = visit.service.visit(await visit.start()).encoded()
    visit.browser.cookies.clear()
    refused(visit, await visit.finish(encoded), Fault.UNSOLICITED)


async def test_an_answer_to_another_sign_in_of_the_same_browser_begins_nothing(visit: Visit) -> None:
    encoded = visit.service.visit(await visit.start()).encoded()
    await visit.start()
    refused(visit, await visit.finish(encoded), Fault.REQUEST)


async def test_an_answer_that_comes_again_begins_nothing(visit: Visit) -> None:
    encoded = visit.service.visit(await visit.start()).encoded()
    cookie = visit.browser.cookies[SIGN_IN]
    assert (await visit.finish(encoded)).status_code == 303
    visit.scene.store.sessions.clear()
    visit.browser.cookies.clear()
    visit.browser.cookies.set(SIGN_IN, cookie)
    refused(visit, await visit.finish(encoded), Fault.REPLAYED)


async def test_an_answer_that_comes_too_late_begins_nothing(visit: Visit) -> None:
    encoded = visit.service.visit(await visit.start()).encoded()
    visit.scene.clock.forward(10 * MINUTE + SECOND)
    refused(visit, await visit.finish(encoded), Fault.LATE)


async def test_an_answer_counts_at_the_organisation_that_asked(visit: Visit) -> None:
    """The same browser secret at another organisation belongs to another request."""
    encoded = visit.service.visit(await visit.start()).encoded()
    other = Scene(visit.scene.clock, key=b"o" * 32)
    async with other.browser() as browser:
        browser.cookies.set(SIGN_IN, visit.browser.cookies[SIGN_IN])
        elsewhere = Visit(other, visit.service, browser, visit.keys)
        elsewhere.settle(SETTINGS)
        refused(elsewhere, await elsewhere.finish(encoded), Fault.REQUEST)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_an_answer_counts_only_from_the_page_of_ours(visit: Visit, site: str) -> None:
    encoded = visit.service.visit(await visit.start()).encoded()
    answer = await visit.browser.post(
        "/sign-in/answer", data={"SAMLResponse": encoded}, headers={**SAME_ORIGIN, "sec-fetch-site": site}
    )
    assert (answer.status_code, visit.subjects) == (404, [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"SAMLResponse=",
        b"SAMLResponse=%3Cscript%3E",
        b"SAMLResponse=a&SAMLResponse=b",
        b"x" * 600_000,
    ],
)
async def test_what_is_posted_and_is_no_answer_is_not_shown(visit: Visit, body: bytes) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    page = await visit.browser.post("/sign-in/posted", content=body, headers={**FROM_ELSEWHERE, **kind})
    assert (page.status_code, "SAMLResponse" in page.text) == (403, False)


# --- attacks on the signature --------------------------------------------------------------------------


@dataclass
class Wrapping:
    """Anna's genuine answer with Eva inserted by an attacker (Somorovsky and others, On Breaking SAML)."""

    root: Element

    @staticmethod
    def named(element: Element) -> Element:
        for name in element.iter(f"{{{NAMES['saml']}}}NameID"):
            name.text = "eva"
        return element

    @property
    def assertion(self) -> Element:
        (found,) = self.root.findall("saml:Assertion", NAMES)
        return found

    def unsigned(self, element: Element) -> Element:
        """Return a copy of the element without its signature."""
        copy = deepcopy(element)
        for found in copy.findall("ds:Signature", NAMES):
            copy.remove(found)
        return copy

    def signature(self, element: Element) -> Element:
        (found,) = element.findall("ds:Signature", NAMES)
        return found


def xsw1(one: Wrapping) -> None:
    genuine, signature = one.unsigned(one.root), one.signature(one.root)
    one.named(one.root).set("ID", "_evil")
    signature.append(genuine)


def xsw2(one: Wrapping) -> None:
    genuine, signature = one.unsigned(one.root), one.signature(one.root)
    one.named(one.root).set("ID", "_evil")
    signature.addprevious(genuine)


def xsw3(one: Wrapping) -> None:
    evil = one.named(one.unsigned(one.assertion))
    evil.set("ID", "_evil")
    one.assertion.addprevious(evil)


def xsw4(one: Wrapping) -> None:
    genuine = one.assertion
    evil = one.named(one.unsigned(genuine))
    evil.set("ID", "_evil")
    one.root.append(evil)
    evil.append(genuine)


def xsw5(one: Wrapping) -> None:
    genuine = one.unsigned(one.assertion)
    one.named(one.assertion).set("ID", "_evil")
    one.root.append(genuine)


def xsw6(one: Wrapping) -> None:
    genuine, signature = one.unsigned(one.assertion), one.signature(one.assertion)
    one.named(one.assertion).set("ID", "_evil")
    signature.append(genuine)


def xsw7(one: Wrapping) -> None:
    extensions = etree.Element(f"{{{NAMES['samlp']}}}Extensions")
    extensions.append(one.named(one.unsigned(one.assertion)))
    one.assertion.addprevious(extensions)


def xsw8(one: Wrapping) -> None:
    genuine, signature = one.unsigned(one.assertion), one.signature(one.assertion)
    one.named(one.assertion).set("ID", "_evil")
    etree.SubElement(signature, f"{{{DS}}}Object").append(genuine)


def same_identifier(one: Wrapping) -> None:
    """Give Eva's assertion the identifier of Anna's, and her signature."""
    genuine = one.assertion
    evil = one.named(deepcopy(genuine))
    evil.append(one.unsigned(genuine))
    one.root.replace(genuine, evil)


def second_signature(one: Wrapping) -> None:
    """Add the attacker's own signature next to the genuine one."""
    evil = one.named(one.unsigned(one.assertion))
    evil.set("ID", "_evil")
    own = signed(evil, STRANGER)
    own.append(one.signature(one.assertion))
    one.root.replace(one.assertion, own)


def reference_to_everything(one: Wrapping) -> None:
    (reference,) = one.signature(one.assertion).iterfind(".//ds:Reference", NAMES)
    reference.set("URI", "")
    one.named(one.root)


def no_reference(one: Wrapping) -> None:
    (reference,) = one.signature(one.assertion).iterfind(".//ds:Reference", NAMES)
    parent = reference.getparent()
    assert parent is not None
    parent.remove(reference)
    one.named(one.root)


def changed(one: Wrapping) -> None:
    one.named(one.root)


ON_RESPONSE: list[Callable[[Wrapping], None]] = [xsw1, xsw2, changed]
ON_ASSERTION: list[Callable[[Wrapping], None]] = [
    *(xsw3, xsw4, xsw5, xsw6, xsw7, xsw8, changed),
    *(same_identifier, second_signature, reference_to_everything, no_reference),
]
ANNA_COMES_IN = {xsw7}
"""Changes that succeed for Anna, because the insertion is at a place that is not read."""


@pytest.mark.parametrize("attack", ON_RESPONSE, ids=lambda each: each.__name__)
@pytest.mark.parametrize("both", [False, True], ids=["response", "both"])
async def test_wrapping_of_a_signed_response(
    visit: Visit, attack: Callable[[Wrapping], None], both: bool
) -> None:
    visit.settle(replace(SETTINGS, encrypted=False))
    answer = await visit.answered(
        encrypted_for=None,
        response_key=SERVICE,
        assertion_key=SERVICE if both else None,
        last=lambda root: attack(Wrapping(root)),
    )
    assert (answer.status_code, visit.subjects) == (403, [])


@pytest.mark.parametrize("attack", ON_ASSERTION, ids=lambda each: each.__name__)
async def test_wrapping_of_a_signed_assertion(visit: Visit, attack: Callable[[Wrapping], None]) -> None:
    visit.settle(replace(SETTINGS, encrypted=False))
    answer = await visit.answered(encrypted_for=None, last=lambda root: attack(Wrapping(root)))
    expected = (303, ["anna"]) if attack in ANNA_COMES_IN else (403, [])
    assert (answer.status_code, visit.subjects) == expected


async def test_a_genuine_assertion_beside_which_another_is_encrypted_begins_nothing(visit: Visit) -> None:
    """Everyone has our public key, so only its signature shows whose an encrypted assertion is."""
    visit.settle(replace(SETTINGS, encrypted=False))
    url = await visit.start()
    genuine = replace(visit.service.visit(url), encrypted_for=None)
    evil = replace(visit.service.visit(url), assertion_key=None, name="eva").response()
    (planted,) = evil.findall("saml:EncryptedAssertion", NAMES)
    answer = await visit.finish(replace(genuine, last=lambda root: root.append(planted)).encoded())
    refused(visit, answer, Fault.ANSWER)


async def test_a_signature_over_the_whole_document_is_not_one_of_saml(visit: Visit) -> None:
    """Core 5.4.2: a reference names the element that contains the signature."""
    answer = replace(visit.service.visit(await visit.start()), assertion_key=None).response()
    sign_enveloped(answer, SERVICE.signing_key())
    whole = base64.b64encode(etree.tostring(answer)).decode()
    refused(visit, await visit.finish(whole), Fault.SIGNED_BY)


async def test_two_signatures_of_the_same_element_say_nothing(visit: Visit) -> None:
    answer = signed(replace(visit.service.visit(await visit.start())).response(), SERVICE)
    twice = signed(answer, SERVICE)
    twice.insert(0, twice[-1])
    assert len(twice.findall("ds:Signature", NAMES)) == 2
    refused(visit, await visit.finish(base64.b64encode(etree.tostring(twice)).decode()), Fault.SIGNED_BY)


async def test_a_signature_taken_out_begins_nothing(visit: Visit) -> None:
    def unsigned(root: Element) -> None:
        (signature,) = root.findall("ds:Signature", NAMES)
        root.remove(signature)

    refused(
        visit,
        await visit.answered(assertion_key=None, response_key=SERVICE, last=unsigned),
        Fault.SIGNED_BY,
    )


async def test_a_ciphertext_that_was_changed_does_not_open(visit: Visit) -> None:
    def flip(root: Element) -> None:
        *_, value = root.iter(f"{{{NAMES['xenc']}}}CipherValue")
        data = bytearray(base64.b64decode(value.text or ""))
        data[40] ^= 1
        value.text = base64.b64encode(data).decode()

    refused(visit, await visit.answered(last=flip), Fault.DECRYPTION)


HOSTILE = {
    "document type": b'<!DOCTYPE r [<!ENTITY x "eva">]><r/>',
    "no XML": b"Anna",
    "another document": b"<r/>",
    "too large": b"<r>" + b" " * 300_000 + b"</r>",
    "too deep": b"<a>" * 100 + b"</a>" * 100,
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE)
async def test_what_is_no_answer_begins_nothing(visit: Visit, document: bytes) -> None:
    await visit.start()
    refused(visit, await visit.finish(base64.b64encode(document).decode()), Fault.ANSWER)


@pytest.mark.parametrize(
    "plain",
    [
        lambda text: text + text,
        lambda text: b'<!DOCTYPE r [<!ENTITY x "eva">]>' + text,
        lambda text: b"</decrypted>" + text + b"<decrypted>",
        lambda text: b"anna",
        lambda text: b"",
    ],
    ids=["twice", "document type", "out of its place", "text", "nothing"],
)
async def test_what_is_decrypted_and_is_no_assertion_begins_nothing(
    visit: Visit, plain: Callable[[bytes], bytes]
) -> None:
    refused(visit, await visit.answered(plain=plain), Fault.ANSWER)


async def test_a_namespace_without_canonical_form_begins_nothing(visit: Visit) -> None:
    """A relative namespace has no canonical form, and an empty form must not count as the signed text."""

    def relative(root: Element) -> None:
        etree.SubElement(root, "{relative}r", nsmap={"x": "relative"})

    visit.settle(replace(SETTINGS, encrypted=False))
    answer = await visit.answered(encrypted_for=None, after_signing=relative)
    assert (answer.status_code, visit.subjects) == (403, [])


# --- metadata ------------------------------------------------------------------------------------------


SIGNED = replace(SETTINGS, signers=(FEDERATION.certificate,))


async def test_both_keys_of_a_service_that_replaces_one_are_taken(visit: Visit) -> None:
    visit.service.signers = [SERVICE, NEXT]
    assert (await visit.answered(assertion_key=NEXT)).status_code == 303
    assert (await visit.answered(assertion_key=SERVICE)).status_code == 303


async def test_a_key_that_is_no_longer_published_opens_nothing(visit: Visit) -> None:
    visit.service.signers = [SERVICE, NEXT]
    await visit.start()
    visit.service.signers = [NEXT]
    visit.scene.clock.forward(2 * MINUTE)
    refused(visit, await visit.answered(assertion_key=SERVICE), Fault.SIGNED_BY)


@pytest.mark.parametrize("around", [False, True], ids=["alone", "federation"])
async def test_metadata_that_who_may_has_signed_are_taken(visit: Visit, around: bool) -> None:
    visit.service.document = lambda: described([SERVICE], by=FEDERATION, around=around)
    visit.settle(SIGNED)
    assert (await visit.answered()).status_code == 303
    assert visit.service.read == 1


def _renamed(document: bytes) -> bytes:
    return document.replace(SSO.encode(), b"https://evil.test/sso")


METADATA_FAULTS: dict[str, tuple[SamlSettings, Callable[[], bytes]]] = {
    "unsigned": (SIGNED, lambda: described([SERVICE])),
    "signed by another": (SIGNED, lambda: described([SERVICE], by=STRANGER)),
    "changed after signing": (SIGNED, lambda: _renamed(described([SERVICE], by=FEDERATION))),
    "of another": (SETTINGS, lambda: described([SERVICE], entity="https://another.test")),
    "out of date": (SETTINGS, lambda: described([SERVICE], until="2026-11-26T09:00:00Z")),
    "without key": (SETTINGS, lambda: described([])),
    "by another binding": (SETTINGS, lambda: described([SERVICE], binding="HTTP-POST")),
    "by another protocol": (SETTINGS, lambda: described([SERVICE], protocols="urn:x")),
    "of no address": (SETTINGS, lambda: described([SERVICE], location="javascript:alert(1)")),
    "no XML": (SETTINGS, lambda: b"{}"),
    "a document type": (SETTINGS, lambda: b"<!DOCTYPE r>" + described([SERVICE])),
}


@pytest.mark.parametrize(("settings", "document"), METADATA_FAULTS.values(), ids=METADATA_FAULTS)
async def test_metadata_that_are_not_right_begin_nothing(
    visit: Visit, settings: SamlSettings, document: Callable[[], bytes]
) -> None:
    visit.service.document = document
    visit.settle(settings)
    answer = await visit.browser.get("/sign-in/start")
    assert (answer.status_code, SIGN_IN in visit.browser.cookies) == (503, False)
    assert "Det går inte att logga in just nu" in answer.text


async def test_metadata_that_run_out_while_they_are_kept_are_not_used(visit: Visit) -> None:
    visit.service.document = lambda: described([SERVICE], by=FEDERATION, until="2026-11-26T10:00:00Z")
    visit.settle(SIGNED)
    assert (await visit.browser.get("/sign-in/start")).status_code == 303
    visit.scene.clock.forward(8 * MINUTE)
    assert (await visit.browser.get("/sign-in/start")).status_code == 503


@dataclass
class Publisher:
    """An address with metadata, and its answer if it has one."""

    answer: Fetched | None
    asked: list[str] = field(default_factory=list)

    async def fetch(self, url: str, limits: FetchLimits, **more: Any) -> Fetched:
        self.asked.append(url)
        if self.answer is None:
            raise NoAnswer(HttpFault.UNREACHABLE)
        return self.answer


async def test_metadata_are_read_from_an_address(visit: Visit) -> None:
    good = Publisher(Fetched(200, "", described([SERVICE], by=FEDERATION)))
    provider = SamlProvider(SIGNED, from_address("https://md.test/habo", good), visit.scene.clock)
    assert (await provider.description()).sign_in == SSO
    assert good.asked == ["https://md.test/habo"]
    for answer in (None, Fetched(404, "", b""), Fetched(200, "", b"{}")):
        read = from_address("https://md.test/habo", Publisher(answer))
        with pytest.raises(ProviderUnavailable):
            await SamlProvider(SIGNED, read, visit.scene.clock).description()


async def test_metadata_in_a_file_are_read_again_when_it_was_replaced(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "idp.xml"
    provider = SamlProvider(SETTINGS, from_file(file), visit.scene.clock)
    with pytest.raises(ProviderUnavailable):
        await provider.description()
    for owner in (SERVICE, NEXT):
        file.write_bytes(described([owner]))
        visit.scene.clock.forward(MINUTE)
        assert (await provider.description()).signers == (owner.certificate,)
    file.unlink()
    visit.scene.clock.forward(MINUTE)
    assert (await provider.description()).signers == (NEXT.certificate,), (
        "the former metadata must bridge an outage"
    )


async def test_a_notice_of_openid_connect_ends_nothing(visit: Visit) -> None:
    await visit.answered()
    answer = await visit.browser.post("/sign-out/notice", data={"logout_token": "a.b.c"})
    assert (answer.status_code, visit.scene.faults) == (400, [Fault.EVENT])
    assert visit.subjects == ["anna"]


async def test_signing_out_says_where_one_is_signed_out(visit: Visit) -> None:
    page = await visit.browser.get("/signed-out")
    assert (page.status_code, "idp.habo.test" in page.text) == (200, False)
