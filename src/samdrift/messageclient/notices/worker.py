"""The worker of notices: checks mailboxes with new messages, and sends the notices that people chose.

An e-mail states only that there is something to read and where to sign in: no sender, subject, mailbox or
number. A person gets one for everything new, at most every quarter of an hour, or one a day; and none if
everything has been read in the meantime, or the right to the mailbox has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from enum import StrEnum
from functools import partial
from typing import Protocol

from samdrift.contracts.clock import Clock
from samdrift.contracts.principals import Purpose, Role
from samdrift.messageclient.events import MKEvent
from samdrift.messageclient.notices.acknowledging import acknowledge
from samdrift.messageclient.notices.manning import Manning, next_at
from samdrift.messageclient.permissions import Assigned, Assignments
from samdrift.net.background import in_background
from samdrift.net.smtp import MailRefused, MailServerUnavailable
from samdrift.rights import Right
from samdrift.scheduling.dispatch import Dispatcher
from samdrift.scheduling.rounds import Rounds, Served
from samdrift.vault.bodies import new_id
from samdrift.vault.gate import Gate
from samdrift.vault.messageclient import MessageClientVault
from samdrift.vault.noticing import NoticeRecord, Place, WatchRecord
from samdrift.vault.workergate import WorkerGate
from samdrift.wire.identifiers import ParticipantIdentifier

_AT_MOST_EVERY = timedelta(minutes=15)
_LEASE = timedelta(minutes=5)
_FIRST_PAUSE, _MAX_PAUSE = timedelta(minutes=1), timedelta(hours=1)
_COMMITTED = timedelta(minutes=1)
"""Time within which a message that arrived before a check of its mailbox is sure to have been committed."""
_WITHIN = timedelta(hours=24)
"""Time for which sending a notice is attempted; after that it is no longer news."""


class Kind(StrEnum):
    """Kinds of notices."""

    NEW = "new"
    UNREAD = "unread"
    """A mailbox has been unread for too long."""
    EMERGENCY = "emergency"
    """The operator sees data of the organisation without its consent; governance notifies the officers."""
    DECISION = "decision"
    """Something in governance is waiting for the officers."""


class How(StrEnum):
    """Ways in which a person can be notified of new messages in a mailbox."""

    SOON = "soon"
    DAILY = "daily"


class Outcome(StrEnum):
    """Possible outcomes of a notice."""

    SENT = "sent"
    NOT_NEEDED = "not-needed"
    """Everything was read in the meantime, or the person may no longer read the mailbox."""
    REFUSED = "refused"
    NOT_SENT = "not-sent"
    """The mail server could not be used in time."""


class Post(Protocol):
    """A mail server that accepts e-mail for delivery."""

    async def send(self, mail: EmailMessage, recipient: str) -> None:
        """Hand over an e-mail; raises :class:`MailServerUnavailable` or :class:`MailRefused`."""


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """The sender of notices, and the address at which each organisation's people sign in."""

    sender: str
    origins: Mapping[ParticipantIdentifier, str]
    governance: Mapping[ParticipantIdentifier, str] = field(default_factory=dict)
    """Addresses at which officers sign in, for organisations with governance pages."""


Vaults = WorkerGate[MessageClientVault]


