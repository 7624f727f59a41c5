"""An application called by its own process sees and answers the same as over the network."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.types import ASGIApp, Receive, Scope, Send

from samdrift.net import inprocess
from samdrift.net.client import HttpClient, HttpFault, NoAnswer
from samdrift.net.guard import guarded
from samdrift.net.inprocess import InProcess, called_here
from samdrift.net.server import CLIENT_CERTIFICATE, SHOWN_CERTIFICATE
from tests.unit.net.calling import MIB, call, fault, pieces
from tests.unit.net.test_tls import SECOND, write
from tests.unit.net.ways import HERE, WAYS, Way
from tests.vaults import until

pytestmark = pytest.mark.usefixtures("files_looked_at_always")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    return Way(request.param, tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> Way:
    return Way(HERE, tmp_path)


async def answer(send: Send, body: bytes = b"", status: int = 200, *fields: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(fields)})
    await send({"type": "http.response.body", "body": body})


async def told(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the visible facts about a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    fields = {name.decode(): value.decode() for name, value in scope["headers"]}
    seen = {
        **{name: scope[name] for name in ("type", "http_version", "scheme", "method", "path", "root_path")},
        "raw_path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "certificate": scope[CLIENT_CERTIFICATE],
        "shown": hashlib.sha256(scope[SHOWN_CERTIFICATE]).hexdigest(),
        "length": fields.get("content-length"),
        "chunked": fields.get("transfer-encoding"),
        "given": fields.get("x-given"),
        "body": body.decode(),
    }
    await answer(send, json.dumps(seen).encode())


async def seen(client: HttpClient, url: str, *content: Any, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await call(client, url, *content, **options))
    return found


def fingerprint(way: Way, name: str) -> str:
    certificate = x509.load_pem_x509_certificates((way.folder / f"{name}.pem").read_bytes())[0]
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


async def test_a_request_is_what_it_would_be_over_the_network(tmp_path: Path) -> None:
    requests: list[list[dict[str, Any]]] = []
    for name in WAYS:
        (tmp_path / name).mkdir()
        way = Way(name, tmp_path / name)
        async with way.reached(told, way.caller()) as (url, (client,)):
            found = [
                await seen(client, f"{url}/a/b%2Fc?d=%20e", method="GET"),
                await seen(client, f"{url}/", b"body", method="PUT", headers={"X-Given": "yes"}),
                await seen(client, f"{url}/", pieces(3, 4), length=7),
                await seen(client, f"{url}/", pieces(3, 4)),
            ]
        for one in found:
            assert one.pop("certificate") == one.pop("shown") == fingerprint(way, "caller")
        requests.append(found)
    assert requests[0] == requests[1]
    assert [one["body"] for one in requests[1]] == ["", "body", "xxxxxxx", "xxxxxxx"]


async def test_nothing_in_a_request_names_another_caller(way: Way) -> None:
    """Neither the fields in which a front names a certificate do so, nor one with the name in the scope."""
    async with way.reached(told, way.caller("one"), way.caller("other")) as (url, (one, other)):
        theirs = (await seen(other, url))["certificate"]
        claims = {"client-cert": theirs, "samdrift-vouched": theirs, CLIENT_CERTIFICATE: theirs}
        shown = await seen(one, url, headers=claims)
    assert theirs == fingerprint(way, "other")
    assert shown["certificate"] == shown["shown"] == fingerprint(way, "one")


async def test_who_is_not_trusted_gets_no_answer(way: Way) -> None:
    asked = []

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope[CLIENT_CERTIFICATE])
        await answer(send)

    callers = way.caller("known"), way.caller("stranger", SECOND), way.caller("former", days=-1)
    async with way.reached(noting, *callers) as (url, (known, stranger, former)):
        await call(known, url)
        for one in (stranger, former):
            assert await fault(one, url) is HttpFault.UNREACHABLE
    assert asked == [fingerprint(way, "known")]


async def test_a_listener_that_is_not_trusted_is_told_nothing(way: Way) -> None:
    """It is not trusted if its issuer or its name is another one."""

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        pytest.fail("the application was called")

    caller = way.caller()
    async with way.reached(never, caller, host="elsewhere") as (url, (client,)):
        assert await fault(client, url) is HttpFault.UNREACHABLE
    async with way.reached(never, caller) as (url, (client,)):
        write(way.trust, SECOND.certificate)
        assert await fault(client, url) is HttpFault.UNREACHABLE


async def test_a_certificate_that_is_replaced_is_the_one_that_is_shown(way: Way) -> None:
    async with way.reached(told, way.caller()) as (url, (client,)):
        first = (await seen(client, url))["certificate"]
        way.identity("caller")
        second = (await seen(client, url))["certificate"]
        assert first != second == fingerprint(way, "caller")


async def test_an_issuer_that_is_removed_is_trusted_no_more_at_the_next_call(here: Way) -> None:
    """Over the network an existing connection goes on; here there is none."""
    async with here.reached(told, here.caller()) as (url, (client,)):
        await seen(client, url)
        write(here.issuers, SECOND.certificate)
        assert await fault(client, url) is HttpFault.UNREACHABLE


async def test_who_calls_is_looked_at_again_after_a_time(here: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    handshake = inprocess._handshake

    def noted(*given: Any) -> bytes:
        made.append(given)
        return handshake(*given)

    monkeypatch.setattr(inprocess, "_handshake", noted)
    async with here.reached(told, here.caller("one"), here.caller("other")) as (url, (one, other)):
        for _ in range(3):
            await seen(one, url)
        assert len(made) == 1
        monkeypatch.setattr(inprocess, "_BELIEVED", -1.0)
        for _ in range(3):
            await seen(other, url)
    assert len(made) == 4


async def test_a_body_goes_no_faster_than_it_is_taken(way: Way) -> None:
    made = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1
            yield bytes(MIB)

    over = asyncio.Event()

    async def takes_one(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await over.wait()

    async with way.reached(takes_one, way.caller()) as (url, (client,)):
        assert await fault(client, url, endless(), silence=0.3) is HttpFault.TIMEOUT
        over.set()
    assert made <= (inprocess._PIECES + 2 if way.name == HERE else 32)


async def test_an_answer_is_not_made_faster_than_it_is_read(here: Way) -> None:
    made = 0
    hears = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal made
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not hears.is_set():
            await send({"type": "http.response.body", "body": bytes(MIB), "more_body": True})
            made += 1
            await asyncio.sleep(0)

    async with here.reached(endless, here.caller()) as (url, (client,)):
        async with client.exchange("GET", url) as answered:
            async for _ in answered.pieces():
                for _ in range(100):
                    await asyncio.sleep(0)
                break
            assert made <= inprocess._PIECES + 2
        hears.set()


async def test_an_answer_before_the_end_of_the_body_is_read(way: Way) -> None:
    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await answer(send, b"large", 413)

    async with way.reached(refuses, way.caller()) as (url, (client,)):
        body = pieces(*[MIB] * 100)
        async with client.exchange("POST", url, body, length=100 * MIB) as answered:
            assert (answered.status, await answered.read(MIB)) == (413, b"large")


async def test_what_goes_wrong_in_a_body_is_not_taken_for_the_application(way: Way) -> None:
    heard = []

    async def hears(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            heard.append(message["body"])
        heard.append(None)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise TimeoutError("a store of ours")

    async with way.reached(hears, way.caller()) as (url, (client,)):
        with pytest.raises(TimeoutError, match="a store of ours"):
            await call(client, url, broken(), length=300)
        await until(lambda: heard[-1:] == [None])


@pytest.mark.parametrize("length", [299, 301])
async def test_a_body_of_another_length_than_announced_is_not_taken_for_whole(way: Way, length: int) -> None:
    ends = []

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive()).get("more_body"):
            pass
        ends.append(message["type"])

    async with way.reached(reads, way.caller()) as (url, (client,)):
        assert await fault(client, url, pieces(100, 200), length=length) is HttpFault.UNREACHABLE
        await until(lambda: bool(ends))
    assert ends == ["http.disconnect"]


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def half(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


async def less(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, b"less", 200, (b"content-length", b"5"))


async def more(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, b"longer", 200, (b"content-length", b"5"))


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError


@pytest.mark.parametrize("application", [half, less, more, raising], ids=lambda one: one.__name__)
async def test_half_an_answer_is_none(way: Way, application: ASGIApp) -> None:
    kept: list[BaseException] = []
    async with way.reached(guarded(application, kept.append), way.caller()) as (url, (client,)):
        assert await fault(client, url) is HttpFault.UNREACHABLE


async def test_no_answer_is_not_waited_for(here: Way) -> None:
    """A server then answers 500, which is not the application's own answer either."""
    async with here.reached(nothing, here.caller()) as (url, (client,)):
        assert await fault(client, url) is HttpFault.UNREACHABLE


