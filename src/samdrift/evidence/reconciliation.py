"""Reconciliation of logs: each step of a transfer in one log must be followed by the next in another log.

The logs are those of one organisation's access point, message service and message client and, if available,
those of the organisation that it exchanges messages with. Logs are not verified here: the caller has verified
them, and passes the entries that are proved.

A log may end later than another one. A step is therefore compared only if the other log continues for long
enough after it; until then it is under way. It is not compared with a log that had not begun yet, or whose
facts of that time were disposed of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from samdrift.accesspoint.events import APEvent
from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent, Retention
from samdrift.messageclient.events import MKEvent
from samdrift.messageservice.events import MTEvent
from samdrift.vault.events import VaultEvent

HANDOVER = timedelta(hours=1)
"""Time within which the next part of the platform records a step, unless something is down."""
EXCHANGE = timedelta(days=8)
"""Time within which an exchange of messages has ended, including all its attempts and receipts."""

SOURCES = ("ap", "mt", "mk")
"""Prefixes of the events that are compared: access point, message service and message client."""
Names = tuple[str, ...]
"""Facts that identify the same thing in two logs; one of them is enough."""
_ENVELOPE, _MESSAGE, _AS4 = ("envelope",), ("message",), ("as4",)


class Kind(StrEnum):
    """Kinds of difference, each named after what is missing or wrong."""

    SUBMITTED_WITHOUT_TRANSFER = "submitted-without-transfer"
    TRANSFER_WITHOUT_MESSAGE = "transfer-without-message"
    TRANSFER_WITHOUT_END = "transfer-without-end"
    DELIVERY_NOT_KNOWN = "delivery-not-known"
    FAILURE_NOT_KNOWN = "failure-not-known"
    ACKNOWLEDGED_WITHOUT_DELIVERY = "acknowledged-without-delivery"
    ARRIVED_NOT_FETCHED = "arrived-not-fetched"
    FETCHED_NOT_ARRIVED = "fetched-not-arrived"
    NOT_REMOVED = "not-removed"
    MESSAGE_WITHOUT_ANSWER = "message-without-answer"
    ANSWER_NOT_SENT = "answer-not-sent"
    MESSAGE_WITHOUT_END = "message-without-end"
    VERDICT_WITHOUT_RECEIPT = "verdict-without-receipt"
    RECEIPT_WITHOUT_MESSAGE = "receipt-without-message"
    READING_WITHOUT_MESSAGE = "reading-without-message"
    FETCHED_WITHOUT_READING = "fetched-without-reading"
    HANDED_OVER_NOT_SCHEDULED = "handed-over-not-scheduled"
    HANDED_OVER_NOT_SUBMITTED = "sent-by-nobody"
    TWICE = "twice"
    IDENTIFIERS_DIFFER = "identifiers-differ"
    DELIVERED_NOT_ARRIVED = "delivered-not-arrived"
    ARRIVED_NOT_SENT = "arrived-not-sent"
    VERDICT_DIFFERS = "verdict-differs"
    RECEIPT_NOT_GIVEN = "receipt-not-given"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule that each of the entries ``steps`` needs one of the entries ``wants`` about the same thing."""

    kind: Kind
    steps: Mapping[AuditEvent, Names]
    wants: Mapping[AuditEvent, Names]
    missing: str
    within: timedelta = HANDOVER
    backward: bool = False
    """True if the wanted entry may be older than any disposal: only complete logs prove it missing."""
    between: bool = False
    """True if the wanted entry is in the other organisation's log."""


