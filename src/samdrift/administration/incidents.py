"""Incidents of one organisation, and incidents of the operator, reported to each organisation concerned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC

from samdrift.administration.administration import Administration, note_during_outage, record_command
from samdrift.administration.governing import Governance
from samdrift.audit.entries import LogEntry
from samdrift.config.errors import Unusable
from samdrift.contracts import workers
from samdrift.contracts.principals import ORGANISATIONS_OWN, Principal, PrincipalKind, Purpose, Role
from samdrift.evidence.trace import Asked
from samdrift.governance.incidents import (
    EVENTS,
    IncidentEvent,
    Known,
    concerned,
    facts_of,
    from_log,
    id_of,
    known_incidents,
)
from samdrift.net.clock import system_clock
from samdrift.rights.incidentfold import Incident
from samdrift.rights.incidents import IncidentAct, IncidentOpened, IncidentTold
from samdrift.rights.record import Record
from samdrift.vault.errors import VaultError
from samdrift.wire.identifiers import ParticipantIdentifier

_PAGE = 2000
_UNREACHABLE = "not recorded in its log, because a vault of it is locked or cannot be reached now"
_SUSPENDED = "recorded in its log, but its people cannot read it while it is suspended"


async def incidents_of(
    installation: Administration, organisation: ParticipantIdentifier
) -> tuple[Known, ...]:
    """Return an organisation's incidents: its own, and those that the operator has reported to it."""
    record = Record(organisation.value)
    if installation.gate.registry.find(organisation, Role.GOVERNANCE) is not None:
        record = await Governance(installation, organisation).read()
    entries: list[LogEntry] = []
    role = _first_role(installation, organisation)
    if role is not None:
        async with installation.gate.open(workers.GOVERNANCE, organisation, role, Purpose.TRACE) as vault:
            after = 0
            while found := await vault.log(after, _PAGE):
                entries += [each for each in found if each.event in tuple(IncidentEvent)]
                after = found[-1].sequence
    return known_incidents(record, entries)


def _first_role(installation: Administration, organisation: ParticipantIdentifier) -> Role | None:
    """Return the role whose log records matters of the whole organisation."""
    find = installation.gate.registry.find
    return next((each for each in ORGANISATIONS_OWN if find(organisation, each)), None)


async def operators_incidents(
    installation: Administration,
) -> tuple[dict[str, Incident], dict[str, set[str]]]:
    """Return the operator's own incidents, and the organisations that each of them concerns."""
    entries: list[LogEntry] = []
    after = 0
    while found := await installation.gate.read_operator_log(after, _PAGE):
        entries += [each for each in found if each.event in tuple(IncidentEvent)]
        after = found[-1].sequence
    return from_log(entries), concerned(entries)


@dataclass(frozen=True, slots=True)
class Reported:
    """The organisations whose logs have a statement about an incident, and those that must be told."""

    told: tuple[str, ...] = ()
    untold: dict[str, str] = field(default_factory=dict)
    """Reasons, in words, why the others do not have it or cannot read it."""


async def open_for(
    installation: Administration,
    act: IncidentOpened,
    organisations: Sequence[ParticipantIdentifier],
    asked: Asked,
) -> tuple[str, dict[str, str]]:
    """Open an incident that concerns several organisations, and report it in each one's log.

    Returns its id, and the organisations that must be told by other means, each with the reason.
    """
    registry = installation.gate.registry
    known = {one.organisation for one in registry.all()}
    strangers = [str(each) for each in organisations if each not in known]
    if strangers or not organisations:
        raise Unusable(f"not served here: {', '.join(strangers) or 'name an organisation'}")
    identifier = id_of(act, system_clock().astimezone(UTC))
    reported = await _record(installation, act, identifier, sorted(set(organisations), key=str), asked)
    suspended = {str(one.organisation) for one in registry.all() if one.suspended}
    return identifier, reported.untold | {name: _SUSPENDED for name in reported.told if name in suspended}


async def add(installation: Administration, identifier: str, act: IncidentAct, asked: Asked) -> Reported:
    """Add a statement to an incident of the operator, in the log of each organisation concerned."""
    known, whose = await operators_incidents(installation)
    incident = known.get(identifier)
    if incident is None:
        raise Unusable("there is no such incident of the operator's: samdrift gov incident shared list")
    if isinstance(act, IncidentTold) and (act.clock not in incident.clocks or act.clock in incident.told):
        raise Unusable("that clock is not running, or has already been stopped")
    served = {str(one.organisation): one.organisation for one in installation.gate.registry.all()}
    here = [served[each] for each in sorted(whose[identifier]) if each in served]
    return await _record(installation, act, identifier, here, asked)


async def _record(
    installation: Administration,
    act: IncidentAct,
    identifier: str,
    organisations: Sequence[ParticipantIdentifier],
    asked: Asked,
) -> Reported:
    """Record an act in the operator's log and in that of each organisation that can be reached.

    The operator's log has it for each organisation, and once if there is none any more.
    """
    await record_command(installation, "gov incident shared", asked, None)
    facts = facts_of(act, asked.reason) | {"incident": identifier} | asked.elsewhere().proof.facts()
    event = EVENTS[type(act)]
    if not organisations:
        await installation.gate.operator_log(event, **facts, by=asked.by)
    told = []
    for each in organisations:
        written = await note_during_outage(installation, event, asked.by, each, facts)
        if written and await _in_governances_log(installation, event, asked.by, each, facts):
            told.append(str(each))
    return Reported(tuple(told), {str(one): _UNREACHABLE for one in organisations if str(one) not in told})


async def _in_governances_log(
    installation: Administration,
    event: IncidentEvent,
    by: str,
    organisation: ParticipantIdentifier,
    facts: Mapping[str, str],
) -> bool:
    """Record an act also in governance's log, the only one that its pages read, if there is one."""
    find = installation.gate.registry.find
    if _first_role(installation, organisation) is Role.GOVERNANCE or not find(organisation, Role.GOVERNANCE):
        return True
    principal, place = Principal(PrincipalKind.OPERATOR, by), (Role.GOVERNANCE,)
    try:
        return await installation.gate.record_for_organisation(principal, organisation, event, facts, place)
    except VaultError:
        return False
