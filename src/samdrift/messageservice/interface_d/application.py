"""Interface D over HTTP: the four operations of the contract, and our additions.

A client is identified by its access token; each operation needs its scope (api-mt-mk 5.1). The token limits
everything: it names one organisation and some of its addresses, and no path or parameter can name another.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as HttpScope

from samdrift.audit.promises import HEADER
from samdrift.contracts.errors import Temporary
from samdrift.contracts.evidence import MessageEvidence, Original
from samdrift.contracts.hold import Hold
from samdrift.contracts.messageclients import Scope
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageservice.access import Access, Authorization, AuthorizationUnavailable, Unauthorized
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.interface_d import contract, filters, json, writing
from samdrift.messageservice.interface_d.documents import documents
from samdrift.messageservice.interface_d.following import Following, TooManyStreams
from samdrift.messageservice.interface_d.mailboxes import Found, Listing, Mailboxes
from samdrift.messageservice.interface_d.posting import Posting
from samdrift.messageservice.interface_d.problems import Answer, Refused, bad_request, broken, problem
from samdrift.net.forwarding import BEHIND_FRONT, REDIRECT
from samdrift.net.logserving import NOT_THERE, RESOURCE, part_of_log
from samdrift.scheduling.places import NoPlace, Places
from samdrift.scheduling.shares import Shares
from samdrift.vault.errors import TooManyEntries, UnknownRecord, VaultDenied
from samdrift.vault.gate import Gate
from samdrift.vault.opening import PROMISES, promised
from samdrift.vault.records import MessageRecord
from samdrift.wire.identifiers import ParticipantIdentifier

_JSON = "application/json"
_LATER = {"retry-after": "30"}
_SOON = {"retry-after": "2"}
_SENT_AT_ONCE = 32
_SENT_AT_ONCE_FOR_ONE = 8
_SHARE_OF_READING = 0.25
"""Share of this process's time that reading one organisation's documents may take, after a burst."""
_BURST = 0.25
_COST_OF_REFUSAL = 0.01
"""Seconds charged for a refused document, which limits the rate at which junk can arrive."""
_COST_OF_REQUEST = 0.001
"""Seconds charged for every request, regardless of its outcome."""
_CHALLENGE = 'Bearer realm="interface D"'
_LONGEST_NUMBER = 18
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\"?\s*(?:$|[,;])", re.ASCII)
_OTHERS = frozenset(Role) - {Role.MESSAGE_SERVICE}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route: the scope that it requires, and its handler."""

    method: str
    path: str
    scope: Scope
    answer: Callable[[Request, Access], Awaitable[Response]]


