"""Problem responses of interface C (RFC 9457), without content."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from samdrift.audit.operations import postponing
from samdrift.contracts.errors import Temporary
from samdrift.contracts.transfer import TransferReason
from samdrift.scheduling.places import NoPlace
from samdrift.vault.errors import VaultDenied

TYPE = "urn:samdrift:problem:"
_LATER = {"retry-after": "30"}
_postponed = postponing("interface C")
_SOON = {"retry-after": "2"}


class ProblemKind(StrEnum):
    """Kinds of problem, each with its HTTP status; ``interface-c.json`` lists where each can occur."""

    status: int

    def __new__(cls, kind: str, status: int) -> Self:
        member = str.__new__(cls, kind)
        member._value_ = kind
        member.status = status
        return member

    BAD_REQUEST = "bad-request", 400
    CLIENT_UNKNOWN = "client-unknown", 403
    NOT_SERVED = "not-served", 403
    """The certificate is known, but the organisation's vault is not open for it."""
    SENDER_MISMATCH = "sender-mismatch", 403
    NOT_FOUND = "not-found", 404
    TOO_LARGE = "too-large", 413
    ENVELOPE_INVALID = TransferReason.ENVELOPE_INVALID.value, 422
    NOT_SERVICED = TransferReason.NOT_SERVICED.value, 422
    NOT_COVERED = TransferReason.NOT_COVERED.value, 422
    """A new message that no agreement of the organisation covers."""
    UNAVAILABLE = "unavailable", 503


class Problem(Exception):
    """A request that is answered with an error; ``kind`` is for programs, ``text`` for people."""

    def __init__(self, kind: ProblemKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


async def answer_problem(request: Request, problem: Exception) -> Response:
    """Return the problem document for ``problem``."""
    assert isinstance(problem, Problem)
    return _document(problem.kind, problem.text)


async def answer_denied(request: Request, error: Exception) -> Response:
    """Return the problem document for a vault that does not open."""
    assert isinstance(error, VaultDenied)
    return _document(ProblemKind.NOT_SERVED, "the organisation of this client is not served here now")


async def answer_unavailable(request: Request, error: Exception) -> Response:
    """Return the problem document for an outage, after which the message service tries again."""
    assert isinstance(error, Temporary)
    _postponed(error)
    return _document(ProblemKind.UNAVAILABLE, str(error), _LATER, waitsFor=error.hold.value)


async def answer_full(request: Request, error: Exception) -> Response:
    """Return the problem document for a request beyond the limit of concurrent requests."""
    assert isinstance(error, NoPlace)
    return _document(ProblemKind.UNAVAILABLE, "too many requests at once; try again later", _SOON)


def _document(
    kind: ProblemKind, text: str, headers: Mapping[str, str] | None = None, **more: str
) -> Response:
    document = {"type": TYPE + kind.value, "title": kind.value, "status": kind.status, "detail": text}
    return JSONResponse(
        document | more, status_code=kind.status, media_type="application/problem+json", headers=headers
    )
