"""Reading: lists, conversations, messages, files, the readers of a message, and delivery progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from samdrift.contracts.messages import MessageStatus
from samdrift.messageclient import mail
from samdrift.messageclient.desk import Desk, ReasonAsked
from samdrift.messageclient.live.openpages import OpenPage
from samdrift.messageclient.mail import Act, Folder, Mailbox, Reason
from samdrift.messageclient.pages import delivery
from samdrift.messageclient.pages.frame import (
    ADMINISTRATION,
    FOLDER_OF_ALL,
    Frame,
    Place,
    RouteOf,
    may_administer,
    saved_file,
    see,
)
from samdrift.messageclient.pages.shown import Shown, marked_here, party
from samdrift.rights import Right
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received
from samdrift.web.views import Message, Note, Row, Tag

_ON_A_PAGE = 50
_BESIDE = 20
"""Number of conversations listed next to an open one."""
_ACTS = {
    Act.READ: Phrase("Read"),
    Act.FILE: Phrase("Opened a file"),
    Act.RAW: Phrase("Downloaded the raw data"),
    Act.PRINTED: Phrase("Printed"),
    Act.WHY: Phrase("Said why"),
    Act.HANDED_OVER: Phrase("Exported in a package"),
}
EMPTY = {
    Folder.UNREAD: Phrase("Nothing is unread. New messages to the mailbox appear here."),
    Folder.MINE: Phrase("You have no open conversations. Those you take appear here."),
    Folder.UNHANDLED: Phrase("Every open conversation has been assigned."),
    Folder.OPEN: Phrase("Nothing is open. New messages to the mailbox appear here."),
    Folder.DONE: Phrase("Nothing is done yet. Conversations that you mark as done appear here."),
    Folder.SENT: Phrase("Nothing has been sent yet. What you send appears here."),
}
NAME_OF_ALL = {Folder.MINE: Phrase("With me"), Folder.SENT: Phrase("Sent")}
"""Names of the views that cover all mailboxes."""
CHANGED = Phrase(
    "A colleague changed this conversation while you were looking at it. Nothing has been done: please look"
    " again."
)


class Reading:
    """Pages that show mail; they change nothing except to record that it was seen."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""
        return (
            ("GET", "/", self.start),
            ("GET", "/mailbox/{mailbox}", self.mailbox),
            ("GET", "/mailbox/{mailbox}/{folder}", self.folder),
            ("GET", "/mine", self.of_all),
            ("GET", "/sent", self.of_all),
            ("GET", "/outbox", self.outbox),
            ("GET", "/conversation/{conversation}", self.conversation),
            ("POST", "/conversation/{conversation}/why", self.why),
            ("GET", "/conversation/{conversation}/print", self.printed),
            ("GET", "/message/{message}/file/{file}", self.file),
            ("GET", "/message/{message}/raw", self.raw),
            ("GET", "/message/{message}/readers", self.readers),
            ("GET", "/message/{message}/way", self.way),
        )

    async def start(self, request: Request, desk: Desk) -> Response:
        """Show the first mailbox with unread mail, or the first; administration if there are none."""
        mailboxes = await desk.mailboxes()
        if not mailboxes:
            if may_administer(desk, mailboxes):
                return see(ADMINISTRATION)
            return await self._frame.page(request, desk, "no_mailbox.html", mailboxes=mailboxes)
        readable = [box for box in mailboxes if Right.READ in box.rights]
        if not readable:
            return see("/drafts")
        unread = (box for box in readable if box.counts.get(Folder.UNREAD, 0))
        return await self._first(request, desk, mailboxes, next(unread, readable[0]))

    async def mailbox(self, request: Request, desk: Desk) -> Response:
        """Show the unread conversations of a mailbox, or the open ones if none are unread."""
        mailboxes = await desk.mailboxes()
        box = await find(desk, mailboxes, request.path_params["mailbox"])
        return await self._first(request, desk, mailboxes, box)

    async def _first(
        self, request: Request, desk: Desk, mailboxes: Sequence[Mailbox], box: Mailbox
    ) -> Response:
        folder = Folder.UNREAD if box.counts.get(Folder.UNREAD, 0) else Folder.OPEN
        return await self._list(request, desk, mailboxes, box, folder)

    async def folder(self, request: Request, desk: Desk) -> Response:
        """Show a view of a mailbox."""
        mailboxes = await desk.mailboxes()
        box = await find(desk, mailboxes, request.path_params["mailbox"])
        folder = folder_of(request.path_params["folder"])
        if folder is None:
            raise HTTPException(404)
        return await self._list(request, desk, mailboxes, box, folder)

    async def of_all(self, request: Request, desk: Desk) -> Response:
        """Show a view that covers all mailboxes."""
        folder = next(one for one, path in FOLDER_OF_ALL.items() if path == request.url.path)
        live = await self._frame.live(request, desk, OpenPage(everything=True))
        lines = await desk.lines(folder, after=request.query_params.get("after", ""), limit=_ON_A_PAGE)
        place = Place(folder=folder, path=request.url.path)
        return await self._frame.page(
            request,
            desk,
            "folder.html",
            place,
            name=self._frame.text(request, NAME_OF_ALL[folder]),
            mailbox=None,
            tabs=(),
            empty=EMPTY[folder],
            path=request.url.path,
            live=live,
            **self._lines(request, desk, lines, f"?all={folder.value}"),
        )

    async def _list(
        self,
        request: Request,
        desk: Desk,
        mailboxes: Sequence[Mailbox],
        box: Mailbox,
        folder: Folder,
    ) -> Response:
        after = request.query_params.get("after", "")
        live = await self._frame.live(request, desk, OpenPage(box.id))
        lines = await desk.lines(folder, box.id, after=after, limit=_ON_A_PAGE)
        place = Place(box.id, folder)
        name = box.name
        if folder is Folder.SENT:
            name = self._frame.text(request, Phrase("Sent from %(name)s", {"name": box.name}))
        return await self._frame.page(
            request,
            desk,
            "folder.html",
            place,
            mailboxes=mailboxes,
            mailbox=box,
            name=name,
            tabs=self._frame.tabs(request, box, place),
            empty=EMPTY[folder],
            path=f"/mailbox/{box.id}/{folder.value}",
            live=live,
            **self._lines(request, desk, lines, f"?in={folder.value}"),
        )

    def _lines(self, request: Request, desk: Desk, lines: mail.Lines, query: str) -> dict[str, Any]:
        shown = self._frame.voice(request, desk)
        rows = tuple(shown.row(line, query) for line in lines.lines)
        return {"rows": rows, "next": lines.next, "overdue": shown.overdue(lines.overdue, query)}

    async def outbox(self, request: Request, desk: Desk) -> Response:
        """Show messages that have not left yet or could not be sent."""
        shown = self._frame.voice(request, desk)
        messages = await desk.outbox()
        rows = tuple(
            Row(
                f"/message/{one.id}/way",
                party(one.recipient),
                shown.subject(one.subject),
                one.at,
                confidential=one.confidential,
                tags=() if one.delivery is None else (shown.delivery(one.delivery).tag,),
            )
            for one in messages
        )
        return await self._frame.page(
            request,
            desk,
            "folder.html",
            Place(path="/outbox"),
            name=self._frame.text(request, Phrase("Outbox")),
            mailbox=None,
            tabs=(),
            rows=rows,
            next="",
            overdue=None,
            path="/outbox",
            live="",
            empty=Phrase("Everything you sent has gone."),
        )

    async def conversation(self, request: Request, desk: Desk) -> Response:
        """Open a conversation next to the list that it was opened from."""
        return await self.open(request, desk, request.path_params["conversation"])

    async def open(
        self,
        request: Request,
        desk: Desk,
        conversation: str,
        status: int = 200,
        notice: Phrase | None = None,
        note: str = "",
        *,
        note_open: bool = False,
    ) -> Response:
        """Show a conversation; ``notice`` reports what happened, ``note`` is a text not yet saved."""
        everywhere = folder_of(request.query_params.get("all", ""))
        view = OpenPage(everything=everywhere is not None, conversation=conversation)
        live = await self._frame.live(request, desk, view)
        one = await desk.conversation(conversation, request.query_params.get("before", ""))
        mailboxes = await desk.mailboxes()
        box = await find(desk, mailboxes, one.mailbox)
        folder = everywhere or folder_of(request.query_params.get("in", "")) or Folder.OPEN
        beside = await desk.lines(folder, None if everywhere else box.id, limit=_BESIDE)
        shown = self._frame.voice(request, desk)
        query = f"?{'all' if everywhere else 'in'}={folder.value}"
        place = Place(box.id, folder, FOLDER_OF_ALL.get(folder, "") if everywhere else "")
        may_write = desk.may(Right.WRITE, one.mailbox)
        return await self._frame.page(
            request,
            desk,
            "conversation.html",
            place,
            status,
            mailboxes=mailboxes,
            mailbox=box,
            tabs=() if everywhere else self._frame.tabs(request, box, place),
            list_name=self._frame.text(request, NAME_OF_ALL[folder]) if place.path else box.name,
            rows=_with_open(shown, beside.lines, one, query),
            overdue=shown.overdue(beside.overdue, query),
            back=place.path or f"/mailbox/{box.id}/{folder.value}",
            conversation=one,
            marked_here=marked_here(one),
            subject=shown.subject(one.subject),
            tags=_references(shown, one),
            handler=shown.handler(one.handler, one.substitutes),
            registered_by=shown.registered(one.registered),
            is_mine=one.handler is not None and one.handler.id == desk.person.id,
            may_write=may_write,
            items_in_order=tuple(reversed(_in_order(shown, one, may_write=may_write))),
            latest=_last(one, lambda each: each.direction == "in"),
            ours=_last(one, _is_with_them),
            drafts=[
                (draft, shown.person(draft.writer), draft.writer.id == desk.person.id) for draft in one.drafts
            ],
            colleagues=await _colleagues(shown, desk, box) if may_write else (),
            other_mailboxes=_others_to_write_from(mailboxes, box) if may_write else (),
            notice=notice,
            note=note,
            note_open=note_open,
            request_query=query.removeprefix("?"),
            live=live,
        )

    async def why(self, request: Request, desk: Desk) -> Response:
        """Record why a conversation is opened, and redirect to it."""
        form = await received(request)
        conversation = request.path_params["conversation"]
        if form["reason"] not in set(Reason):
            form.refuse("reason", Phrase("Choose a reason"))
            try:
                return await self.open(request, desk, conversation)
            except ReasonAsked:
                return await self._frame.why(request, desk, conversation, form, 422)
        await desk.say_why(conversation, Reason(form["reason"]))
        return see(f"/conversation/{conversation}")

    async def printed(self, request: Request, desk: Desk) -> Response:
        """Show a conversation for printing."""
        before = request.query_params.get("before", "")
        one = await desk.printed(request.path_params["conversation"], before)
        shown = self._frame.lasting_voice(request, desk)
        return await self._frame.page(
            request,
            desk,
            "print.html",
            subject=shown.subject(one.subject),
            conversation=one,
            part=shown.part(one),
            marked_here=marked_here(one),
            tags=_references(shown, one),
            items_in_order=_in_order(shown, one, may_write=False),
            printed_by=shown.person(desk.person),
            formats=shown.formats,
        )

    async def file(self, request: Request, desk: Desk) -> Response:
        """Return a file of a message as a download."""
        return saved_file(await desk.file(request.path_params["message"], request.path_params["file"]))

    async def raw(self, request: Request, desk: Desk) -> Response:
        """Return the raw data of a message as a download."""
        return saved_file(await desk.raw(request.path_params["message"]))

    async def readers(self, request: Request, desk: Desk) -> Response:
        """Show who has seen a message, and in which way."""
        message, readings = await desk.readers(request.path_params["message"])
        shown = self._frame.voice(request, desk)
        return await self._frame.page(
            request,
            desk,
            "readers.html",
            subject=shown.subject(message.subject),
            message=message,
            readings=[(shown.person(one.person), _ACTS[one.act], one) for one in readings],
        )

    async def way(self, request: Request, desk: Desk) -> Response:
        """Show the progress of a message's delivery as a picture and in words."""
        message = await desk.way(request.path_params["message"])
        shown = self._frame.voice(request, desk)
        state = None if message.delivery is None else shown.delivery(message.delivery)
        again = message.delivery is not None and message.stage in (
            mail.Stage.REFUSED,
            mail.Stage.NOT_SENT,
            mail.Stage.HANDED_OVER,
        )
        return await self._frame.page(
            request,
            desk,
            "way.html",
            subject=shown.subject(message.subject),
            message=message,
            sender=party(message.sender),
            recipient=party(message.recipient),
            steps=shown.way(message),
            state=state,
            undo=shown.undo(message),
            reported=delivery.reported(message.delivery) if message.delivery else "",
            words=() if message.delivery is None else shown.steps(message.delivery),
            may_send_again=again,
        )


