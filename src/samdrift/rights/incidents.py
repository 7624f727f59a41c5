"""Acts about incidents: opening, adding a note, stating that an addressee was notified, and closing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Self, TypeAlias

from samdrift.rights.canonical import Json
from samdrift.rights.fields import Fields, StatementError, moment_text

_MAX_TITLE = 200
_MAX_REFERENCE = 200


class Clock(StrEnum):
    """Clocks of an incident, one for each addressee that has to be notified, most with a deadline."""

    CONCERNED = "concerned"
    """The organisations and people affected, within 6 hours by agreement or by DIGG's guidance."""
    EARLY_WARNING = "early-warning"
    """The early warning required by cybersäkerhetslagen, within 24 hours."""
    NOTIFICATION = "notification"
    """The notification required by cybersäkerhetslagen, within 72 hours."""
    PERSONAL_DATA = "personal-data"
    """The notification of a personal data breach (GDPR 33), within 72 hours."""
    FINAL_REPORT = "final-report"
    """The final report required by cybersäkerhetslagen, within a month of the notification."""
    FEDERATION = "federation"
    """DIGG as owner of the federation, for which the rules set no deadline."""


@dataclass(frozen=True, slots=True)
class IncidentOpened:
    """An incident that began at ``began`` and became known at ``aware``, from which ``clocks`` run."""

    kind: ClassVar[str] = "incident"

    title: str
    began: datetime
    aware: datetime
    clocks: frozenset[Clock]

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {
            "title": self.title,
            "began": moment_text(self.began),
            "aware": moment_text(self.aware),
            "clocks": sorted(self.clocks),
        }

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act of a statement made at ``at``; raise :class:`StatementError` if it is invalid."""
        title = fields.text("title", _MAX_TITLE)
        began, aware = fields.moment("began"), fields.moment("aware")
        if not began <= aware <= at:
            raise StatementError("it must be known after it began, and stated after it is known", "aware")
        return cls(title, began, aware, _clocks(fields))


@dataclass(frozen=True, slots=True)
class IncidentNoted:
    """A note about the incident ``of``; its text is the statement's reason.

    It may add clocks that apply, and a file that belongs to the incident.
    """

    kind: ClassVar[str] = "incident-note"

    of: str
    clocks: frozenset[Clock]
    file: str = ""
    """SHA-256 of a file stored elsewhere, such as a section of a log with its proofs; may be empty."""

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        members: dict[str, Json] = {"of": self.of, "clocks": sorted(self.clocks)}
        return members | ({"file": self.file} if self.file else {})

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        of, clocks = fields.digest("of"), _clocks(fields)
        return cls(of, clocks, fields.digest("file") if "file" in fields else "")


@dataclass(frozen=True, slots=True)
class IncidentTold:
    """A report that the addressee of ``clock`` was notified of the incident ``of`` at ``told``.

    ``reference`` identifies the notification, for example by its number.
    """

    kind: ClassVar[str] = "incident-told"

    of: str
    clock: Clock
    told: datetime
    reference: str

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {
            "of": self.of,
            "clock": self.clock.value,
            "told": moment_text(self.told),
            "reference": self.reference,
        }

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act of a statement made at ``at``; raise :class:`StatementError` if it is invalid."""
        of, clock, told = fields.digest("of"), fields.one_of("clock", Clock), fields.moment("told")
        if told > at:
            raise StatementError("the notification must precede its statement", "told")
        return cls(of, clock, told, fields.text("reference", _MAX_REFERENCE))


@dataclass(frozen=True, slots=True)
class IncidentClosed:
    """The end of the incident ``of``; clocks that were not stopped continue to run."""

    kind: ClassVar[str] = "incident-close"

    of: str

    def members(self) -> dict[str, Json]:
        """Return the act as JSON members of a statement."""
        return {"of": self.of}

    @classmethod
    def read(cls, fields: Fields, at: datetime) -> Self:
        """Parse the act from a statement; raise :class:`StatementError` naming the invalid field."""
        return cls(fields.digest("of"))


IncidentAct: TypeAlias = IncidentOpened | IncidentNoted | IncidentTold | IncidentClosed
INCIDENT_ACTS = (IncidentOpened, IncidentNoted, IncidentTold, IncidentClosed)


def _clocks(fields: Fields) -> frozenset[Clock]:
    value = fields.take("clocks")
    try:
        found = [Clock(each) for each in value if isinstance(each, str)] if isinstance(value, list) else None
    except ValueError:
        raise StatementError("it names an unknown clock", "clocks") from None
    if found is None or found != value or found != sorted(set(found)):
        raise StatementError("expected a list of clocks, sorted and without repeats", "clocks")
    return frozenset(found)