class InterfaceD:
    """The HTTP application of interface D."""

    def __init__(
        self,
        gate: Gate,
        authorization: Authorization,
        served: Container[ParticipantIdentifier],
        mailboxes: Mailboxes,
        posting: Posting,
        evidence: MessageEvidence,
    ) -> None:
        self._gate = gate
        self._authorization = authorization
        self._served = served
        self._mailboxes = mailboxes
        self._posting = posting
        self._evidence = evidence
        self._places = Places(_SENT_AT_ONCE, _SENT_AT_ONCE_FOR_ONE)
        self._shares = Shares(_SHARE_OF_READING, _BURST)
        self._following = Following(gate, authorization)
        self._description = (files("samdrift.messageservice.interface_d") / "interface-d.json").read_bytes()
        self.operations = (
            Operation("POST", writing.MESSAGES, Scope.SEND, self._send),
            Operation("GET", writing.MESSAGES, Scope.LIST, self._list),
            Operation("GET", f"{writing.MESSAGES}/{{messageId}}", Scope.READ, self._read),
            Operation("DELETE", f"{writing.MESSAGES}/{{messageId}}", Scope.DELETE, self._delete),
            Operation("GET", f"{writing.MESSAGES}/{{messageId}}/evidence", Scope.READ, self._show_evidence),
            Operation("GET", "/v1/sdk/events", Scope.LIST, self._follow),
            Operation("GET", f"/v1{RESOURCE}", Scope.LOG, self._log),
        )

    def application(self, also: Sequence[BaseRoute] = ()) -> Starlette:
        """Return the application with the routes of interface D, and additional ones at the same address."""
        application = Starlette(
            routes=[
                *also,
                *(Route(one.path, self._guarded(one), methods=[one.method]) for one in self.operations),
                Route("/v1/openapi.json", self._describe, methods=["GET"]),
            ],
            exception_handlers={
                Refused: _refused,
                Answer: _answer,
                Unauthorized: _unauthorized,
                VaultDenied: _denied,
                Temporary: _unavailable,
                AuthorizationUnavailable: _undecided,
                NoPlace: _full,
                TooManyEntries: _too_many_entries,
                HTTPException: _of_http,
            },
        )
        application.router.redirect_slashes = False
        application.add_middleware(_Promising)
        return application

    def close(self) -> None:
        """End the streams of events, so that the server can stop."""
        self._following.close()

    def _guarded(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        """Return a handler that performs ``operation`` only if the request's token permits it.

        Clauses: architecture-sad 6.5 sentence 1.
        """

        async def answer(request: Request) -> Response:
            access = await self._authorization.access(_token(request))
            if access.organisation not in self._served:
                raise VaultDenied
            await self._shares.request(access.organisation, _COST_OF_REQUEST)
            if operation.scope not in access.scopes:
                await self._out_of_scope(access)
                raise Unauthorized("the token lacks the scope for this", "insufficient_scope")
            return await operation.answer(request, access)

        return answer

    async def _out_of_scope(self, access: Access) -> None:
        async with self._gate.open(
            access.principal, access.organisation, Role.MESSAGE_SERVICE, Purpose.READ
        ) as vault:
            vault.record(MTEvent.MT_CLIENT_DENIED, reason="the token lacks the scope")

    async def _send(self, request: Request, access: Access) -> Response:
        """Send the message in the request.

        Clauses: api-mt-mk 4.1 step 5.
        """
        _require_json(request)
        try:
            with self._places.taken(access.organisation):
                message_id = await self._posting.send(access, await self._document(request, access))
        except Refused:
            self._shares.charge(access.organisation, _COST_OF_REFUSAL)
            raise
        return Response(status_code=201, headers={"location": writing.location(message_id)})

    async def _document(self, request: Request, access: Access) -> writing.Members:
        """Return the checked resource from the body, read within the organisation's share of time."""
        length = request.headers.get("content-length", "")
        document = await json.read(
            request.stream(),
            int(length) if length.isdecimal() else None,
            lambda: self._shares.step(access.organisation),
        )
        async with self._shares.step(access.organisation):
            data: writing.Members = contract.check(document)["data"]
        return data

    async def _list(self, request: Request, access: Access) -> Response:
        """Answer with the whole list, or a page of it, streamed so that its length makes no difference.

        Clauses: api-mt-mk 4.2 step 4.
        """
        narrowed, page = filters.read(request.query_params.multi_items())
        pages = self._mailboxes.pages(access, narrowed, page)
        first = await anext(pages)
        links = {"self": _self(request)}
        if page.size is not None and first[1]:
            links["next"] = _next(request, first[0][-1][0])
        return StreamingResponse(_listed(links, first, pages), media_type=_JSON)

    async def _read(self, request: Request, access: Access) -> Response:
        """Answer with one message and its documents.

        Clauses: api-mt-mk 4.1 step 7, 4.2 step 6b.
        """
        narrowed = filters.read_filters(request.query_params.multi_items())
        found = await self._mailboxes.find(access, request.path_params["messageId"], narrowed)
        if found is None:
            raise _nothing_there()
        body = None if found.body is None else documents(found.body)
        first = "" if body is None else await anext(body)  # Before the response starts, to report outages.
        return StreamingResponse(_message({"self": _self(request)}, found, first, body), media_type=_JSON)

    async def _delete(self, request: Request, access: Access) -> Response:
        """Delete one message from the client's mailbox.

        Clauses: api-mt-mk 4.1 step 9, 4.2 step 8.
        """
        narrowed = filters.read_filters(request.query_params.multi_items())
        if not await self._mailboxes.delete(access, request.path_params["messageId"], narrowed):
            raise _nothing_there()
        return Response(status_code=202)

    async def _show_evidence(self, request: Request, access: Access) -> Response:
        original, narrowed = filters.read_original(request.query_params.multi_items())
        message_id = request.path_params["messageId"]
        found = await self._mailboxes.evidenced(access, message_id, narrowed, original=original)
        if found is None:
            raise _nothing_there()
        body = None if found.body is None else Original(found.body.size, found.body)
        package = await self._evidence.package(access.organisation, found.record.id, access.client, body)
        if package is None:
            raise _nothing_there()
        return StreamingResponse(package, media_type="application/x-tar")

    async def _follow(self, request: Request, access: Access) -> Response:
        end = await self._following.end(access)
        after = _last_event(request.headers.get("last-event-id"), end)
        try:
            alive = _wait_preferred(request.headers.get("prefer", ""))
            events = await self._following.follow(_token(request), access, after, alive)
        except TooManyStreams:
            text = "the client has reached its limit of event streams"
            raise Answer(HTTPStatus.TOO_MANY_REQUESTS, text, _LATER) from None
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    async def _log(self, request: Request, access: Access) -> Response:
        """Answer with part of an organisation's log, without logging that, or reading would never end.

        The log of another process's vault is served by that process, to which the front forwards.
        """
        role, resource = request.path_params["role"], request.path_params["resource"]
        if role in _OTHERS and request.scope.get(BEHIND_FRONT):
            return problem(404, NOT_THERE, {REDIRECT: f"{role} {access.client}"})
        try:
            async with self._gate.open(
                access.principal, access.organisation, Role(role), Purpose.DELIVER
            ) as vault:
                return part_of_log(resource, await vault.tree.resource(resource))
        except (ValueError, UnknownRecord, VaultDenied):
            return problem(404, NOT_THERE)

    async def _describe(self, request: Request) -> Response:
        return Response(self._description, media_type=_JSON)


class _Promising:
    """Middleware that puts the promises of the entries committed for a request into the answer's header.

    An entry is committed when its opening ends, before the first byte is sent. Entries logged later, while a
    list or a stream of events continues, are too late for a header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with promised() as promises:

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    if promises:
                        MutableHeaders(scope=message)[HEADER] = ", ".join(promises)
                    PROMISES.set(None)
                await send(message)

            await self._app(scope, receive, sending)


def _token(request: Request) -> str:
    """Return the bearer token (RFC 6750 2.1); a request without one gets a challenge without error code."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("an access token is needed", "")
    return token.strip()


def _require_json(request: Request) -> None:
    kind, *parameters = request.headers.get("content-type", "").lower().replace(" ", "").split(";")
    if kind != _JSON or any(one.partition("=")[2].strip('"') != "utf-8" for one in filter(None, parameters)):
        raise Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a message is sent as application/json in UTF-8")


def _last_event(given: str | None, end: int) -> int:
    if given is None:
        return end
    if not (given.isascii() and given.isdecimal()) or len(given) > _LONGEST_NUMBER or int(given) > end:
        raise Refused([broken("Last-Event-ID is not the id of an event", "Last-Event-ID")])
    return int(given)


def _wait_preferred(header: str) -> float | None:
    """Return the seconds that a client offers to wait (RFC 7240 4.3), or ``None`` if it states none."""
    found = _WAIT.search(header)
    return float(found[1]) if found else None


def _self(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def _next(request: Request, last: MessageRecord) -> str:
    given = request.query_params.multi_items()
    query = [(name, value) for name, value in given if name.lower() != "page[after]"]
    return f"{request.url.path}?{urlencode([*query, ('page[after]', filters.after(last))])}"


def _nothing_there() -> Answer:
    return Answer(HTTPStatus.NOT_FOUND, "there is no such message")


async def _listed(
    links: writing.Members, first: Listing, others: AsyncIterator[Listing]
) -> AsyncIterator[str]:
    yield writing.opening(links) + "["
    yield ",".join(writing.resource(record, events) for record, events in first[0])
    async for listed, _ in others:
        if listed:  # The rest may have been deleted since.
            yield "," + ",".join(writing.resource(record, events) for record, events in listed)
    yield "]}"


async def _message(
    links: writing.Members, found: Found, first: str, others: AsyncIterator[str] | None
) -> AsyncIterator[str]:
    """Yield a message with its documents; ``first`` is the first piece of the documents."""
    yield writing.opening(links) + writing.resource(found.record, found.events, ends=False)
    if others is not None:
        yield f',"digitalDocument":{first}'
        async for piece in others:
            yield piece
    yield "}}}"


# --- what is answered when something is wrong ---------------------------------------------------------------


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return bad_request(error)


async def _answer(request: Request, error: Exception) -> Response:
    assert isinstance(error, Answer)
    return problem(error.status, error.text, error.headers)


async def _unauthorized(request: Request, error: Exception) -> Response:
    """Answer 401 even if only the scope is missing: the contract has no 403, as RFC 6750 3.1 requires."""
    assert isinstance(error, Unauthorized)
    challenge = _CHALLENGE + (f', error="{error.error}"' if error.error else "")
    return problem(401, error.text, {"www-authenticate": challenge})


async def _denied(request: Request, error: Exception) -> Response:
    assert isinstance(error, VaultDenied)
    text = "the organisation of this client is not served here now"
    return problem(401, text, {"www-authenticate": _CHALLENGE})


async def _unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, Temporary)
    also = {"waitsFor": Hold.DATABASE.value} if error.hold is Hold.DATABASE else {}
    return problem(503, str(error), _LATER, **also)


async def _undecided(request: Request, error: Exception) -> Response:
    assert isinstance(error, AuthorizationUnavailable)
    return problem(503, "the token cannot be verified at present", _LATER)


async def _full(request: Request, error: Exception) -> Response:
    assert isinstance(error, NoPlace)
    return problem(503, "too many messages are being submitted at once; try again later", _SOON)


async def _too_many_entries(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooManyEntries)
    return problem(409, f"{error}; the operator can make the evidence: samdrift evidence export")


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, "there is nothing at this path, or not with this method", error.headers)
