"""Requests that change something: each guard refuses on its own, and a refusal reaches no handler."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from samdrift.net.journal import Journal
from samdrift.web.cookies import SESSION
from samdrift.web.guards import TOKEN_FIELD, TOKEN_HEADER
from samdrift.web.uploads import received
from tests.unit.web.scene import ORIGIN, SAME_ORIGIN, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def done() -> list[str]:
    """Return a record of the handlers' work."""
    return []


@pytest.fixture
async def browser(scene: Scene, done: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    async def act(request: Request) -> Response:
        form = await received(request)
        done.append(form["what"])
        return PlainTextResponse("done")

    async def forgetful(request: Request) -> Response:
        return PlainTextResponse("done")

    routes = (
        Route("/act", act, methods=["POST", "PUT", "DELETE", "PATCH"]),
        Route("/forgetful", forgetful, methods=["POST"]),
    )
    async with scene.browser(*routes) as browser:
        yield browser


async def post(
    browser: httpx.AsyncClient, data: dict[str, Any], headers: dict[str, str] | None = None
) -> httpx.Response:
    return await browser.post("/act", data=data, headers=SAME_ORIGIN if headers is None else headers)


async def test_a_form_of_a_page_for_the_session_is_accepted(
    scene: Scene, browser: httpx.AsyncClient, done: list[str]
) -> None:
    value = await scene.signed_in(browser)
    answer = await post(browser, scene.form(value, [("what", "send")]))
    assert (answer.status_code, done) == (200, ["send"])


async def test_under_no_referrer_a_browser_names_no_origin_for_its_own_form(
    scene: Scene, browser: httpx.AsyncClient, done: list[str]
) -> None:
    value = await scene.signed_in(browser)
    answer = await post(browser, scene.form(value), {**SAME_ORIGIN, "origin": "null"})
    assert (answer.status_code, done) == (200, [""])


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "", None])
async def test_another_site_is_refused_whatever_else_it_has(
    scene: Scene, browser: httpx.AsyncClient, done: list[str], site: str | None
) -> None:
    value = await scene.signed_in(browser)
    headers = {"origin": ORIGIN} | ({} if site is None else {"sec-fetch-site": site})
    answer = await post(browser, scene.form(value), headers)
    assert (answer.status_code, done) == (404, [])


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "https://mullsjo.sdk.test",
        "http://habo.sdk.test",
        f"{ORIGIN}:8443",
        f"{ORIGIN}.evil.test",
        "",
        None,
    ],
)
async def test_another_origin_is_refused_whatever_else_it_has(
    scene: Scene, browser: httpx.AsyncClient, done: list[str], origin: str | None
) -> None:
    value = await scene.signed_in(browser)
    headers = {"sec-fetch-site": "same-origin"} | ({} if origin is None else {"origin": origin})
    answer = await post(browser, scene.form(value), headers)
    assert (answer.status_code, done) == (404, [])


async def test_two_origins_are_refused(scene: Scene, browser: httpx.AsyncClient, done: list[str]) -> None:
    value = await scene.signed_in(browser)
    headers = [("origin", ORIGIN), ("origin", ORIGIN), ("sec-fetch-site", "same-origin")]
    answer = await browser.post("/act", data=scene.form(value), headers=headers)
    assert (answer.status_code, done) == (404, [])


async def test_a_form_without_the_sessions_token_is_refused(
    scene: Scene, browser: httpx.AsyncClient, done: list[str]
) -> None:
    await scene.signed_in(browser)
    other = await scene.signed_in(httpx.AsyncClient())
    for token in ("", "x", scene.sessions.form_token(other)):
        answer = await post(browser, {TOKEN_FIELD: token})
        assert (answer.status_code, done) == (403, [])


@pytest.mark.parametrize("kind", ["urlencoded", "multipart", "header"])
async def test_a_token_without_its_session_is_refused(
    scene: Scene, browser: httpx.AsyncClient, done: list[str], kind: str
) -> None:
    """The session has ended, but the browser still has the page."""
    value = await scene.signed_in(browser)
    form = scene.form(value)
    scene.clock.forward(timedelta(hours=1))
    if kind == "multipart":
        parts = {name: (None, text) for name, text in form.items()}
        answer = await browser.post("/act", files=parts, headers=SAME_ORIGIN)
    elif kind == "header":
        headers = {**SAME_ORIGIN, TOKEN_HEADER: form[TOKEN_FIELD]}
        answer = await browser.post("/act", headers=headers)
    else:
        answer = await post(browser, form)
    assert (answer.status_code, done) == (404 if kind == "header" else 403, [])


