"""Sessions in which the operator's staff read an organisation's data, within the limits of its consent.

A command that shows metadata or content runs within a :class:`Session`. The session first writes an entry to
the organisation's log that names the consent. It is refused without a consent, stops within a second of the
consent's end, and finally writes an entry about how much was read. After the consent has ended, one entry
summarises everything that was opened within it. If an organisation has no officer who could consent, the
command runs without consent, and the organisation's log records that.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from samdrift.audit.entries import LogEntry
from samdrift.audit.events import AuditEvent
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Explained
from samdrift.contracts.principals import (
    NOT_PROVEN,
    ORGANISATIONS_OWN,
    Principal,
    PrincipalKind,
    Proof,
    Role,
)
from samdrift.governance.records import Records
from samdrift.governance.words import named
from samdrift.rights.consentfold import Consent, Consents, Stage, consents_of, moment_of, officers
from samdrift.rights.consents import Extent, Level
from samdrift.rights.fields import Subject
from samdrift.rights.record import Record
from samdrift.vault.errors import VaultError
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_LOOKS_AGAIN = 0.5
"""Seconds between a session's checks of its consent, so that an end takes effect within one second."""
Ticks = Callable[[], float]
"""A monotonic clock, in seconds."""
_PLACES = (Role.GOVERNANCE, *(each for each in ORGANISATIONS_OWN if each is not Role.GOVERNANCE))


class ConsentEvent(AuditEvent):
    """An event about data of an organisation that the operator's staff read."""

    OPENED = "gov:consent:opened"
    """The operator's staff opened data of the organisation; the entry names the consent, if there is one."""
    CLOSED = "gov:consent:closed"
    """A session ended; the entry has how much was read, and whether it was cut short."""
    REFUSED = "gov:consent:refused"
    """A session was refused because no consent covers it."""
    SUMMED = "gov:consent:summed"
    """A consent or an emergency ended; the entry has how often it was used, and how much was read."""


SETTLES = timedelta(seconds=10)
"""Time after the end of a consent within which the sessions that it cuts short write their last entry."""


class Way(StrEnum):
    """The ground on which data is opened."""

    CONSENT = "consent"
    EMERGENCY = "emergency"
    NOBODY = "nobody-can-consent"
    """No officer of the organisation has a key, so that only the operator's own rules apply."""
    DEMONSTRATION = "demonstration"


class ConsentWanted(Explained):
    """Error raised when no consent covers a command; ``approvers`` names the people who could approve one."""

    def __init__(self, wanted: Wanted, why: str, approvers: tuple[str, ...]) -> None:
        who = f"; these can approve: {', '.join(approvers)}" if approvers else ""
        super().__init__(
            f"{wanted.command} shows {wanted.level} of the organisation, and {why}. Ask for its consent:"
            f" samdrift gov consent request --extent {wanted.extent} --level {wanted.level}{who}"
        )
        self.approvers = approvers


class ConsentOver(Explained):
    """Error raised when a consent ends during a session; nothing more is shown."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(f"the consent is {stage.value.replace('-', ' ')}: nothing more is read")
        self.stage = stage


class NotLogged(Explained):
    """Error raised when the organisation's log cannot be written, so that none of its data may be read."""

    def __init__(self) -> None:
        super().__init__("the organisation's log cannot be written, so nothing is read: unlock its vaults")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The data that a command is about to show."""

    command: str
    level: Level
    extent: Extent


@dataclass(frozen=True, slots=True)
class Caller:
    """The person who runs a command, and the reason."""

    by: str
    """A name, or a subject like ``operator:ola``."""
    reason: str
    consent: str = ""
    """Number or digest of a consent, if the caller names one."""
    account: str = ""
    """Operating system account under which the command runs."""
    proof: Proof = NOT_PROVEN
    """Proof that the caller is the person named."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name as given, and without its kind."""
        return (self.by, self.by.partition(":")[2])

    def is_called(self, subject: Subject) -> bool:
        """Return whether the caller's name is that of ``subject``."""
        return self.by in (str(subject), subject.id)


@dataclass(frozen=True, slots=True)
class Opened:
    """The uses of a consent, according to the governance log."""

    times: int
    parts: int
    """Number of parts read in the sessions that have ended."""
    commands: tuple[str, ...]
    last: datetime | None
    summed: bool
    """True when the organisation's log has a summary of the consent."""

    @classmethod
    def of(cls, entries: Iterable[LogEntry]) -> Self:
        """Count the uses in the log entries that name a consent."""
        found = tuple(entries)
        opened = [each for each in found if each.event == ConsentEvent.OPENED]
        return cls(
            len(opened),
            sum(int(each.ids["parts"]) for each in found if each.event == ConsentEvent.CLOSED),
            tuple(sorted({each.ids["command"] for each in opened})),
            max((each.at for each in opened), default=None),
            any(each.event == ConsentEvent.SUMMED for each in found),
        )

    def summary(self, consent: Consent, stage: Stage) -> dict[str, str]:
        """Return the facts of the log entry that summarises a consent."""
        facts = {"consent": consent.id, "person": str(consent.act.to), "outcome": stage.value}
        facts |= {"opened": str(self.times), "parts": str(self.parts)}
        if self.last is not None:
            facts |= {"commands": ", ".join(self.commands), "last": self.last.isoformat()}
        return facts


