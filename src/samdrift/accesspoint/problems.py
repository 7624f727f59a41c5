"""RFC 9457 problems of interface C, without content."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Problem(Exception):
    """A request that is answered with an error; ``reason`` is for programs, ``text`` for people."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.text = text


async def answer_problem(request: Request, problem: Exception) -> Response:
    """The problem document for ``problem``."""
    assert isinstance(problem, Problem)
    document = {
        "type": f"urn:samdrift:problem:{problem.reason}",
        "title": problem.reason,
        "status": problem.status,
        "detail": problem.text,
    }
    return JSONResponse(document, status_code=problem.status, media_type="application/problem+json")