@pytest.mark.parametrize("how", ["silence", "cancelled"])
async def test_an_application_hears_that_its_caller_has_left(way: Way, how: str) -> None:
    began, heard = asyncio.Event(), asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        heard.set()

    async with way.reached(waits, way.caller()) as (url, (client,)):
        if how == "silence":
            assert await fault(client, url, b"asked", silence=0.2) is HttpFault.TIMEOUT
        else:
            calling = asyncio.create_task(call(client, url, b"asked"))
            await began.wait()
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
        async with asyncio.timeout(60):
            await heard.wait()


async def test_work_whose_caller_has_left_goes_on_to_its_end(way: Way) -> None:
    """Stored data stay stored, even if the caller no longer waits for the answer."""
    began, go_on, stored = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stores(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        began.set()
        await go_on.wait()
        await answer(send, b"x" * MIB)
        stored.set()

    async with way.reached(stores, way.caller()) as (url, (client,)):
        calling = asyncio.create_task(call(client, url, b"asked"))
        await began.wait()
        calling.cancel()
        await asyncio.wait({calling})
        go_on.set()
        async with asyncio.timeout(60):
            await stored.wait()


async def test_there_are_as_many_calls_at_once_as_connections(way: Way) -> None:
    under_way = most = 0

    async def counts(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        await answer(send)

    async with way.reached(counts, way.caller(), connections=2) as (url, (client,)):
        await asyncio.gather(*(call(client, url) for _ in range(10)))
    assert most == 2


async def test_a_place_is_free_again_however_a_call_ended(here: Way) -> None:
    async with here.reached(half, here.caller(), connections=1) as (url, (client,)):
        for _ in range(3):
            assert await fault(client, url) is HttpFault.UNREACHABLE
            with pytest.raises(NoAnswer):
                await call(client, "https://not an address")


async def test_who_still_waits_when_the_application_ends_is_asked_to_come_again(
    here: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inprocess, "_STOP_WITHIN", 0.1)
    began = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        await asyncio.Event().wait()

    failures: list[BaseException] = []
    async with called_here(guarded(waits, failures.append), here.listener()) as local:
        transport = InProcess(local, here.caller(), server_name="localhost", connections=2)
        client = HttpClient(transport, silence=60)

        async def status() -> int:
            async with client.exchange("GET", "https://localhost") as answered:
                return answered.status

        waiting = asyncio.create_task(status())
        await began.wait()
    assert (await waiting, failures) == (503, [])
    assert await fault(client, "https://localhost") is HttpFault.UNREACHABLE


async def test_a_caller_that_closes_breaks_off_what_it_has_under_way(here: Way) -> None:
    began = asyncio.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    async with here.reached(waits, here.caller()) as (url, (client,)):
        waiting = asyncio.create_task(fault(client, url))
        await began.wait()
        await client.aclose()
        assert await waiting is HttpFault.UNREACHABLE
        assert await fault(client, url) is HttpFault.UNREACHABLE


async def test_an_application_does_not_see_its_callers_context(way: Way) -> None:
    """Context of one vault's opening must not be visible in another's."""
    mine: ContextVar[str] = ContextVar("mine", default="")

    async def looks(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, mine.get().encode())

    async with way.reached(looks, way.caller()) as (url, (client,)):
        mine.set("secret")
        assert await call(client, url) == b""
