"""Sign-in by OpenID Connect: the way there and back, and every check broken by a sign-in service."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey

from samdrift.web.cookies import SESSION, SIGN_IN
from samdrift.web.signin.faults import Fault
from samdrift.web.signin.pending import local
from samdrift.web.signin.provider import WELL_KNOWN
from samdrift.wire.jose.keys import Algorithm
from tests.unit.messageservice.oauth.scene import curve_key, rsa_key
from tests.unit.web.provider import SignInService
from tests.unit.web.scene import ISSUER, LEVEL, ORIGIN, Clock, Scene

MINUTE = timedelta(minutes=1)


@dataclass
class Visit:
    """A person with a browser, the site, and the sign-in service."""

    scene: Scene
    service: SignInService
    browser: httpx.AsyncClient

    async def start(self, back: str = "/list") -> str:
        """Follow the link to the sign-in service; return its address."""
        answer = await self.browser.get(f"/sign-in/start?{urlencode({'back': back})}")
        assert answer.status_code == 303, answer.status_code
        return answer.headers["location"]

    async def finish(self, parameters: dict[str, list[str]]) -> httpx.Response:
        """Return from the sign-in service."""
        return await self.browser.get(f"/sign-in/answer?{urlencode(parameters, doseq=True)}")

    async def sign_in(self) -> httpx.Response:
        return await self.finish(self.service.visit(await self.start()))


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    clock = Clock()
    service = SignInService(clock)
    scene = Scene(clock, outgoing=service)
    async with scene.browser() as browser:
        yield Visit(scene, service, browser)


async def settled(visit: Visit, **changed: Any) -> Visit:
    """Return the same visit with other settings of the organisation."""
    settings = replace(visit.scene.settings, **changed)
    scene = Scene(visit.scene.clock, outgoing=visit.service, settings=settings)
    return Visit(scene, visit.service, scene.browser())


def refused(visit: Visit, answer: httpx.Response, *faults: Fault) -> None:
    """Check that there is no session, the page hides the fault, and the organisation's log has it."""
    assert (answer.status_code, visit.scene.store.sessions) == (403, {})
    assert SESSION not in answer.headers.get("set-cookie", "")
    assert tuple(visit.scene.faults) == faults
    assert "Du blev inte inloggad" in answer.text
    assert not any(fault.value in answer.text for fault in Fault)


async def test_a_person_comes_back_with_a_session_to_where_they_wanted(visit: Visit) -> None:
    answer = await visit.sign_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/list")
    (session,) = visit.scene.store.sessions.values()
    person = session.person
    assert (person.subject, person.name, person.level) == ("anna", "Anna Andersson", LEVEL)
    assert (person.issuer, person.provider_session) == (ISSUER, "session-1")
    assert await visit.scene.sessions.find(visit.browser.cookies[SESSION]) == session


async def test_the_request_asks_for_what_the_checks_need(visit: Visit) -> None:
    asked = parse_qs(urlsplit(await visit.start()).query)
    assert {name: asked[name] for name in ("response_type", "client_id", "scope", "acr_values")} == {
        "response_type": ["code"],
        "client_id": ["samdrift"],
        "scope": ["openid profile"],
        "acr_values": [LEVEL],
    }
    assert asked["redirect_uri"] == [f"{ORIGIN}/sign-in/answer"]
    assert asked["code_challenge_method"] == ["S256"]
    again = parse_qs(urlsplit(await visit.start()).query)
    secrets = [each[name][0] for each in (asked, again) for name in ("state", "nonce", "code_challenge")]
    assert len(set(secrets)) == 6
    assert all(len(each) == 43 for each in secrets)


async def test_cookies_are_bound_to_the_host_and_out_of_reach_of_scripts(visit: Visit) -> None:
    began = await visit.browser.get("/sign-in/start")
    answer = await visit.finish(visit.service.visit(began.headers["location"]))
    for given, name in ((began, SIGN_IN), (answer, SESSION)):
        (cookie,) = [
            one
            for one in given.headers.get_list("set-cookie")
            if one.startswith(f"{name}=") and "Max-Age=0" not in one
        ]
        attributes = [each.strip() for each in cookie.split(";")[1:]]
        assert name.startswith("__Host-")
        assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(attributes)
        assert not any(each.startswith("Domain") for each in attributes)


async def test_the_cookie_of_the_sign_in_is_forgotten_after_it(visit: Visit) -> None:
    await visit.sign_in()
    assert SIGN_IN not in visit.browser.cookies