_SUBMITTED: dict[AuditEvent, Names] = {
    MTEvent.MT_MESSAGE_SUBMITTED: _MESSAGE,
    MTEvent.MT_RECEIPT_SUBMITTED: _ENVELOPE,
}
_ENDED: dict[AuditEvent, Names] = {
    MTEvent.MT_MESSAGE_ACCEPTED: _MESSAGE,
    MTEvent.MT_MESSAGE_REJECTED: _MESSAGE,
    MTEvent.MT_MESSAGE_FAILED: _MESSAGE,
}
_RECEIPT_ENDED: dict[AuditEvent, Names] = {
    MTEvent.MT_RECEIPT_ACKNOWLEDGED: _ENVELOPE,
    MTEvent.MT_RECEIPT_FAILED: _ENVELOPE,
}
_FETCHED: dict[AuditEvent, Names] = {
    MTEvent.MT_MESSAGE_RETRIEVED: _AS4,
    MTEvent.MT_MESSAGE_REFUSED: ("as4", "envelope"),
    MTEvent.MT_RECEIPT_RECEIVED: _ENVELOPE,
    MTEvent.MT_RECEIPT_UNMATCHED: _ENVELOPE,
    MTEvent.MT_RECEIPT_REFUSED: _ENVELOPE,
}
_READ = (MTEvent.MT_MESSAGE_READ, MKEvent.MK_READING_MESSAGE, MKEvent.MK_READING_FILE, MKEvent.MK_READING_RAW)
_OF_THE_CLIENT = (MKEvent.MK_MESSAGE_STORED, MKEvent.MK_MESSAGE_UNREADABLE, MKEvent.MK_MESSAGE_SUBMITTED)

