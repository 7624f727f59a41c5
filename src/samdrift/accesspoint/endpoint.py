"""Interface A over HTTP: the address that other access points post to."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samdrift.accesspoint.inbound import Inbound
from samdrift.audit.operations import postponed
from samdrift.contracts.errors import Temporary

PATH = "/as4"
LATER = {"retry-after": "60"}


class Endpoint:
    """The application of interface A."""

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound

    def application(self) -> Starlette:
        return Starlette(routes=[Route(PATH, self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        """Answer with a signal, or 503 when nothing could be stored or decided: the peer sends again."""
        try:
            answer = await self._inbound.receive(
                request.headers.get("content-type", ""),
                request.stream(),
                request.client.host if request.client else "",
            )
        except Temporary as error:
            postponed("interface A", error)
            return Response(status_code=503, headers=LATER)
        return Response(answer.body, media_type=None, headers={"content-type": answer.content_type})
