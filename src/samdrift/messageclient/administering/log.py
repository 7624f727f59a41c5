"""Pages of the log for the security officer, by person and by period, with a download as CSV.

Queries are posted, so that no address contains a person or a day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from samdrift.entrance.events import EntranceEvent
from samdrift.messageclient.administering.frame import LOG, Frame, Office, Routes
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.logreading import FAILED, LogLine, LogQuestion, LogReading
from samdrift.vault.events import VaultEvent
from samdrift.web.forms import Form
from samdrift.web.policy import file_headers
from samdrift.web.texts import Phrase
from samdrift.web.uploads import received

_ZONE = ZoneInfo("Europe/Stockholm")
_USUAL = timedelta(days=7)
EVENTS: Mapping[str, Phrase] = {
    VaultEvent.VAULT_OPENING_GRANTED: Phrase("Opened a page"),
    VaultEvent.VAULT_OPENING_DENIED: Phrase("Was refused by the vault"),
    VaultEvent.MK_SESSION_BEGUN: Phrase("Signed in"),
    VaultEvent.MK_SESSION_ENDED: Phrase("Was signed out"),
    EntranceEvent.SIGN_IN_REFUSED: Phrase("A sign-in failed"),
    EntranceEvent.REQUEST_REFUSED: Phrase("A request in their name from elsewhere was refused"),
    MKEvent.MK_RIGHTS_STATED: Phrase("Decided about a right"),
    MKEvent.MK_MAILBOX_CHANGED: Phrase("Changed a mailbox"),
    MKEvent.MK_MAILBOX_ESCALATED: Phrase("A mailbox was left unread, and others were notified"),
    MKEvent.MK_NOTICE_CHOSEN: Phrase("Changed email notifications"),
    MKEvent.MK_NOTICE_ENDED: Phrase("An email notification ended"),
    MKEvent.MK_PRESET_CHANGED: Phrase("Changed a view, text or list"),
    MKEvent.MK_SERVICE_CHANGED: Phrase("Changed the message service"),
    MKEvent.MK_SERVICE_CHECKED: Phrase("Looked at the message service"),
    MKEvent.MK_MESSAGE_STORED: Phrase("A message came in"),
    MKEvent.MK_MESSAGE_UNREADABLE: Phrase("A message came in that cannot be shown"),
    MKEvent.MK_MESSAGE_NOT_FETCHED: Phrase("The message service does not hand out a message"),
    MKEvent.MK_MESSAGE_SUBMITTED: Phrase("Sent a message"),
    MKEvent.MK_MESSAGE_UNDONE: Phrase("Undid sending"),
    MKEvent.MK_MESSAGE_HANDED_OVER: Phrase("A message went to the message service"),
    MKEvent.MK_MESSAGE_POSTPONED: Phrase("A message waits for the message service"),
    MKEvent.MK_MESSAGE_NOT_SENT: Phrase("A message was not sent"),
    MKEvent.MK_MESSAGE_MOVED_ON: Phrase("The status of a message changed"),
    MKEvent.MK_MESSAGE_DELETING: Phrase("A message is to be deleted at the message service"),
    MKEvent.MK_MESSAGE_DELETED: Phrase("A message was deleted at the message service"),
    MKEvent.MK_MESSAGE_UNDELETED: Phrase("The message service refused to delete a message"),
    MKEvent.MK_BACKUP_VERIFIED: Phrase("The operator verified a backup"),
    MKEvent.MK_ADDRESS_CONFIRMED: Phrase("Confirmed that nobody else reads an address, or took that back"),
    MKEvent.MK_READING_LIST: Phrase("Saw a list"),
    MKEvent.MK_READING_CONVERSATION: Phrase("Read a conversation"),
    MKEvent.MK_READING_MESSAGE: Phrase("Read a message"),
    MKEvent.MK_READING_FILE: Phrase("Opened a file"),
    MKEvent.MK_READING_RAW: Phrase("Downloaded the raw data"),
    MKEvent.MK_READING_PRINTED: Phrase("Printed a conversation"),
    MKEvent.MK_READING_HANDED_OVER: Phrase("Exported messages in a package"),
    MKEvent.MK_READING_SEARCH: Phrase("Searched"),
    MKEvent.MK_READING_DRAFT: Phrase("Read a draft"),
    MKEvent.MK_READING_WAY: Phrase("Saw the tracking of a message"),
    MKEvent.MK_READING_READERS: Phrase("Saw who has read a message"),
    MKEvent.MK_READING_REASON: Phrase("Gave a reason for opening a conversation"),
    MKEvent.MK_READING_LOG: Phrase("Read the log"),
    MKEvent.MK_CONVERSATION_CHANGED: Phrase("Changed a conversation"),
    MKEvent.MK_CONVERSATION_NOTED: Phrase("Wrote a note"),
    MKEvent.MK_CONVERSATION_REGISTERED: Phrase("Registered a conversation, or took that back"),
    MKEvent.MK_CONVERSATION_HELD: Phrase("Exempted a conversation from disposal, or ended that"),
    MKEvent.MK_DISPOSAL_RULED: Phrase("Set a rule for disposal"),
    MKEvent.MK_DISPOSAL_PROPOSED: Phrase("Proposed disposal"),
    MKEvent.MK_DISPOSAL_AGREED: Phrase("Agreed to disposal"),
    MKEvent.MK_DISPOSAL_DROPPED: Phrase("Decided against disposal"),
    MKEvent.MK_DISPOSAL_GONE: Phrase("A conversation was disposed of"),
    MKEvent.MK_DISPOSAL_KEPT: Phrase("A conversation was kept from disposal"),
    MKEvent.MK_DISPOSAL_DONE: Phrase("A disposal was completed"),
    MKEvent.MK_DISPOSAL_SHOWN: Phrase("Read the record of a disposal"),
    MKEvent.MK_DRAFT_CHANGED: Phrase("Edited a draft"),
    MKEvent.MK_ACCESS_DENIED: Phrase("Requested something they may not see"),
}
"""Texts for entries, by event; an event without a text is shown by its name."""
SERVICE = "service"
"""Value that stands for the service itself in the form's field for a person."""
_ABOUT = {
    "mailbox": Phrase("mailbox"),
    "folder": Phrase("list"),
    "message": Phrase("message"),
    "conversation": Phrase("conversation"),
    "draft": Phrase("draft"),
    "file": Phrase("file"),
    "statement": Phrase("decision"),
    "action": Phrase("act"),
    "reason": Phrase("reason"),
    "kind": Phrase("kind"),
    "asked": Phrase("asked for"),
}
"""Facts that are shown on a page, in this order; the CSV file contains all of them."""