_RULES = (
    _Rule(
        Kind.SUBMITTED_WITHOUT_TRANSFER,
        _SUBMITTED,
        {APEvent.AP_TRANSFER_QUEUED: _ENVELOPE},
        "the message service has handed it over, and the access point has no transfer of it",
    ),
    _Rule(
        Kind.TRANSFER_WITHOUT_MESSAGE,
        {APEvent.AP_TRANSFER_QUEUED: _ENVELOPE},
        {MTEvent.MT_MESSAGE_SCHEDULED: _MESSAGE, MTEvent.MT_RECEIPT_QUEUED: _ENVELOPE},
        "the access point transfers it, and the message service has never had it",
        EXCHANGE,
    ),
    _Rule(
        Kind.TRANSFER_WITHOUT_END,
        {APEvent.AP_TRANSFER_QUEUED: _ENVELOPE},
        {
            APEvent.AP_TRANSFER_DELIVERED: _ENVELOPE,
            VaultEvent.AP_TRANSFER_FAILED: _ENVELOPE,
            VaultEvent.ORGANISATION_ENDED: _ENVELOPE,
        },
        "the access point has it queued, and neither delivered it nor failed",
        EXCHANGE,
    ),
    _Rule(
        Kind.DELIVERY_NOT_KNOWN,
        {APEvent.AP_TRANSFER_DELIVERED: _ENVELOPE},
        {
            MTEvent.MT_MESSAGE_ACKNOWLEDGED: _MESSAGE,
            MTEvent.MT_MESSAGE_LATE: _MESSAGE,
            **_ENDED,
            **_RECEIPT_ENDED,
        },
        "the access point has delivered it, and the message service does not know",
    ),
    _Rule(
        Kind.FAILURE_NOT_KNOWN,
        {VaultEvent.AP_TRANSFER_FAILED: _ENVELOPE},
        {
            MTEvent.MT_MESSAGE_FAILED: _MESSAGE,
            MTEvent.MT_MESSAGE_LATE: _MESSAGE,
            MTEvent.MT_RECEIPT_FAILED: _ENVELOPE,
        },
        "the access point could not deliver it, and the message service does not know",
    ),
    _Rule(
        Kind.ACKNOWLEDGED_WITHOUT_DELIVERY,
        {MTEvent.MT_MESSAGE_ACKNOWLEDGED: _MESSAGE, MTEvent.MT_RECEIPT_ACKNOWLEDGED: _ENVELOPE},
        {APEvent.AP_TRANSFER_DELIVERED: _ENVELOPE},
        "the message service has it as delivered, and the access point has not delivered it",
    ),
    _Rule(
        Kind.ARRIVED_NOT_FETCHED,
        {APEvent.AP_ENVELOPE_RECEIVED: ("as4", "envelope")},
        _FETCHED | {VaultEvent.ORGANISATION_ENDED: _ENVELOPE},
        "the access point has received it, and the message service has not fetched it",
        EXCHANGE,
    ),
    _Rule(
        Kind.FETCHED_NOT_ARRIVED,
        _FETCHED,
        {APEvent.AP_ENVELOPE_RECEIVED: ("as4", "envelope")},
        "the message service has fetched it, and the access point has never received it",
        EXCHANGE,
    ),
    _Rule(
        Kind.NOT_REMOVED,
        {APEvent.AP_ENVELOPE_RECEIVED: _ENVELOPE},
        {APEvent.AP_ENVELOPE_ACKNOWLEDGED: _ENVELOPE, VaultEvent.ORGANISATION_ENDED: _ENVELOPE},
        "the access point has received it, and still has it",
        EXCHANGE,
    ),
    _Rule(
        Kind.MESSAGE_WITHOUT_ANSWER,
        {MTEvent.MT_MESSAGE_RETRIEVED: _MESSAGE},
        {MTEvent.MT_RECEIPT_QUEUED: _MESSAGE},
        "the message came in, and no message receipt was made for it",
    ),
    _Rule(
        Kind.ANSWER_NOT_SENT,
        {MTEvent.MT_RECEIPT_QUEUED: _ENVELOPE},
        {MTEvent.MT_RECEIPT_SUBMITTED: _ENVELOPE, **_RECEIPT_ENDED},
        "a message receipt was made, and neither sent nor given up",
        EXCHANGE,
    ),
    _Rule(
        Kind.MESSAGE_WITHOUT_END,
        {MTEvent.MT_MESSAGE_SCHEDULED: _MESSAGE},
        _ENDED | {VaultEvent.ORGANISATION_ENDED: _MESSAGE},
        "the message was sent, and is neither accepted, rejected nor failed",
        EXCHANGE,
    ),
    _Rule(
        Kind.VERDICT_WITHOUT_RECEIPT,
        {MTEvent.MT_MESSAGE_ACCEPTED: _MESSAGE, MTEvent.MT_MESSAGE_REJECTED: _MESSAGE},
        {MTEvent.MT_RECEIPT_RECEIVED: _MESSAGE},
        "the message has the recipient's verdict, and no message receipt came for it",
    ),
    _Rule(
        Kind.RECEIPT_WITHOUT_MESSAGE,
        {MTEvent.MT_RECEIPT_RECEIVED: _MESSAGE},
        {MTEvent.MT_MESSAGE_SCHEDULED: _MESSAGE},
        "a message receipt came for a message that was never sent",
        EXCHANGE,
    ),
    _Rule(
        Kind.READING_WITHOUT_MESSAGE,
        {MTEvent.MT_MESSAGE_READ: _MESSAGE},
        {MTEvent.MT_MESSAGE_RETRIEVED: _MESSAGE, MTEvent.MT_MESSAGE_SCHEDULED: _MESSAGE},
        "the message was read, and the log has never had it",
        backward=True,
    ),
    _Rule(
        Kind.READING_WITHOUT_MESSAGE,
        dict.fromkeys(_READ[1:], _MESSAGE),
        dict.fromkeys(_OF_THE_CLIENT, _MESSAGE),
        "the message was read, and the log has never had it",
        backward=True,
    ),
    _Rule(
        Kind.FETCHED_WITHOUT_READING,
        {MKEvent.MK_MESSAGE_STORED: _MESSAGE},
        {MTEvent.MT_MESSAGE_READ: _MESSAGE},
        "the message client has fetched it, and the message service has no reading of it",
    ),
    _Rule(
        Kind.HANDED_OVER_NOT_SCHEDULED,
        {MKEvent.MK_MESSAGE_HANDED_OVER: _MESSAGE},
        {MTEvent.MT_MESSAGE_SCHEDULED: _MESSAGE},
        "the message client has handed it over, and the message service has never had it",
    ),
    _Rule(
        Kind.HANDED_OVER_NOT_SUBMITTED,
        {MKEvent.MK_MESSAGE_HANDED_OVER: _MESSAGE},
        {MKEvent.MK_MESSAGE_SUBMITTED: _MESSAGE},
        "the message client has handed it over, and nobody has sent it",
        EXCHANGE,
    ),
    _Rule(
        Kind.DELIVERED_NOT_ARRIVED,
        {APEvent.AP_TRANSFER_DELIVERED: _AS4},
        {APEvent.AP_ENVELOPE_RECEIVED: _AS4},
        "the sender's access point has delivered it, and the receiver's has not received it",
        between=True,
    ),
    _Rule(
        Kind.ARRIVED_NOT_SENT,
        {APEvent.AP_ENVELOPE_RECEIVED: _AS4},
        {APEvent.AP_TRANSFER_QUEUED: _AS4},
        "the receiver's access point has received it, and the sender's has not sent it",
        EXCHANGE,
        between=True,
    ),
    _Rule(
        Kind.VERDICT_DIFFERS,
        {MTEvent.MT_MESSAGE_ACCEPTED: _MESSAGE},
        {MTEvent.MT_MESSAGE_RETRIEVED: _MESSAGE},
        "the sender has it as accepted, and the receiver has not accepted it",
        EXCHANGE,
        between=True,
    ),
    _Rule(
        Kind.VERDICT_DIFFERS,
        {MTEvent.MT_MESSAGE_REJECTED: _MESSAGE},
        {MTEvent.MT_MESSAGE_REFUSED: ("message", "envelope")},
        "the sender has it as rejected, and the receiver has not rejected it",
        EXCHANGE,
        between=True,
    ),
    _Rule(
        Kind.RECEIPT_NOT_GIVEN,
        {MTEvent.MT_RECEIPT_RECEIVED: _ENVELOPE},
        {MTEvent.MT_RECEIPT_QUEUED: _ENVELOPE},
        "a message receipt came in, and the other side has not given it",
        EXCHANGE,
        between=True,
    ),
)

