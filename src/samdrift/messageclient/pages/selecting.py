"""Selections of conversations by handler, state, confidentiality, other side, age and files; and saved views.

The criteria are posted, and the result is found under a random token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starlette.requests import Request
from starlette.responses import Response

from samdrift.messageclient.desk import Desk, TooManyKept
from samdrift.messageclient.finding import MAX_WORDS
from samdrift.messageclient.mail import Lines, Mailbox
from samdrift.messageclient.pages.finding import LONG_WORDS
from samdrift.messageclient.pages.frame import Frame, Place, RouteOf, see
from samdrift.messageclient.pages.reading import find
from samdrift.messageclient.selections import ANYBODY, ME, NOBODY, Selection, State, View
from samdrift.rights import Right
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

_ON_A_PAGE = 50
_MAX_DAYS = 3660
_STATES = {
    State.UNREAD: Phrase("Unread"),
    State.OPEN: Phrase("Not done"),
    State.DONE: Phrase("Done"),
}


class Selecting:
    """Pages of selections and views."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", "/select/{mailbox}", self.ask),
            ("GET", "/select", self.ask),
            ("POST", "/select", self.select),
            ("GET", "/selected/{token}", self.selected),
            ("POST", "/selected/{token}/keep", self.keep),
            ("GET", "/view/{view}", self.view),
            ("POST", "/view/{view}/remove", self.remove),
        )

    async def ask(self, request: Request, desk: Desk) -> Response:
        """Show the form for a selection."""
        mailboxes = await desk.mailboxes()
        mailbox = request.path_params.get("mailbox", "")
        if mailbox:
            await find(desk, mailboxes, mailbox)
        return await self._ask(
            request,
            desk,
            mailboxes,
            Form((("mailbox", mailbox), ("state", "open"), ("confidential", ""), ("files", ""))),
        )

    async def select(self, request: Request, desk: Desk) -> Response:
        """Store a selection and redirect to its conversations."""
        form = await received(request)
        mailboxes = await desk.mailboxes()
        days = form["quiet_days"].strip() or "0"
        if not (days.isascii() and days.isdecimal() and len(days) < 6 and int(days) <= _MAX_DAYS):
            form.refuse(
                "quiet_days", Phrase("Enter a number of days, no more than %(most)s", {"most": _MAX_DAYS})
            )
        if len(form["organisation"].strip()) > MAX_WORDS:
            form.refuse("organisation", LONG_WORDS)
        if form.errors:
            return await self._ask(request, desk, mailboxes, form, 422)
        selection = Selection(
            mailbox=form["mailbox"] or None,
            state=State(form["state"]) if form["state"] in set(State) else State.ANY,
            handler=form["handler"],
            confidential=_flag(form["confidential"]),
            files=_flag(form["files"]),
            quiet_days=int(days),
            organisation=form["organisation"].strip(),
        )
        return see(f"/selected/{await desk.begin_selection(selection)}")

    async def selected(self, request: Request, desk: Desk) -> Response:
        """Show the conversations of a selection."""
        return await self._selected(request, desk, Form())

    async def keep(self, request: Request, desk: Desk) -> Response:
        """Save a selection as a view."""
        form = await received(request)
        name = form.required("name", Phrase("Enter a name"))
        if not form.errors:
            try:
                shared = form["shared"] == "yes"
                view = await desk.keep_view(request.path_params["token"], name, for_mailbox=shared)
                return see(f"/view/{view}")
            except TooManyKept:
                form.refuse("name", Phrase("There are too many views: remove one first"))
        return await self._selected(request, desk, form, 422)

    async def view(self, request: Request, desk: Desk) -> Response:
        """Show the conversations of a view."""
        after = request.query_params.get("after", "")
        view, lines = await desk.view(request.path_params["view"], after=after, limit=_ON_A_PAGE)
        return await self._page(request, desk, Form(), view.selection, lines, view=view, name=view.name)

    async def remove(self, request: Request, desk: Desk) -> Response:
        """Ask for confirmation, then remove a view."""
        form, asked = await received(request), request.path_params["view"]
        kept = next((one for one in await desk.views() if one.id == asked), None)
        if kept is not None and form["sure"] != "yes":
            return await self._frame.sure(
                request,
                desk,
                Phrase("Remove the view?"),
                kept.name,
                Phrase("The conversations in it are kept. The view cannot be restored."),
                Phrase("Remove the view"),
                back=f"/view/{kept.id}",
            )
        await desk.drop_view(asked)
        return see("/")

    async def _ask(
        self, request: Request, desk: Desk, mailboxes: Sequence[Mailbox], form: Form, status: int = 200
    ) -> Response:
        return await self._frame.page(
            request,
            desk,
            "select.html",
            Place(path="/select"),
            status,
            mailboxes=mailboxes,
            form=form,
            action="/select",
            boxes=[(box.id, box.name) for box in mailboxes if Right.READ in box.rights],
            handlers=await self._handlers(request, desk, mailboxes),
        )

    async def _handlers(
        self, request: Request, desk: Desk, mailboxes: Sequence[Mailbox]
    ) -> list[tuple[str, str]]:
        """Return the choices of handler: anyone, the person, no one, and colleagues."""
        shown = self._frame.voice(request, desk)
        colleagues = {
            each.id: shown.person(each)
            for box in mailboxes
            if Right.READ in box.rights and Right.WRITE in box.rights
            for each in await desk.colleagues(box.id)
            if each.id != desk.person.id
        }
        return [
            (ANYBODY, shown.say(Phrase("Any"))),
            (ME, shown.say(Phrase("Me"))),
            (NOBODY, shown.say(Phrase("Nobody"))),
            *sorted(colleagues.items(), key=lambda pair: pair[1].casefold()),
        ]

    async def _selected(self, request: Request, desk: Desk, form: Form, status: int = 200) -> Response:
        token, after = request.path_params["token"], request.query_params.get("after", "")
        selection, lines = await desk.selected(token, after=after, limit=_ON_A_PAGE)
        name = self._frame.text(request, Phrase("Selected conversations"))
        return await self._page(request, desk, form, selection, lines, status, name=name)

    async def _page(
        self,
        request: Request,
        desk: Desk,
        form: Form,
        selection: Selection,
        lines: Lines,
        status: int = 200,
        *,
        name: str,
        view: View | None = None,
    ) -> Response:
        shown = self._frame.voice(request, desk)
        mailboxes = await desk.mailboxes()
        path = f"/view/{view.id}" if view else f"/selected/{request.path_params['token']}"
        people = dict(await self._handlers(request, desk, mailboxes)) if selection.handler else {}
        chosen = [box.name for box in mailboxes if box.id == selection.mailbox]
        chosen += [shown.say(each) for each in _words(selection, people)]
        return await self._frame.page(
            request,
            desk,
            "selected.html",
            Place(path=path),
            status,
            mailboxes=mailboxes,
            form=form,
            name=name,
            chosen=chosen,
            rows=tuple(shown.row(line) for line in lines.lines),
            next=lines.next,
            path=path,
            view=view,
            again=f"/select/{selection.mailbox}" if selection.mailbox else "/select",
            may_share=selection.mailbox is not None and desk.may(Right.WRITE, selection.mailbox),
        )


def _words(selection: Selection, people: dict[str, str]) -> Iterator[Phrase]:
    """Yield the criteria of a selection in words."""
    if selection.state is not State.ANY:
        yield _STATES[selection.state]
    if selection.handler:
        yield Phrase("assigned to: %(name)s", {"name": people.get(selection.handler, "?")})
    if selection.confidential is not None:
        yield Phrase("Marked as confidential") if selection.confidential else Phrase("Not confidential")
    if selection.files is not None:
        yield Phrase("With files") if selection.files else Phrase("Without files")
    if selection.quiet_days:
        yield Phrase("nothing new for %(days)s days", {"days": selection.quiet_days})
    if selection.organisation:
        yield Phrase("other organisation: %(name)s", {"name": selection.organisation})


def _flag(text: str) -> bool | None:
    return {"yes": True, "no": False}.get(text)
