"""Posted forms and files: read as they arrive, within limits, and never written to disk in the clear."""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from samdrift.web.cookies import SESSION
from samdrift.web.forms import Form
from samdrift.web.guards import TOKEN_FIELD
from samdrift.web.texts import Phrase
from samdrift.web.uploads import FilePart, FileSink, FormLimits, received
from tests.unit.web.scene import SAME_ORIGIN, Scene

SOURCE = Path(__file__).parents[3] / "src" / "samdrift"
LIMITS = FormLimits(fields=5, text_bytes=2000, files=2, file_bytes=1 << 20)


@dataclass
class Sink:
    """A file as it arrived, piece by piece."""

    part: FilePart
    pieces: list[bytes] = field(default_factory=list)
    end: str = ""

    async def write(self, piece: bytes) -> None:
        self.pieces.append(piece)

    async def close(self) -> None:
        self.end += "closed"

    async def discard(self) -> None:
        self.end += "discarded"


@dataclass
class Posting:
    """The path of a form to a handler."""

    scene: Scene
    browser: httpx.AsyncClient
    sinks: list[Sink]

    async def post(self, body: bytes | AsyncIterator[bytes], kind: str, path: str = "/act") -> httpx.Response:
        headers = {**SAME_ORIGIN, "content-type": kind}
        return await self.browser.post(path, content=body, headers=headers)

    async def parts(self, *parts: tuple[str, str | None, bytes], path: str = "/act") -> httpx.Response:
        return await self.post(encoded(*parts), "multipart/form-data; boundary=b", path)

    async def token(self) -> tuple[str, None, bytes]:
        value = await self.scene.signed_in(self.browser)
        return TOKEN_FIELD, None, self.scene.sessions.form_token(value).encode()


def encoded(*parts: tuple[str, str | None, bytes]) -> bytes:
    body = b""
    for name, file, content in parts:
        named = "" if file is None else f'; filename="{file}"'
        kind = "" if file is None else "content-type: application/pdf\r\n"
        body += f'--b\r\ncontent-disposition: form-data; name="{name}"{named}\r\n{kind}\r\n'.encode()
        body += content + b"\r\n"
    return body + b"--b--\r\n"


@pytest.fixture
async def posting() -> AsyncIterator[Posting]:
    sinks: list[Sink] = []

    async def opened(part: FilePart) -> FileSink:
        sinks.append(Sink(part))
        return sinks[-1]

    async def act(request: Request) -> Response:
        form = await received(request, opened, LIMITS)
        return JSONResponse([pair for pair in form.fields if pair[0] != TOKEN_FIELD])

    async def text_only(request: Request) -> Response:
        await received(request)
        return JSONResponse([])

    routes = Route("/act", act, methods=["POST"]), Route("/text", text_only, methods=["POST"])
    scene = Scene()
    async with scene.browser(*routes) as browser:
        yield Posting(scene, browser, sinks)


async def test_fields_and_files_arrive_as_they_were_sent(posting: Posting) -> None:
    answer = await posting.parts(
        await posting.token(), ("text", None, "å\r\nb".encode()), ("files", "Yttrande å.pdf", b"%PDF" * 9000)
    )
    assert answer.json() == [["text", "å\r\nb"]]
    (sink,) = posting.sinks
    assert sink.part == FilePart("files", "Yttrande å.pdf", "application/pdf")
    assert (b"".join(sink.pieces), sink.end) == (b"%PDF" * 9000, "closed")


async def test_no_piece_of_a_file_waits_for_the_next(posting: Posting) -> None:
    """A sink has the first pieces before the rest of the request has arrived."""
    token = await posting.token()
    whole = encoded(token, ("files", "a.pdf", b"x" * 1000))
    seen: list[int] = []

    async def slowly() -> AsyncIterator[bytes]:
        for at in range(0, len(whole), 100):
            yield whole[at : at + 100]
            seen.append(sum(len(piece) for sink in posting.sinks for piece in sink.pieces))

    await posting.post(slowly(), "multipart/form-data; boundary=b")
    assert seen[-1] == 1000
    assert any(0 < count < 1000 for count in seen)


async def test_nothing_is_written_to_a_temporary_file(
    posting: Posting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any, **named: Any) -> None:
        raise AssertionError("a temporary file")

    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    answer = await posting.parts(await posting.token(), ("files", "a.pdf", b"x" * (1 << 20)))
    assert answer.status_code == 200
    assert posting.scene.failures == []


def test_no_code_of_ours_calls_the_reader_that_writes_to_disk() -> None:
    for module in SOURCE.rglob("*.py"):
        text = module.read_text()
        assert "starlette.formparsers" not in text, module
        if "starlette" in text:
            for node in ast.walk(ast.parse(text)):
                called = node.func if isinstance(node, ast.Call) else None
                assert not (isinstance(called, ast.Attribute) and called.attr == "form"), module


