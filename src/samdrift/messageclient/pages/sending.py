"""Sending: review, approval by a second person if the mailbox requires it, and the period for undoing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from samdrift.messageclient.desk import (
    Changed,
    ConversationMoved,
    Desk,
    DraftClosed,
    DraftTaken,
    NotReady,
    OwnApproval,
    TooLate,
)
from samdrift.messageclient.mail import (
    Caution,
    Draft,
    DraftStage,
    Mailbox,
    Person,
    Recipient,
    RecipientCheck,
    Review,
)
from samdrift.messageclient.pages.draftforms import Typed
from samdrift.messageclient.pages.frame import Frame, Place, RouteOf, see
from samdrift.messageclient.pages.handling import number_in, version_of
from samdrift.messageclient.pages.shown import Shown, party
from samdrift.messageclient.pages.writing import FIELDS, why
from samdrift.rights import Right
from samdrift.web.forms import Form
from samdrift.web.messagetext import message_text
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received
from samdrift.web.views import Answer, Kind

CAUTIONS = {
    Caution.FIRST_TIME: Phrase("First message to this address. Check that it is the right one."),
    Caution.NOT_LISTED: Phrase("The address is no longer in the address book."),
    Caution.NO_RECEIPT_LATELY: Phrase(
        "The latest messages to this address got no receipt. Call if it is urgent."
    ),
}
_PREVIEW = 400
_CHANGED = Phrase(
    "The draft was changed while you were looking at it. Nothing was sent: please check it again."
)
_MOVED = Phrase(
    "Something new has arrived in the conversation. Read it below, then send or change your reply."
)
_TOO_LATE = Phrase("It was too late to undo: the message is on its way.")

Act = Callable[[Desk, str, int, Form], Awaitable[object]]


class Sending:
    """Pages for reviewing, approving, sending and undoing a message."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> Sequence[RouteOf]:
        """Return the routes of these pages."""

        async def ask(desk: Desk, draft: str, version: int, form: Form) -> object:
            return await desk.ask_approval(draft, version)

        async def approve(desk: Desk, draft: str, version: int, form: Form) -> object:
            return await desk.approve(draft, version)

        async def decline(desk: Desk, draft: str, version: int, form: Form) -> object:
            return await desk.decline(draft, version, form["reason"].strip())

        async def withdraw(desk: Desk, draft: str, version: int, form: Form) -> object:
            return await desk.withdraw(draft, version)

        async def news_read(desk: Desk, draft: str, version: int, form: Form) -> object:
            await desk.news_read(draft, number_in(form["messages"]))
            return None

        acts = {"ask": ask, "approve": approve, "decline": decline, "news-read": news_read}
        return (
            ("GET", "/draft/{draft}/review", self.review),
            ("POST", "/draft/{draft}/send", self.send),
            ("GET", "/draft/{draft}/sending", self.sending),
            ("POST", "/draft/{draft}/undo", self.undo),
            ("POST", "/draft/{draft}/withdraw", self._act(withdraw, "")),
            *(("POST", f"/draft/{{draft}}/{name}", self._act(act)) for name, act in acts.items()),
        )

    async def review(self, request: Request, desk: Desk) -> Response:
        """Show the message as it would be sent."""
        return await self._review(request, desk, request.path_params["draft"])

    async def send(self, request: Request, desk: Desk) -> Response:
        """Send a message, and redirect to the page on which that can be undone."""
        form = await received(request)
        draft = request.path_params["draft"]
        try:
            await desk.submit(draft, version_of(form))
        except ConversationMoved as moved:
            return await self._review(request, desk, draft, 409, _MOVED, moved)
        except (Changed, DraftTaken):
            return await self._review(request, desk, draft, 409, _CHANGED)
        except NotReady:
            return await self._review(request, desk, draft, 422)
        except DraftClosed:
            return see(f"/draft/{draft}/review")
        return see(f"/draft/{draft}/sending")

    async def sending(self, request: Request, desk: Desk) -> Response:
        """Show a message that is about to leave, with the means to undo sending."""
        return await self._sending(request, desk, await desk.draft(request.path_params["draft"]))

    async def undo(self, request: Request, desk: Desk) -> Response:
        """Undo sending, and redirect to the draft."""
        await received(request)
        draft = request.path_params["draft"]
        try:
            await desk.undo(draft)
        except TooLate:
            return await self._sending(request, desk, await desk.draft(draft), 409, _TOO_LATE)
        return see(f"/draft/{draft}")

    def _act(self, act: Act, then: str = "/review") -> Callable[[Request, Desk], Awaitable[Response]]:
        """Return a handler that performs an act on a draft and redirects to the draft's path + ``then``."""

        async def answer(request: Request, desk: Desk) -> Response:
            form = await received(request)
            draft = request.path_params["draft"]
            try:
                await act(desk, draft, version_of(form), form)
            except (Changed, DraftTaken, DraftClosed, OwnApproval):
                return await self._review(request, desk, draft, 409, _CHANGED, reason=form["reason"])
            except NotReady:
                return await self._review(request, desk, draft, 422)
            return see(f"/draft/{draft}{then}")

        return answer

    async def _sending(
        self, request: Request, desk: Desk, draft: Draft, status: int = 200, notice: Phrase | None = None
    ) -> Response:
        if draft.stage not in (DraftStage.WINDOW, DraftStage.SENT):
            return see(f"/draft/{draft.id}")
        shown = self._frame.voice(request, desk)
        now = shown.formats.now
        left = 0 if draft.until is None else max(0, -int((now - draft.until).total_seconds() // 1))
        if draft.stage is DraftStage.SENT or left == 0:
            left = 0
        return await self._frame.page(
            request,
            desk,
            "sending.html",
            Place(draft.mailbox),
            status,
            draft=draft,
            seconds=left,
            to=", ".join(map(party, draft.content.recipients)),
            answers=_answers(shown, draft, _box_name(await desk.mailboxes(), draft), (), desk.person),
            next=f"/conversation/{draft.conversation}" if draft.conversation else "/sent",
            notice=notice,
        )

    async def _review(
        self,
        request: Request,
        desk: Desk,
        draft: str,
        status: int = 200,
        notice: Phrase | None = None,
        moved: ConversationMoved | None = None,
        reason: str = "",
    ) -> Response:
        """Show a draft as it would be sent; ``reason`` is what was typed for its writer, to no effect."""
        review = await desk.review(draft)
        one = review.draft
        typed = [Typed("", reason.strip(), ())] if reason.strip() else []
        if one.stage in (DraftStage.WINDOW, DraftStage.SENT):
            return await self._closed(request, desk, one, typed)
        shown = self._frame.voice(request, desk)
        mailboxes = await desk.mailboxes()
        mine = one.writer.id == desk.person.id
        change = f"/draft/{one.id}" if mine and one.stage is not DraftStage.APPROVAL else ""
        return await self._frame.page(
            request,
            desk,
            "review.html",
            Place(one.mailbox),
            status,
            mailboxes=mailboxes,
            review=review,
            draft=one,
            answers=_answers(shown, one, _box_name(mailboxes, one), review.recipients, one.writer, change),
            text=one.content.text.strip(),
            preview=_PREVIEW,
            problems=[(*why(one, each), FIELDS.get(each.field, "text")) for each in review.problems],
            mine=mine,
            writer=shown.person(one.writer),
            asked_by="" if one.asked_by is None else shown.person(one.asked_by),
            may_approve=_may_approve(desk, one),
            typed=typed,
            must_ask=review.needs_approval and one.stage is DraftStage.OPEN,
            may_send=_may_send(desk, review, mine=mine),
            notice=notice,
            news_up_to=0 if moved is None else moved.messages,
            news_more=0 if moved is None else moved.more,
            news=[] if moved is None else [shown.message(each, may_write=False) for each in moved.news],
        )

    async def _closed(self, request: Request, desk: Desk, draft: Draft, typed: Sequence[Typed]) -> Response:
        """Redirect to the page of a draft that was sent, or show what was typed for its writer."""
        if not typed:
            return see(f"/draft/{draft.id}/sending")
        context = {"draft": draft, "typed": typed, "files_lost": False}
        return await self._frame.page(
            request, desk, "closed_draft.html", Place(draft.mailbox), 409, **context
        )


def _box_name(mailboxes: Sequence[Mailbox], draft: Draft) -> str:
    return next((box.name for box in mailboxes if box.id == draft.mailbox), "")


def _may_approve(desk: Desk, draft: Draft) -> bool:
    asked = draft.asked_by is not None and draft.asked_by.id != desk.person.id
    return draft.stage is DraftStage.APPROVAL and asked and desk.may(Right.APPROVE, draft.mailbox)


def _may_send(desk: Desk, review: Review, *, mine: bool) -> bool:
    ready = not review.problems and desk.may(Right.WRITE, review.draft.mailbox) and mine
    if review.needs_approval:
        return ready and review.draft.stage is DraftStage.APPROVED
    return ready and review.draft.stage in (DraftStage.OPEN, DraftStage.APPROVED)


def _answers(
    shown: Shown,
    draft: Draft,
    mailbox: str,
    checks: Sequence[RecipientCheck],
    sender: Person,
    change: str = "",
) -> tuple[Answer, ...]:
    """Return a draft as rows to check; a row links to its field if the field can be changed."""
    rows = _Rows(shown, change)
    _add_parties(rows, draft.content.recipients, mailbox, checks, sender)
    _add_content(rows, draft)
    if draft.approved_by is not None:
        approved = Phrase("%(name)s has approved it", {"name": shown.person(draft.approved_by)})
        rows.add(Phrase("Second person"), shown.say(approved), kind=Kind.GOOD)
    return tuple(rows.added)


class _Rows:
    """The rows of a draft under review; ``change`` is the page for changes, or empty."""

    def __init__(self, shown: Shown, change: str) -> None:
        self.shown = shown
        self.added: list[Answer] = []
        self._change = change

    def add(
        self,
        label: Phrase,
        value: str,
        beneath: str = "",
        kind: Kind | None = None,
        field: str = "",
        cautions: tuple[str, ...] = (),
    ) -> None:
        say = self.shown.say
        href = f"{self._change}#{field}" if self._change and field else ""
        act = say(Phrase("Change")) if href else ""
        self.added.append(Answer(say(label), value, beneath, kind, href, act, cautions))


def _add_parties(
    rows: _Rows,
    recipients: Sequence[Recipient],
    mailbox: str,
    checks: Sequence[RecipientCheck],
    sender: Person,
) -> None:
    shown = rows.shown
    checked = {check.recipient: check for check in checks}
    for recipient in recipients:
        check = checked.get(recipient)
        facts = (_sent_from(shown, check), shown.receipt(check)) if check else ()
        cautions = shown.cautions(check, CAUTIONS) if check else ()
        beneath = " ".join(filter(None, facts))
        rows.add(Phrase("To"), party(recipient), beneath, field="find", cautions=cautions)
    if not recipients:
        rows.add(Phrase("To"), shown.say(Phrase("Nobody yet")), field="find")
    rows.add(Phrase("From"), mailbox, shown.person(sender))


def _sent_from(shown: Shown, check: RecipientCheck) -> str:
    """Return from whose address a message is sent; empty if it is the address of the draft's mailbox."""
    if not check.sent_from:
        return ""
    began = Phrase(
        "Sent from %(mailbox)s, because the conversation began there.", {"mailbox": check.sent_from}
    )
    return shown.say(began)


def _add_content(rows: _Rows, draft: Draft) -> None:
    content, shown = draft.content, rows.shown
    marked = Phrase("Marked as confidential") if content.confidential else Phrase("Not confidential")
    kind = Kind.CONFIDENTIAL if content.confidential else None
    rows.add(Phrase("Confidentiality"), shown.say(marked), kind=kind, field="confidentiality")
    ours = ", ".join(map(shown.reference, content.references))
    theirs = ", ".join(map(shown.reference, content.recipient_references))
    returned = (
        shown.say(Phrase("Theirs, quoted back: %(references)s", {"references": theirs})) if theirs else ""
    )
    rows.add(Phrase("References"), ours or shown.say(Phrase("None of ours")), returned, field="references")
    if content.persons:
        contact = ", ".join(f"{each.label}, {each.extension}" for each in content.persons)
        rows.add(Phrase("Our contact person"), contact, field="person-name")
    rows.add(Phrase("Subject"), shown.subject(content.subject), field="subject")
    text = content.text.strip()
    short = text if len(text) <= _PREVIEW else f"{text[:_PREVIEW].rstrip()} …"
    rows.add(Phrase("Text"), message_text(short) if short else shown.say(Phrase("No text")), field="text")
    files = ", ".join(f"{each.name} ({shown.formats.size(each.size)})" for each in draft.files)
    used = shown.say(Phrase("%(used)s of 30 MB", {"used": shown.formats.size(draft.size)})) if files else ""
    rows.add(Phrase("Files"), files or shown.say(Phrase("None")), used, field="files")