_ONCE: Mapping[AuditEvent, str] = {
    APEvent.AP_TRANSFER_QUEUED: "envelope",
    APEvent.AP_TRANSFER_DELIVERED: "envelope",
    APEvent.AP_ENVELOPE_RECEIVED: "as4",
    MTEvent.MT_MESSAGE_SCHEDULED: "message",
    MTEvent.MT_MESSAGE_RETRIEVED: "message",
    MTEvent.MT_RECEIPT_QUEUED: "envelope",
    MKEvent.MK_MESSAGE_HANDED_OVER: "message",
}
"""Steps that happen only once to a thing, with the fact that identifies it."""


@dataclass(frozen=True, slots=True)
class _Same:
    """A rule that two entries about one thing, identified by the fact ``by``, have the same ``facts``."""

    one: AuditEvent
    other: AuditEvent
    by: str
    facts: Names
    between: bool = False


_SAME = (
    _Same(
        APEvent.AP_TRANSFER_QUEUED,
        APEvent.AP_TRANSFER_DELIVERED,
        "envelope",
        ("as4", "conversation", "recipient"),
    ),
    _Same(APEvent.AP_ENVELOPE_RECEIVED, MTEvent.MT_MESSAGE_RETRIEVED, "as4", ("conversation", "sender")),
    _Same(
        APEvent.AP_TRANSFER_DELIVERED,
        APEvent.AP_ENVELOPE_RECEIVED,
        "as4",
        ("envelope", "conversation", "sender", "recipient", "message_type"),
        between=True,
    ),
)
_KEPT = frozenset({event for rule in _RULES for event in (*rule.steps, *rule.wants)} | _ONCE.keys())
_FACTS = frozenset({"envelope", "message", "as4", "conversation", "sender", "recipient", "message_type"})


@dataclass(frozen=True, slots=True)
class _Seen:
    """The part of a log entry that is compared."""

    number: int
    at: datetime
    ids: Mapping[str, str]


