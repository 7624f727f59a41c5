"""The last line of an application: an unexpected exception becomes an empty 500 and a line in the log.

The server would write the exception with its text, which may hold somebody's
content (invariant 9).
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samdrift.audit.operations import unexpected


def guarded(application: ASGIApp, name: str) -> ASGIApp:
    """``application`` with every exception kept inside."""
    log = unexpected(name)

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
        except Exception as error:
            log(error)
            if not begun:
                await send({"type": "http.response.start", "status": 500, "headers": []})
                await send({"type": "http.response.body", "body": b""})

    return guard
