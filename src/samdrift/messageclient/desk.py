"""The desk: everything that a signed-in person can see and do in one organisation, for the pages.

A desk is the scope: no method takes an organisation or a person. Every method asks the person's
:class:`Permissions` first, and what it shows is in the organisation's log before it returns. What does not
exist, lies in a mailbox that the person has no right to, or belongs to another organisation is
:class:`NotHere` alike, and the attempt is in the log.

The types of what it returns are in :mod:`samdrift.messageclient.mail`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import NoReturn, Protocol

from samdrift.contracts.errors import Explained
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
    HandOver,
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
    """No such object for this person, whether or not it exists for others.

    ``kind`` and ``asked`` are for the organisation's log; the text is the same for all.
    """

    def __init__(self, kind: str, asked: str, *, ended: bool = False) -> None:
        super().__init__("there is nothing here that you may see")
        self.kind = kind
        self.asked = asked
        self.ended = ended
        """True where it lies in a mailbox to which the person had a right that was ended."""


class Changed(Explained):
    """A colleague has changed it since it was shown: read it again, then decide. Nothing was done."""

    def __init__(self, version: int) -> None:
        super().__init__("a colleague has changed this since you opened it; look at it again")
        self.version = version


class DraftTaken(Explained):
    """Another person writes in this draft now. Nothing was saved; the caller still has the typed text."""

    def __init__(self, writer: Person, since: datetime) -> None:
        super().__init__("a colleague writes in this draft now; take it over to go on")
        self.writer = writer
        self.since = since


class DraftClosed(Explained):
    """A draft that is in its undo window, was sent, or waits for approval: it cannot be changed."""

    def __init__(self, stage: DraftStage) -> None:
        super().__init__("this draft cannot be changed any more, unless its sending is undone")
        self.stage = stage


class TooLate(Explained):
    """The undo window is over: the message is on its way."""

    def __init__(self) -> None:
        super().__init__("the time in which sending can be undone is over; the message is on its way")


class NotReady(Explained):
    """A draft that cannot be sent; ``problems`` name the faulty fields and their faults."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("the draft cannot be sent as it is")
        self.problems = tuple(problems)


class OwnApproval(Explained):
    """The person who wrote the draft cannot approve it: another one must."""

    def __init__(self) -> None:
        super().__init__("you wrote this; a colleague has to approve it")


class ReasonAsked(Explained):
    """A person who does not work in the mailbox must give a reason to open marked messages; none was
    shown."""

    def __init__(self, conversation: str) -> None:
        super().__init__("say why you open this conversation before it is shown")
        self.conversation = conversation


MAX_DRAFTS, MAX_FILES, MAX_NOTES = 1_000, 500, 200
"""Drafts of one person in a mailbox, files of a draft, and notes of one person in a conversation.

Nobody who works meets them: a person has a dozen drafts, and makes a few notes on a case; 500 pictures of a
message of 30 MB have 44 kB each. Without them one member, or a script in their name, could fill a vault, or a
page that colleagues need. Drafts and notes count by person, so that who fills theirs stops no colleague; all
notes of one person are as long as a page of a conversation may be.
"""


class TooManyKept(Explained):
    """More views, lists, drafts or notes than one person or mailbox may have. Nothing was kept."""

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} of these are kept")
        self.most = most


class ConversationMoved(Explained):
    """The conversation has new messages since the answer was begun: read ``news`` before sending.

    These are the first of them, as many as one page has room for; ``more`` is the number of the others, which
    stop sending once more. ``messages`` is the number of messages in it up to the last one of ``news``, which
    is what :meth:`Desk.news_read` is told.
    """

    def __init__(self, version: int, news: Sequence[Message], messages: int, more: int = 0) -> None:
        super().__init__("something new has come in this conversation since you opened it")
        self.version = version
        self.news = tuple(news)
        self.messages = messages
        self.more = more


class Permissions(Protocol):
    """The rights of one person at this moment; made for one request."""

    @property
    def person(self) -> str:
        """Random id of the person in this organisation."""

    def may(self, right: Right, mailbox: str | None = None) -> bool:
        """Return whether the person has a right to a mailbox or, without one, in the organisation."""

    def holders(self, right: Right, mailbox: str) -> Sequence[str]:
        """Return the ids of the persons who have a right to a mailbox now."""

    def ended(self, mailbox: str) -> bool:
        """Return whether a right to a mailbox that the person was given has been ended."""

    def substitutes(self, mailbox: str) -> Mapping[str, Sequence[str]]:
        """Return who writes in a mailbox for whom now: the substitutes, by the id of who is absent."""