async def test_what_was_typed_when_the_session_had_ended_is_kept_and_can_be_sent_after_signing_in(
    scene: Scene, browser: httpx.AsyncClient, done: list[str]
) -> None:
    value = await scene.signed_in(browser)
    typed = 'rad 1\nrad 2 <b>"fet"</b> å'
    form = scene.form(value, [("what", typed)])
    scene.clock.forward(timedelta(hours=1))
    kept = await post(browser, form)
    assert "rad 1\nrad 2 &lt;b&gt;&#34;fet&#34;&lt;/b&gt; å" in kept.text
    assert "Logga in i ett nytt fönster" in kept.text
    browser.cookies.delete(SESSION)
    value = await scene.signed_in(browser)
    again = await post(browser, {TOKEN_FIELD: "", "what": typed})
    assert (again.status_code, done) == (403, [])
    assert "Du är inloggad igen" in again.text
    await post(browser, scene.form(value, [("what", typed)]))
    assert done == [typed]


async def test_the_token_may_be_in_a_header_for_scripts(
    scene: Scene, browser: httpx.AsyncClient, done: list[str]
) -> None:
    value = await scene.signed_in(browser)
    headers = {**SAME_ORIGIN, TOKEN_HEADER: scene.sessions.form_token(value)}
    assert (await browser.post("/act", headers=headers)).status_code == 200
    assert (await browser.post("/act", data={"what": "x"}, headers=headers)).status_code == 200
    assert done == ["", "x"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_every_method_that_is_not_reading_is_guarded(
    scene: Scene, browser: httpx.AsyncClient, done: list[str], method: str
) -> None:
    await scene.signed_in(browser)
    assert (await browser.request(method, "/act", headers={"origin": ORIGIN})).status_code == 404
    assert done == []


async def test_a_handler_that_does_not_look_at_the_token_gets_no_answer_out(
    scene: Scene, browser: httpx.AsyncClient
) -> None:
    await scene.signed_in(browser)
    answer = await browser.post("/forgetful", headers=SAME_ORIGIN)
    assert (answer.status_code, "done" in answer.text) == (500, False)
    assert "not verified" in str(scene.failures)


async def test_a_refused_request_is_answered_like_an_address_that_is_not_there(
    scene: Scene, browser: httpx.AsyncClient
) -> None:
    await scene.signed_in(browser)
    refused = await post(browser, {}, {"sec-fetch-site": "cross-site", "origin": "https://evil.test"})
    missing = await browser.get("/nothing/here")
    assert _without_tokens(refused) == _without_tokens(missing)


def _without_tokens(answer: httpx.Response) -> tuple[int, str]:
    lines = [line for line in answer.text.splitlines() if "token" not in line and "back=" not in line]
    return answer.status_code, "\n".join(lines)


async def test_a_refusal_is_logged_without_content(
    scene: Scene, browser: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    value = await scene.signed_in(browser)
    await post(browser, scene.form(value, [("what", "planted")]), {"sec-fetch-site": "cross-site"})
    assert "does not come from a page of this site" in caplog.text
    assert "planted" not in caplog.text
    assert value not in caplog.text


async def test_a_stranger_fills_no_journal(
    scene: Scene, browser: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Each kind of refusal that needs no session is one line a minute, however often it occurs."""
    for _ in range(20):
        await post(browser, {}, {"sec-fetch-site": "cross-site"})
        await browser.get("/sign-in/answer?state=x")
        await browser.post("/sign-in/posted", content=b"SAMLResponse=-")
        await browser.post("/sign-out/notice", content=b"logout_token=x")
    assert len(caplog.messages) == len(set(caplog.messages)) == 4


def test_a_line_that_was_left_out_is_counted_in_the_next_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    journal = Journal(lambda: now)
    for moment in (0.0, 1.0, 59.9, 60.0, 61.0, 500.0):
        now = moment
        journal("refused")
    journal("another")
    assert caplog.messages == [
        "refused",
        "refused (2 more times since the last such line)",
        "refused (1 more times since the last such line)",
        "another",
    ]
