"""The last line of an application: an unexpected exception becomes an empty 500, reported without its text.

The server would write the exception with its text, which may hold somebody's
content (invariant 9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samdrift.contracts.errors import Temporary

ENDS = "timeout graceful shutdown exceeded"
"""Words with which uvicorn cancels a request that has not ended in good time when it ends itself."""
_LATER = [(b"retry-after", b"30")]


def guarded(application: ASGIApp, on_failure: Callable[[BaseException], None]) -> ASGIApp:
    """``application`` with every exception kept inside, and reported to ``on_failure``.

    An answer that has begun stays without its end: the server then hangs up, so
    that nobody takes the part for the whole. An outage that broke it off, which Starlette raises as an error
    of its own, is left out where what is away has its line. Who still waits when the server ends is asked to
    come again.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await application(scope, receive, noting)
        except ClientDisconnect:
            return
        except asyncio.CancelledError as error:
            # Of the server alone, which would log the end of the request as a failure, and answer with 500.
            if ENDS not in str(error):
                raise
            if not begun:
                await send({"type": "http.response.start", "status": 503, "headers": _LATER})
                await send({"type": "http.response.body", "body": b""})
        except Exception as error:
            if not (begun and _has_its_line(error.__cause__)):
                on_failure(error)
            if not begun:
                await send({"type": "http.response.start", "status": 500, "headers": []})
                await send({"type": "http.response.body", "body": b""})

    return guard


def _has_its_line(cause: BaseException | None) -> bool:
    """Return whether an outage has a line of its own in the log, or needs none."""
    return isinstance(cause, Temporary) and (cause.reported or cause.expected)