@dataclass(frozen=True, slots=True)
class Permitted:
    """The ground on which data may be opened, with the consent if there is one."""

    way: Way
    consent: Consent | None = None
    number: int = 0

    def facts(self) -> dict[str, str]:
        """Return the ground as facts of a log entry."""
        if self.consent is None:
            return {"way": self.way.value}
        about = {"statement": str(self.number), "person": str(self.consent.act.to)}
        return {"way": self.way.value, "consent": self.consent.id, **about}


def permitted(record: Record, wanted: Wanted, caller: Caller, moment: datetime) -> Permitted:
    """Return the ground on which data may be opened; raise :class:`ConsentWanted` if nothing covers it.

    An emergency covers metadata, and is used only if no consent does.
    """
    if not officers(record, moment):
        return Permitted(Way.NOBODY)
    numbers = {each.statement.digest: each.number for each in record.entries}
    covering = [
        each
        for each in _named(consents_of(record), caller, numbers)
        if each.act.level.covers(wanted.level) and each.act.extent.covers(wanted.extent)
    ]
    mine = [each for each in covering if caller.is_called(each.act.to)]
    for each in sorted(mine, key=lambda one: one.emergency):
        if each.stage(moment) is Stage.IN_FORCE:
            way = Way.EMERGENCY if each.emergency else Way.CONSENT
            return Permitted(way, each, numbers[each.id])
    who = tuple(named(each, record) for each in officers(record, moment) if each.id not in caller.names)
    raise ConsentWanted(wanted, _why(covering, mine, moment), who)


def _named(consents: Consents, caller: Caller, numbers: Mapping[str, int]) -> Iterator[Consent]:
    for each in consents.all():
        if not caller.consent or caller.consent in (each.id, str(numbers[each.id])):
            yield each


def _why(covering: list[Consent], mine: list[Consent], moment: datetime) -> str:
    if mine:
        return f"the consent to that is {mine[-1].stage(moment).value.replace('-', ' ')}"
    return "the consent to that is another person's" if covering else "no consent covers that"


class Session:
    """One command's reading of an organisation's data; call :meth:`check` before each part."""

    def __init__(
        self,
        records: Records,
        organisation: ParticipantIdentifier,
        permit: Permitted,
        clock: Clock,
        ticks: Ticks,
        looked: float,
        known: datetime,
    ) -> None:
        """Start from a record read at ``looked`` (in ``ticks``), when it was ``known`` or later."""
        self.permit = permit
        self.parts = 0
        """Number of parts read so far."""
        self._records = records
        self._organisation = organisation
        self._clock = clock
        self._ticks = ticks
        self._looked = looked
        self._known = known

    def _now(self) -> datetime:
        """Return the current time, which does not go back even if the clock is set back."""
        return max(self._clock(), self._known + timedelta(seconds=self._ticks() - self._looked))

    async def check(self) -> None:
        """Return while the consent is in force; raise :class:`ConsentOver` within a second of its end."""
        consent = self.permit.consent
        if consent is not None:
            if self._ticks() - self._looked >= _LOOKS_AGAIN:
                now = self._now()
                self._looked = self._ticks()
                record, witnessed = await self._records.read_with_time(self._organisation)
                consent = consents_of(record).find(consent.id) or consent
                self._known = moment_of(record, now, witnessed)
            stage = consent.stage(self._now())
            if stage is not Stage.IN_FORCE:
                raise ConsentOver(stage)
        self.parts += 1


@contextlib.asynccontextmanager
async def session(
    gate: Gate,
    organisation: ParticipantIdentifier,
    wanted: Wanted,
    caller: Caller,
    clock: Clock,
    *,
    demonstration: bool = False,
    ticks: Ticks = time.monotonic,
) -> AsyncIterator[Session]:
    """Open a session for the data that a command shows, with a log entry before and after it.

    Raise :class:`ConsentWanted`, after writing a log entry about it, if nothing covers the command. Raise
    :class:`NotLogged` if the first entry cannot be written.
    """
    records = Records(gate, clock)
    principal = Principal(PrincipalKind.OPERATOR, caller.by)
    about = {"command": wanted.command, "level": wanted.level.value, "extent": str(wanted.extent)}
    about |= {"by": caller.by, "reason": caller.reason, **caller.proof.facts()}
    if caller.account not in ("", *caller.names):
        about["account"] = caller.account

    async def logged(event: ConsentEvent, facts: Mapping[str, str]) -> bool:
        return await gate.record_for_organisation(principal, organisation, event, {**about, **facts}, _PLACES)

    looked = ticks()  # Before the record is read: the first entry may take longer than a consent.
    if demonstration:
        permit, known = Permitted(Way.DEMONSTRATION), clock()
    else:
        record, witnessed = await records.read_with_time(organisation)
        known = moment_of(record, clock(), witnessed)
        try:
            permit = permitted(record, wanted, caller, known)
        except ConsentWanted as refused:
            await logged(ConsentEvent.REFUSED, {})
            raise refused from None
    if not await logged(ConsentEvent.OPENED, permit.facts()):
        raise NotLogged
    running, outcome = Session(records, organisation, permit, clock, ticks, looked, known), "finished"
    try:
        yield running
    except ConsentOver as over:
        outcome = over.stage.value
        raise
    except BaseException:
        outcome = "broken-off"
        raise
    finally:
        with contextlib.suppress(VaultError):  # Must not replace an exception raised by the body.
            summary = {"parts": str(running.parts), "outcome": outcome}
            await logged(ConsentEvent.CLOSED, {**permit.facts(), **summary})