@dataclass(slots=True)
class ReadLog:
    """The proved entries of one log that are compared, and the period that they cover."""

    name: str
    """Its organisation and role, for display."""
    organisation: str
    source: str
    """Prefix of its own events, one of :data:`SOURCES`."""
    begins: datetime | None = None
    ends: datetime | None = None
    whole: bool = True
    """True if it has every entry since the log began, false for a part of it."""
    kept_from: dict[Retention, datetime] = field(default_factory=dict)
    """Time of the first facts that are left, for classes that were partly disposed of."""
    entries: dict[str, list[_Seen]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        organisation: str,
        source: str,
        entries: Iterable[LogEntry],
        *,
        whole: bool = True,
        disposed: Iterable[Retention] = (),
    ) -> Self:
        """Read entries in their order; ``disposed`` are the classes with missing facts."""
        log, missing = cls(name, organisation, source, whole=whole), set(disposed)
        for entry in entries:
            log._take(entry, missing)
        return log

    def _take(self, entry: LogEntry, missing: set[Retention]) -> None:
        self.begins = self.begins or entry.at
        self.ends = max(self.ends or entry.at, entry.at)
        if entry.retention in missing:
            missing.discard(Retention(entry.retention))
            self.kept_from[Retention(entry.retention)] = entry.at
        if entry.event in _KEPT:
            ids = {name: value for name, value in entry.ids.items() if name in _FACTS}
            self.entries.setdefault(entry.event, []).append(_Seen(entry.sequence, entry.at, ids))

    def judges(self, rule: _Rule, at: datetime) -> bool | None:
        """Return whether the log would have the entry that ``rule`` wants for a step at that time.

        Return ``None`` if the entry may still come.
        """
        if self.begins is None or self.ends is None or at < self.begins:
            return False
        classes = {event.retention for event in rule.wants if event.value.startswith(f"{self.source}:")}
        limits = [self.kept_from[each] for each in classes if each in self.kept_from]
        if not self.whole:
            limits.append(self.begins)
        if limits and (rule.backward or at < max(limits) + rule.within):
            return False
        return None if at + rule.within > self.ends else True


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between logs."""

    kind: Kind
    about: str
    """Identifier of the message or envelope concerned."""
    log: str
    number: int
    """Number of the entry that shows it, in that log."""
    at: datetime
    ids: Mapping[str, str]
    other: str
    """The log that disagrees."""
    text: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result: compared steps by kind, the number of steps still under way, and the differences."""

    compared: Mapping[Kind, int]
    under_way: int
    differences: tuple[Difference, ...]

    @property
    def holds(self) -> bool:
        return not self.differences


def reconcile(own: Sequence[ReadLog], theirs: Sequence[ReadLog] = ()) -> Reconciliation:
    """Compare the logs of one organisation with each other, and with those of another, in both directions."""
    work = _Reconciling()
    for side in (own, theirs):
        for rule in _RULES:
            if not rule.between:
                work.follow(rule, side, side, lambda _: True)
        for log in side:
            work.once(log)
        for same in _SAME:
            if not same.between:
                work.agree(same, side, side)
    for here, there in ((own, theirs), (theirs, own)):
        exchanged = _exchanged(here, {each.organisation for each in there})
        for rule in _RULES:
            if rule.between:
                work.follow(rule, here, there, exchanged)
        for same in _SAME:
            if same.between:
                work.agree(same, here, there)
    found = sorted(work.differences, key=lambda each: (each.at, each.log, each.number, each.kind))
    return Reconciliation(work.compared, work.under_way, tuple(found))