async def test_signing_in_again_ends_the_session_of_before(visit: Visit) -> None:
    await visit.sign_in()
    first = visit.browser.cookies[SESSION]
    await visit.sign_in()
    assert visit.browser.cookies[SESSION] != first
    assert await visit.scene.sessions.find(first) is None


async def test_an_answer_that_was_not_asked_for_begins_nothing(visit: Visit) -> None:
    """An attacker plants another person's answer in a browser."""
    other = await settled(visit)
    parameters = other.service.visit(await other.start())
    refused(visit, await visit.finish(parameters), Fault.UNSOLICITED)


async def test_an_answer_to_another_sign_in_of_the_same_browser_begins_nothing(visit: Visit) -> None:
    parameters = visit.service.visit(await visit.start())
    await visit.start()
    refused(visit, await visit.finish(parameters), Fault.STATE)


async def test_an_answer_that_comes_again_begins_nothing_even_if_the_code_is_redeemed_again(
    visit: Visit,
) -> None:
    parameters = visit.service.visit(await visit.start())
    cookie = visit.browser.cookies[SIGN_IN]
    codes = dict(visit.service._codes)
    await visit.finish(parameters)
    assert len(visit.scene.store.sessions) == 1
    visit.scene.store.sessions.clear()
    visit.service._codes.update(codes)
    visit.browser.cookies.clear()
    visit.browser.cookies.set(SIGN_IN, cookie)
    refused(visit, await visit.finish(parameters), Fault.REPLAYED)


async def test_an_answer_that_comes_too_late_begins_nothing(visit: Visit) -> None:
    parameters = visit.service.visit(await visit.start())
    visit.scene.clock.forward(10 * MINUTE + timedelta(seconds=1))
    refused(visit, await visit.finish(parameters), Fault.LATE)


async def test_time_and_page_in_the_cookie_cannot_be_changed(visit: Visit) -> None:
    parameters = visit.service.visit(await visit.start())
    secret, began, back = visit.browser.cookies[SIGN_IN].split(".", 2)
    for changed in (f"{secret}.{int(began) - 1}.{back}", f"{secret}.{began}./elsewhere"):
        visit.browser.cookies.set(SIGN_IN, changed, domain="habo.sdk.test")
        await visit.finish(parameters)
    assert visit.scene.faults == [Fault.STATE, Fault.STATE]


async def test_an_answer_counts_at_the_organisation_that_asked(visit: Visit) -> None:
    """The same browser secret at another organisation belongs to another state."""
    parameters = visit.service.visit(await visit.start())
    other = Scene(visit.scene.clock, outgoing=visit.service, key=b"o" * 32)
    async with other.browser() as browser:
        browser.cookies.set(SIGN_IN, visit.browser.cookies[SIGN_IN])
        answer = await browser.get(f"/sign-in/answer?{urlencode(parameters, doseq=True)}")
    refused(Visit(other, visit.service, browser), answer, Fault.STATE)


OTHER_KEY = curve_key(2)
ANSWERS: list[tuple[dict[str, Any], Fault]] = [
    ({"state": "x"}, Fault.STATE),
    ({"state": None}, Fault.STATE),
    ({"state": ["x", "y"]}, Fault.STATE),
    ({"iss": "https://evil.test"}, Fault.ISSUER_OF_ANSWER),
    ({"iss": f"{ISSUER}/"}, Fault.ISSUER_OF_ANSWER),
    ({"iss": [ISSUER, "https://evil.test"]}, Fault.ISSUER_OF_ANSWER),
    ({"iss": None}, Fault.ISSUER_OF_ANSWER),
    ({"error": "access_denied", "code": None}, Fault.REFUSED),
    ({"code": None}, Fault.CODE),
    ({"code": "made up"}, Fault.CODE),
    ({"code": ["a", "b"]}, Fault.CODE),
]


@pytest.mark.parametrize(("answer", "fault"), ANSWERS, ids=str)
async def test_an_answer_that_is_not_right_begins_nothing(
    visit: Visit, answer: dict[str, Any], fault: Fault
) -> None:
    visit.service.answer = answer
    refused(visit, await visit.sign_in(), fault)


async def test_an_issuer_that_says_it_does_not_name_itself_need_not(visit: Visit) -> None:
    visit.service.metadata = {"authorization_response_iss_parameter_supported": None}
    visit.service.answer = {"iss": None}
    assert (await visit.sign_in()).status_code == 303


