"""The desk: everything that a signed-in person can see and do in one organisation, for the pages.

A desk is already bound to an organisation and a person, so no method has either as an argument. Every method
first checks the person's :class:`Permissions`, and whatever it shows is recorded in the organisation's log
before it returns. An object that does not exist, is in a mailbox that the person has no right to, or belongs
to another organisation always raises :class:`NotHere`, and the attempt is logged.

The types of the results are in :mod:`samdrift.messageclient.mail`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import NoReturn, Protocol

from samdrift.contracts.errors import Explained
from samdrift.messageclient.handover.content import HandOver
from samdrift.messageclient.live.openpages import Change, News, OpenPage, Watch
from samdrift.messageclient.mail import (
    Conversation,
    Correspondent,
    Draft,
    DraftContent,
    DraftStage,
    FileContent,
    Folder,
    Found,
    Lines,
    Mailbox,
    Message,
    Note,
    Part,
    Person,
    Problem,
    Reading,
    Reason,
    Recipient,
    RecipientList,
    Review,
    Search,
    Submitted,
    TextTemplate,
)
from samdrift.messageclient.selections import Selection, View
from samdrift.rights import Right


class NotHere(Explained):
    """Refusal of a request for an object that does not exist for this person, even if it does for others.

    ``kind`` and ``asked`` are for the organisation's log; the text is the same in every case.
    """

    def __init__(self, kind: str, asked: str, *, ended: bool = False) -> None:
        super().__init__("there is nothing here that you may see")
        self.kind = kind
        self.asked = asked
        self.ended = ended
        """True if the object is in a mailbox to which the person had a right that has ended."""


class Changed(Explained):
    """Refusal of a change because a colleague has changed the object since it was shown. Nothing was done."""

    def __init__(self, version: int) -> None:
        super().__init__("a colleague has changed this since you opened it; look at it again")
        self.version = version


class DraftTaken(Explained):
    """Refusal to save because another person now writes in the draft. The caller still has the typed text."""

    def __init__(self, writer: Person, since: datetime) -> None:
        super().__init__("a colleague is editing this draft; take it over to continue")
        self.writer = writer
        self.since = since


class DraftClosed(Explained):
    """Refusal to change a draft that is in its undo window, has been sent, or is waiting for approval."""

    def __init__(self, stage: DraftStage) -> None:
        super().__init__("this draft cannot be changed any more, unless its sending is undone")
        self.stage = stage


class TooLate(Explained):
    """Refusal to undo sending after the undo window: the message is on its way."""

    def __init__(self) -> None:
        super().__init__("the time in which sending can be undone is over; the message is on its way")


class NotReady(Explained):
    """Refusal to send a draft; ``problems`` lists the fields at fault and what is wrong with them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("the draft cannot be sent as it is")
        self.problems = tuple(problems)


class OwnApproval(Explained):
    """Refusal of an approval by the person who wrote the draft: a colleague must approve it."""

    def __init__(self) -> None:
        super().__init__("you wrote this; a colleague has to approve it")


class ReasonAsked(Explained):
    """Request for a reason: a person who does not work in a mailbox must give one to open marked messages."""

    def __init__(self, conversation: str) -> None:
        super().__init__("give a reason for opening this conversation before it is shown")
        self.conversation = conversation


class TooLongForPdf(Explained):
    """Refusal of one PDF of a conversation with more text than fits in memory. Nothing was handed over."""

    def __init__(self) -> None:
        super().__init__("the conversation is too long for one PDF; choose single messages, or leave it out")


MAX_DRAFTS, MAX_FILES, MAX_NOTES = 1_000, 500, 200
"""Limits for drafts of a person in a mailbox, files in a draft, and notes of a person in a conversation.

Normal work does not reach them: a person has a dozen drafts, and makes a few notes on a case; 500 pictures in
a message of 30 MB have 44 kB each. Without limits one member, or a script in their name, could fill a vault
or a page that colleagues need. Drafts and notes are counted per person, so that one person's limit does not
affect colleagues. All notes of one person together fit on a page of a conversation.
"""


class TooManyKept(Explained):
    """Refusal to keep more views, lists, drafts or notes than allowed. Nothing was stored."""

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} of these are kept")
        self.most = most


class ConversationMoved(Explained):
    """Refusal to send a reply because the conversation has new messages, ``news``, to be read first.

    These are the first ones, as many as fit on a page; ``more`` is the number of further ones, which will
    stop sending again. ``messages`` is the number of messages in the conversation up to the last one of
    ``news``, and is the argument for :meth:`Desk.news_read`.
    """

    def __init__(self, version: int, news: Sequence[Message], messages: int, more: int = 0) -> None:
        super().__init__("something new has arrived in this conversation since you opened it")
        self.version = version
        self.news = tuple(news)
        self.messages = messages
        self.more = more