class Upload(Protocol):
    """A file on its way into a draft: never on a disk in the clear (as ``web.uploads.FileSink``)."""

    async def write(self, piece: bytes) -> None:
        """Seal the next piece."""

    async def close(self) -> None:
        """Keep the file, which is whole; :class:`NotReady` where its content is of no type that is sent."""

    async def discard(self) -> None:
        """Discard the incomplete file."""


class Desk(Protocol):
    """One person's scope in one organisation. Methods raise :class:`NotHere` as the module says."""

    @property
    def person(self) -> Person:
        """The person whose desk it is."""

    @property
    def away_since(self) -> datetime | None:
        """Moment since which the message service cannot be used; ``None`` while it can."""

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
        """Open a conversation: each shown message counts as read by the person from now on.

        Shown are its latest messages, or those before a given one, as many as fit on a page.
        """

    async def way(self, message: str) -> Message:
        """Return a message without its content, to see the way that it took; does not count as reading."""

    async def printed(self, conversation: str, before: str = "") -> Conversation:
        """Open a conversation in order to print it, as far as one page has room."""

    async def file(self, message: str, file: str) -> FileContent:
        """Open a file of a message."""

    async def raw(self, message: str) -> FileContent:
        """Open a message that cannot be shown in the form in which the message service sent it."""

    async def say_why(self, conversation: str, reason: Reason) -> None:
        """Record why a conversation is opened, after :class:`ReasonAsked`; valid for an hour."""

    async def readers(self, message: str) -> tuple[Message, tuple[Reading, ...]]:
        """Return a message without its content, with those who have seen it, and how; latest first.

        Looking at this does not count as reading.
        """

    async def handed_over(
        self, conversation: str, messages: Sequence[str], parts: frozenset[Part]
    ) -> HandOver:
        """Open messages of a conversation in order to hand them over; without ``messages`` all of it."""

    # --- what an open page learns ---------------------------------------------------------------------------

    async def watch(self, view: OpenPage) -> Watch:
        """Return the state of a page's content; shows no content, and is not recorded."""

    async def news(self, view: OpenPage, shown: tuple[str, str], since: datetime, *, polled: bool) -> News:
        """Return what has changed since a page was made in that state of list and conversation.

        A page that has ``polled`` counts as open for a while.
        """

    async def follow(self, view: OpenPage, shown: tuple[str, str], session: bytes) -> AsyncGenerator[Change]:
        """Return what changes from that state on, as it does, until the session or a right ends.

        :class:`~samdrift.messageclient.live.following.TooManyStreams`.
        """

    # --- what a conversation is ---------------------------------------------------------------------------

    async def colleagues(self, mailbox: str) -> tuple[Person, ...]:
        """Return the persons who may write in a mailbox, by name."""

    async def take(self, conversation: str, version: int) -> int:
        """Become the handler. Each change returns the new version, and raises :class:`Changed` for an old
        one."""

    async def release(self, conversation: str, version: int) -> int:
        """Have no handler."""

    async def hand_over(self, conversation: str, version: int, to: str) -> int:
        """Make a colleague the handler."""

    async def set_done(self, conversation: str, version: int, *, done: bool) -> int:
        """Mark as done, or as not done."""

    async def move(self, conversation: str, version: int, mailbox: str) -> int:
        """Put into another mailbox, in which the person may write as well."""

    async def register(self, conversation: str, version: int, number: str) -> int:
        """Note the number that it has in the organisation's own records; an empty one takes that back."""

    async def hold(self, conversation: str, version: int, reason: str) -> int:
        """Keep it from being disposed of, for a reason; an empty one ends that."""

    async def add_note(self, conversation: str, text: str) -> Note:
        """Add a note, which is never sent; :class:`TooManyKept`."""

    # --- writing ------------------------------------------------------------------------------------------

    async def drafts(self, mailbox: str | None = None) -> tuple[Draft, ...]:
        """Return drafts that are not sent, the latest first."""

    async def new_draft(self, mailbox: str, content: DraftContent | None = None) -> Draft:
        """Begin a message; :class:`TooManyKept`, as for every new draft, if the person has too many here."""

    async def reply(self, message: str) -> Draft:
        """Begin an answer: recipient, subject and references of both sides are filled in."""

    async def send_again(self, message: str) -> Draft:
        """Begin a new message with the content and files of a sent one, to which it refers."""

    async def text_templates(self, mailbox: str) -> tuple[TextTemplate, ...]:
        """Return the text templates of a mailbox in which the person writes, by title."""

    async def draft(self, draft: str) -> Draft:
        """Open a draft."""

    async def save_draft(self, draft: str, version: int, content: DraftContent) -> int:
        """Save the typed text, and return the new version.

        :class:`DraftTaken` when another person writes in it, :class:`Changed` for an old version,
        :class:`DraftClosed`.
        """

    async def take_over_draft(self, draft: str) -> Draft:
        """Become the draft's writer; the previous one is told at the next save."""

    async def discard_draft(self, draft: str, version: int) -> None:
        """Delete a draft with its files."""

    async def upload(self, draft: str, name: str, media_type: str) -> Upload:
        """Begin to add a file; only the writer may."""

    async def remove_file(self, draft: str, file: str) -> None:
        """Take a file out of a draft."""

    async def draft_file(self, draft: str, file: str) -> FileContent:
        """Open a file of a draft."""

    async def news_read(self, draft: str, messages: int) -> None:
        """Note that the person has read the conversation that the draft answers up to ``messages``.

        Only shown messages count: one that arrived meanwhile stops sending again.
        """

    async def review(self, draft: str) -> Review:
        """Return the draft as it would be sent, with the problems that prevent it."""

    async def ask_approval(self, draft: str, version: int) -> int:
        """Ask a second person to approve; nothing of the draft can change until they have answered."""

    async def approve(self, draft: str, version: int) -> int:
        """Approve what another asked for; the person must have the right to. :class:`OwnApproval`."""

    async def decline(self, draft: str, version: int, reason: str) -> int:
        """Send a draft back to its writer, with a reason."""

    async def withdraw(self, draft: str, version: int) -> int:
        """Withdraw the request for a second person's approval; the draft can be changed again."""

    async def submit(self, draft: str, version: int) -> Submitted:
        """Send: from now on nothing changes, and for a short time it can be undone.

        The same draft submitted again returns what the first time did: a second tab sends nothing twice.
        :class:`NotReady`, :class:`Changed`, :class:`DraftTaken`, or :class:`ConversationMoved`.
        """

    async def undo(self, draft: str) -> Draft:
        """Undo sending and return the draft as it was; :class:`TooLate`."""

    async def outbox(self, mailbox: str | None = None) -> tuple[Message, ...]:
        """Return messages that have not been, or could not be, handed over, latest first.

        They are lines of a list, without documents, and do not count as read.
        """

    # --- finding ------------------------------------------------------------------------------------------

    async def begin_search(self, search: Search) -> str:
        """Keep a search, sealed, and return the random token by which it is found."""

    async def found(self, token: str) -> tuple[Search, Found]:
        """Search what the person may read; stops at a time limit."""

    async def begin_selection(self, selection: Selection) -> str:
        """Keep a selection, sealed, and return the random token that it is found under."""

    async def selected(self, token: str, *, after: str = "", limit: int = 50) -> tuple[Selection, Lines]:
        """Return conversations of a selection, the latest first."""

    async def views(self) -> tuple[View, ...]:
        """Return the kept views that the person can use, by name."""

    async def view(self, view: str, *, after: str = "", limit: int = 50) -> tuple[View, Lines]:
        """Return conversations of a kept view, the latest first."""

    async def keep_view(self, token: str, name: str, *, for_mailbox: bool = False) -> str:
        """Keep a selection under a name, for the person or for its mailbox, and return the view's id."""

    async def drop_view(self, view: str) -> None:
        """Remove a kept view; one of a mailbox takes the right to write in it."""

    async def lists(self) -> tuple[RecipientList, ...]:
        """Return the distribution lists that the person can use, by name."""

    async def keep_list(self, kept: RecipientList) -> str:
        """Store a distribution list, whose id is empty when it is new, and return its id."""

    async def drop_list(self, kept: str) -> None:
        """Remove a distribution list."""

    async def correspondents(self, words: str, limit: int = 20) -> tuple[Correspondent, ...]:
        """Return matching addresses, regardless of accents, the most used first."""

    async def set_favourite(self, recipient: Recipient, *, favourite: bool) -> None:
        """Keep an address as a favourite of the person, or not."""
