"""Planned outages, their announcement and withdrawal, as recorded in the operator's log.

A planned outage is announced to the organisations concerned at least five working days ahead
(information-security-and-trust 8.2); one that is announced later counts as unplanned.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from samdrift.administration.administration import Administration, note, note_during_outage
from samdrift.audit.entries import LogEntry
from samdrift.console.events import ConsoleEvent
from samdrift.contracts.principals import Proof
from samdrift.messageclient.notices.manning import is_holiday
from samdrift.web.formats import SWEDEN
from samdrift.wire.identifiers import ParticipantIdentifier

WORKING_DAYS = 5
"""Number of whole working days required between the day of the announcement and the day of the outage."""
_SATURDAY = 5


@dataclass
class PlannedOutage:
    """A planned outage as it was announced."""

    id: str
    announced: datetime
    starts: datetime
    ends: datetime
    text: str
    organisations: list[str] = field(default_factory=list)
    withdrawn: datetime | None = None
    untold: set[str] = field(default_factory=set)
    """Organisations whose logs lack the announcement or the withdrawal, since they could not be written."""

    @property
    def in_time(self) -> bool:
        """Return whether it was announced early enough to count as planned."""
        return working_days(self.announced, self.starts) >= WORKING_DAYS

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Return the period of the outage; empty if it was withdrawn before it began.

        A withdrawal during the outage ends the period.
        """
        until = self.ends if self.withdrawn is None else min(self.ends, self.withdrawn)
        return self.starts, max(self.starts, until)


def working_days(announced: datetime, starts: datetime) -> int:
    """Return the number of whole working days in Sweden between the days of two moments.

    Neither day itself counts: the strict reading of "5 helgfria arbetsdagar i förväg".
    """
    first, last = announced.astimezone(SWEDEN).date(), starts.astimezone(SWEDEN).date()
    between = (first + timedelta(days=number) for number in range(1, (last - first).days))
    return sum(map(_is_working_day, between))


def _is_working_day(day: date) -> bool:
    return day.weekday() < _SATURDAY and not is_holiday(day)


def planned_outages(entries: Iterable[LogEntry]) -> list[PlannedOutage]:
    """Return the outages recorded in a log, latest start first."""
    found: dict[str, PlannedOutage] = {}
    for entry in entries:
        ids = entry.ids
        outage = found.get(ids.get("outage", ""))
        if entry.event == ConsoleEvent.OUTAGE_ANNOUNCED:
            if outage is None:
                starts, ends = (datetime.fromisoformat(ids[name]) for name in ("starts", "ends"))
                outage = PlannedOutage(ids["outage"], entry.at, starts, ends, ids["text"])
                found[outage.id] = outage
            outage.organisations.append(ids["organisation"])
        elif entry.event == ConsoleEvent.OUTAGE_WITHDRAWN and outage is not None:
            outage.withdrawn = outage.withdrawn or entry.at
        if outage is not None and "organisation_log" in ids:
            outage.untold.add(ids["organisation"])
    return sorted(found.values(), key=lambda each: each.starts, reverse=True)


async def announce_outage(
    installation: Administration,
    by: str,
    proof: Proof,
    starts: datetime,
    ends: datetime,
    text: str,
    organisations: Sequence[ParticipantIdentifier],
) -> str:
    """Announce an outage in each organisation's log and in the operator's; return its id.

    Only the operator's log has it for an organisation whose log cannot be written now.
    """
    identifier = secrets.token_hex(8)
    facts = {"outage": identifier, "starts": starts.isoformat(), "ends": ends.isoformat(), "text": text}
    facts |= proof.facts()
    for each in organisations:
        await note_during_outage(installation, ConsoleEvent.OUTAGE_ANNOUNCED, by, each, facts)
    return identifier


async def withdraw_outage(installation: Administration, by: str, proof: Proof, outage: PlannedOutage) -> None:
    """Record that an outage was withdrawn, as it was announced; once if no organisation is left."""
    event, facts = ConsoleEvent.OUTAGE_WITHDRAWN, {"outage": outage.id, **proof.facts()}
    served = {str(one.organisation): one.organisation for one in installation.gate.registry.all()}
    here = [served[each] for each in outage.organisations if each in served]
    if not here:
        await note(installation, event, by, None, facts)
    for each in here:
        await note_during_outage(installation, event, by, each, facts)