class Permissions(Protocol):
    """The rights of one person at this moment, for a single request."""

    @property
    def person(self) -> str:
        """Random id of the person in this organisation."""

    def may(self, right: Right, mailbox: str | None = None) -> bool:
        """Return whether the person has a right to a mailbox or, without one, in the organisation."""

    def holders(self, right: Right, mailbox: str) -> Sequence[str]:
        """Return the ids of the persons who have a right to a mailbox now."""

    def ended(self, mailbox: str) -> bool:
        """Return whether a right to a mailbox that the person was given has ended."""

    def substitutes(self, mailbox: str) -> Mapping[str, Sequence[str]]:
        """Return the substitutes who can write in a mailbox now, by the id of the absent person."""


class Upload(Protocol):
    """A file that is being added to a draft, never in the clear on disk (see ``web.uploads.FileSink``)."""

    async def write(self, piece: bytes) -> None:
        """Seal and store the next piece."""

    async def close(self) -> None:
        """Finish the file; raises :class:`NotReady` if its content is of a type that cannot be sent."""

    async def discard(self) -> None:
        """Discard the incomplete file."""


class Desk(Protocol):
    """Everything one person can do in one organisation; see the module about :class:`NotHere`."""

    @property
    def person(self) -> Person:
        """Person to whom the desk belongs."""

    @property
    def away_since(self) -> datetime | None:
        """Time since which the message service has been unavailable; ``None`` while it is available."""

    def may(self, right: Right, mailbox: str | None = None) -> bool:
        """Return whether the person has a right, so that a page offers only permitted actions."""

    async def refuse(self, kind: str, asked: str) -> NoReturn:
        """Record a request for something that does not exist for the person, and raise :class:`NotHere`."""

    # --- reading ----------------------------------------------------------------------------------------

    async def mailboxes(self) -> tuple[Mailbox, ...]:
        """Return the mailboxes in which the person has any right to content, by name, with their counts."""

    async def lines(
        self, folder: Folder, mailbox: str | None = None, *, after: str = "", limit: int = 50
    ) -> Lines:
        """Return conversations, latest first; without ``mailbox`` those of all readable mailboxes."""

    async def conversation(self, conversation: str, before: str = "") -> Conversation:
        """Open a conversation: each message that is shown counts as read by the person from now on.

        This shows its latest messages, or those before a given one, as many as fit on a page.
        """

    async def way(self, message: str) -> Message:
        """Return a message without its content, for its delivery progress; does not count as reading."""

    async def printed(self, conversation: str, before: str = "") -> Conversation:
        """Open a conversation for printing, as much of it as fits on a page."""

    async def file(self, message: str, file: str) -> FileContent:
        """Open a file of a message."""

    async def raw(self, message: str) -> FileContent:
        """Open the raw data of a message that cannot be shown, as sent by the message service."""

    async def say_why(self, conversation: str, reason: Reason) -> None:
        """Record why a conversation is opened, after :class:`ReasonAsked`; valid for an hour."""

    async def readers(self, message: str) -> tuple[Message, tuple[Reading, ...]]:
        """Return a message without its content, with the people who have seen it and how, latest first.

        This does not count as reading the message.
        """

    async def handed_over(
        self, conversation: str, messages: Sequence[str], parts: frozenset[Part]
    ) -> HandOver:
        """Open messages of a conversation to hand them over; without ``messages``, the whole conversation.

        Raises :class:`TooLongForPdf` if they have more text than one PDF may have.
        """

    # --- what an open page learns ---------------------------------------------------------------------------

    async def watch(self, view: OpenPage) -> Watch:
        """Return the state of a page's content; this shows no content, and is not recorded."""

    async def news(self, view: OpenPage, shown: tuple[str, str], since: datetime, *, polled: bool) -> News:
        """Return what has changed since a page was made, given its state of list and conversation.

        A page that asks with ``polled`` counts as open for a while.
        """

    async def follow(self, view: OpenPage, shown: tuple[str, str], session: bytes) -> AsyncGenerator[Change]:
        """Return a stream of changes since the given state, until the session or a right ends.

        Raises :class:`~samdrift.messageclient.live.following.TooManyStreams`.
        """

    # --- what a conversation is ---------------------------------------------------------------------------

    async def colleagues(self, mailbox: str) -> tuple[Person, ...]:
        """Return the persons who may write in a mailbox, by name."""

    async def take(self, conversation: str, version: int) -> int:
        """Become the handler of a conversation.

        Each change returns the new version, and raises :class:`Changed` if ``version`` is out of date.
        """

    async def release(self, conversation: str, version: int) -> int:
        """Leave a conversation without a handler."""

    async def hand_over(self, conversation: str, version: int, to: str) -> int:
        """Make a colleague the handler."""

    async def set_done(self, conversation: str, version: int, *, done: bool) -> int:
        """Mark a conversation as done, or as not done."""

    async def move(self, conversation: str, version: int, mailbox: str) -> int:
        """Move a conversation to another mailbox, in which the person may also write."""

    async def register(self, conversation: str, version: int, number: str) -> int:
        """Record the number of a conversation in the organisation's own records; an empty one removes it."""

    async def hold(self, conversation: str, version: int, reason: str) -> int:
        """Protect a conversation from disposal, for a given reason; an empty reason ends that."""

    async def add_note(self, conversation: str, text: str) -> Note:
        """Add an internal note, which is never sent; raises :class:`TooManyKept`."""

    # --- writing ------------------------------------------------------------------------------------------

    async def drafts(self, mailbox: str | None = None) -> tuple[Draft, ...]:
        """Return drafts that have not been sent, the latest first."""

    async def new_draft(self, mailbox: str, content: DraftContent | None = None) -> Draft:
        """Start a message; this and other new drafts raise :class:`TooManyKept` beyond the limit."""

    async def reply(self, message: str) -> Draft:
        """Start a reply, with the recipient, subject and references of both sides filled in."""

    async def send_again(self, message: str) -> Draft:
        """Start a new message with the content and files of a sent one, to which it refers."""

    async def text_templates(self, mailbox: str) -> tuple[TextTemplate, ...]:
        """Return the text templates of a mailbox in which the person writes, by title."""

    async def draft(self, draft: str) -> Draft:
        """Open a draft."""

    async def save_draft(self, draft: str, version: int, content: DraftContent) -> int:
        """Save the typed text, and return the new version.

        Raises :class:`DraftTaken` if another person writes in the draft, :class:`Changed` for an old version,
        and :class:`DraftClosed`.
        """

    async def take_over_draft(self, draft: str) -> Draft:
        """Become the draft's writer; the previous one is informed at their next save."""

    async def discard_draft(self, draft: str, version: int) -> None:
        """Delete a draft with its files."""

    async def upload(self, draft: str, name: str, media_type: str) -> Upload:
        """Start adding a file; only the writer may do so."""

    async def remove_file(self, draft: str, file: str) -> None:
        """Remove a file from a draft."""

    async def draft_file(self, draft: str, file: str) -> FileContent:
        """Open a file of a draft."""

    async def news_read(self, draft: str, messages: int) -> None:
        """Record that the person has read the draft's conversation up to number ``messages``.

        Only messages that were shown count: one that has arrived since then stops sending again.
        """

    async def review(self, draft: str) -> Review:
        """Return the draft as it would be sent, with the problems that prevent it."""

    async def ask_approval(self, draft: str, version: int) -> int:
        """Ask a second person for approval; the draft cannot be changed until they have answered."""

    async def approve(self, draft: str, version: int) -> int:
        """Approve a draft that another person submitted for approval; raises :class:`OwnApproval`."""

    async def decline(self, draft: str, version: int, reason: str) -> int:
        """Return a draft to its writer, with a reason."""

    async def withdraw(self, draft: str, version: int) -> int:
        """Withdraw the request for a second person's approval; the draft can be changed again."""

    async def submit(self, draft: str, version: int) -> Submitted:
        """Send a draft: it can no longer be changed, and for a short time sending can be undone.

        Submitting the same draft again returns the first result, so that a second tab sends nothing twice.
        Raises :class:`NotReady`, :class:`Changed`, :class:`DraftTaken`, or :class:`ConversationMoved`.
        """

    async def undo(self, draft: str) -> Draft:
        """Undo sending and return the draft as it was; raises :class:`TooLate`."""

    async def outbox(self, mailbox: str | None = None) -> tuple[Message, ...]:
        """Return messages that have not been handed over yet, or could not be, latest first.

        They are entries of a list, without documents, and do not count as read.
        """

    # --- finding ------------------------------------------------------------------------------------------

    async def begin_search(self, search: Search) -> str:
        """Store a search, sealed, and return the random token that identifies it."""

    async def found(self, token: str) -> tuple[Search, Found]:
        """Search the mail that the person may read, up to a time limit."""

    async def begin_selection(self, selection: Selection) -> str:
        """Store a selection, sealed, and return the random token that identifies it."""

    async def selected(self, token: str, *, after: str = "", limit: int = 50) -> tuple[Selection, Lines]:
        """Return conversations of a selection, the latest first."""

    async def views(self) -> tuple[View, ...]:
        """Return the saved views that the person can use, by name."""

    async def view(self, view: str, *, after: str = "", limit: int = 50) -> tuple[View, Lines]:
        """Return conversations of a saved view, the latest first."""

    async def keep_view(self, token: str, name: str, *, for_mailbox: bool = False) -> str:
        """Save a selection as a view, for the person or for its mailbox, and return the view's id."""

    async def drop_view(self, view: str) -> None:
        """Remove a saved view; a mailbox's view requires the right to write there."""

    async def lists(self) -> tuple[RecipientList, ...]:
        """Return the distribution lists that the person can use, by name."""

    async def keep_list(self, kept: RecipientList) -> str:
        """Store a distribution list, which has an empty id if it is new, and return its id.

        Raises :class:`TooManyKept` for more lists, or more recipients in one, than allowed.
        """

    async def drop_list(self, kept: str) -> None:
        """Remove a distribution list."""

    async def correspondents(self, words: str, limit: int = 20) -> tuple[Correspondent, ...]:
        """Return matching addresses, ignoring accents, the most used first."""

    async def correspondent(self, key: str) -> Recipient | None:
        """Return the address with an organisation's and its own identifier, or ``None`` if it is unknown."""

    async def set_favourite(self, recipient: Recipient, *, favourite: bool) -> None:
        """Mark an address as a favourite of the person, or remove the mark."""