async def test_an_issuer_that_need_not_name_itself_and_names_another_begins_nothing(visit: Visit) -> None:
    visit.service.metadata = {"authorization_response_iss_parameter_supported": None}
    visit.service.answer = {"iss": "https://evil.test"}
    refused(visit, await visit.sign_in(), Fault.ISSUER_OF_ANSWER)


CLAIMS: list[tuple[dict[str, Any], Fault]] = [
    ({"iss": "https://evil.test"}, Fault.ISSUER),
    ({"iss": f"{ISSUER}/"}, Fault.ISSUER),
    ({"iss": None}, Fault.TOKEN),
    ({"aud": "another"}, Fault.AUDIENCE),
    ({"aud": None}, Fault.AUDIENCE),
    ({"aud": []}, Fault.AUDIENCE),
    ({"aud": ["samdrift", "another"]}, Fault.AUDIENCE),
    ({"aud": ["samdrift", "another"], "azp": "another"}, Fault.AUDIENCE),
    ({"azp": "another"}, Fault.AUDIENCE),
    ({"exp": 1}, Fault.TIME),
    ({"exp": None}, Fault.TIME),
    ({"iat": None}, Fault.TIME),
    ({"iat": 4_000_000_000, "exp": 4_000_000_300}, Fault.TIME),
    ({"exp": 4_000_000_000}, Fault.TIME),
    ({"nbf": 4_000_000_000}, Fault.TIME),
    ({"nonce": "x"}, Fault.NONCE),
    ({"nonce": None}, Fault.CLAIMS),
    ({"acr": "http://id.sambi.se/loa/loa2"}, Fault.LEVEL),
    ({"acr": [LEVEL]}, Fault.CLAIMS),
    ({"acr": None}, Fault.CLAIMS),
    ({"sub": None}, Fault.CLAIMS),
    ({"sub": "x" * 256}, Fault.CLAIMS),
    ({"name": None}, Fault.CLAIMS),
    ({"sid": 5}, Fault.CLAIMS),
]


@pytest.mark.parametrize(("claims", "fault"), CLAIMS, ids=str)
async def test_an_id_token_that_is_not_right_begins_nothing(
    visit: Visit, claims: dict[str, Any], fault: Fault
) -> None:
    visit.service.claims = claims
    refused(visit, await visit.sign_in(), fault)


async def test_an_id_token_of_before_the_sign_in_began_begins_nothing(visit: Visit) -> None:
    now = int(visit.scene.clock().timestamp())
    visit.service.claims = {"iat": now - 60, "exp": now + 300}
    refused(visit, await visit.sign_in(), Fault.TIME)


async def test_a_token_for_several_that_was_issued_to_us_is_accepted(visit: Visit) -> None:
    visit.service.claims = {"aud": ["another", "samdrift"], "azp": "samdrift"}
    assert (await visit.sign_in()).status_code == 303


async def test_clocks_may_differ_by_half_a_minute(visit: Visit) -> None:
    now = int(visit.scene.clock().timestamp())
    visit.service.claims = {"iat": now + 25, "exp": now + 300, "auth_time": now + 25}
    assert (await visit.sign_in()).status_code == 303


async def test_a_token_that_another_key_has_signed_begins_nothing(visit: Visit) -> None:
    visit.service.key = OTHER_KEY
    refused(visit, await visit.sign_in(), Fault.SIGNATURE)


async def test_a_token_without_signature_begins_nothing(visit: Visit) -> None:
    visit.service.id_token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmhhYm8udGVzdCJ9."
    refused(visit, await visit.sign_in(), Fault.TOKEN)


async def test_a_token_signed_with_our_shared_secret_begins_nothing(visit: Visit) -> None:
    visit.service.key = OctKey.import_key("secret" * 6)
    visit.service.header = {"alg": "HS256", "typ": "JWT"}
    refused(visit, await visit.sign_in(), Fault.TOKEN)


async def test_an_algorithm_that_the_organisation_does_not_accept_begins_nothing(visit: Visit) -> None:
    visit = await settled(visit, algorithms=frozenset({Algorithm.ES256}))
    visit.service.key, visit.service.published = rsa_key(1), [rsa_key(1)]
    visit.service.header = {"alg": "RS256", "typ": "JWT"}
    refused(visit, await visit.sign_in(), Fault.ALGORITHM)


async def test_a_token_of_another_type_begins_nothing(visit: Visit) -> None:
    """A logout token or an access token of the same issuer is not an ID token."""
    for kind in ("logout+jwt", "at+jwt"):
        visit.service.header = {"typ": kind, "kid": "ec-1"}
        await visit.sign_in()
    assert (visit.scene.faults, visit.scene.store.sessions) == ([Fault.SIGNATURE] * 2, {})


