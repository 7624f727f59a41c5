"""Handling of a conversation: its handler, whether it is done, its mailbox, and internal notes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from samdrift.messageclient.desk import Changed, Desk, TooManyKept
from samdrift.messageclient.pages.frame import Frame, RouteOf, see
from samdrift.messageclient.pages.reading import CHANGED, Reading
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

Step = Callable[[Desk, str, int, Form], Awaitable[int]]
_MAX_NOTE = 20_000
"""Maximum number of characters in a note, since all notes of a conversation are shown on its page."""


class Handling:
    """Forms that change the state of a conversation; each carries the version that the person saw."""

    def __init__(self, frame: Frame, reading: Reading) -> None:
        self._frame = frame
        self._reading = reading

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""

        async def take(desk: Desk, conversation: str, version: int, form: Form) -> int:
            return await desk.take(conversation, version)

        async def release(desk: Desk, conversation: str, version: int, form: Form) -> int:
            return await desk.release(conversation, version)

        async def hand_over(desk: Desk, conversation: str, version: int, form: Form) -> int:
            return await desk.hand_over(conversation, version, form["to"])

        async def done(desk: Desk, conversation: str, version: int, form: Form) -> int:
            return await desk.set_done(conversation, version, done=True)

        async def reopen(desk: Desk, conversation: str, version: int, form: Form) -> int:
            return await desk.set_done(conversation, version, done=False)

        async def move(desk: Desk, conversation: str, version: int, form: Form) -> int:
            return await desk.move(conversation, version, form["mailbox"])

        steps = {
            "take": take,
            "release": release,
            "hand-over": hand_over,
            "done": done,
            "reopen": reopen,
            "move": move,
        }
        return (
            *(
                ("POST", f"/conversation/{{conversation}}/{name}", self._step(step))
                for name, step in steps.items()
            ),
            ("POST", "/conversation/{conversation}/note", self.note),
        )

    def _step(self, step: Step) -> Callable[[Request, Desk], Awaitable[Response]]:
        async def answer(request: Request, desk: Desk) -> Response:
            form = await received(request)
            conversation = request.path_params["conversation"]
            try:
                await step(desk, conversation, version_of(form), form)
            except Changed:
                return await self._reading.open(request, desk, conversation, 409, CHANGED)
            return see(f"/conversation/{conversation}{query_of(request)}")

        return answer

    async def note(self, request: Request, desk: Desk) -> Response:
        """Add a note, unless it is empty."""
        form = await received(request)
        conversation = request.path_params["conversation"]
        text = form.required("note", Phrase("Write the note first"))
        if len(text) > _MAX_NOTE:
            form.refuse("note", Phrase("Write no more than %(most)s characters", {"most": "20 000"}))
        if not form.errors:
            try:
                added = await desk.add_note(conversation, text)
                return see(f"/conversation/{conversation}{query_of(request)}#n-{added.id}")
            except TooManyKept as many:
                why = Phrase(
                    "Not saved: you have made %(most)s notes here, which is the most that one person may "
                    "make in a conversation. What you wrote is below: keep it in your case system instead.",
                    {"most": str(many.most)},
                )
                form.refuse("note", why)
        fault = form.errors["note"]
        return await self._reading.open(request, desk, conversation, 422, fault, text, note_open=True)


def query_of(request: Request) -> str:
    """Return the query of a request, which only names a view."""
    return f"?{request.url.query}" if request.url.query else ""


def version_of(form: Form) -> int:
    """Return the version that a form was made for, or one that never exists if the field is invalid."""
    return number_in(form["version"])


def number_in(digits: str) -> int:
    """Return a number from a form, or -1 if the text is not one."""
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else -1
