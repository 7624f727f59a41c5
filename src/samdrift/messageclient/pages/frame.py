"""The frame of every mail page: the person's desk, the navigation columns, and answers to denied requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from samdrift.messageclient.desk import Desk, NotHere, ReasonAsked
from samdrift.messageclient.live.openpages import OpenPage, Watch
from samdrift.messageclient.mail import FileContent, Folder, Mailbox, Reason
from samdrift.messageclient.pages.draftforms import Typed, earlier_forms, typed_anywhere
from samdrift.messageclient.pages.shown import Shown
from samdrift.messageclient.selections import View
from samdrift.rights import Right
from samdrift.web.application import signed_in
from samdrift.web.forms import Form
from samdrift.web.guards import session_of
from samdrift.web.pages import Pages
from samdrift.web.policy import file_headers
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received, received_before
from samdrift.web.views import Link, Section

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
LOCALE = HERE / "locale"

OpenDesk = Callable[[Request], Awaitable[Desk]]
Handler = Callable[[Request, Desk], Awaitable[Response]]
RouteOf = tuple[str, str, Handler]
"""Method, path and handler of a route."""

_FOLDERS = (
    (Folder.UNREAD, Phrase("Unread")),
    (Folder.MINE, Phrase("Mine")),
    (Folder.UNHANDLED, Phrase("Unassigned")),
    (Folder.OPEN, Phrase("All")),
    (Folder.DONE, Phrase("Finished")),
)
REASONS = (
    (Reason.CASE, Phrase("I am working on a case it belongs to")),
    (Reason.COVER, Phrase("I am covering for a colleague")),
    (Reason.SUPERVISION, Phrase("I supervise or follow up the work")),
    (Reason.RECORDS, Phrase("A request for public records")),
    (Reason.MISTAKE, Phrase("I am looking into a fault, or something sent to the wrong place")),
)
FOLDER_OF_ALL = {Folder.MINE: "/mine", Folder.SENT: "/sent"}
"""Addresses of the views that cover all mailboxes."""


RIGHTS, ADMINISTRATION = "/rights", "/administration"
"""Addresses of pages in other packages (:mod:`samdrift.messageclient.assigning` and ``administering``)."""


NOTICES = "/notices"
"""Address of the page of email notifications (:mod:`samdrift.messageclient.notices`)."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def see(path: str) -> Response:
    """Return a redirect that answers an accepted form by showing another page."""
    return RedirectResponse(path, 303)


@dataclass(frozen=True, slots=True)
class Place:
    """The mailbox and view that a page shows, which are marked in the navigation columns."""

    mailbox: str = ""
    folder: Folder | None = None
    path: str = ""


