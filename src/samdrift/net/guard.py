"""Last-resort error handling: an unexpected exception becomes an empty 500, reported without its text.

The server would log the exception with its text, which may contain message content (invariant 9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samdrift.contracts.errors import Temporary

ENDS = "timeout graceful shutdown exceeded"
"""Message with which uvicorn, when it shuts down, cancels a request that has not ended in time."""
_LATER = [(b"retry-after", b"30")]


def guarded(application: ASGIApp, on_failure: Callable[[BaseException], None]) -> ASGIApp:
    """Wrap ``application`` so that every exception is caught and reported to ``on_failure``.

    A response that has begun is left incomplete: the server then closes the connection, so that the client
    does not take the part for the whole. If an outage broke it off, which Starlette raises as an error of its
    own, it is not reported where the log already has a line about that outage. A client that is still waiting
    when the server shuts down is asked to retry.
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
            # Only cancellation by the server itself, which would log it as a failure and answer with 500.
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
    """Return whether the log has a line about this outage already, or needs none."""
    return isinstance(cause, Temporary) and (cause.reported or cause.expected)
