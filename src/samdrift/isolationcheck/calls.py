"""HTTP calls about another organisation's records, and the judgement of what their answers reveal."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from samdrift.isolationcheck.canary import Planted, nonexistent
from samdrift.net.client import HttpClient, NoAnswer

_MOST = 4 << 20
_OF_THE_ANSWER = re.compile(
    rb'("dateTime": ?")[0-9T:.-]{19,32}Z(?=")|("instance": ?"urn:uuid:)[0-9a-f-]{36}(?=")'
)
"""Values that differ in every answer, whatever it is about."""
Endpoint = tuple[str, str]
"""Method and path of a route."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a path below the interface's address."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    silence: float = 10.0
    """Seconds without a byte after which an endless answer is used as it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A request about given records, to be made about another organisation's and about nonexistent ones."""

    name: str
    request: Callable[[Planted], Request]
    same: bool = True
    """True if both answers must be identical; false for a list of the caller's own records."""


Calls = Mapping[Endpoint, Sequence[Call]]
"""Every route of an interface, with the calls to make there."""


async def ask(http: HttpClient, base: str, request: Request, token: str = "") -> Answer:
    """Return the answer to a request; raise :class:`NoAnswer` if there is none."""
    headers = {**request.headers, **({"authorization": f"Bearer {token}"} if token else {})}
    async with http.exchange(
        request.method, base + request.path, request.body, headers=headers, silence=request.silence
    ) as answer:
        body = bytearray()
        with contextlib.suppress(NoAnswer):  # An event stream does not end, but times out.
            async for piece in answer.pieces():
                body += piece
                if len(body) > _MOST:
                    break
        return Answer(answer.status, answer.content_type, bytes(body))


async def attempt(http: HttpClient, base: str, call: Call, planted: Planted, token: str = "") -> str:
    """Return what the call about another organisation's records reveals; empty if nothing."""
    return learned(
        call,
        planted,
        await ask(http, base, call.request(planted), token),
        *(await reference(http, base, call, planted, token)),
    )


async def reference(
    http: HttpClient, base: str, call: Call, planted: Planted, token: str = ""
) -> tuple[Planted, Answer | None]:
    """Return a nonexistent record and the answer about it, for comparison."""
    nobody = nonexistent(planted.created_at)
    return nobody, await ask(http, base, call.request(nobody), token) if call.same else None


def learned(
    call: Call, planted: Planted, theirs: Answer, nobody: Planted, about_nobody: Answer | None
) -> str:
    """Return what the answer reveals, compared with that about a nonexistent record."""
    request = call.request(planted)
    asked = f"{request.path} {request.headers}".encode() + (request.body or b"")
    traces = [trace.encode() for trace in planted.traces if trace.encode() not in asked]
    if any(trace in theirs.body for trace in traces):
        return "the answer reveals it"
    if about_nobody is None:
        return ""
    if theirs.status != about_nobody.status:
        return "the answer has another status than the one for what does not exist"
    if unnamed(theirs.body, planted) != unnamed(about_nobody.body, nobody):
        return "the answer differs from the one for what does not exist"
    return ""


def unnamed(body: bytes, planted: Planted) -> bytes:
    """Return an answer without the names given in the request, and without its own time and id."""
    # The address may contain the organisation's identifier.
    for name in (*planted.traces, planted.address, planted.organisation.value, planted.client):
        body = body.replace(name.encode(), b"#") if name else body
    return _OF_THE_ANSWER.sub(rb"\1\2#", body)