class Frame:
    """Services that the handlers of all mail pages share."""

    def __init__(self, pages: Pages, open_desk: OpenDesk) -> None:
        self._pages = pages
        self.open_desk = open_desk

    def page_endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Wrap the handler of a page, which requires that the person is signed in."""

        async def answer(request: Request) -> Response:
            return await self.kept_here(request, handler)

        return signed_in(answer)

    def form_endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Wrap the handler of a posted form. The handler reads the form, so it can stream files.

        Without a session the form is read before the desk is opened, so that what was typed is not lost.
        """

        async def answer(request: Request) -> Response:
            if session_of(request) is None:
                await received(request)
            return await self.kept_here(request, handler)

        return answer

    async def kept_here(self, request: Request, handler: Handler) -> Response:
        """Run a handler and answer its refusals: hidden records look like ones that do not exist."""
        desk = await self.open_desk(request)
        try:
            return await handler(request, desk)
        except NotHere as missing:
            return await self._not_here(request, desk, missing)
        except ReasonAsked as asked:
            return await self.why(request, desk, asked.conversation, Form(), 403)

    async def _not_here(self, request: Request, desk: Desk, missing: NotHere) -> Response:
        """Answer a request for something that is not here for the person, with the text that they posted.

        The text exists nowhere else. The page shows nothing but what this browser has just sent, whether such
        a record exists or not.
        """
        typed: tuple[Typed, ...] = ()
        if request.method == "POST":
            form, shown = await received_before(request), self.voice(request, desk)
            found = (typed_anywhere(each, shown) for each in (form, *earlier_forms(form)))
            typed = tuple(each for each in found if each is not None)
        if not missing.ended and not typed:
            raise HTTPException(404) from None
        page = "ended.html" if missing.ended else "not_here.html"
        return await self.page(request, desk, page, None, 404, typed=typed)

    async def why(self, request: Request, desk: Desk, conversation: str, form: Form, status: int) -> Response:
        """Ask the person why they are opening a conversation."""
        context = {"conversation": conversation, "reasons": REASONS, "form": form}
        return await self.page(request, desk, "why.html", None, status, **context)

    async def sure(
        self,
        request: Request,
        desk: Desk,
        question: Phrase,
        about: str,
        stays: Phrase,
        yes: Phrase,
        *,
        back: str,
    ) -> Response:
        """Ask for confirmation before something is removed for good; ``stays`` states what is kept."""
        return await self.page(
            request,
            desk,
            "sure.html",
            question=question,
            about=about,
            stays=stays,
            yes=yes,
            action=request.url.path,
            back=back,
        )

    def voice(self, request: Request, desk: Desk) -> Shown:
        """Return the texts and formats for the person and language of the request."""
        return Shown(self._pages.wording(request), desk.person)

    def lasting_voice(self, request: Request, desk: Desk) -> Shown:
        """Return the texts and formats for printing, with full dates because paper is read on later days."""
        language = self._pages.wording(request).formats.language
        return Shown(self._pages.lasting_wording(language), desk.person)

    def text(self, request: Request, phrase: Phrase) -> str:
        """Return a text in the language of the request."""
        return self._pages.wording(request).text(phrase)

    async def page(
        self,
        request: Request,
        desk: Desk,
        template: str,
        place: Place | None = None,
        status: int = 200,
        **context: Any,
    ) -> Response:
        """Return a page with the navigation columns."""
        place = place or Place()
        mailboxes = context.pop("mailboxes", None)
        if mailboxes is None:
            mailboxes = await desk.mailboxes()
        views = context.pop("views", None)
        if views is None:
            views = await desk.views()
        context["sections"] = self._sections(request, desk, mailboxes, place, views)
        context["write"] = _write(mailboxes, place)
        context["searchable"] = bool(mailboxes)
        context["away_since"] = desk.away_since
        return self._pages.page(request, template, status, **context)

    async def live(self, request: Request, desk: Desk, view: OpenPage) -> str:
        """Return the query with which a page asks for changes; call it before reading the content."""
        return live_query(view, await desk.watch(view), self._pages.wording(request).formats.now)

    def tabs(self, request: Request, mailbox: Mailbox, place: Place) -> tuple[Link, ...]:
        """Return the views of a mailbox."""
        return tuple(
            Link(
                self.text(request, phrase),
                f"/mailbox/{mailbox.id}/{folder.value}",
                0 if folder in (Folder.DONE, Folder.OPEN) else mailbox.counts.get(folder, 0),
                current=folder is place.folder,
            )
            for folder, phrase in _FOLDERS
        )

    def _sections(
        self,
        request: Request,
        desk: Desk,
        mailboxes: Sequence[Mailbox],
        place: Place,
        views: Sequence[View],
    ) -> tuple[Section, ...]:
        def text(phrase: Phrase) -> str:
            return self.text(request, phrase)

        own = tuple(
            Link(
                box.name,
                f"/mailbox/{box.id}",
                count := box.counts.get(Folder.UNREAD, 0),
                unread=count > 0,
                current=box.id == place.mailbox and not place.path,
            )
            for box in mailboxes
            if Right.READ in box.rights
        )
        mine = sum(box.counts.get(Folder.MINE, 0) for box in mailboxes)
        drafts, outbox = sum(box.drafts for box in mailboxes), sum(box.outbox for box in mailboxes)
        personal = [
            Link(text(Phrase("With me")), "/mine", mine, current=place.path == "/mine"),
            Link(text(Phrase("Drafts")), "/drafts", drafts, current=place.path == "/drafts"),
            Link(text(Phrase("Sent")), "/sent", current=place.path == "/sent"),
        ]
        if outbox or place.path == "/outbox":
            personal.append(Link(text(Phrase("Outbox")), "/outbox", outbox, current=place.path == "/outbox"))
        organisation = [Link(text(Phrase("Who can read")), RIGHTS)]
        if mailboxes:
            organisation.insert(
                0, Link(text(Phrase("Address book")), "/addresses", current=place.path == "/addresses")
            )
            organisation.append(Link(text(Phrase("Email notifications")), NOTICES))
        if may_administer(desk, mailboxes):
            organisation.append(Link(text(Phrase("Administration")), ADMINISTRATION))
        kept = tuple(
            Link(one.name, f"/view/{one.id}", current=place.path == f"/view/{one.id}") for one in views
        )
        return (
            *((Section("", own), Section(text(Phrase("Your own")), tuple(personal))) if mailboxes else ()),
            *((Section(text(Phrase("Views")), kept),) if kept else ()),
            Section(text(Phrase("The organisation")), tuple(organisation)),
        )


def live_query(view: OpenPage, watch: Watch, now: datetime) -> str:
    """Return the query with which a page asks for changes to its state: only ids and numbers."""
    asked = {
        "list": "all" if view.everything else view.mailbox,
        "conversation": view.conversation,
        "writing": "1" if view.writing else "",
        "lists": watch.list_state,
        "at": watch.conversation_state,
        "since": str((now - EPOCH) // timedelta(milliseconds=1)),
    }
    return urlencode({name: value for name, value in asked.items() if value})


def may_administer(desk: Desk, mailboxes: Sequence[Mailbox]) -> bool:
    """Return whether the person may use any of the administration pages."""
    roles = (Right.ADMINISTRATOR, Right.SECURITY_OFFICER)
    return any(desk.may(role) for role in roles) or any(Right.MANAGE in box.rights for box in mailboxes)


def _write(mailboxes: Sequence[Mailbox], place: Place) -> str:
    """Return the address for a new message, in the current mailbox or else the first writable one."""
    may = [box.id for box in mailboxes if Right.WRITE in box.rights and not box.retired]
    chosen = place.mailbox if place.mailbox in may else next(iter(may), "")
    return f"/mailbox/{chosen}/write" if chosen else ""


def saved_file(content: FileContent) -> Response:
    """Return a file as a download, which the browser never shows in the page."""
    file = content.file
    headers = {**file_headers(file.name), "content-length": str(file.size)}
    return StreamingResponse(content.pieces, headers=headers, media_type=_harmless(file.media_type))


def _harmless(media_type: str) -> str:
    """Return the media type for PDF, and for any other file a type that browsers do not open."""
    return media_type if media_type == "application/pdf" else "application/octet-stream"
