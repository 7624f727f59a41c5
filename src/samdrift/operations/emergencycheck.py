"""The doctor's check of emergencies and incidents that the operator has not accounted for in time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime

from samdrift.administration.administration import Administration
from samdrift.administration.incidents import operators_incidents
from samdrift.contracts.principals import Role
from samdrift.contracts.statements import RightsBehind
from samdrift.governance.records import RecordBroken, Records
from samdrift.governance.reminders import Matter, clocks, pending
from samdrift.operations.findings import Finding, Subject
from samdrift.rights.incidentfold import Incident
from samdrift.rights.record import Record
from samdrift.vault.errors import VaultError
from samdrift.wire.identifiers import ParticipantIdentifier

_WHY = "an organisation was accessed without its consent and does not know what was done"
_WHY_TOLD = "those who must hear of an incident by law or agreement hear too late"


async def check_emergencies(installation: Administration, now: datetime) -> AsyncIterator[Finding]:
    """Check that every emergency has been accounted for, and that no incident's clock has run out.

    The clocks of the operator's own incidents are reported while they run.
    """
    own, _ = await operators_incidents(installation)
    for finding in judge_own(own.values(), now.astimezone(UTC)):
        yield finding
    governed = {one.organisation for one in installation.gate.registry.all() if one.role is Role.GOVERNANCE}
    for organisation in sorted(governed, key=str):
        for finding in await _of(installation, organisation, now.astimezone(UTC)):
            yield finding


def judge_own(incidents: Iterable[Incident], now: datetime) -> list[Finding]:
    """Judge the clocks of the operator's own incidents; return no finding when none is running."""
    found = sorted(clocks(Matter.OPERATORS_INCIDENT, incidents, now), key=lambda each: each.until)
    if not found:
        return []
    subject, todo = Subject("incidents", _WHY_TOLD), "samdrift gov incident shared tell; docs/reviews.md"
    late = sum(each.until <= now for each in found)
    if late:
        return [subject.fail(f"{late} clocks of the operator's incidents have run out", todo)]
    text = f"running clocks of the operator's incidents: {len(found)}, the next until"
    return [subject.warn(f"{text} {found[0].until:%Y-%m-%d %H:%M} UTC", todo)]


def judge(record: Record, organisation: str, now: datetime) -> list[Finding]:
    """Judge the emergencies and incidents in one record; return no finding when all are accounted for."""
    found = pending(record, {}, now)
    emergencies = [each for each in found if each.matter is Matter.EMERGENCY]
    late = [each for each in emergencies if each.until < now]
    clocks = [each for each in found if each.matter is Matter.INCIDENT and each.until < now]
    findings = []
    if emergencies:
        subject = Subject("emergencies", _WHY, organisation)
        todo = f"samdrift gov emergency account {organisation}; docs/officers.md"
        if late:
            findings.append(subject.fail(f"{len(late)} not accounted for within a day", todo))
        else:
            findings.append(subject.warn(f"{len(emergencies)} to be accounted for within a day", todo))
    if clocks:
        todo = f"samdrift gov incident list {organisation} --reason WHY; docs/reviews.md"
        subject = Subject("incidents", _WHY_TOLD, organisation)
        findings.append(subject.fail(f"{len(clocks)} clocks of incidents have run out", todo))
    return findings


async def _of(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> list[Finding]:
    try:
        record = await Records(installation.gate, lambda: now).read(organisation)
    except (VaultError, RecordBroken, RightsBehind):
        return []  # The checks of reviews and agreements report this.
    return judge(record, organisation.value, now)
