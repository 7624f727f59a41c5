"""A witness (c2sp.org/tlog-witness), which cosigns a log's checkpoint only if that continues the last one.

It trusts nothing that it receives: the log's signature, the consistency proof and its own memory decide. The
statuses are those of the specification, in the order in which litewitness checks them, so that a log sees the
same behaviour from any implementation:

400 malformed, 404 unknown log, 403 no signature by the log's key, 409 the last size is a different one,
422 the tree does not continue it, 200 with the cosignature.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from samdrift.audit.merkle import EMPTY_ROOT, continues
from samdrift.audit.notes import Checkpoint, Note, Sign, VerifierKey
from samdrift.audit.proofs import MAX_REQUEST, WitnessRequest
from samdrift.audit.reading import Malformed, Unverified
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.net.guard import guarded
from samdrift.transparency.witnessstate import Seen, WitnessState

_SIZE_TYPE = "text/x.tlog.size"
_TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """A response to a request."""

    status: HTTPStatus
    body: bytes
    content_type: str = _TEXT_TYPE


class Witness:
    """A witness with its key, the logs that it knows, and its memory."""

    def __init__(
        self,
        key: VerifierKey,
        sign: Sign,
        logs: Mapping[str, Sequence[VerifierKey]],
        state: WitnessState,
        clock: Clock,
    ) -> None:
        """Prepare a witness; ``logs`` has the keys of each log by its origin."""
        self.key = key
        self._sign = sign
        self._logs = logs
        self._state = state
        self._clock = clock
        self._origins = {hashlib.sha256(origin.encode()).hexdigest(): origin for origin in logs}

    def add_checkpoint(self, body: bytes) -> Reply:
        """Return the reply to a request; :class:`WitnessStateUnavailable` if the memory cannot be used."""
        try:
            request = WitnessRequest.parse(body)
            origin = _origin(request.checkpoint)
            keys = self._logs.get(origin)
            if keys is None:
                return _refused(HTTPStatus.NOT_FOUND, "this log is not known here")
            note = Note.parse(request.checkpoint)
            signed = note.verified(keys)
            checkpoint = Checkpoint.parse(note.text)
            if request.old > checkpoint.size:
                raise Malformed("the old size is larger than the new one", "line 1")
        except Malformed as fault:
            return _refused(HTTPStatus.BAD_REQUEST, str(fault))
        except Unverified as fault:
            return _refused(HTTPStatus.FORBIDDEN, str(fault))
        lines = [bytes(signature) for signature in signed.values()]
        return self._continued(request, checkpoint, lines)

    def checkpoint(self, digest: str) -> bytes | None:
        """Return the last cosigned checkpoint of the log whose origin has this SHA-256, in hexadecimal."""
        origin = self._origins.get(digest)
        return None if origin is None else self._state.checkpoint(origin)

    def _continued(self, request: WitnessRequest, checkpoint: Checkpoint, lines: list[bytes]) -> Reply:
        seen = self._state.seen(checkpoint.origin)
        if seen.size != request.old:
            return _conflict(seen)
        empty = checkpoint.size == 0
        if (empty and checkpoint.root != EMPTY_ROOT) or not continues(
            seen.size, checkpoint.size, request.proof, seen.root, checkpoint.root
        ):
            return _refused(HTTPStatus.UNPROCESSABLE_ENTITY, "the tree does not continue the last one")
        time = max(int(self._clock().timestamp()), seen.time)
        cosignature = self.key.cosignature(checkpoint.text, time, self._sign)
        if not self._state.advance(seen, checkpoint, time, checkpoint.signed([*lines, cosignature])):
            return _conflict(self._state.seen(checkpoint.origin))
        return Reply(HTTPStatus.OK, cosignature)


def application(witness: Witness, on_failure: Callable[[BaseException], None]) -> ASGIApp:
    """Return the witness's HTTP interface; unexpected errors are passed to ``on_failure``."""

    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_REQUEST:
                return _response(_refused(HTTPStatus.BAD_REQUEST, "the request is too large"), close=True)
        return _response(await _in_thread(witness.add_checkpoint, bytes(body)))

    async def checkpoint(request: Request) -> Response:
        def found(digest: str) -> Reply:
            content = witness.checkpoint(digest)
            if content is None:
                return _refused(HTTPStatus.NOT_FOUND, "there is no checkpoint of that log here")
            return Reply(HTTPStatus.OK, content)

        return _response(await _in_thread(found, request.path_params["digest"]))

    routes = [
        Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
        Route("/{digest:str}/checkpoint", checkpoint, methods=["GET"]),
    ]
    return guarded(Starlette(routes=routes), on_failure)


async def _in_thread(answer: Callable[..., Reply], given: object) -> Reply:
    """Return the reply to a request, computed in a thread because it waits for the disk.

    If the disk cannot be used, the reply asks the client to try again.
    """
    try:
        return await asyncio.to_thread(answer, given)
    except Temporary as outage:
        return _refused(HTTPStatus.SERVICE_UNAVAILABLE, str(outage))


def _response(reply: Reply, *, close: bool = False) -> Response:
    headers = {"content-type": reply.content_type, "cache-control": "no-store"}
    if close:
        headers["connection"] = "close"
    return Response(reply.body, reply.status, headers)


def _refused(status: HTTPStatus, text: str) -> Reply:
    return Reply(status, f"{text}\n".encode())


def _conflict(seen: Seen) -> Reply:
    return Reply(HTTPStatus.CONFLICT, b"%d\n" % seen.size, _SIZE_TYPE)


def _origin(checkpoint: bytes) -> str:
    origin, newline, _ = checkpoint.partition(b"\n")
    try:
        if origin and newline:
            return origin.decode("utf-8")
    except UnicodeDecodeError:
        pass
    raise Malformed("a checkpoint begins with the name of its log")