@pytest.mark.parametrize("answer", ["", "x.y.z", "eyJ.eyJ.x", "a" * 20_000])
async def test_what_is_no_token_begins_nothing(visit: Visit, answer: str) -> None:
    visit.service.id_token = answer or "."
    refused(visit, await visit.sign_in(), Fault.TOKEN)


async def test_a_key_that_was_changed_is_fetched(visit: Visit) -> None:
    await visit.sign_in()
    visit.scene.clock.forward(MINUTE)
    visit.service.key, visit.service.published = OTHER_KEY, [OTHER_KEY]
    visit.service.header = {"typ": "JWT", "kid": "ec-2"}
    assert (await visit.sign_in()).status_code == 303
    visit.service.key, visit.service.header = curve_key(1), {"typ": "JWT", "kid": "ec-1"}
    visit.scene.clock.forward(MINUTE)
    assert (await visit.sign_in()).status_code == 403


async def test_how_long_ago_a_person_showed_who_they_are_is_asked_for_and_checked(visit: Visit) -> None:
    visit = await settled(visit, longest_since=5 * MINUTE)
    assert "max_age=300" in await visit.start()
    assert (await visit.sign_in()).status_code == 303
    visit.scene.store.sessions.clear()
    now = int(visit.scene.clock().timestamp())
    for at in (None, now - 400):
        visit.service.claims = {"auth_time": at}
        assert (await visit.sign_in()).status_code == 403
    assert visit.scene.faults == [Fault.AUTHENTICATION_TIME] * 2
    assert visit.scene.store.sessions == {}


async def test_claims_that_the_organisation_maps_are_kept_and_no_others(visit: Visit) -> None:
    visit = await settled(visit, claims=("groups", "title"))
    visit.service.claims = {"groups": ["soc", "reg"], "email": "anna@habo.test"}
    await visit.sign_in()
    (session,) = visit.scene.store.sessions.values()
    assert session.person.claims == {"groups": ("soc", "reg")}


@pytest.mark.parametrize("path", [WELL_KNOWN, "/token", "/keys"])
async def test_a_service_that_is_down_is_said_to_be_down(visit: Visit, path: str) -> None:
    visit.service.down = {path}
    if path == WELL_KNOWN:
        answer = await visit.browser.get("/sign-in/start")
    else:
        answer = await visit.sign_in()
    assert (answer.status_code, visit.scene.store.sessions) == (503, {})
    assert "Det går inte att logga in just nu" in answer.text


async def test_metadata_bridge_an_outage_of_a_day(visit: Visit) -> None:
    await visit.start()
    visit.service.down = {WELL_KNOWN}
    visit.scene.clock.forward(timedelta(hours=23))
    await visit.start()
    visit.scene.clock.forward(timedelta(hours=2))
    assert (await visit.browser.get("/sign-in/start")).status_code == 503


async def test_several_people_who_come_first_wait_for_the_same_metadata(visit: Visit) -> None:
    visit.service.slow = 0.05
    answers = await asyncio.gather(*(visit.browser.get("/sign-in/start") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [303] * 5
    assert visit.service.called == [ISSUER + WELL_KNOWN]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.test"},
        {"issuer": None},
        {"authorization_endpoint": None},
        {"token_endpoint": "javascript:alert(1)"},
        {"jwks_uri": 5},
        {"code_challenge_methods_supported": ["plain"]},
    ],
    ids=str,
)
async def test_metadata_that_are_not_right_begin_nothing(visit: Visit, metadata: dict[str, Any]) -> None:
    visit.service.metadata = metadata
    assert (await visit.browser.get("/sign-in/start")).status_code == 503


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "/%2fevil.test",
        "javascript:alert(1)",
        "/list\r\nset-cookie: a=b",
        "/../../x",
        "",
        "/" + "x" * 400,
        "list",
    ],
)
def test_nobody_is_sent_elsewhere_after_signing_in(back: str) -> None:
    assert local(back) == "/"


@pytest.mark.parametrize("back", ["/", "/list", "/m/3f-_x~1/reply", "/list/"])
def test_a_page_of_ours_is_kept(back: str) -> None:
    assert local(back) == back


