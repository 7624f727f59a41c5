"""Applications by the name of the host: an origin for each organisation, so that browsers keep them apart.

Whatever is asked of a host that is not one of them gets the same bare answer as a path that
does not exist: nobody learns from it who is served here.
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
    """Return the host that a request names, in small letters, without the port; empty unless it names one."""
    named = [value for name, value in scope["headers"] if name == b"host"]
    found = _AUTHORITY.fullmatch(named[0].decode("latin-1")) if len(named) == 1 else None
    return found[1].lower() if found else ""


def not_there() -> Response:
    """Return the bare answer about what does not exist."""
    return Response(status_code=404, headers=_UNCACHED)


def later() -> Response:
    """Return the bare answer while what was asked for cannot be reached."""
    return Response(status_code=503, headers={**_UNCACHED, "retry-after": "30"})


def by_host(applications: Mapping[str, ASGIApp]) -> ASGIApp:
    """Make one application of several, each for the requests that name its host."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        found = applications.get(host_named(scope))
        await (not_there() if found is None else found)(scope, receive, send)

    return application


def origin(serves: Callable[[], bool]) -> ASGIApp:
    """Make the application of one organisation's origin, which says no more than whether it serves.

    Without a login and for monitoring: it opens no vault, and looks at nothing that a caller could wear out.
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
