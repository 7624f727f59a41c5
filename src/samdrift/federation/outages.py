"""Services of the federation that fail on purpose, so that others can show what they do then."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class Service(StrEnum):
    """The shared services that participants depend on."""

    SML = "sml"
    SMP = "smp"
    ADDRESS_BOOK = "addressbook"
    RESPONDER = "responder"


class Failure(StrEnum):
    """How a service fails."""

    ERROR = "error"
    """Answers that it cannot: 503, or SERVFAIL."""
    SILENCE = "silence"
    """Never answers."""


@dataclass(slots=True)
class Outages:
    """Which services fail, and how; changed while they run."""

    failures: dict[Service, Failure] = field(default_factory=dict)

    def failing(self, app: ASGIApp, service: Service) -> ASGIApp:
        """``app``, as long as ``service`` does not fail."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            match self.failures.get(service):
                case None:
                    await app(scope, receive, send)
                case Failure.ERROR:
                    await Response(status_code=503)(scope, receive, send)
                case Failure.SILENCE:
                    while (await receive())["type"] != "http.disconnect":
                        pass

        return answer