async def test_signing_out_ends_the_session_and_offers_the_way_out_of_the_service(visit: Visit) -> None:
    await visit.sign_in()
    value = visit.browser.cookies[SESSION]
    headers = {"sec-fetch-site": "same-origin", "origin": ORIGIN}
    answer = await visit.browser.post("/sign-out", data=visit.scene.form(value), headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signed-out")
    assert SESSION not in visit.browser.cookies
    assert await visit.scene.sessions.find(value) is None
    page = (await visit.browser.get("/signed-out")).text
    (link,) = re.findall(r'href="(https://login[^"]+)"', page)
    assert link.startswith(f"{ISSUER}/end?client_id=samdrift&amp;post_logout_redirect_uri=")
    assert "anna" not in link


async def test_a_service_without_an_end_of_its_own_is_not_offered(visit: Visit) -> None:
    visit.service.metadata = {"end_session_endpoint": None}
    page = await visit.browser.get("/signed-out")
    assert (page.status_code, ISSUER in page.text) == (200, False)


async def notify(visit: Visit, token: str) -> int:
    return (await visit.browser.post("/sign-out/notice", data={"logout_token": token})).status_code


@pytest.mark.parametrize(
    "named",
    [{"sub": "anna"}, {"sub": None, "sid": "session-1"}, {"sub": "anna", "sid": "session-1"}],
    ids=str,
)
async def test_the_service_ends_sessions(visit: Visit, named: dict[str, Any]) -> None:
    await visit.sign_in()
    assert await notify(visit, visit.service.logout_token(**named)) == 200
    assert visit.scene.store.sessions == {}


@pytest.mark.parametrize(
    "named", [{"sub": "bo"}, {"sub": None, "sid": "session-2"}, {"sid": "session-2"}], ids=str
)
async def test_the_service_ends_no_others_sessions(visit: Visit, named: dict[str, Any]) -> None:
    await visit.sign_in()
    assert await notify(visit, visit.service.logout_token(**named)) == 200
    assert len(visit.scene.store.sessions) == 1


async def test_a_notice_that_is_sent_again_ends_nothing_that_began_after_it(visit: Visit) -> None:
    await visit.sign_in()
    notice = visit.service.logout_token()
    assert await notify(visit, notice) == 200
    visit.scene.clock.forward(MINUTE)
    await visit.sign_in()
    assert await notify(visit, notice) == 200
    assert len(visit.scene.store.sessions) == 1


NOTICES: list[tuple[dict[str, Any], Fault]] = [
    ({"iss": "https://evil.test"}, Fault.ISSUER),
    ({"aud": "another"}, Fault.AUDIENCE),
    ({"exp": 1}, Fault.TIME),
    ({"exp": None}, Fault.TIME),
    ({"iat": None}, Fault.TIME),
    ({"nonce": "x"}, Fault.EVENT),
    ({"events": {}}, Fault.EVENT),
    ({"events": None}, Fault.EVENT),
    ({"events": ["http://schemas.openid.net/event/backchannel-logout"]}, Fault.EVENT),
    ({"sub": None}, Fault.CLAIMS),
]


@pytest.mark.parametrize(("claims", "fault"), NOTICES, ids=str)
async def test_a_notice_that_is_not_right_ends_nothing(
    visit: Visit, claims: dict[str, Any], fault: Fault
) -> None:
    await visit.sign_in()
    assert await notify(visit, visit.service.logout_token(**claims)) == 400
    assert (len(visit.scene.store.sessions), visit.scene.faults) == (1, [fault])


async def test_a_notice_that_another_key_has_signed_ends_nothing(visit: Visit) -> None:
    await visit.sign_in()
    visit.service.key = OTHER_KEY
    assert await notify(visit, visit.service.logout_token()) == 400
    assert len(visit.scene.store.sessions) == 1


async def test_an_id_token_is_no_notice(visit: Visit) -> None:
    await visit.sign_in()
    now = int(visit.scene.clock().timestamp())
    claims = {"iss": ISSUER, "aud": "samdrift", "sub": "anna", "iat": now, "exp": now + 60}
    assert await notify(visit, visit.service.signed(claims)) == 400
    assert len(visit.scene.store.sessions) == 1


async def test_the_language_is_kept_when_it_is_chosen_on_a_page_of_ours(visit: Visit) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    await visit.browser.get("/language/en?back=/sign-in", headers=headers)
    assert "Logga in" in (await visit.browser.get("/sign-in")).text
    answer = await visit.browser.get("/language/en?back=/sign-in", headers={"sec-fetch-site": "same-origin"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "Sign in to Håbo kommun" in (await visit.browser.get("/sign-in")).text
