"""Acts about access of the operator's staff: a request for consent, an emergency, and its account.

A request has everything that an officer decides about: the person, the reason, the ticket, how much of what,
and for how long. Approvals and early ends are statements of those kinds that refer to it
(:mod:`samdrift.rights.consentfold`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Self, TypeAlias

from samdrift.rights.canonical import Json, visible
from samdrift.rights.fields import MAX_IDENTIFIER, Fields, StatementError, Subject, SubjectKind, moment_text
from samdrift.wire.identifiers import is_uuid

LONGEST_CONSENT = timedelta(hours=8)
WAITS = timedelta(days=4)
"""Time within which a request can be approved, after which it has lapsed."""
EMERGENCY = timedelta(hours=1)
"""Duration of an emergency, and time within which a second member of the staff has to sign it."""
ANSWERED = timedelta(days=1)
"""Time within which the staff have to give an account of an emergency."""
WEEK = timedelta(days=7)
EMERGENCIES_A_WEEK = 2
"""Emergencies in a week that two of the operator's staff may begin by themselves."""
EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
"""Start of a time span that includes everything before its end."""

MAX_TICKET = 100
_MAX_ACCOUNT = 500
_STAFF = frozenset({SubjectKind.OPERATOR, SubjectKind.CUSTODIAN})


class Level(StrEnum):
    """Levels of access; content includes metadata."""

    METADATA = "metadata"
    """Senders, recipients, people and times: everything except the content of messages."""
    CONTENT = "content"

    def covers(self, wanted: Level) -> bool:
        """Return whether this level permits access at the ``wanted`` level."""
        return self is Level.CONTENT or wanted is Level.METADATA


class Ground(StrEnum):
    """The only reasons for which the operator's staff may ask for access."""

    CASE = "organisations-case"
    """The organisation asked for help with a matter of its own."""
    OUTAGE = "outage"
    SECURITY = "security"
    LAWFUL_DEMAND = "lawful-demand"
    FEDERATION = "federation-support"


class ExtentKind(StrEnum):
    """Kinds of extents."""

    MESSAGE = "message"
    MAILBOX = "mailbox"
    SPAN = "span"


@dataclass(frozen=True, slots=True)
class Extent:
    """The extent of access: one message, one mailbox, or a span of time from ``start`` until ``end``."""

    kind: ExtentKind
    id: str = ""
    start: datetime = EVERYTHING
    end: datetime = EVERYTHING

    @classmethod
    def message(cls, message: str) -> Self:
        """Return the extent of one message."""
        return cls(ExtentKind.MESSAGE, message)

    @classmethod
    def mailbox(cls, mailbox: str) -> Self:
        """Return the extent of one mailbox."""
        return cls(ExtentKind.MAILBOX, mailbox)

    @classmethod
    def span(cls, start: datetime, end: datetime) -> Self:
        """Return the extent of a span of time."""
        return cls(ExtentKind.SPAN, "", start, end)

    @classmethod
    def everything(cls, now: datetime) -> Self:
        """Return the extent of everything until the latest possible end of a consent requested now."""
        return cls.span(EVERYTHING, now.replace(microsecond=0) + WAITS + LONGEST_CONSENT)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an extent; raise :class:`ValueError` if the text is not one.

        The forms are ``message:UUID``, ``mailbox:ID`` and ``span:FROM/UNTIL``.
        """
        kind, _, name = text.partition(":")
        match kind:
            case ExtentKind.MESSAGE if is_uuid(name) and name == name.lower():
                return cls.message(name)
            case ExtentKind.MAILBOX if 0 < len(name) <= MAX_IDENTIFIER and visible(name) and " " not in name:
                return cls.mailbox(name)
            case ExtentKind.SPAN:
                start, end = (Fields({"at": each}).moment("at") for each in name.split("/"))
                if start < end:
                    return cls.span(start, end)
        raise ValueError("an extent is message:UUID, mailbox:ID or span:FROM/UNTIL")

    def __str__(self) -> str:
        if self.kind is ExtentKind.SPAN:
            return f"{self.kind}:{moment_text(self.start)}/{moment_text(self.end)}"
        return f"{self.kind}:{self.id}"

    def covers(self, wanted: Extent) -> bool:
        """Return whether ``wanted`` is entirely within this extent; a span covers only spans."""
        if self.kind is not wanted.kind:
            return False
        if self.kind is ExtentKind.SPAN:
            return self.start <= wanted.start and wanted.end <= self.end
        return self.id == wanted.id


@dataclass(frozen=True, slots=True)
class AccessAsked:
    """A request for ``to`` to see ``level`` of ``extent``, for ``minutes`` from the last approval."""

    kind: ClassVar[str] = "consent"

    to: Subject
    ground: Ground
    ticket: str
    extent: Extent
    level: Level
    minutes: int

    @property
    def lasts(self) -> timedelta:
        """Duration of the access, from the last approval."""
        return timedelta(minutes=self.minutes)

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return _members(self) | {"level": self.level.value, "minutes": self.minutes}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        to, ground, ticket, extent = _read(fields)
        if to.kind not in _STAFF | {SubjectKind.PERSON}:
            raise StatementError("one of the operator's staff, a custodian or a person must ask", "to")
        level, minutes = fields.one_of("level", Level), fields.take("minutes")
        most = LONGEST_CONSENT // timedelta(minutes=1)
        if not isinstance(minutes, int) or isinstance(minutes, bool) or not 0 < minutes <= most:
            raise StatementError(f"a consent lasts 1 to {most} minutes", "minutes")
        return cls(to, ground, ticket, extent, level, minutes)


@dataclass(frozen=True, slots=True)
class EmergencyStated:
    """An emergency: ``to`` sees metadata of ``extent`` for an hour, once another of the staff signs."""

    kind: ClassVar[str] = "emergency"

    to: Subject
    ground: Ground
    ticket: str
    extent: Extent
    level: ClassVar[Level] = Level.METADATA

    @property
    def lasts(self) -> timedelta:
        """Duration of the access, from the second signature."""
        return EMERGENCY

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return _members(self)

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        to, ground, ticket, extent = _read(fields)
        if to.kind not in _STAFF:
            raise StatementError("one of the operator's staff or a custodian must be named", "to")
        return cls(to, ground, ticket, extent)


@dataclass(frozen=True, slots=True)
class AccountGiven:
    """An account of what was done in the emergency stated by the statement ``of``."""

    kind: ClassVar[str] = "account"

    of: str
    done: str

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {"of": self.of, "done": self.done}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        return cls(fields.digest("of"), fields.text("done", _MAX_ACCOUNT))


Access: TypeAlias = AccessAsked | EmergencyStated
ConsentAct: TypeAlias = AccessAsked | EmergencyStated | AccountGiven
CONSENT_ACTS = (AccessAsked, EmergencyStated, AccountGiven)


def is_staff(subject: Subject) -> bool:
    """Return whether a subject is one of the operator's staff, including custodians."""
    return subject.kind in _STAFF


def _members(act: Access) -> dict[str, Json]:
    return {"to": str(act.to), "ground": act.ground.value, "ticket": act.ticket, "extent": str(act.extent)}


def _read(fields: Fields) -> tuple[Subject, Ground, str, Extent]:
    to, ground = fields.subject("to"), fields.one_of("ground", Ground)
    ticket, extent = fields.text("ticket", MAX_TICKET), fields.text("extent", MAX_IDENTIFIER + 16)
    try:
        return to, ground, ticket, Extent.parse(extent)
    except ValueError:
        raise StatementError("it names neither a message, a mailbox nor a span of time", "extent") from None
