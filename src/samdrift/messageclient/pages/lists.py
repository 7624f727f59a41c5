"""Distribution lists: named sets of recipients, for one person or for everyone who writes in a mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from samdrift.messageclient.desk import Desk, TooManyKept
from samdrift.messageclient.mail import Correspondent, Mailbox, RecipientList
from samdrift.messageclient.pages.draftforms import key_of
from samdrift.messageclient.pages.frame import Frame, Place, RouteOf, see
from samdrift.messageclient.pages.shown import party
from samdrift.rights import Right
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

_CHOICES = 12


class Lists:
    """Pages of distribution lists."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", "/lists", self.overview),
            ("POST", "/lists", self.make),
            ("GET", "/list/{list}", self.show),
            ("POST", "/list/{list}", self.change),
            ("POST", "/list/{list}/remove", self.remove),
        )

    async def overview(self, request: Request, desk: Desk) -> Response:
        """Show the lists that the person can use."""
        return await self._overview(request, desk, Form())

    async def make(self, request: Request, desk: Desk) -> Response:
        """Create a list and redirect to its page."""
        form = await received(request)
        name = form.required("name", Phrase("Enter a name"))
        if not form.errors:
            try:
                made = await desk.keep_list(RecipientList("", name, (), form["mailbox"] or None))
                return see(f"/list/{made}")
            except TooManyKept:
                form.refuse("name", Phrase("There are too many lists: remove one first"))
        return await self._overview(request, desk, form, 422)

    async def show(self, request: Request, desk: Desk) -> Response:
        """Show a list with its recipients."""
        kept = await _one(request, desk)
        return await self._page(request, desk, kept, Form((("name", kept.name),)))

    async def change(self, request: Request, desk: Desk) -> Response:
        """Add or remove a recipient, search for addresses, or rename the list."""
        form = await received(request)
        kept = await _one(request, desk)
        if form["add"]:
            try:
                await desk.keep_list(await _with(desk, kept, form["add"]))
            except TooManyKept as full:
                form.refuse(
                    "find",
                    Phrase(
                        "A list has at most %(most)s recipients. Remove one first, or make another list.",
                        {"most": full.most},
                    ),
                )
                return await self._page(request, desk, kept, form, 422)
        elif form["remove"]:
            left = tuple(each for each in kept.recipients if key_of(each) != form["remove"])
            await desk.keep_list(replace(kept, recipients=left))
        elif form["rename"]:
            name = form.required("name", Phrase("Enter a name"))
            if form.errors:
                return await self._page(request, desk, kept, form, 422)
            await desk.keep_list(replace(kept, name=name))
        else:
            found = await desk.correspondents(form["find"].strip(), _CHOICES)
            again = Form((("find", form["find"]), ("name", kept.name)))
            return await self._page(request, desk, kept, again, found=found)
        return see(f"/list/{kept.id}")

    async def remove(self, request: Request, desk: Desk) -> Response:
        """Ask for confirmation, then remove a list."""
        form = await received(request)
        kept = await _one(request, desk)
        if form["sure"] != "yes":
            return await self._frame.sure(
                request,
                desk,
                Phrase("Remove the list?"),
                kept.name,
                Phrase("Messages sent with it are kept. The list cannot be restored."),
                Phrase("Remove the list"),
                back=f"/list/{kept.id}",
            )
        await desk.drop_list(kept.id)
        return see("/lists")

    async def _overview(self, request: Request, desk: Desk, form: Form, status: int = 200) -> Response:
        mailboxes = await desk.mailboxes()
        lists = await desk.lists()
        return await self._frame.page(
            request,
            desk,
            "lists.html",
            Place(path="/lists"),
            status,
            mailboxes=mailboxes,
            form=form,
            lists=[(one, self._whose(request, mailboxes, one)) for one in lists],
            boxes=[(box.id, box.name) for box in mailboxes if Right.WRITE in box.rights],
        )

    async def _page(
        self,
        request: Request,
        desk: Desk,
        kept: RecipientList,
        form: Form,
        status: int = 200,
        found: Sequence[Correspondent] | None = None,
    ) -> Response:
        mailboxes = await desk.mailboxes()
        known = {key_of(each) for each in kept.recipients}
        return await self._frame.page(
            request,
            desk,
            "list.html",
            Place(path="/lists"),
            status,
            mailboxes=mailboxes,
            form=form,
            kept=kept,
            whose=self._whose(request, mailboxes, kept),
            recipients=[(key_of(each), party(each)) for each in kept.recipients],
            choices=[
                (key_of(each.recipient), party(each.recipient))
                for each in found or ()
                if key_of(each.recipient) not in known
            ],
            looked=found is not None,
        )

    def _whose(self, request: Request, mailboxes: Sequence[Mailbox], one: RecipientList) -> str:
        for box in mailboxes:
            if box.id == one.mailbox:
                return self._frame.text(
                    request, Phrase("For everyone who writes in %(name)s", {"name": box.name})
                )
        return self._frame.text(request, Phrase("For you alone"))


async def _one(request: Request, desk: Desk) -> RecipientList:
    asked = request.path_params["list"]
    found = next((each for each in await desk.lists() if each.id == asked), None)
    if found is None:
        await desk.refuse("list", asked)
    return found


async def _with(desk: Desk, kept: RecipientList, key: str) -> RecipientList:
    """Return a list with one more recipient, which is added only if it is in the address book."""
    if any(key_of(each) == key for each in kept.recipients):
        return kept
    found = await desk.correspondent(key)
    return kept if found is None else replace(kept, recipients=(*kept.recipients, found))