def _last(one: mail.Conversation, wanted: Callable[[mail.Message], bool]) -> mail.Message | None:
    """Return the last matching message, to reply to; ``None`` if the page shows only earlier ones."""
    return None if one.later else next(filter(wanted, reversed(one.messages)), None)


def _is_with_them(message: mail.Message) -> bool:
    """Return whether a sent message has left and did not fail in transfer, so it can be referred to."""
    sent = message.delivery
    if sent is None or sent.stage is not mail.Stage.HANDED_OVER:
        return False
    return sent.status is not MessageStatus.MESSAGE_EXCHANGE_ERROR


def _references(shown: Shown, one: mail.Conversation) -> tuple[Tag, ...]:
    """Return the references of a conversation as tags; those that only the other side uses carry its name."""
    theirs = [each for each in one.counterpart.references if each not in one.references]
    return shown.tags(one.references, replace(one.counterpart, references=tuple(theirs)))


def _in_order(
    shown: Shown, one: mail.Conversation, *, may_write: bool
) -> tuple[tuple[Message | None, Note | None], ...]:
    """Return messages in order, with notes placed by time; each pair has one of the two."""
    moments = accumulate((each.at for each in one.messages), max)
    marks = len({each.confidential for each in one.messages}) > 1
    messages = [
        (at, 0, shown.message(each, may_write=may_write, marked=marks), None)
        for at, each in zip(moments, one.messages, strict=True)
    ]
    notes = [(each.at, 1, None, shown.note(each)) for each in one.notes]
    ordered = sorted([*messages, *notes], key=lambda item: item[:2])
    return tuple((message, note) for _, _, message, note in ordered)


