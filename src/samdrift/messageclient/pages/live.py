"""Updates of open pages: a stream that signals changes, and a description of them when the page asks.

Nothing on a page moves by itself: a line offers to show what is new, and names show who else is there. A page
without a stream asks from time to time. No response contains any text of a message.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from samdrift.messageclient.desk import Desk
from samdrift.messageclient.live.following import TooManyStreams
from samdrift.messageclient.live.openpages import Change, News, OpenPage
from samdrift.messageclient.pages.frame import EPOCH, Frame, RouteOf
from samdrift.messageclient.pages.shown import Shown
from samdrift.web.cookies import SESSION, cookie
from samdrift.web.guards import BY_ITSELF, session_of
from samdrift.web.sites import site_of
from samdrift.web.texts import Phrase

_AGAIN_MILLISECONDS = 5_000


class LivePages:
    """Requests that open pages send by themselves."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", f"{BY_ITSELF}news", self.news),
            ("GET", f"{BY_ITSELF}events", self.events),
        )

    async def news(self, request: Request, desk: Desk) -> Response:
        """Return a description of what has changed since the page was made, and of who else has it open."""
        view, shown, since = _asked(request)
        polled = "polled" in request.query_params
        found = await desk.news(view, shown, since, polled=polled)
        voice = self._frame.voice(request, desk)
        rows = {conversation: voice.here(there) for conversation, there in found.present.items()}
        return JSONResponse(
            {
                "list": _of_list(voice, found),
                "conversation": _of_conversation(voice, found),
                "present": rows.get(view.conversation, ""),
                "rows": rows,
            }
        )

    async def events(self, request: Request, desk: Desk) -> Response:
        """Stream a signal for each change; a page that cannot get a stream asks from time to time instead."""
        view, shown, _ = _asked(request)
        session = session_of(request)
        assert session is not None  # A desk implies a session.
        try:
            changes = await desk.follow(view, shown, session.mark)
        except TooManyStreams:
            return Response(status_code=204)
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(_stream(request, changes), headers=headers, media_type="text/event-stream")


def _asked(request: Request) -> tuple[OpenPage, tuple[str, str], datetime]:
    asked: Mapping[str, str] = request.query_params
    listed = asked.get("list", "")
    everything = listed == "all"
    view = OpenPage(
        "" if everything else listed, everything, asked.get("conversation", ""), "writing" in asked
    )
    return view, (asked.get("lists", ""), asked.get("at", "")), _since(asked.get("since", ""))


def _since(text: str) -> datetime:
    """Return the time at which a page was made, or the epoch if the text is not a valid number."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 15 else 0
    return EPOCH + timedelta(milliseconds=number)


def _of_list(voice: Shown, found: News) -> str:
    if found.arrived:
        return voice.say(
            Phrase("1 new – show")
            if found.arrived == 1
            else Phrase("%(count)s new – show", {"count": found.arrived})
        )
    return voice.say(Phrase("The list has changed – show")) if found.list_changed else ""


def _of_conversation(voice: Shown, found: News) -> str:
    if not found.conversation_changed:
        return ""
    return voice.say(Phrase("Something has changed in this conversation – show"))


async def _stream(request: Request, changes: AsyncGenerator[Change]) -> AsyncIterator[str]:
    yield f"retry: {_AGAIN_MILLISECONDS}\n\n"
    session, value, sessions = session_of(request), cookie(request, SESSION), site_of(request).sessions
    async with contextlib.aclosing(changes):
        async for change in changes:
            session = await sessions.still(session, value)
            if session is None:
                return
            yield ": alive\n\n" if change is Change.ALIVE else f"event: {change.value}\ndata: 1\n\n"
