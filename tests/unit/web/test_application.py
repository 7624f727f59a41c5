"""Policy, hosts, ends: the headers of every answer, and answers to strangers, closed vaults and faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from samdrift.web.application import signed_in
from samdrift.web.cookies import SESSION, cookie, drop_cookie, set_cookie
from samdrift.web.policy import file_headers
from samdrift.web.sites import Closed
from tests.unit.web.scene import ANNA, ORIGIN, SAME_ORIGIN, Scene

POLICY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
async def browser(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    async def lax(request: Request) -> Response:
        """Try to relax the policy, in vain."""
        headers = dict.fromkeys(POLICY, "otherwise")
        return PlainTextResponse("lax", headers=headers)

    async def file(request: Request) -> Response:
        return Response(
            b"<script>", headers=file_headers("../Ö\r\n\"a'\u202elmth.exe.html"), media_type="text/html"
        )

    async def broken(request: Request) -> Response:
        raise RuntimeError("planted")

    async def inside(request: Request) -> Response:
        return PlainTextResponse("inside")

    routes = (
        Route("/lax", lax),
        Route("/file", file),
        Route("/broken", broken),
        Route("/inside", signed_in(inside)),
    )
    async with scene.browser(*routes) as browser:
        yield browser


@pytest.mark.parametrize(
    "path", ["/lax", "/sign-in", "/nothing", "/inside", "/signed-out", "/static/x.css", "/broken"]
)
async def test_every_answer_has_the_policy(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)
    assert {name: answer.headers.get_list(name) for name in POLICY} == {
        name: [value] for name, value in POLICY.items()
    }


async def test_what_is_found_by_its_hash_may_be_kept_and_is_no_page(
    scene: Scene, browser: httpx.AsyncClient
) -> None:
    answer = await browser.get(scene.pages().assets.path("style.css"))
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


async def test_a_file_is_saved_and_cannot_run(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/file")
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"___a_lmth.exe.html\"; filename*=UTF-8''_%C3%96_a_lmth.exe.html"
    )


@pytest.mark.parametrize(
    "host", ["mullsjo.sdk.test", "habo.sdk.test.evil.test", "habo.sdk.test:8443", "", "x"]
)
@pytest.mark.parametrize("path", ["/", "/sign-in", "/inside", "/static/style.css", "/nothing"])
async def test_an_unknown_host_gets_the_same_bare_answer_everywhere(
    browser: httpx.AsyncClient, host: str, path: str
) -> None:
    answer = await browser.get(path, headers={"host": host})
    assert (answer.status_code, answer.content, dict(answer.headers)) == (
        404,
        b"",
        {"cache-control": "no-store", "content-length": "0"},
    )


async def test_a_host_is_known_in_any_letters_and_only_once(scene: Scene, browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/sign-in", headers={"host": "HABO.sdk.test"})).status_code == 200
    both = [("host", "habo.sdk.test"), ("host", "habo.sdk.test")]
    assert (await browser.get("/sign-in", headers=both)).status_code == 404


@pytest.mark.parametrize(
    ("why", "text"),
    [(Closed.LOCKED, "är låsta"), (Closed.SUSPENDED, "är pausade")],
    ids=["locked", "suspended"],
)
async def test_a_closed_organisation_shows_one_page_and_whom_to_call(
    scene: Scene, browser: httpx.AsyncClient, why: Closed, text: str
) -> None:
    await scene.signed_in(browser)
    scene.site = replace(scene.site, closed=why)
    for path in ("/", "/inside", "/sign-in", "/sign-in/start", "/nothing"):
        answer = await browser.get(path)
        assert answer.status_code == 503
        assert text in answer.text
        assert "Ring växeln, 0171-525 00." in answer.text
    assert "inside" not in answer.text
    assert scene.store.touched == 0


async def test_a_page_for_people_who_are_signed_in_leads_others_to_sign_in_and_back(
    scene: Scene, browser: httpx.AsyncClient
) -> None:
    answer = await browser.get("/inside")
    assert (answer.status_code, "inside" in answer.text.replace("back=/inside", "")) == (401, False)
    assert 'href="/sign-in/start?back=/inside"' in answer.text
    assert "Logga in till Håbo kommun" in answer.text
    await scene.signed_in(browser)
    assert (await browser.get("/inside")).text == "inside"


async def test_where_a_session_has_ended_the_page_says_so(browser: httpx.AsyncClient) -> None:
    browser.cookies.set(SESSION, "x" * 43)
    answer = await browser.get("/inside")
    assert (answer.status_code, "Du har loggats ut" in answer.text) == (401, True)
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_a_fault_is_shown_without_what_failed(scene: Scene, browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/broken")
    assert (answer.status_code, "planted" in answer.text) == (500, False)
    assert "Något gick fel hos oss" in answer.text
    assert [str(each) for each in scene.failures] == ["planted"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_address_with_a_slash_too_many_is_not_there(
    scene: Scene, browser: httpx.AsyncClient, method: str
) -> None:
    """A redirect would repeat the ``Host`` field, so none is made."""
    answer = await browser.request(method, "/lax/", headers=SAME_ORIGIN)
    assert (answer.status_code, scene.failures) == (404, [])


def test_a_cookie_that_is_there_twice_is_none() -> None:
    def of(*fields: str) -> Request:
        return Request({"type": "http", "headers": [(b"cookie", each.encode()) for each in fields]})

    assert cookie(of("__Host-session=a; x=y"), SESSION) == "a"
    assert cookie(of("__Host-session=a; __Host-session=b"), SESSION) is None
    assert cookie(of("__Host-session=a", "__Host-session=a"), SESSION) is None
    assert cookie(of("__Host-session=a b"), SESSION) is None
    assert cookie(of("x__Host-session=a"), SESSION) is None


def test_a_cookies_value_adds_no_attributes() -> None:
    response = Response()
    with pytest.raises(ValueError, match="letters"):
        set_cookie(response, SESSION, "a; Domain=sdk.test")
    drop_cookie(response, SESSION)
    expected = "__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
    assert response.headers.getlist("set-cookie") == [expected]


def test_the_origin_of_a_site_is_not_taken_from_a_request() -> None:
    assert Scene().site.origin == ORIGIN


async def test_a_page_is_told_whose_session_it_has_now_and_gets_a_token_for_its_forms() -> None:
    scene = Scene()
    async with scene.browser() as browser:
        assert (await browser.get("/session/now")).status_code == 401
        value = await scene.signed_in(browser)
        scene.clock.forward(timedelta(hours=9, minutes=45) - timedelta(minutes=29))
        scene.store.sessions = {
            mark: replace(one, used=scene.clock()) for mark, one in scene.store.sessions.items()
        }
        scene.clock.forward(timedelta(minutes=29))
        told = (await browser.get("/session/now")).json()
    assert (told["seconds"], told["lasts"]) == (15 * 60, 15 * 60)
    assert told["whose"] == scene.sessions.whose(ANNA)
    assert scene.sessions.is_form_token(value, told["token"])
    assert scene.sessions.whose(replace(ANNA, subject="bo")) != told["whose"]
    assert "anna" not in told["whose"]
