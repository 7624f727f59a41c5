"""Applications by host name: each organisation has its own origin, so that browsers isolate them.

A request for any other host gets the same bare response as a path that does not exist, so it reveals nothing
about which organisations are served here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

HEALTH = "/health"
_UNCACHED = {"cache-control": "no-store"}
_AUTHORITY = re.compile(r"([0-9A-Za-z.-]+)(:[0-9]{1,5})?")


def host_named(scope: Scope) -> str:
    """Return the host that a request names, in lower case without the port; empty if it is unclear."""
    named = [value for name, value in scope["headers"] if name == b"host"]
    found = _AUTHORITY.fullmatch(named[0].decode("latin-1")) if len(named) == 1 else None
    return found[1].lower() if found else ""


def not_there() -> Response:
    """Return the bare response for anything that does not exist."""
    return Response(status_code=404, headers=_UNCACHED)


def later() -> Response:
    """Return the bare response for a service that cannot be reached now."""
    return Response(status_code=503, headers={**_UNCACHED, "retry-after": "30"})


def by_host(applications: Mapping[str, ASGIApp]) -> ASGIApp:
    """Combine applications into one, which dispatches requests by the host that they name."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        found = applications.get(host_named(scope))
        await (not_there() if found is None else found)(scope, receive, send)

    return application


def origin(serves: Callable[[], bool]) -> ASGIApp:
    """Create the application at an organisation's origin, which only reports whether it is being served.

    It needs no login and is meant for monitoring: it opens no vault, and uses nothing that a caller could
    exhaust.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != HEALTH or scope["method"] not in ("GET", "HEAD"):
            answer = not_there()
        elif serves():
            answer = Response(status_code=204, headers=_UNCACHED)
        else:
            answer = later()
        await answer(scope, receive, send)

    return application