_IN_WORDS = frozenset({"action", "kind", "asked"})
"""Facts with values that are terms of the program; all others have ids."""
_VALUES: Mapping[str, Phrase] = {
    "made": Phrase("made it"),
    "changed": Phrase("changed it"),
    "kept": Phrase("saved it"),
    "removed": Phrase("removed it"),
    "taken": Phrase("took it"),
    "released": Phrase("released it"),
    "handed-over": Phrase("handed it over"),
    "done": Phrase("marked it as done"),
    "reopened": Phrase("opened it again"),
    "moved": Phrase("moved it"),
    "registered": Phrase("registered it"),
    "taken-back": Phrase("took it back"),
    "held": Phrase("exempted it"),
    "confirmed": Phrase("confirmed it"),
    "ended": Phrase("ended it"),
    "begun": Phrase("began it"),
    "file-added": Phrase("added a file"),
    "file-removed": Phrase("removed a file"),
    "discarded": Phrase("deleted it"),
    "taken-over": Phrase("took it over"),
    "approval-asked": Phrase("asked for approval"),
    "approval-withdrawn": Phrase("took back the request for approval"),
    "approved": Phrase("approved it"),
    "declined": Phrase("sent it back"),
    "manning": Phrase("when it is staffed"),
    "by-rule": Phrase("by a rule"),
    "automatic": Phrase("automatically"),
    "view": Phrase("view"),
    "text": Phrase("text template"),
    "rule": Phrase("rule"),
    "search": Phrase("search"),
    "selection": Phrase("selection"),
    "log": Phrase("log"),
    "person": Phrase("person"),
    "rights": Phrase("rights"),
    "sessions": Phrase("sign-outs"),
    "service": Phrase("message service"),
    "administration": Phrase("administration"),
    "disposal": Phrase("disposal"),
    "raw": Phrase("raw data"),
    "mailbox": Phrase("mailbox"),
    "list": Phrase("list"),
    "message": Phrase("message"),
    "conversation": Phrase("conversation"),
    "draft": Phrase("draft"),
    "file": Phrase("file"),
}
"""Texts for the program's terms; any other value is shown unchanged."""


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of the log in words."""

    at: datetime
    person: str
    event: Phrase | None
    name: str
    about: str
    failed: bool


class Log:
    """Log pages for security officers."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> Routes:
        """Return the routes of these pages."""
        return (
            ("GET", LOG, self.ask),
            ("POST", LOG, self.show),
            ("POST", f"{LOG}/table", self.table),
        )

    async def ask(self, request: Request, office: Office) -> Response:
        """Show the form for choosing a person and a period, by default the last seven days."""
        today = self._frame.pages.wording(request).formats.now.astimezone(_ZONE).date()
        form = Form((("since", (today - _USUAL).isoformat()), ("until", today.isoformat())))
        return await self._page(request, office, form)

    async def show(self, request: Request, office: Office) -> Response:
        """Show the log's entries for a person and a period."""
        form = await received(request)
        asked = _question(form)
        if asked is None:
            return await self._page(request, office, form, 422)
        found = await LogReading(office.scope).page(asked, _number(form["after"]))
        text = self._frame.pages.wording(request).text
        lines = [_line(each, found.mailboxes, text) for each in found.lines]
        return await self._page(request, office, form, lines=lines, asked=True, after=found.after)

    async def table(self, request: Request, office: Office) -> Response:
        """Return the entries for a person and a period as CSV, streamed in pieces."""
        form = await received(request)
        asked = _question(form)
        if asked is None:
            return await self._page(request, office, form, 422)
        pieces = await LogReading(office.scope).table(asked)
        return StreamingResponse(
            pieces, headers=file_headers("logg.csv"), media_type="text/csv; charset=utf-8"
        )

    async def _page(
        self, request: Request, office: Office, form: Form, status: int = 200, **more: object
    ) -> Response:
        context = {"lines": (), "asked": False, "after": 0, **more}
        persons = await LogReading(office.scope).persons()
        return self._frame.page(
            request, office, "log.html", status, form=form, persons=persons, service=SERVICE, **context
        )


def _question(form: Form) -> LogQuestion | None:
    """Return the query in a form; ``None`` if one of its days is invalid."""
    since, until = (form.day(name, Phrase("Choose a day")) for name in ("since", "until"))
    if since is None or until is None:
        return None
    if until < since:
        form.refuse("until", Phrase("The last day must not be before the first"))
        return None
    begin, end = (datetime.combine(day, time(), _ZONE) for day in (since, until + timedelta(days=1)))
    service = form["person"] == SERVICE
    return LogQuestion(begin, end, "" if service else form["person"], service, form["failed"] == "yes")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _line(line: LogLine, mailboxes: Mapping[str, str], text: Callable[[Phrase], str]) -> Line:
    entry = line.entry
    facts = {**entry.ids, "mailbox": mailboxes.get(entry.ids.get("mailbox", ""), "")}

    def said(fact: str) -> str:
        phrase = _VALUES.get(facts[fact]) if fact in _IN_WORDS else None
        return facts[fact] if phrase is None else text(phrase)

    about = [f"{text(name)} {said(fact)}" for fact, name in _ABOUT.items() if facts.get(fact)]
    return Line(
        entry.at, line.person, EVENTS.get(entry.event), entry.event, ", ".join(about), entry.event in FAILED
    )