class Notices:
    """Notices of all organisations to their people."""

    def __init__(
        self,
        vaults: Vaults,
        assignments: Assignments,
        settings: NoticeSettings,
        post: Post | None,
        clock: Clock,
        watch: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``post`` is the mail server; without one, no e-mail is sent.

        ``watch`` is called with the reason why the mail server is unreachable, or an empty text.
        """
        self._vaults = vaults
        self._assignments = assignments
        self._settings = settings
        self._post = post
        self._clock = clock
        self._watch = watch

    async def turn(self, organisation: ParticipantIdentifier) -> datetime | None:
        """Do the work that is due, and return when the next is due; ``None`` if nothing is waiting."""
        now = self._clock()
        places = await self._look(organisation, {}, now)
        while places:
            places = await self._look(organisation, places, now)
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            claimed = await vault.claim_notices(now=now, lease=_LEASE)
            due = await vault.notices(claimed) if claimed else ()
        for notice in due:
            await self._tell(organisation, notice)
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            return await vault.next_notice()

    async def run(self, gate: Gate, on_failure: Callable[[BaseException], None]) -> None:
        """Do the work that is due until cancelled, for organisations that the registry finds due."""
        role = Role.MESSAGE_CLIENT

        def works_for(organisation: ParticipantIdentifier) -> bool:
            return gate.registry.works_for(organisation, role)

        async def turn(organisation: ParticipantIdentifier) -> datetime | None:
            async with gate.leases.working(organisation, role):
                return await self.turn(organisation)

        dispatcher = Dispatcher(turn, self._clock, on_failure=on_failure)
        gate.leases.on_gain(dispatcher.look)
        served = Served(self._settings.origins, works_for, lambda: gate.registry.version)
        rounds = Rounds(partial(gate.due, role), served, self._clock)
        along = rounds.go_along(gate.visits.listen(role), role, dispatcher.wake)
        async with in_background(along, on_failure=on_failure):
            await dispatcher.run(rounds.due)

    # --- mailboxes ----------------------------------------------------------------------------------------

    async def _look(
        self, organisation: ParticipantIdentifier, places: Mapping[str, Place], now: datetime
    ) -> dict[str, Place]:
        """Check mailboxes that are due, in one opening of the vault.

        Returns the mailboxes in which there is more to acknowledge, each with the place of the last
        conversation that was read. They stay due. The next call gets that result as ``places``.
        """
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            watches = await vault.due_watches(now=now)
            if not watches:
                return {}
            manning = {mailbox: Manning.read(kept) for mailbox, kept in (await vault.manning()).items()}
            read = dict[str, Place]()
            for watch in watches:
                if watch.mailbox in manning and (text := manning[watch.mailbox].acknowledge):
                    after = places.get(watch.mailbox, (watch.looked_at, ""))
                    place = await self._acknowledge(organisation, vault, watch.mailbox, after, text, now)
                    read[watch.mailbox] = place
            return await self._notify(organisation, vault, watches, manning, read, now)

    async def _acknowledge(
        self,
        organisation: ParticipantIdentifier,
        vault: MessageClientVault,
        box: str,
        after: Place,
        text: str,
        now: datetime,
    ) -> Place:
        """Acknowledge a page of conversations that began in a mailbox; return the place of the last one.

        A page that is read again, because a process was killed, contains none that was acknowledged: its
        acknowledgement is a second message of the conversation.
        """
        began = await vault.started_conversations(box, after)
        if not began:
            return after
        mailbox = next(one for one in await vault.mailboxes() if one.id == box)
        for mail in await vault.mail([message for _, message in began]):
            await acknowledge(vault, organisation.value, mailbox, mail, text, now)
        return began[-1]

    async def _notify(
        self,
        organisation: ParticipantIdentifier,
        vault: MessageClientVault,
        watches: Sequence[WatchRecord],
        manning: Mapping[str, Manning],
        read: Mapping[str, Place],
        now: datetime,
    ) -> dict[str, Place]:
        """Queue notices of what is new or unread in mailboxes, and record that these were checked.

        Returns the mailboxes that are not finished, because conversations began after those that were
        ``read``.
        """
        assigned, choices = await self._assignments.read(organisation, vault), await vault.notice_choices()
        last = await vault.last_notices() if choices else {}
        more = dict[str, Place]()
        for watch in watches:
            # A message that arrives from here on waits, and makes the mailbox due again. Before this, an
            # acknowledgement could wait for a conversation in which a message arrives.
            vault.hold_watch(watch)
            place = read.get(watch.mailbox)
            if place is not None and await vault.started_conversations(watch.mailbox, place):
                more[watch.mailbox] = place
                continue
            unread = await vault.unread_in(watch.mailbox)
            if unread is not None and unread[1] > watch.looked_at and self._post is not None:
                for person, choice in choices.items():
                    how = choice["mailboxes"].get(watch.mailbox)
                    if how and _reads(assigned, person, watch.mailbox):
                        due = _due(How(how), choice["hour"], last.get(person), now)
                        notice = _notice(Kind.NEW, person, watch.looked_at, due, choice["address"])
                        vault.add_notice(notice)
            hours = manning.get(watch.mailbox, Manning())
            self._escalate(vault, watch, hours, unread[0] if unread else None, now)
        return more

    def _escalate(
        self,
        vault: MessageClientVault,
        watch: WatchRecord,
        hours: Manning,
        oldest: datetime | None,
        now: datetime,
    ) -> None:
        """Escalate a mailbox left unread for too long; not again until all of it has been read."""
        due = None if oldest is None else hours.overdue_at(oldest)
        known = watch.looked_at + _COMMITTED
        escalated = watch.escalated and oldest is not None and oldest < known
        if due is not None and due <= now and not escalated:
            vault.record(MKEvent.MK_MAILBOX_ESCALATED, mailbox=watch.mailbox)
            if hours.escalate_to and self._post is not None:
                vault.add_notice(_notice(Kind.UNREAD, None, now, now, hours.escalate_to))
            escalated = True
        again = due if due is not None and due > now and not escalated else None
        vault.keep_watch(watch, due=again, looked=now - _COMMITTED, escalated=escalated)

    # --- notices ------------------------------------------------------------------------------------------

    async def _tell(self, organisation: ParticipantIdentifier, notice: NoticeRecord) -> None:
        if not await self._is_needed(organisation, notice):
            await self._end(organisation, notice, Outcome.NOT_NEEDED, "")
            return
        if self._post is None:
            await self._end(organisation, notice, Outcome.NOT_SENT, "no mail server is configured")
            return
        try:
            await self._post.send(self._mail(organisation, notice), notice.content["to"])
        except MailServerUnavailable as outage:
            self._watch(outage.cause)
            await self._postpone(organisation, notice, outage.cause)
        except MailRefused as refused:
            self._watch("")
            await self._end(organisation, notice, Outcome.REFUSED, str(refused))
        else:
            self._watch("")
            await self._end(organisation, notice, Outcome.SENT, "")

    async def _is_needed(self, organisation: ParticipantIdentifier, notice: NoticeRecord) -> bool:
        """Return whether there are new messages that the person may read and has not read."""
        if notice.person is None:
            return True
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            assigned = await self._assignments.read(organisation, vault)
            choice = (await vault.notice_choices()).get(notice.person)
            mailboxes = [
                box for box in (choice or {}).get("mailboxes", {}) if _reads(assigned, notice.person, box)
            ]
            return bool(mailboxes) and await vault.has_new(notice.person, mailboxes, notice.began_at)

    async def _postpone(self, organisation: ParticipantIdentifier, notice: NoticeRecord, reason: str) -> None:
        now = self._clock()
        if now >= datetime.fromisoformat(notice.content["until"]):
            await self._end(organisation, notice, Outcome.NOT_SENT, reason)
            return
        pause = min(_FIRST_PAUSE * (1 << min(notice.attempts, 10)), _MAX_PAUSE)
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            vault.move_notice(notice, due=now + pause, outcome=None, now=now, reason=reason)

    async def _end(
        self, organisation: ParticipantIdentifier, notice: NoticeRecord, outcome: Outcome, reason: str
    ) -> None:
        async with self._vaults.open(organisation, Purpose.PROCESS) as vault:
            vault.move_notice(notice, due=None, outcome=outcome.value, now=self._clock(), reason=reason)
            if outcome is not Outcome.NOT_NEEDED:
                facts = {"kind": notice.kind, "outcome": outcome.value, "person": notice.person or ""}
                vault.record(MKEvent.MK_NOTICE_ENDED, **facts, **({"reason": reason} if reason else {}))

    def _mail(self, organisation: ParticipantIdentifier, notice: NoticeRecord) -> EmailMessage:
        origin = self._settings.origins[organisation]
        if notice.kind == Kind.DECISION:
            origin = self._settings.governance.get(organisation, origin)
        swedish, english = _TEXTS[Kind(notice.kind)]
        mail = EmailMessage()
        mail["From"] = self._settings.sender
        mail["To"] = notice.content["to"]
        mail["Subject"] = "Du har något att läsa"
        mail["Date"] = format_datetime(self._clock())
        mail["Message-ID"] = make_msgid(domain=self._settings.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # Prevents automatic replies (RFC 3834).
        mail.set_content(f"{swedish}\n\n{origin}\n\n{_CONTENT}\n\n--\n{english}\n\n{origin}\n")
        return mail


_CONTENT = "Vad det gäller skickas aldrig med e-post. Logga in för att läsa."
_TEXTS = {
    Kind.NEW: (
        "Det har kommit något nytt till en brevlåda som du har valt att få besked om.",
        "Something new has arrived in a mailbox that you have chosen to be notified about.",
    ),
    Kind.EMERGENCY: (
        "Driften ser uppgifter om er organisations meddelanden utan ert samtycke, i ett nödläge. Vem, varför"
        " och hur länge står i er logg.",
        "In an emergency, the operator sees data about your organisation's messages without your consent."
        " Your log shows who, why and for how long.",
    ),
    Kind.DECISION: (
        "Något i styrningen av er organisation väntar på er, eller går snart ut. Vad det är står på sidan"
        " Idag.",
        "Something in your organisation's governance is waiting for you or ends soon. See the Today page.",
    ),
    Kind.UNREAD: (
        "En brevlåda har legat oläst längre än den tid som är bestämd.",
        "A mailbox has been unread for longer than its limit.",
    ),
}


def _notice(kind: Kind, person: str | None, began: datetime, due: datetime, to: str) -> NoticeRecord:
    content = {"to": to, "until": (due + _WITHIN).isoformat()}
    return NoticeRecord(new_id(), kind.value, person, began, due, 0, None, None, content)


def _due(how: How, hour: int, last: datetime | None, now: datetime) -> datetime:
    """Return when to notify a person: soon but not too often, or at their chosen hour."""
    if how is How.DAILY:
        return next_at(hour, now)
    return now if last is None else max(now, last + _AT_MOST_EVERY)


def _reads(assigned: Assigned, person: str, mailbox: str) -> bool:
    """Return whether a person may read a mailbox now; rights by claim are those of their latest sign-in."""
    return person in assigned.holders(Right.READ, mailbox)
