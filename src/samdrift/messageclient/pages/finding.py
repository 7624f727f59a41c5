"""Search in the mail that a person may read, and the address book. Search words are never part of an address.

Clauses: architecture-sad 5.3.6.2 step 1, 5.4 step 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from samdrift.messageclient.desk import Desk
from samdrift.messageclient.finding import MAX_WORDS
from samdrift.messageclient.mail import Search
from samdrift.messageclient.pages.draftforms import key_of
from samdrift.messageclient.pages.frame import Frame, Place, RouteOf, see
from samdrift.messageclient.pages.shown import party
from samdrift.rights import Right
from samdrift.web.forms import Form
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

_ADDRESSES = 50
LONG_WORDS = Phrase("Write no more than %(most)s characters", {"most": MAX_WORDS})


@dataclass(frozen=True, slots=True)
class _Known:
    """An entry of the address book as its page shows it."""

    key: str
    name: str
    organisation: str
    address: str
    used: int
    favourite: bool
    near: bool


class Finding:
    """Pages of search and address book. A search is posted, and its results are at a random address."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", "/search", self.ask),
            ("POST", "/search", self.search),
            ("GET", "/search/{token}", self.found),
            ("GET", "/addresses", self.addresses),
            ("POST", "/addresses", self.addresses),
            ("POST", "/addresses/favourite", self.favourite),
        )

    async def ask(self, request: Request, desk: Desk) -> Response:
        """Show the search page."""
        return await self._show(request, desk, Form())

    async def search(self, request: Request, desk: Desk) -> Response:
        """Store a search and redirect to its results."""
        form = await received(request)
        words = form.required("words", Phrase("Enter what to search for"))
        if len(words) > MAX_WORDS:
            form.refuse("words", LONG_WORDS)
        if form.errors:
            return await self._show(request, desk, form, 422)
        search = Search(words, form["whole"] == "yes", form["mailbox"] or None)
        return see(f"/search/{await desk.begin_search(search)}")

    async def found(self, request: Request, desk: Desk) -> Response:
        """Show the results of a search."""
        search, found = await desk.found(request.path_params["token"])
        shown = self._frame.voice(request, desk)
        form = Form(
            (
                ("words", search.words),
                ("whole", "yes" if search.whole_text else ""),
                ("mailbox", search.mailbox or ""),
            )
        )
        rows = tuple(shown.row(line) for line in found.lines)
        return await self._show(request, desk, form, rows=rows, found=found)

    async def _show(
        self, request: Request, desk: Desk, form: Form, status: int = 200, **more: object
    ) -> Response:
        mailboxes = await desk.mailboxes()
        context = {"rows": (), "found": None, **more}
        return await self._frame.page(
            request,
            desk,
            "search.html",
            Place(path="/search"),
            status,
            mailboxes=mailboxes,
            form=form,
            boxes=[(box.id, box.name) for box in mailboxes if Right.READ in box.rights],
            **context,
        )

    async def addresses(self, request: Request, desk: Desk) -> Response:
        """Show addresses that match, or those that are used most."""
        form = await received(request) if request.method == "POST" else Form()
        known = await desk.correspondents(form["words"].strip(), _ADDRESSES)
        return await self._frame.page(
            request,
            desk,
            "addresses.html",
            Place(path="/addresses"),
            form=form,
            addresses=[
                _Known(
                    key_of(each.recipient),
                    party(each.recipient),
                    each.recipient.organisation,
                    each.recipient.address,
                    each.used,
                    each.favourite,
                    each.near,
                )
                for each in known
            ],
        )

    async def favourite(self, request: Request, desk: Desk) -> Response:
        """Mark an address as a favourite, or remove the mark."""
        form = await received(request)
        found = await desk.correspondent(form["key"])
        if found is not None:
            await desk.set_favourite(found, favourite=form["favourite"] == "yes")
        return see("/addresses")