async def test_no_sink_opens_before_the_token_is_verified(posting: Posting) -> None:
    token = await posting.token()
    for parts in (
        (("files", "a.pdf", b"x"), token),
        (("files", "a.pdf", b"x"),),
        ((TOKEN_FIELD, None, b"x"), ("files", "a.pdf", b"x")),
        ((TOKEN_FIELD, None, b"x"), ("files", "a.pdf", b"x"), token),
    ):
        answer = await posting.parts(*parts)
        assert (answer.status_code, posting.sinks) == (403, [])
    assert "Bilagor behöver väljas på nytt" in answer.text


async def test_what_breaks_off_within_a_file_is_discarded(posting: Posting) -> None:
    whole = encoded(await posting.token(), ("files", "a.pdf", b"x" * 1000))
    for body in (whole[:-500], whole[:-1] + b"!!", whole.replace(b"--b--", b"--b")):
        await posting.post(body, "multipart/form-data; boundary=b")
    assert posting.sinks[0].end == "discarded"
    assert all(sink.end for sink in posting.sinks)


@pytest.mark.parametrize(
    "parts",
    [
        [("files", "a.pdf", b"x" * (1 << 20)), ("files", "b.pdf", b"x")],
        [("files", f"{n}.pdf", b"x") for n in range(3)],
        [("text", None, b"x" * 2001)],
        [("x" * 2001, None, b"")],
        [("text", None, b"x")] * 5,
    ],
    ids=["bytes", "files", "text", "name", "fields"],
)
async def test_a_form_has_limits(posting: Posting, parts: list[tuple[str, str | None, bytes]]) -> None:
    answer = await posting.parts(await posting.token(), *parts)
    assert answer.status_code == 413
    assert not posting.sinks or posting.sinks[-1].end != ""


async def test_a_plain_form_has_the_same_limits(posting: Posting) -> None:
    kind = "application/x-www-form-urlencoded"
    await posting.token()
    assert (await posting.post(b"a=" + b"x" * 2000, kind)).status_code == 413
    assert (await posting.post(b"&".join([b"a=b"] * 6), kind)).status_code == 413


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"a=b", "text/plain"),
        (b"a=b", ""),
        (b"\xff", "application/x-www-form-urlencoded"),
        (b"a", "multipart/form-data"),
        (b"a", "multipart/form-data; boundary=b"),
        (b"", "multipart/form-data; boundary=b"),
        (b"--b\r\n\r\n\r\n--c--", "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"x: y\r\n" * 20 + b"\r\n--b--", "multipart/form-data; boundary=b"),
        (b"--b\r\nx: " + b"y" * 9000 + b"\r\n\r\n--b--", "multipart/form-data; boundary=b"),
    ],
)
async def test_what_is_no_form_is_refused(posting: Posting, body: bytes, kind: str) -> None:
    await posting.token()
    assert (await posting.post(body, kind)).status_code in (403, 404)
    assert (posting.sinks, posting.scene.failures) == ([], [])


async def test_a_form_that_has_no_files_refuses_them(posting: Posting) -> None:
    answer = await posting.parts(await posting.token(), ("files", "a.pdf", b"x"), path="/text")
    assert (answer.status_code, posting.scene.failures) == (404, [])


async def test_a_field_for_files_that_was_left_empty_is_none(posting: Posting) -> None:
    answer = await posting.parts(await posting.token(), ("files", "", b""))
    assert (answer.status_code, posting.sinks) == (200, [])


async def test_a_session_that_ends_while_a_file_arrives_keeps_the_text(posting: Posting) -> None:
    token = await posting.token()
    posting.browser.cookies.delete(SESSION)
    answer = await posting.parts(token, ("text", None, b"typed"), ("files", "a.pdf", b"x"))
    assert (answer.status_code, posting.sinks) == (403, [])
    assert 'value="typed"' in answer.text


def test_a_form_keeps_what_was_typed_and_the_first_fault_of_each_field() -> None:
    form = Form([("to", " "), ("text", "a\r\nb\rc"), ("box", "1"), ("box", "2")])
    assert (form["text"], form["box"], form["nothing"], form.all("box")) == ("a\nb\nc", "1", "", ("1", "2"))
    assert form.required("to", Phrase("first")) == ""
    form.refuse("to", Phrase("second"))
    assert {name: phrase.text for name, phrase in form.errors.items()} == {"to": "first"}
    assert form.required("text", Phrase("x")) == "a\nb\nc"
    assert re.fullmatch("to", next(iter(form.errors)))