def _with_open(
    shown: Shown, lines: Sequence[mail.Line], one: mail.Conversation, query: str
) -> tuple[Row, ...]:
    """Return the rows of the list next to a conversation, always including that conversation."""
    rows = [shown.row(line, query, one.id) for line in lines]
    if one.messages and not any(row.current for row in rows):
        rows.append(shown.row_of(one, query))
    return tuple(sorted(rows, key=lambda row: row.at, reverse=True))


async def _colleagues(shown: Shown, desk: Desk, box: Mailbox) -> Sequence[tuple[str, str]]:
    """Return the people other than the current person who can become the handler of a conversation."""
    people = await desk.colleagues(box.id)
    return [(each.id, shown.person(each)) for each in people if each.id != desk.person.id]


def _others_to_write_from(mailboxes: Sequence[Mailbox], box: Mailbox) -> Sequence[Mailbox]:
    return [
        each for each in mailboxes if each.id != box.id and Right.WRITE in each.rights and not each.retired
    ]


async def find(desk: Desk, mailboxes: Sequence[Mailbox], mailbox: str) -> Mailbox:
    """Return one of the person's mailboxes; a request for any other is refused and logged."""
    found = next((box for box in mailboxes if box.id == mailbox), None)
    if found is None:
        await desk.refuse("mailbox", mailbox)
    return found


def folder_of(text: str) -> Folder | None:
    """Return the view named in an address, or ``None`` if there is no such view."""
    return Folder(text) if text in set(Folder) else None