class _Reconciling:
    """A reconciliation in progress, with the comparisons made and the differences found so far."""

    def __init__(self) -> None:
        self.compared: Counter[Kind] = Counter()
        self.under_way = 0
        self.differences: list[Difference] = []

    def follow(
        self,
        rule: _Rule,
        here: Sequence[ReadLog],
        there: Sequence[ReadLog],
        concerns: Callable[[_Seen], bool],
    ) -> None:
        """Look in the logs ``there`` for the entry that ``rule`` wants for each step ``here``."""
        sources = {event.value.partition(":")[0] for event in rule.wants} - {"org"}
        judging = [log for log in there if log.source in sources]
        if {log.source for log in judging} != sources:
            return
        known = {value for log in there for value in _values(log, rule.wants)}
        for log in here:
            for event, names in rule.steps.items():
                for step in log.entries.get(event, ()):
                    if concerns(step):
                        self._step(rule, log, step, names, judging, known)

    def _step(
        self,
        rule: _Rule,
        log: ReadLog,
        step: _Seen,
        names: Names,
        judging: Sequence[ReadLog],
        known: set[str],
    ) -> None:
        named = [step.ids[name] for name in names if name in step.ids]
        if not named:
            return
        if any(value in known for value in named):
            self.compared[rule.kind] += 1
            return
        verdicts = [each.judges(rule, step.at) for each in judging]
        if all(verdicts):
            self.compared[rule.kind] += 1
            self._differ(rule.kind, _subject(step, named[0]), log, step, judging[0].name, rule.missing)
        elif None in verdicts and False not in verdicts:
            self.under_way += 1

    def once(self, log: ReadLog) -> None:
        """Find steps that happened more than once."""
        for event, name in _ONCE.items():
            first: dict[str, int] = {}
            for step in log.entries.get(event, ()):
                value = step.ids.get(name, "")
                self.compared[Kind.TWICE] += 1
                if value and first.setdefault(value, step.number) != step.number:
                    text = f"{event.value} is in entry {first[value]} already"
                    self._differ(Kind.TWICE, _subject(step, value), log, step, log.name, text)

    def agree(self, same: _Same, here: Sequence[ReadLog], there: Sequence[ReadLog]) -> None:
        """Find entries about the same thing whose facts differ."""
        known = {
            step.ids[same.by]: (log, step)
            for log in here
            for step in log.entries.get(same.one, ())
            if same.by in step.ids
        }
        for log in there:
            for step in log.entries.get(same.other, ()):
                if step.ids.get(same.by) not in known:
                    continue
                before, first = known[step.ids[same.by]]
                self.compared[Kind.IDENTIFIERS_DIFFER] += 1
                wrong = [
                    name
                    for name in same.facts
                    if name in step.ids and name in first.ids and step.ids[name] != first.ids[name]
                ]
                if wrong:
                    where = f"entry {first.number} of {before.name}"
                    text = f"{' and '.join(wrong)} not the same as in {where}"
                    self._differ(
                        Kind.IDENTIFIERS_DIFFER,
                        _subject(step, step.ids[same.by]),
                        log,
                        step,
                        before.name,
                        text,
                    )

    def _differ(self, kind: Kind, about: str, log: ReadLog, step: _Seen, other: str, text: str) -> None:
        found = Difference(kind, about, log.name, step.number, step.at, step.ids, other, text)
        self.differences.append(found)


def _subject(step: _Seen, named: str) -> str:
    """Return the subject of a difference: the envelope or message if an AS4 message was looked up."""
    if named != step.ids.get("as4"):
        return named
    return step.ids.get("envelope") or step.ids.get("message") or named


def _values(log: ReadLog, wants: Mapping[AuditEvent, Names]) -> Iterator[str]:
    """Yield the subjects of the wanted entries of a log."""
    for event, names in wants.items():
        for step in log.entries.get(event, ()):
            yield from (step.ids[name] for name in names if name in step.ids)


def _exchanged(logs: Sequence[ReadLog], others: set[str]) -> Callable[[_Seen], bool]:
    """Return a test whether a step is about an exchange with one of the other organisations.

    The access point's entries name both parties; a message service's entry is about the envelope that
    they name.
    """
    about = set[str]()
    for log in logs:
        for event in (
            APEvent.AP_TRANSFER_QUEUED,
            APEvent.AP_TRANSFER_DELIVERED,
            APEvent.AP_ENVELOPE_RECEIVED,
        ):
            party = "sender" if event is APEvent.AP_ENVELOPE_RECEIVED else "recipient"
            for step in log.entries.get(event, ()):
                if step.ids.get(party) in others:
                    about |= {step.ids[name] for name in ("envelope", "as4") if name in step.ids}
    return lambda step: any(step.ids.get(name) in about for name in ("as4", "envelope", "message"))
