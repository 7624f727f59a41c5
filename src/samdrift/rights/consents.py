"""Acts about what the operator's staff see: a request for consent, an emergency without one, its account.

A request names everything that an officer decides about: who, for which reason, for which ticket, how much
of what, and for how long. An approval, and an end before the time, are the statements of those kinds that
name it (:mod:`samdrift.rights.consentfold`).
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
"""Time within which a request is approved; afterwards it has lapsed."""
EMERGENCY = timedelta(hours=1)
"""Duration of an emergency, and time within which the second of the staff signs it."""
ANSWERED = timedelta(days=1)
"""Time within which the staff give an account of an emergency."""
EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC)
"""The beginning of a time span that has everything until its end."""

MAX_TICKET = 100
_MAX_ACCOUNT = 500
_STAFF = frozenset({SubjectKind.OPERATOR, SubjectKind.CUSTODIAN})


class Level(StrEnum):
    """Degrees of what is seen. Content includes metadata."""

    METADATA = "metadata"
    """Senders, recipients, persons and times: all but what a message says."""
    CONTENT = "content"

    def covers(self, wanted: Level) -> bool:
        """Return whether that much may be seen."""
        return self is Level.CONTENT or wanted is Level.METADATA


class Ground(StrEnum):
    """Reasons for which the operator's staff ask; there are no others."""

    CASE = "organisations-case"
    """The organisation has asked for help with something of its own."""
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
    """One message, one mailbox, or a span of time from ``start`` until before ``end``."""

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
        """Return all that is there until a consent that is asked for now has ended for certain."""
        return cls.span(EVERYTHING, now.replace(microsecond=0) + WAITS + LONGEST_CONSENT)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``message:UUID``, ``mailbox:ID`` or ``span:FROM/UNTIL``; :class:`ValueError` for another."""
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
        """Return whether all that is ``wanted`` is within this extent. A span covers spans, nothing else."""
        if self.kind is not wanted.kind:
            return False
        if self.kind is ExtentKind.SPAN:
            return self.start <= wanted.start and wanted.end <= self.end
        return self.id == wanted.id


@dataclass(frozen=True, slots=True)
class AccessAsked:
    """``to`` asks to see ``level`` of ``extent``, for ``minutes`` from the last approval on."""

    kind: ClassVar[str] = "consent"

    to: Subject
    ground: Ground
    ticket: str
    extent: Extent
    level: Level
    minutes: int

    @property
    def lasts(self) -> timedelta:
        """The duration."""
        return timedelta(minutes=self.minutes)

    def members(self) -> dict[str, Json]:
        """Return the act in the form that statements have."""
        return _members(self) | {"level": self.level.value, "minutes": self.minutes}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Read the act of a statement; :class:`StatementError` with the field at fault."""
        to, ground, ticket, extent = _read(fields)
        if to.kind not in _STAFF | {SubjectKind.PERSON}:
            raise StatementError("one of the operator's staff, a custodian or a person asks", "to")
        level, minutes = fields.one_of("level", Level), fields.take("minutes")
        most = LONGEST_CONSENT // timedelta(minutes=1)
        if not isinstance(minutes, int) or isinstance(minutes, bool) or not 0 < minutes <= most:
            raise StatementError(f"a consent lasts 1 to {most} minutes", "minutes")
        return cls(to, ground, ticket, extent, level, minutes)


@dataclass(frozen=True, slots=True)
class EmergencyStated:
    """``to`` sees metadata of ``extent`` for an hour without consent, once another of the staff signs."""

    kind: ClassVar[str] = "emergency"

    to: Subject
    ground: Ground
    ticket: str
    extent: Extent
    level: ClassVar[Level] = Level.METADATA

    @property
    def lasts(self) -> timedelta:
        """The duration."""
        return EMERGENCY

    def members(self) -> dict[str, Json]:
        """Return the act in the form that statements have."""
        return _members(self)

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Read the act of a statement; :class:`StatementError` with the field at fault."""
        to, ground, ticket, extent = _read(fields)
        if to.kind not in _STAFF:
            raise StatementError("one of the operator's staff or a custodian is named", "to")
        return cls(to, ground, ticket, extent)


@dataclass(frozen=True, slots=True)
class AccountGiven:
    """An account of what was done in the emergency that the statement ``of`` states."""

    kind: ClassVar[str] = "account"

    of: str
    done: str

    def members(self) -> dict[str, Json]:
        """Return the act in the form that statements have."""
        return {"of": self.of, "done": self.done}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Read the act of a statement; :class:`StatementError` with the field at fault."""
        return cls(fields.digest("of"), fields.text("done", _MAX_ACCOUNT))


Access: TypeAlias = AccessAsked | EmergencyStated
ConsentAct: TypeAlias = AccessAsked | EmergencyStated | AccountGiven
CONSENT_ACTS = (AccessAsked, EmergencyStated, AccountGiven)


def is_staff(subject: Subject) -> bool:
    """Return whether a subject is one of the operator's staff, custodians among them."""
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
