"""Hand-over pages: choice of content, package, registration number, and protection from disposal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from samdrift.messageclient.desk import Changed, Desk, TooLongForPdf
from samdrift.messageclient.handover.content import HandOver
from samdrift.messageclient.handover.document import Document
from samdrift.messageclient.handover.package import digests, package
from samdrift.messageclient.handover.pdf import NoPdf, Typesetter
from samdrift.messageclient.mail import Conversation, Message, Part
from samdrift.messageclient.pages import OpenDesk, routes_of
from samdrift.messageclient.pages.frame import Frame, RouteOf, see
from samdrift.messageclient.pages.handling import query_of, version_of
from samdrift.messageclient.pages.reading import CHANGED
from samdrift.messageclient.pages.shown import Shown, marked_here, party
from samdrift.rights import Right
from samdrift.web.formats import SWEDEN
from samdrift.web.forms import Form
from samdrift.web.pages import Pages
from samdrift.web.policy import file_headers
from samdrift.web.sites import site_of
from samdrift.web.texts import Language, Phrase
from samdrift.web.uploads import received

TEMPLATES = Path(__file__).parent / "templates"
LOCALE = Path(__file__).parent / "locale"
_PARTS = {
    Part.PDF: Phrase("PDF for the archive, with all texts and the list of files"),
    Part.FILES: Phrase("The files as they are"),
    Part.EVIDENCE: Phrase("Receipts and evidence from the message service"),
    Part.ORIGINAL: Phrase("Each message as it was sent, byte for byte"),
    Part.NOTES: Phrase("Notes, which have never been sent"),
}
_TOO_LONG = Phrase(
    "The conversation is too long for one PDF. Choose one message at a time, or the package without the PDF."
)
_MAX_NUMBER = 256
_USUAL = frozenset({Part.PDF, Part.FILES, Part.EVIDENCE, Part.ORIGINAL})


class HandOverPages:
    """Handlers of the hand-over pages; their only shared state is the queue for typesetting."""

    def __init__(self, frame: Frame, pages: Pages, typesetter: Typesetter) -> None:
        self._frame = frame
        self._pages = pages
        self._typesetter = typesetter

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", "/conversation/{conversation}/package", self.choice),
            ("POST", "/conversation/{conversation}/package", self.package),
            ("POST", "/conversation/{conversation}/registered", self.register),
            ("POST", "/conversation/{conversation}/held", self.hold),
        )

    async def choice(self, request: Request, desk: Desk) -> Response:
        """Show what can be included, and whether the conversation is registered."""
        usual = _USUAL if self._typesetter.available else _USUAL - {Part.PDF}
        form = Form(("parts", part.value) for part in sorted(usual))
        return await self._page(request, desk, form)

    async def package(self, request: Request, desk: Desk) -> Response:
        """Return the package, which is created while it is sent."""
        form = await received(request)
        parts = frozenset(Part(each) for each in form.all("parts") if each in set(Part))
        if not parts:
            form.refuse("parts", Phrase("Choose what to include"))
            return await self._page(request, desk, form, 422)
        messages = (form["message"],) if form["message"] else ()
        try:
            handover = await desk.handed_over(request.path_params["conversation"], messages, parts)
        except TooLongForPdf:
            form.refuse("parts", _TOO_LONG)
            return await self._page(request, desk, form, 422)
        try:
            pdf = await self._pdf(request, desk, handover)
        except NoPdf:
            form.refuse("parts", Phrase("The PDF could not be made. Choose the package without it."))
            return await self._page(request, desk, form, 503)
        readme = self._pages.lasting_wording(Language.SWEDISH).text(_README)
        name = f"meddelanden-{handover.at.astimezone(SWEDEN):%Y-%m-%d}.zip"
        return StreamingResponse(
            package(handover, pdf, readme), headers=file_headers(name), media_type="application/zip"
        )

    async def register(self, request: Request, desk: Desk) -> Response:
        """Record the conversation's number in the organisation's own records, or remove it."""
        form = await received(request)
        conversation = request.path_params["conversation"]
        number = form["number"].strip()
        if len(number) > _MAX_NUMBER:
            form.refuse("number", Phrase("The number must be no more than 256 characters"))
        if not number and form["act"] != "take-back":
            form.refuse("number", Phrase("Enter the number in your records"))
        if form.errors:
            return await self._page(request, desk, form, 422)
        try:
            await desk.register(conversation, version_of(form), "" if form["act"] == "take-back" else number)
        except Changed:
            return await self._page(request, desk, form, 409, CHANGED)
        return see(f"/conversation/{conversation}/package")

    async def hold(self, request: Request, desk: Desk) -> Response:
        """Protect the conversation from disposal, or end that."""
        form = await received(request)
        conversation, ends = request.path_params["conversation"], form["act"] == "take-back"
        reason = form["reason"].strip()
        if len(reason) > _MAX_NUMBER:
            form.refuse("reason", Phrase("The reason must be no more than 256 characters"))
        if not reason and not ends:
            form.refuse("reason", Phrase("Give a reason, for those who see it later"))
        if form.errors:
            return await self._page(request, desk, form, 422)
        try:
            await desk.hold(conversation, version_of(form), "" if ends else reason)
        except Changed:
            return await self._page(request, desk, form, 409, CHANGED)
        return see(f"/conversation/{conversation}/package")

    async def _pdf(self, request: Request, desk: Desk, handover: HandOver) -> bytes | None:
        if Part.PDF not in handover.parts:
            return None
        shown = Shown(self._pages.lasting_wording(Language.SWEDISH), desk.person)
        site = site_of(request).name
        messages, sums = list[Message](), dict[str, str]()
        async for each in handover.contents:
            messages.append(each.message)
            sums |= await digests(each)
        whole = replace(handover.conversation, messages=tuple(messages))
        document = Document(shown, replace(handover, conversation=whole), site, sums)
        content = await asyncio.to_thread(document.content)
        return await self._typesetter.pdf(content, handover.organisation, desk.person.id)

    async def _page(
        self,
        request: Request,
        desk: Desk,
        form: Form,
        status: int = 200,
        notice: Phrase | None = None,
    ) -> Response:
        before = request.query_params.get("before", "")
        one = await desk.conversation(request.path_params["conversation"], before)
        shown = self._frame.voice(request, desk)
        return await self._frame.page(
            request,
            desk,
            "hand_over.html",
            None,
            status,
            form=form,
            notice=notice,
            conversation=one,
            part=shown.part(one),
            query=query_of(request),
            marked_here=marked_here(one),
            subject=shown.subject(one.subject),
            messages=self._each(request, shown, one),
            parts=[
                (part.value, self._frame.text(request, phrase))
                for part, phrase in _PARTS.items()
                if part is not Part.PDF or self._typesetter.available
            ],
            has_pdf=self._typesetter.available,
            may_register=desk.may(Right.WRITE, one.mailbox),
            registered_by=shown.person(one.registered.person) if one.registered else "",
            held_by=shown.person(one.held.person) if one.held else "",
        )

    def _each(self, request: Request, shown: Shown, one: Conversation) -> list[tuple[str, str]]:
        """Return the messages to choose one from, the latest first; empty if there is only one."""
        if len(one.messages) + one.others < 2:
            return []
        return [
            (
                each.id,
                self._frame.text(
                    request,
                    Phrase(
                        "Only the one from %(name)s, %(time)s",
                        {"time": shown.formats.longer(each.at), "name": party(each.sender)},
                    ),
                ),
            )
            for each in reversed(one.messages)
        ]


def handover_routes(pages: Pages, open_desk: OpenDesk) -> tuple[Route, ...]:
    """Return the routes; ``open_desk`` opens the desk of the signed-in person."""
    frame = Frame(pages, open_desk)
    return routes_of(frame, HandOverPages(frame, pages, Typesetter()).routes())


_README = Phrase(
    "This package holds messages that were exchanged over SDK.\n"
    "\n"
    "meddelanden.pdf: all texts, for people and archives (PDF/A-2a).\n"
    "meddelande-1, meddelande-2 and so on: each message as the message client keeps it (meddelande.json),\n"
    "its files as they are, and receipts with evidence (kvittenser.tar), with the message itself\n"
    "as original.xml in it.\n"
    "manifest.json: what is here, what could not be had and why, and the digest (SHA-256) of each file.\n"
    "\n"
    "The evidence can be checked without trust in this package: the instructions in kvittenser.tar say how.\n"
)
